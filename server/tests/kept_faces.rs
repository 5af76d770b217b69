//! Whose faces are looked for, and what can be done to faces that are kept, over HTTP with the
//! stand-in for the models.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, photo};
use serde_json::{Value, json};

const SEARCH: &str = "/collections/stars/faces/search";

/// Two photos of Ada, two of Bob, one of nobody; the more columns are bright, the less alike.
fn fill(server: &Server) {
    server.with_faces("stars");
    let people = [
        (4, Some("Ada")),
        (6, Some("Ada")),
        (16, Some("Bob")),
        (18, Some("Bob")),
        (28, None),
    ];
    for (columns, person) in people {
        let image = BASE64_STANDARD.encode(photo(columns));
        let face = json!({"image": image, "id": columns, "person": person});
        server.post("/collections/stars/faces", &face).ok();
    }
}

/// The ids of the hits of a search for the photo with so many bright columns.
fn ids(server: &Server, columns: u32, options: &[(&str, &str)]) -> Vec<u64> {
    let photo = photo(columns);
    let mut parts: Vec<(&str, &[u8])> = vec![("image", &photo)];
    parts.extend(options.iter().map(|(name, text)| (*name, text.as_bytes())));
    let found = server.form(SEARCH, &parts).ok();
    let hits = found["faces"][0]["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_u64().unwrap()).collect()
}

#[test]
fn whoever_is_excluded_makes_room_for_others() {
    let server = Server::start();
    fill(&server);
    assert_eq!(ids(&server, 5, &[("limit", "1"), ("exclude", "Ada")]), [16]);
    let both = [("limit", "1"), ("exclude", r#"["Ada", "Bob"]"#)];
    assert_eq!(ids(&server, 5, &both), [28]);
    let image = BASE64_STANDARD.encode(photo(5));
    for (exclude, id) in [(json!("Ada"), 16), (json!(["Ada", "Bob"]), 28)] {
        let body = json!({"image": image, "limit": 1, "exclude": exclude});
        let found = server.post(SEARCH, &body).ok();
        assert_eq!(found["faces"][0]["hits"][0]["id"], id, "{exclude}");
    }
}

#[test]
fn a_person_and_a_filter_must_both_hold() {
    let server = Server::start();
    fill(&server);
    assert_eq!(ids(&server, 28, &[("person", "Ada")]), [6, 4]);
    let filter = r#"{"must_not": {"has_id": [6]}}"#;
    assert_eq!(
        ids(&server, 28, &[("person", "Ada"), ("filter", filter)]),
        [4]
    );
    assert_eq!(ids(&server, 28, &[("person", "Eve")]), [0; 0]);
    let contradiction = [("person", "Ada"), ("exclude", "Ada")];
    assert_eq!(ids(&server, 28, &contradiction), [0; 0]);
}

#[test]
fn by_person_each_has_one_hit_and_nobody_stands_for_himself() {
    let server = Server::start();
    fill(&server);
    assert_eq!(ids(&server, 4, &[("group_by", "person")]), [4, 16, 28]);
    let two = [("group_by", "person"), ("limit", "2"), ("exclude", "Ada")];
    assert_eq!(ids(&server, 4, &two), [16, 28]);
}

#[test]
fn a_face_that_is_too_small_or_too_unsure_is_neither_kept_nor_looked_for() {
    let server = Server::start();
    fill(&server);
    for option in [("min_face_size", "33"), ("min_confidence", "0.995")] {
        let parts: [(&str, &[u8]); 2] = [("image", &photo(4)), (option.0, option.1.as_bytes())];
        for path in [SEARCH, "/collections/stars/faces"] {
            let message = server.form(path, &parts).refused(422);
            assert!(message.contains(option.0), "{message}");
        }
    }
    let enough = [("min_face_size", "32"), ("min_confidence", "0.9")];
    assert_eq!(ids(&server, 4, &enough).len(), 5);
}

#[test]
fn what_a_search_does_not_know_is_refused_by_name() {
    let server = Server::start();
    fill(&server);
    let wrong: [(&str, Value); 7] = [
        ("min_size", json!(3)),
        ("exclude", json!([])),
        ("exclude", json!(7)),
        ("person", json!([1])),
        ("group_by", json!("year")),
        ("min_face_size", json!(-1)),
        ("min_confidence", json!(2)),
    ];
    for (option, value) in wrong {
        let mut body = json!({"image": BASE64_STANDARD.encode(photo(4))});
        body[option] = value.clone();
        let message = server.post(SEARCH, &body).refused(400);
        let told = message.contains(option) || message.contains("name or a list of names");
        assert!(
            told || message.contains("year"),
            "{option}: {value}: {message}"
        );
    }
    let field: [(&str, &[u8]); 2] = [("image", &photo(4)), ("people", b"Ada")];
    let message = server.form(SEARCH, &field).refused(400);
    assert!(message.contains("`people`"), "{message}");
}

#[test]
fn a_face_gets_another_person_and_other_keys_and_the_next_search_sees_them() {
    let server = Server::start();
    fill(&server);
    let path = "/collections/stars/faces/28";
    let change = json!({"person": "Cleo", "payload": {"year": 1843, "draft": true}});
    server.json("PATCH", path, &change).ok();
    let face = server.get(path).ok();
    assert_eq!(face["person"], "Cleo");
    assert_eq!(ids(&server, 4, &[("person", "Cleo")]), [28]);
    let change = json!({"payload": {"draft": null}});
    server.json("PATCH", path, &change).ok();
    let payload = json!({"person": "Cleo", "year": 1843});
    assert_eq!(server.get(path).ok()["payload"], payload);
    server.json("PATCH", path, &json!({"person": null})).ok();
    let face = server.get(path).ok();
    assert_eq!(
        (&face["person"], &face["payload"]),
        (&Value::Null, &json!({"year": 1843}))
    );
    assert_eq!(face["image"], "/collections/stars/faces/28/image");
}

#[test]
fn a_change_of_a_face_that_says_nothing_or_two_things_is_refused() {
    let server = Server::start();
    fill(&server);
    let path = "/collections/stars/faces/4";
    let wrong = [
        (json!({}), "`person`, `payload`"),
        (
            json!({"person": null, "payload": {"person": "Bob"}}),
            "not the same",
        ),
        (
            json!({"person": "Ada", "payload": {"person": "Bob"}}),
            "not the same",
        ),
        (json!({"name": "Ada"}), "`name`"),
        (json!({"person": "x".repeat(1025)}), "1024"),
    ];
    for (body, words) in wrong {
        let message = server.json("PATCH", path, &body).refused(400);
        assert!(message.contains(words), "{body}: {message}");
    }
    let change = json!({"person": "Eve"});
    server
        .json("PATCH", "/collections/stars/faces/99", &change)
        .refused(404);
    assert_eq!(server.get(path).ok()["person"], "Ada");
}

#[test]
fn faces_go_by_person_by_id_and_by_filter_and_no_others() {
    let server = Server::start();
    fill(&server);
    let gone = server.delete("/collections/stars/faces?person=Ada").ok();
    assert_eq!(gone["deleted"], 2);
    assert_eq!(ids(&server, 4, &[]), [16, 18, 28]);
    let path = "/collections/stars/faces/delete";
    let filter = json!({"filter": {"must": {"is_empty": {"key": "person"}}}});
    assert_eq!(server.post(path, &filter).ok()["deleted"], 1);
    server.post(path, &json!({"points": [16]})).ok();
    assert_eq!(ids(&server, 4, &[]), [18]);
    assert_eq!(
        server.post(path, &json!({"person": "Bob"})).ok()["deleted"],
        1
    );
    assert_eq!(ids(&server, 4, &[]), [0; 0]);
    server.get("/collections/stars/faces/18/image").refused(404);
    for wrong in [
        json!({}),
        json!({"person": "Bob", "points": [1]}),
        json!({"ids": [1]}),
    ] {
        server.post(path, &wrong).refused(400);
    }
    server.delete("/collections/stars/faces").refused(400);
}
