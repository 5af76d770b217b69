//! Names that a server is asked under, byte by byte as a browser sends them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Server, fake};
use serde_json::Value;

/// What a request of these headers is answered: status and body.
fn asked(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!("{method} {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A page of `evil.example`, whose name leads here all of a sudden, is of the server's own origin as far
/// as its browser can tell.
#[test]
fn a_page_whose_own_name_leads_to_a_server_without_a_key_gets_nothing() {
    let server = Server::start();
    let port = server.addr().port();
    let evil = format!("evil.example:{port}");
    let origin = format!("http://{evil}");
    for (method, path) in [
        ("GET", "/collections"),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("DELETE", "/collections/v"),
        ("POST", "/admin/checkpoint"),
    ] {
        for headers in [
            &[("host", &*evil)][..],
            &[("host", &evil), ("origin", &origin)],
        ] {
            let (status, body) = asked(&server, method, path, headers);
            assert_eq!(status, 403, "{method} {path}");
            let body: Value = serde_json::from_str(&body).unwrap();
            let why = body["status"]["error"].as_str().unwrap();
            assert!(
                why.contains("`evil.example") && why.contains("server.hosts"),
                "{why}"
            );
        }
    }
    let preflight = [
        ("host", &*evil),
        ("origin", &*origin),
        ("access-control-request-method", "PUT"),
    ];
    assert_eq!(
        asked(&server, "OPTIONS", "/collections/v", &preflight).0,
        403
    );
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "10.1.2.3",
        "LocalHost",
        "localhost.",
        "LOCALHOST.",
    ] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let origin = format!("http://{host}");
            let headers = [("host", &*host), ("origin", &*origin)];
            assert_eq!(
                asked(&server, "GET", "/collections", &headers).0,
                200,
                "{host}"
            );
        }
    }
}

#[test]
fn names_that_are_listed_may_be_asked_and_any_where_there_is_a_key() {
    let server = Server::start_with(&[("server.hosts", "faces.lan, doppel")], fake());
    let ask =
        |server: &Server, host: &str| asked(server, "GET", "/collections", &[("host", host)]).0;
    assert_eq!(ask(&server, "faces.lan:6333"), 200);
    assert_eq!(ask(&server, "doppel"), 200);
    assert_eq!(ask(&server, "evil.example"), 403);
    for probe in ["/livez", "/readyz", "/healthz"] {
        let headers = [("host", "of-the-container:6333")];
        assert_eq!(asked(&server, "GET", probe, &headers).0, 200, "{probe}");
    }
    let server = Server::start_with(&[("server.hosts", "*")], fake());
    assert_eq!(ask(&server, "evil.example"), 200);
    let server = Server::start_with(&[("api_key", "the-key-of-the-settings")], fake());
    assert_eq!(ask(&server, "evil.example"), 401);
    let headers = [
        ("host", "faces.lan"),
        ("api-key", "the-key-of-the-settings"),
    ];
    assert_eq!(asked(&server, "GET", "/collections", &headers).0, 200);
}
