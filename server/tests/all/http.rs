//! What HTTP clients may expect of any server: compression both ways, MessagePack, HEAD, OPTIONS,
//! CORS, request ids, keep-alive, HTTP/2, and a document that tells all of it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Answer, Server, fake, photo};
use serde_json::{Value, json};

const POINTS: &str = "/collections/v/points";

fn server() -> Server {
    let server = Server::start();
    server.with_vectors("v", 3, "Cosine");
    server
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn put_packed(server: &Server, encoding: &str, body: &[u8]) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", encoding),
    ];
    server.send("PUT", POINTS, &headers, body)
}

#[test]
fn bodies_may_come_in_compressed() {
    let server = server();
    for (id, encoding) in [(1, "gzip"), (2, "zstd"), (3, "identity")] {
        let body = json!({"points": [{"id": id, "vector": [1, 2, 3]}]}).to_string();
        let packed = match encoding {
            "gzip" => gzip(body.as_bytes()),
            "zstd" => zstd(body.as_bytes()),
            _ => body.into_bytes(),
        };
        put_packed(&server, encoding, &packed).ok();
        server.get(&format!("{POINTS}/{id}")).ok();
    }
    let message = put_packed(&server, "br", b"{}").refused(415);
    assert!(message.contains("gzip"), "{message}");
    put_packed(&server, "gzip", b"{}").refused(400);
    put_packed(&server, "zstd", b"{}").refused(400);
}

#[test]
fn a_small_body_that_expands_beyond_the_limit_is_refused() {
    let server = Server::start_with(&[("server.max_body_mib", "1")], fake());
    server.with_vectors("v", 3, "Cosine");
    let bomb = vec![b' '; 64 << 20];
    for (encoding, packed) in [("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))] {
        assert!(packed.len() < 1 << 20);
        let message = put_packed(&server, encoding, &packed).refused(413);
        assert!(message.contains("1 MiB"), "{message}");
    }
}

#[test]
fn large_answers_are_compressed_for_those_who_ask_and_small_ones_are_not() {
    let server = server();
    let points: Vec<_> = (0..500)
        .map(|id| json!({"id": id, "vector": [1, 2, 3], "payload": {"text": "the same text"}}))
        .collect();
    server.put(POINTS, &json!({ "points": points })).ok();
    let scroll = |limit: usize, encoding: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("accept-encoding", encoding),
        ];
        let body = json!({ "limit": limit }).to_string();
        server.send(
            "POST",
            &format!("{POINTS}/scroll"),
            &headers,
            body.as_bytes(),
        )
    };
    let plain = scroll(500, "identity").ok();
    let packed = scroll(500, "gzip");
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    let text: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["result"], plain);
    let packed = scroll(500, "zstd");
    assert_eq!(packed.header("content-encoding"), "zstd");
    let text = zstd::decode_all(packed.bytes.as_slice()).unwrap();
    let text: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["result"], plain);
    let small = scroll(1, "gzip");
    assert_eq!(small.header("content-encoding"), "");
    small.ok();
}

#[test]
fn message_pack_is_taken_and_given_where_json_is() {
    let server = server();
    let send = |method: &str, path: &str, body: &Value, accept: &str| {
        let headers = [("content-type", "application/msgpack"), ("accept", accept)];
        let body = rmp_serde::to_vec_named(body).unwrap();
        server.send(method, path, &headers, &body)
    };
    let points = json!({"points": [
        {"id": 1, "vector": [1.0, 2.0, 3.0], "payload": {"a": [1, null, "x"]}},
        {"id": "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b", "vector": [3, 2, 1]},
    ]});
    send("PUT", POINTS, &points, "*/*").ok();
    let query = json!({"query": [1.0, 2.0, 3.0], "limit": 2, "with_payload": true});
    let path = format!("{POINTS}/query");
    let told = send("POST", &path, &query, "application/msgpack");
    assert_eq!(told.header("content-type"), "application/msgpack");
    let told: Value = rmp_serde::from_slice(&told.bytes).unwrap();
    let json = send("POST", &path, &query, "application/json").ok();
    // JSON has the shortest digits of a score, MessagePack its bits.
    #[expect(clippy::cast_possible_truncation, reason = "scores are of this size")]
    let bits = |answer: &Value| {
        let mut answer = answer.clone();
        for point in answer["points"].as_array_mut().unwrap() {
            point["score"] = json!(point["score"].as_f64().unwrap() as f32);
        }
        answer
    };
    assert_eq!(bits(&told["result"]), bits(&json));
    assert_eq!(json["points"][0]["payload"], json!({"a": [1, null, "x"]}));
    let by_id = json!({"query": 1, "limit": 1});
    let found = send("POST", &path, &by_id, "*/*").ok();
    assert_eq!(found["points"][0]["id"].as_str().unwrap().len(), 36);
    let wrong = send("POST", &path, &json!({"colour": 1}), "application/msgpack").refused(400);
    assert!(
        wrong.contains("MessagePack") && wrong.contains("colour"),
        "{wrong}"
    );
    let headers = [("content-type", "application/msgpack")];
    server
        .send("POST", &path, &headers, b"\xc1\xff")
        .refused(400);
    let mut twice = rmp_serde::to_vec_named(&query).unwrap();
    twice.push(0);
    server.send("POST", &path, &headers, &twice).refused(400);
}

