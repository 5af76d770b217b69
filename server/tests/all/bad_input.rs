//! Everything a client can get wrong, each with its status and a sentence that names the mistake.

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Server, faceless, photo};
use serde_json::{Value, json};

/// A server with a collection of three-number vectors and one of faces.
fn server() -> Server {
    let server = Server::start();
    server.with_vectors("v", 3, "Cosine");
    server.with_faces("f");
    server
}

#[test]
fn a_vector_of_the_wrong_size_is_refused_and_its_point_named() {
    let server = server();
    let points = json!({"points": [{"id": 4, "vector": [1, 2, 3]}, {"id": 17, "vector": [1, 2]}]});
    let message = server.put("/collections/v/points", &points).refused(400);
    assert!(message.contains("17") && message.contains('3'), "{message}");
    server.get("/collections/v/points/4").refused(404);
    let query = json!({"query": [1, 2]});
    server
        .post("/collections/v/points/query", &query)
        .refused(400);
}

#[test]
fn numbers_that_are_none_are_refused_and_their_point_named() {
    let server = server();
    for number in ["1e39", "-1e39", "1e999", "NaN", "Infinity", "null", "\"1\""] {
        let good = r#"{"id": 1, "vector": [1, 2, 3]}"#;
        let body = format!(r#"{{"points": [{good}, {{"id": 17, "vector": [1, 2, {number}]}}]}}"#);
        let message = server
            .raw("PUT", "/collections/v/points", &body)
            .refused(400);
        assert!(message.contains("item 1"), "{number}: {message}");
        let query = format!(r#"{{"query": [1, 2, {number}]}}"#);
        server
            .raw("POST", "/collections/v/points/query", &query)
            .refused(400);
    }
    let zero = json!({"points": [{"id": 17, "vector": [0, 0, 0]}]});
    let message = server.put("/collections/v/points", &zero).refused(400);
    assert!(message.contains("17"), "{message}");
}

#[test]
fn an_unknown_collection_is_not_found_by_any_route() {
    let server = server();
    let posts = [
        ("points", json!({"ids": [1]})),
        ("points/query", json!({"query": [1]})),
        ("points/search", json!({"vector": [1], "limit": 1})),
        ("points/scroll", json!({})),
        ("points/count", json!({})),
        ("points/delete", json!({"points": [1]})),
        ("faces", json!({"image": ""})),
        ("faces/search", json!({"image": ""})),
    ];
    for (path, body) in posts {
        let message = server
            .post(&format!("/collections/nowhere/{path}"), &body)
            .refused(404);
        assert!(message.contains("nowhere"), "{path}: {message}");
    }
    let points = json!({"points": [{"id": 1, "vector": [1]}]});
    server
        .put("/collections/nowhere/points", &points)
        .refused(404);
    for path in ["", "/points/1", "/faces/1", "/faces/1/image"] {
        server
            .get(&format!("/collections/nowhere{path}"))
            .refused(404);
    }
}

#[test]
fn malformed_json_is_refused_with_its_place() {
    let server = server();
    for body in ["{", "", "[]", "{\"query\": [1, 2, 3]} x", "\u{0}"] {
        let message = server
            .raw("POST", "/collections/v/points/query", body)
            .refused(400);
        assert!(message.contains("JSON"), "{body:?}: {message}");
    }
    let deep = "[".repeat(100_000);
    let body = format!(r#"{{"points": [{{"id": 1, "vector": [1,2,3], "payload": {{"a": {deep}"#);
    let message = server
        .raw("PUT", "/collections/v/points", &body)
        .refused(400);
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn a_body_of_another_type_is_refused() {
    let server = server();
    let send = |path: &str, content_type: &str| {
        server.send("POST", path, &[("content-type", content_type)], b"{}")
    };
    send("/collections/v/points/query", "text/plain").refused(415);
    send(
        "/collections/v/points/query",
        "multipart/form-data; boundary=x",
    )
    .refused(415);
    send("/collections/f/faces", "text/html").refused(415);
    let message = send("/collections/f/faces", "multipart/form-data").refused(400);
    assert!(message.contains("oundary"), "{message}");
}

#[test]
fn what_is_no_image_and_an_image_without_a_face_are_told_apart() {
    let server = server();
    for path in ["/collections/f/faces", "/collections/f/faces/search"] {
        let message = server
            .form(path, &[("image", b"GET / HTTP/1.1")])
            .refused(422);
        assert!(message.contains("not an image"), "{message}");
        let message = server.form(path, &[("image", &faceless())]).refused(422);
        assert!(message.contains("no face"), "{message}");
        let half = &photo(8)[..60];
        server.form(path, &[("image", half)]).refused(422);
        server.form(path, &[("image", b"")]).refused(422);
    }
}

/// A PNG that says it is this large and ends there.
fn huge_png(side: u32) -> Vec<u8> {
    let mut png = photo(8);
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let crc = png_crc(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

/// The CRC-32 of PNG, bit by bit.
fn png_crc(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let carry = crc & 1;
            (crc >> 1) ^ (0xedb8_8320 * carry)
        })
    });
    !crc
}

#[test]
fn a_png_of_50000_x_50000_pixels_is_refused_unopened() {
    let server = server();
    for path in ["/collections/f/faces", "/collections/f/faces/search"] {
        let message = server
            .form(path, &[("image", &huge_png(50_000))])
            .refused(413);
        assert!(message.contains("50000"), "{message}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_as_too_large_in_either_form() {
    let settings = [("server.max_body_mib", "1")];
    let server = Server::start_with(&settings, common::fake());
    server.with_faces("f");
    let large = vec![b'x'; (1 << 20) + 1];
    let message = server
        .form("/collections/f/faces", &[("image", &large)])
        .refused(413);
    assert!(message.contains("1 MiB"), "{message}");
    let text = json!({"image": String::from_utf8(large).unwrap()});
    server.post("/collections/f/faces", &text).refused(413);
    server
        .post("/collections/f/points/query", &text)
        .refused(413);
    let person = vec![b'x'; 700 << 10];
    let parts: [(&str, &[u8]); 2] = [("image", &person), ("person", &person)];
    server.form("/collections/f/faces", &parts).refused(413);
}

#[test]
fn a_body_without_a_length_is_bounded_while_it_comes_in() {
    let server = Server::start_with(&[("server.max_body_mib", "1")], common::fake());
    server.with_vectors("v", 3, "Cosine");
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    let head = "POST /collections/v/points/query HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..40 {
        // The server may have closed its side by now; what it has said counts.
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"HTTP/1.1 413");
}

#[test]
fn names_that_could_leave_a_folder_are_refused() {
    let server = server();
    let body = json!({"vectors": {"size": 3, "distance": "Dot"}});
    let long = "x".repeat(256);
    for name in [
        "..%2Fevil",
        "%2e%2e",
        ".hidden",
        "a%20b",
        "a%00b",
        "%2Fetc",
        "a%5Cb",
        &long,
    ] {
        let message = server
            .put(&format!("/collections/{name}"), &body)
            .refused(400);
        assert!(message.contains("name"), "{name}: {message}");
        server.get(&format!("/collections/{name}")).refused(400);
        server
            .post(&format!("/collections/{name}/points/count"), &json!({}))
            .refused(400);
    }
    for path in [
        "/collections/../evil",
        "/collections/..",
        "/../collections/v",
        "/x/./y",
    ] {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        let text = body.to_string();
        let length = text.len();
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{text}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    assert_eq!(
        server.get("/collections").ok()["collections"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn an_id_that_is_neither_a_number_nor_a_uuid_is_refused_everywhere() {
    let server = server();
    for id in [
        json!("abc"),
        json!(-1),
        json!(1.5),
        json!("7"),
        json!(null),
        json!([]),
    ] {
        let points = json!({"points": [{"id": id, "vector": [1, 2, 3]}]});
        let message = server.put("/collections/v/points", &points).refused(400);
        assert!(message.contains("point id"), "{id}: {message}");
        server
            .post("/collections/v/points", &json!({"ids": [id]}))
            .refused(400);
        server
            .post("/collections/v/points/delete", &json!({"points": [id]}))
            .refused(400);
    }
    for id in ["abc", "-1", "1.5", "18446744073709551616", ".."] {
        for path in ["/collections/v/points", "/collections/f/faces"] {
            let answer = server.send("GET", &format!("{path}/{id}"), &[], &[]);
            let dots = id == "..";
            assert!(
                answer.status == 400 || dots,
                "{path}/{id}: {}",
                answer.text()
            );
        }
        let parts: [(&str, &[u8]); 2] = [("image", &photo(8)), ("id", id.as_bytes())];
        let message = server.form("/collections/f/faces", &parts).refused(400);
        assert!(message.contains("point id"), "{id}: {message}");
    }
}

#[test]
fn what_would_be_ignored_is_refused_by_name() {
    let server = server();
    let filter = json!({"must": [{"key": "a", "matches": {"value": 1}}]});
    let posts = [
        (
            "points/query",
            json!({"query": [1, 2, 3], "filter": filter}),
        ),
        (
            "points/search",
            json!({"vector": [1, 2, 3], "limit": 1, "filter": filter}),
        ),
        ("points/scroll", json!({"filter": filter})),
        ("points/count", json!({"filter": filter})),
        ("points/delete", json!({"filter": filter})),
    ];
    for (path, body) in posts {
        let message = server
            .post(&format!("/collections/v/{path}"), &body)
            .refused(400);
        assert!(
            message.contains("`filter.must[0].matches` is unknown"),
            "{path}: {message}"
        );
        let mut unknown = body.clone();
        unknown.as_object_mut().unwrap().remove("filter");
        unknown["colour"] = json!("red");
        let message = server
            .post(&format!("/collections/v/{path}"), &unknown)
            .refused(400);
        assert!(message.contains("`colour`"), "{path}: {message}");
    }
    for path in ["/collections/f/faces", "/collections/f/faces/search"] {
        for field in ["filter", "colour"] {
            let parts: [(&str, &[u8]); 2] = [("image", &photo(8)), (field, b"{\"musst\": []}")];
            let message = server.form(path, &parts).refused(400);
            assert!(message.contains(field), "{path}: {message}");
        }
    }
    let in_url = [
        ("PUT", "/collections/v/points?colour=red"),
        ("PUT", "/collections/v/points?wait=perhaps"),
        ("POST", "/collections/v/points/query?wait=true"),
        ("POST", "/collections/f/faces?limit=3"),
    ];
    for (method, path) in in_url {
        let message = server.json(method, path, &json!({})).refused(400);
        assert!(message.contains("URL"), "{path}: {message}");
    }
}

#[test]
fn limits_of_a_request_are_named() {
    let server = server();
    let cases: [(&str, Value); 4] = [
        ("points/query", json!({"query": [1, 2, 3], "limit": 0})),
        ("points/query", json!({"query": [1, 2, 3], "limit": 10_001})),
        (
            "points/search",
            json!({"vector": [1, 2, 3], "limit": 1, "offset": 10_000}),
        ),
        ("points/scroll", json!({"limit": 10_001})),
    ];
    for (path, body) in cases {
        let message = server
            .post(&format!("/collections/v/{path}"), &body)
            .refused(400);
        assert!(message.contains("limit"), "{path}: {message}");
    }
    let size = json!({"vectors": {"size": 0, "distance": "Dot"}});
    server.put("/collections/w", &size).refused(400);
    let size = json!({"vectors": {"size": 10_000_000, "distance": "Dot"}});
    server.put("/collections/w", &size).refused(400);
    let m = json!({"vectors": {"size": 3, "distance": "Dot"}, "hnsw_config": {"m": 100_000}});
    server.put("/collections/w", &m).refused(400);
}

#[test]
fn photos_go_only_where_they_are_understood() {
    let server = server();
    let message = server
        .form("/collections/v/faces", &[("image", &photo(8))])
        .refused(409);
    assert!(message.contains("embedder"), "{message}");
    let message = server
        .put("/collections/w", &json!({"embedder": "dlib"}))
        .refused(400);
    assert!(
        message.contains("dlib") && message.contains("fake-128"),
        "{message}"
    );
}

#[test]
fn paths_and_methods_that_nobody_serves_are_refused() {
    let server = server();
    server.get("/colections").refused(404);
    server.delete("/collections").refused(405);
    server
        .post("/collections/v/points/1", &json!({}))
        .refused(405);
}
