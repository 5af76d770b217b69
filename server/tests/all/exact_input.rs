//! What a body says is kept or judged as it came, or refused: nothing of it is hidden by something
//! else of its name, or read as nothing.

use crate::common;

use common::{Server, photo};
use serde_json::{Value, json};

/// A server with a collection of three-number vectors and one of faces.
fn server() -> Server {
    let server = Server::start();
    server.with_vectors("v", 3, "Cosine");
    server.with_faces("f");
    server
}

/// MessagePack in which a number that stands for it is another one.
fn packed(body: &Value, stands_for: f64, number: f64) -> Vec<u8> {
    let bytes = rmp_serde::to_vec_named(body).expect("it is JSON");
    let (from, to) = (stands_for.to_be_bytes(), number.to_be_bytes());
    let place = bytes.windows(8).position(|it| it == from);
    let place = place.expect("it is there");
    [&bytes[..place], &to, &bytes[place + 8..]].concat()
}

#[test]
fn a_number_that_message_pack_can_write_and_json_cannot_is_refused_and_not_passed_over() {
    let server = server();
    let good = json!({"points": [{"id": 1, "vector": [1, 2, 3], "payload": {"n": 1}}]});
    server.put("/collections/v/points", &good).ok();
    let it = 1234.5;
    let bodies = [
        (
            "POST",
            "count",
            json!({"filter": {"must": [{"key": "n", "range": {"gte": it}}]}}),
        ),
        (
            "POST",
            "delete",
            json!({"filter": {"must": {"key": "n", "range": {"lt": it}}}}),
        ),
        (
            "POST",
            "query",
            json!({"query": [1, 2, 3], "score_threshold": it}),
        ),
        (
            "POST",
            "payload",
            json!({"payload": {"a": [it]}, "points": [1]}),
        ),
        (
            "PUT",
            "",
            json!({"points": [{"id": 1, "vector": [1, 2, 3], "payload": {"a": it}}]}),
        ),
        (
            "PUT",
            "",
            json!({"batch": {"ids": [1], "vectors": [[1, 2, 3]], "payloads": [{"a": it}]}}),
        ),
    ];
    let headers = [("content-type", "application/msgpack")];
    for (method, path, body) in bodies {
        let path = format!("/collections/v/points/{path}");
        let path = path.trim_end_matches('/');
        for number in [f64::NAN, f64::INFINITY] {
            let answer = server.send(method, path, &headers, &packed(&body, it, number));
            let message = answer.refused(400);
            assert!(message.contains("finite"), "{body}: {message}");
        }
    }
    let kept = server.get("/collections/v/points/1").ok();
    assert_eq!(kept["payload"], json!({"n": 1}));
}

#[test]
fn what_another_of_its_name_would_hide_is_refused() {
    let server = server();
    let bodies = [
        (
            "points",
            r#"{"points": [{"id": 1, "vector": [1, 2, 3], "payload": {"a": 1, "a": 2}}]}"#,
        ),
        (
            "points",
            r#"{"points": [{"id": 1, "vector": {"a": [1, 2, 3], "a": [3, 2, 1]}}]}"#,
        ),
        (
            "points",
            r#"{"batch": {"ids": [1], "vectors": {"a": [[1]], "a": [[2]]}}}"#,
        ),
        (
            "",
            r#"{"vectors": {"a": {"size": 1, "distance": "Dot"}, "a": {"size": 2, "distance": "Dot"}}}"#,
        ),
        (
            "",
            r#"{"vectors": {"size": 1, "distance": "Dot"}, "metadata": {"a": {"b": 1, "b": 2}}}"#,
        ),
    ];
    for (path, body) in bodies {
        let path = format!("/collections/new/{path}");
        let message = server
            .raw("PUT", path.trim_end_matches('/'), body)
            .refused(400);
        assert!(message.contains("` is there twice"), "{path}: {message}");
    }
    server.get("/collections/new").refused(404);
}

#[test]
fn a_condition_that_another_of_its_name_would_hide_is_refused() {
    let server = server();
    let filters = [
        r#"{"must": [{"key": "n", "match": {"value": 1}}], "must": []}"#,
        r#"{"must": [{"key": "n", "key": "m", "match": {"value": 1}}]}"#,
        r#"{"must": [{"key": "n", "match": {"value": 1, "value": 2}}]}"#,
        r#"{"must": [{"key": "n", "range": {"gt": 1, "gt": 0}}]}"#,
    ];
    for filter in filters {
        let body = format!(r#"{{"filter": {filter}}}"#);
        for path in [
            "points/count",
            "points/delete",
            "points/scroll",
            "faces/delete",
        ] {
            let path = format!("/collections/f/{path}");
            let message = server.raw("POST", &path, &body).refused(400);
            assert!(message.contains("twice"), "{path}: {message}");
        }
        let parts = [("image", photo(4)), ("filter", filter.as_bytes().to_vec())];
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
            .collect();
        let message = server
            .form("/collections/f/faces/search", &parts)
            .refused(400);
        assert!(message.contains("twice"), "{message}");
    }
}

#[test]
fn a_payload_nested_too_deep_is_refused_in_either_form_and_the_server_goes_on() {
    let server = server();
    let body = json!({"points": [{"id": 1, "vector": [1, 2, 3], "payload": {"a": "here"}}]});
    let packed = rmp_serde::to_vec_named(&body).expect("it is JSON");
    // The text with its length before it.
    let here = b"\xa4here";
    let place = packed.windows(here.len()).position(|it| it == here);
    let place = place.expect("it is there");
    for (depth, status) in [(100, 200), (200, 400), (1_000, 400), (1_000_000, 400)] {
        let lists = vec![0x91; depth];
        let packed = [
            &packed[..place],
            &lists,
            b"\x01",
            &packed[place + here.len()..],
        ]
        .concat();
        let lists = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let json = body.to_string().replace("\"here\"", &lists);
        for (kind, bytes) in [("msgpack", packed), ("json", json.into_bytes())] {
            let headers = [("content-type", format!("application/{kind}"))];
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let answer = server.send("PUT", "/collections/v/points", &headers, &bytes);
            assert_eq!(
                answer.status,
                status,
                "{kind}, {depth} deep: {}",
                answer.text()
            );
        }
    }
    server.get("/collections/v/points/1").ok();
}