#[test]
fn head_is_get_without_a_body_on_every_path() {
    let server = server();
    server.with_faces("f");
    server
        .form(
            "/collections/f/faces",
            &[("image", &photo(9)), ("id", b"9")],
        )
        .ok();
    for path in [
        "/",
        "/collections",
        "/collections/v",
        "/collections/f/faces/9/image",
        "/docs",
    ] {
        let (head, get) = (server.send("HEAD", path, &[], &[]), server.get(path));
        assert_eq!((head.status, head.bytes.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    assert_eq!(server.send("HEAD", "/collections/w", &[], &[]).status, 404);
}

#[test]
fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let server = server();
    let options = server.send("OPTIONS", "/collections/v", &[], &[]);
    assert_eq!(options.status, 204);
    assert_eq!(
        options.header("allow"),
        "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    );
    let wrong = server.post("/collections/v", &json!({}));
    assert_eq!(
        wrong.header("allow"),
        "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    );
    let message = wrong.refused(405);
    assert!(message.contains("DELETE"), "{message}");
}

#[test]
fn pages_of_other_origins_may_ask_only_when_the_settings_list_them() {
    let page = ("origin", "https://example.org");
    let preflight = [page, ("access-control-request-method", "POST")];
    let closed = server();
    closed
        .send("GET", "/collections", &[page], &[])
        .refused(403);
    closed
        .send("OPTIONS", "/collections", &preflight, &[])
        .refused(403);
    let settings = [
        (
            "server.cors_origins",
            "https://example.org, http://localhost:3000",
        ),
        ("api_key", "a-secret-key"),
    ];
    let open = Server::start_with(&settings, fake());
    let answer = open.send("OPTIONS", "/collections/v/points/query", &preflight, &[]);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), page.1);
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("DELETE")
    );
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("api-key")
    );
    let unauthorised = open.send("GET", "/collections", &[page], &[]);
    assert_eq!(unauthorised.status, 401);
    assert_eq!(unauthorised.header("access-control-allow-origin"), page.1);
    let keyed = [page, ("api-key", "a-secret-key")];
    let answer = open.send("GET", "/collections", &keyed, &[]);
    assert_eq!(answer.header("access-control-allow-origin"), page.1);
    answer.ok();
    let other = [
        ("origin", "https://evil.example"),
        ("api-key", "a-secret-key"),
    ];
    open.send("GET", "/collections", &other, &[]).refused(403);
}

#[test]
fn a_request_id_is_kept_if_it_is_a_decent_one_and_made_if_there_is_none() {
    let server = server();
    let given = [("x-request-id", "abc-123")];
    let answer = server.send("GET", "/collections", &given, &[]);
    assert_eq!(answer.header("x-request-id"), "abc-123");
    let made = server.get("/nowhere");
    assert_eq!(made.header("x-request-id").len(), 36);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = server();
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\nalive") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn http_2_is_spoken_to_those_who_begin_with_it() {
    let server = server();
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    // The preface of RFC 9113 and an empty frame of settings.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(
        frame[3], 4,
        "the first frame that comes back is the settings"
    );
}

#[test]
fn the_api_tells_itself() {
    let server = server();
    let document = server.get("/openapi.json");
    assert_eq!(document.header("content-type"), "application/json");
    let document = document.body();
    assert_eq!(document["openapi"], "3.1.0");
    let query = &document["paths"]["/collections/{collection}/points/query"]["post"];
    assert!(query["requestBody"]["content"]["application/json"]["schema"].is_object());
    for status in ["200", "400", "404", "413", "415", "503"] {
        assert!(query["responses"][status].is_object(), "{status}");
    }
    let page = server.get("/docs");
    assert!(page.header("content-type").starts_with("text/html"));
    let foreign = page.text().contains("https://") || page.text().contains("http://");
    assert!(!foreign, "the page loads nothing from elsewhere");
}

#[test]
fn a_photo_may_be_the_whole_body() {
    let server = server();
    server.with_faces("f");
    let send =
        |path: &str, kind: &str| server.send("POST", path, &[("content-type", kind)], &photo(9));
    let added = send("/collections/f/faces", "image/png").ok();
    assert_eq!(added["faces"].as_array().unwrap().len(), 1);
    let found = send("/collections/f/faces/search", "application/octet-stream").ok();
    assert_eq!(found["faces"][0]["hits"][0]["id"], added["faces"][0]["id"]);
    let headers = [("content-type", "image/png"), ("content-encoding", "gzip")];
    let packed = gzip(&photo(9));
    server
        .send("POST", "/collections/f/faces/search", &headers, &packed)
        .ok();
}
