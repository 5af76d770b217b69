//! What advisories about other servers tell of, tried here: docs/SECURITY.md has them with their tests.

use crate::common;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{Server, fake};
use serde_json::{Value, json};

#[test]
fn without_a_good_key_not_a_byte_of_a_body_is_waited_for_and_no_model_is_looked_for() {
    let server = Server::start_with(&[("api_key", "the-key-of-the-settings")], fake());
    let routes = [
        ("PUT", "/collections/f"),
        ("POST", "/collections/f/faces"),
        ("POST", "/collections/f/faces/search"),
        ("POST", "/faces/embed"),
        ("POST", "/collections/f/snapshots/upload"),
        ("POST", "/admin/keys"),
        ("POST", "/admin/collections/f/reembed"),
    ];
    for (method, path) in routes {
        for key in ["", "api-key: wrong-wrong-wrong\r\n"] {
            let mut client = TcpStream::connect(server.addr()).unwrap();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{key}content-type: \
                 application/json\r\ncontent-length: 1000000\r\n\r\n"
            );
            client.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 12];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 401", "{method} {path}");
        }
    }
}

#[test]
fn what_a_client_names_is_neither_fetched_nor_opened_anywhere_but_on_the_servers_own_shelves() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x", elsewhere.local_addr().unwrap());
    let server = Server::start();
    server.with_faces("f");
    let secret = server.data_dir().join("secret");
    std::fs::write(&secret, "a file of somebody else").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let file = format!("file://{secret}");
    let refused = |method: &str, path: &str, body: &Value| {
        let answer = match method {
            "GET" => server.get(path),
            "DELETE" => server.delete(path),
            _ => server.json(method, path, body),
        };
        let text = answer.text();
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path} {body}: {text}"
        );
        assert!(!text.contains("somebody else"), "{path}: {text}");
    };
    let names = [
        url.as_str(),
        &file,
        &secret,
        "../secret",
        "../../../../etc/passwd",
        "..%2fsecret",
        "secret",
    ];
    for name in names {
        let recover = json!({"location": name});
        refused("PUT", "/snapshots/recover", &recover);
        refused("PUT", "/collections/f/snapshots/recover", &recover);
        refused("PUT", "/collections/g", &json!({"embedder": name}));
        refused(
            "POST",
            "/admin/collections/f/reembed",
            &json!({"model": name}),
        );
        refused(
            "POST",
            "/collections/f/faces/search",
            &json!({"image": name}),
        );
        refused("POST", "/collections/f/faces", &json!({"image": name}));
        refused("POST", "/faces/detect", &json!({"image": name}));
    }
    for name in [
        "..%2fsecret",
        "..%2f..%2fsecret",
        "%2e%2e%2fsecret",
        "..%5csecret",
        "secret%00",
    ] {
        for path in [
            format!("/snapshots/{name}"),
            format!("/collections/f/snapshots/{name}"),
        ] {
            refused("GET", &path, &Value::Null);
            refused("DELETE", &path, &Value::Null);
        }
    }
    assert!(std::fs::exists(&secret).unwrap(), "it was removed");
    let nobody = elsewhere.accept().map(drop).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock, "somebody came for it");
}
