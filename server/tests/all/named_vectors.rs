//! Points with several vectors over HTTP: made, written, searched, changed, and moved to another
//! model while everything is in use.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use common::{Server, photo};
use serde_json::{Value, json};

/// Three points: one with both vectors, one with a face only, one with none.
fn fill(server: &Server) {
    let collection = json!({
        "vectors": {
            "face": {"size": 2, "distance": "Dot"},
            "text": {"size": 3, "distance": "Euclid", "hnsw_config": {"m": 8}, "on_disk": false},
        },
        "sparse_vectors": {},
    });
    server.put("/collections/c", &collection).ok();
    let points = json!({"points": [
        {"id": 1, "vector": {"face": [1.0, 0.0], "text": [1.0, 2.0, 3.0]}, "payload": {"n": 1}},
        {"id": 2, "vector": {"face": [0.0, 2.0]}, "payload": {"n": 2}},
        {"id": 3, "vector": {}},
    ]});
    server.put("/collections/c/points", &points).ok();
}

fn vectors_of(server: &Server, id: u64) -> Value {
    server.get(&format!("/collections/c/points/{id}")).ok()["vector"].clone()
}

fn ids(points: &Value) -> Vec<u64> {
    let points = points.as_array().unwrap();
    points
        .iter()
        .map(|point| point["id"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_point_has_any_of_the_vectors_and_is_found_by_those_it_has() {
    let mut server = Server::start();
    fill(&server);
    for _ in 0..2 {
        let info = server.get("/collections/c").ok();
        assert_eq!(info["points_count"], 3);
        assert_eq!(info["indexed_vectors_count"], 3);
        let text = &info["config"]["params"]["vectors"]["text"];
        assert_eq!(
            (&text["size"], &text["distance"]),
            (&json!(3), &json!("Euclid"))
        );
        assert_eq!(
            (&text["hnsw_config"]["m"], &text["on_disk"]),
            (&json!(8), &json!(false))
        );
        let find = |body: Value| server.post("/collections/c/points/query", &body).ok();
        let by_face = find(json!({"query": [0.0, 1.0], "using": "face"}));
        assert_eq!(ids(&by_face["points"]), [2, 1]);
        let by_text =
            find(json!({"query": [1.0, 2.0, 2.0], "using": "text", "with_vector": ["face"]}));
        assert_eq!(ids(&by_text["points"]), [1]);
        assert_eq!(by_text["points"][0]["vector"], json!({"face": [1.0, 0.0]}));
        let like = find(json!({"query": 2, "using": "face"}));
        assert_eq!(ids(&like["points"]), [1]);
        let older = json!({"vector": {"name": "face", "vector": [0.0, 1.0]}, "limit": 1});
        assert_eq!(
            ids(&server.post("/collections/c/points/search", &older).ok()),
            [2]
        );
        assert_eq!(vectors_of(&server, 3), json!({}));
        let all = json!({"with_vector": true, "limit": 10});
        let page = server.post("/collections/c/points/scroll", &all).ok();
        assert_eq!(page["points"][1]["vector"], json!({"face": [0.0, 2.0]}));
        server.restart();
    }
}

#[test]
fn a_batch_has_a_column_for_each_vector() {
    let server = Server::start();
    fill(&server);
    let batch = json!({"batch": {
        "ids": [8, 9],
        "vectors": {"face": [[3.0, 4.0], [5.0, 6.0]], "text": [[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]},
        "payloads": [{"n": 8}, null],
    }});
    server.put("/collections/c/points", &batch).ok();
    let expected = json!({"face": [5.0, 6.0], "text": [0.0, 0.0, 2.0]});
    assert_eq!(vectors_of(&server, 9), expected);
}

#[test]
fn vectors_are_changed_and_taken_while_all_else_of_a_point_stays() {
    let mut server = Server::start();
    fill(&server);
    let update = json!({"points": [
        {"id": 1, "vector": {"text": [7.0, 7.0, 7.0]}},
        {"id": 3, "vector": {"face": [9.0, 9.0]}},
    ]});
    let done = server
        .put("/collections/c/points/vectors?wait=true", &update)
        .ok();
    assert_eq!(done["status"], "completed");
    let delete = json!({"points": [2, 99], "vector": ["face"]});
    server
        .post("/collections/c/points/vectors/delete", &delete)
        .ok();
    server.restart();
    let expected = json!({"face": [1.0, 0.0], "text": [7.0, 7.0, 7.0]});
    assert_eq!(vectors_of(&server, 1), expected);
    assert_eq!(
        server.get("/collections/c/points/1").ok()["payload"],
        json!({"n": 1})
    );
    assert_eq!(vectors_of(&server, 2), json!({}));
    assert_eq!(vectors_of(&server, 3), json!({"face": [9.0, 9.0]}));
    // An upsert replaces the whole point.
    let whole = json!({"points": [{"id": 1, "vector": {"text": [1.0, 1.0, 1.0]}}]});
    server.put("/collections/c/points", &whole).ok();
    assert_eq!(vectors_of(&server, 1), json!({"text": [1.0, 1.0, 1.0]}));
    assert_eq!(
        server.get("/collections/c/points/1").ok()["payload"],
        json!({})
    );
}

#[test]
fn mistakes_about_vectors_are_told_by_name() {
    let server = Server::start();
    fill(&server);
    let refused = |method: &str, path: &str, body: Value, status: u16, word: &str| {
        let message = server
            .json(method, &format!("/collections/c{path}"), &body)
            .refused(status);
        assert!(message.contains(word), "{body}: {message}");
    };
    let put = |vector: Value| json!({"points": [{"id": 5, "vector": vector}]});
    refused(
        "PUT",
        "/points",
        put(json!([1.0, 2.0])),
        400,
        "`face`, `text`",
    );
    refused(
        "PUT",
        "/points",
        put(json!({"colour": [1.0]})),
        400,
        "`colour`",
    );
    refused(
        "PUT",
        "/points",
        put(json!({"face": [1.0]})),
        400,
        "point 5: vector `face`",
    );
    refused(
        "PUT",
        "/points",
        put(json!({"face": {"indices": [1]}})),
        400,
        "`face`",
    );
    refused(
        "PUT",
        "/points/vectors",
        put(json!({"face": [1.0, 1.0]})),
        404,
        "point 5",
    );
    let query = json!({"query": [1.0, 1.0]});
    refused("POST", "/points/query", query, 400, "`face`, `text`");
    let query = json!({"query": 3, "using": "face"});
    refused(
        "POST",
        "/points/query",
        query,
        400,
        "point 3 has no vector `face`",
    );
    let names = json!({"query": [1.0, 1.0], "using": "face", "with_vector": ["colour"]});
    refused("POST", "/points/query", names, 400, "`colour`");
    let delete = json!({"points": [1], "vector": ["colour"]});
    refused("POST", "/points/vectors/delete", delete, 400, "`colour`");
    let filter = json!({"filter": {"musst": {}}, "vector": ["face"]});
    refused(
        "POST",
        "/points/vectors/delete",
        filter,
        400,
        "`filter.musst`",
    );
    let sparse = json!({"vectors": {}, "sparse_vectors": {"words": {}}});
    let message = server.put("/collections/d", &sparse).refused(400);
    assert!(message.contains("`sparse_vectors`"), "{message}");
    assert_eq!(server.get("/collections/c").ok()["points_count"], 3);
}

#[test]
fn a_collection_moves_to_another_model_without_a_pause() {
    let mut server = Server::start();
    server.with_vectors("c", 2, "Dot");
    let points =
        json!({"points": [{"id": 1, "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}]});
    server.put("/collections/c/points", &points).ok();
    let new = json!({"dense": {"size": 3, "distance": "Cosine"}});
    let path = "/collections/c/vectors/new%20model";
    assert_eq!(server.put(path, &new).ok()["status"], "completed");
    server.put(path, &new).ok();
    let other = json!({"dense": {"size": 4, "distance": "Cosine"}});
    assert!(
        server
            .put(path, &other)
            .refused(409)
            .contains("`new model`")
    );
    server.put(path, &json!({"sparse": {}})).refused(400);
    let update = json!({"points": [
        {"id": 1, "vector": {"new model": [0.0, 0.0, 2.0]}},
        {"id": 2, "vector": {"new model": [0.0, 2.0, 0.0]}},
    ]});
    server.put("/collections/c/points/vectors", &update).ok();
    let find = |server: &Server, body: Value| {
        ids(&server.post("/collections/c/points/query", &body).ok()["points"])
    };
    let by_new = json!({"query": [0.0, 1.0, 0.1], "using": "new model", "limit": 1});
    assert_eq!(find(&server, json!({"query": [1.0, 0.0], "limit": 1})), [1]);
    assert_eq!(find(&server, by_new.clone()), [2]);
    let both = json!({"": [1.0, 0.0], "new model": [0.0, 0.0, 1.0]});
    assert_eq!(vectors_of(&server, 1), both);
    assert_eq!(
        server.delete("/collections/c/vectors/").ok()["status"],
        "completed"
    );
    server.delete("/collections/c/vectors/").refused(404);
    server.restart();
    assert_eq!(find(&server, by_new), [2]);
    assert_eq!(
        vectors_of(&server, 1),
        json!({"new model": [0.0, 0.0, 1.0]})
    );
}

#[test]
fn a_collections_settings_change_where_they_can() {
    let mut server = Server::start();
    fill(&server);
    let patch = |server: &Server, body: &Value| server.json("PATCH", "/collections/c", body);
    let change = json!({
        "vectors": {"face": {"hnsw_config": {"ef_construct": 64}}},
        "optimizers_config": {"indexing_threshold": 10_000},
        "metadata": {"owner": "Ada", "n": 1},
    });
    assert_eq!(patch(&server, &change).ok(), true);
    patch(&server, &json!({"metadata": {"n": null}})).ok();
    let message = patch(&server, &json!({"hnsw_config": {"m": 99}})).refused(400);
    assert!(message.contains("`hnsw_config.m`"), "{message}");
    server
        .json("PATCH", "/collections/nowhere", &change)
        .refused(404);
    server.restart();
    let config = server.get("/collections/c").ok()["config"].clone();
    assert_eq!(config["metadata"], json!({"owner": "Ada"}));
    let face = &config["params"]["vectors"]["face"];
    assert_eq!(face["hnsw_config"]["ef_construct"], 64);
}

#[test]
fn photos_get_the_vectors_of_the_model_and_are_found_by_the_one_that_is_said() {
    let server = Server::start();
    let vectors = json!({"vectors": {
        "face": {"embedder": "fake-128"},
        "packed": {"embedder": "fake-128", "quantization_config": {"packed": {"bits": 1}}},
        "text": {"size": 2, "distance": "Dot"},
    }});
    server.put("/collections/c", &vectors).ok();
    let add = |columns: u32, fields: &[(&str, &[u8])]| {
        let (id, photo) = (columns.to_string(), photo(columns));
        let mut parts: Vec<(&str, &[u8])> = vec![("image", &photo), ("id", id.as_bytes())];
        parts.extend_from_slice(fields);
        server.form("/collections/c/faces", &parts)
    };
    add(4, &[]).ok();
    add(28, &[("using", b"packed")]).ok();
    let names = |id: u64| {
        let vectors = vectors_of(&server, id);
        vectors
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(4), ["face", "packed"]);
    assert_eq!(names(28), ["packed"]);
    let photo = photo(27);
    let search = |fields: &[(&str, &[u8])]| {
        let mut parts: Vec<(&str, &[u8])> = vec![("image", &photo)];
        parts.extend_from_slice(fields);
        server.form("/collections/c/faces/search", &parts)
    };
    let hits = |using: &[u8]| {
        let found = search(&[("using", using)]).ok();
        ids(&found["faces"][0]["hits"])
    };
    assert_eq!((hits(b"packed"), hits(b"face")), (vec![28, 4], vec![4]));
    assert!(search(&[]).refused(400).contains("`face`, `packed`"));
    assert!(
        search(&[("using", b"colour")])
            .refused(400)
            .contains("`colour`")
    );
    assert!(
        add(9, &[("using", b"text")])
            .refused(409)
            .contains("no model")
    );
    // The text of a face is put beside its face, and nothing of the face is lost.
    let text = json!({"points": [{"id": 4, "vector": {"text": [1.0, 0.0]}}]});
    server.put("/collections/c/points/vectors", &text).ok();
    assert_eq!(names(4), ["face", "packed", "text"]);
    assert!(server.get("/collections/c/faces/4").ok()["box"].is_array());
}
