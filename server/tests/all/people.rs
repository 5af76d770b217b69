//! People of a collection: listed and renamed, over HTTP with the stand-in for the models.

use crate::common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, photo};
use serde_json::{Value, json};

const PEOPLE: &str = "/collections/stars/people";
const RENAME: &str = "/collections/stars/people/rename";

fn fill(server: &Server) {
    server.with_faces("stars");
    let people = [
        (4, Some("Ada")),
        (6, Some("Ada")),
        (16, Some("Bob")),
        (28, None),
    ];
    for (columns, person) in people {
        let image = BASE64_STANDARD.encode(photo(columns));
        let face = json!({"image": image, "id": columns, "person": person});
        server.post("/collections/stars/faces", &face).ok();
    }
}

fn people(server: &Server, params: &str) -> Value {
    server.get(&format!("{PEOPLE}{params}")).ok()
}

#[test]
fn people_are_listed_with_their_best_face_and_found_by_name() {
    let server = Server::start();
    fill(&server);
    let all = people(&server, "");
    let list = all["people"].as_array().unwrap();
    assert_eq!((list.len(), &all["next_page_offset"]), (2, &Value::Null));
    assert_eq!(
        (&list[0]["name"], &list[0]["faces"]),
        (&json!("Ada"), &json!(2))
    );
    let best = list[0]["best"].as_u64().unwrap();
    assert!(best == 4 || best == 6, "{best}");
    assert_eq!(server.get(list[0]["image"].as_str().unwrap()).status, 200);
    let first = people(&server, "?limit=1");
    assert_eq!(first["next_page_offset"], "Bob");
    let second = people(&server, "?limit=1&offset=Bob");
    assert_eq!(second["people"][0]["name"], "Bob");
    assert_eq!(people(&server, "?search=OB")["people"][0]["name"], "Bob");
    let renamed = json!({"from": "Bob", "to": "Bob_Ross"});
    server.post(RENAME, &renamed).ok();
    for words in ["bob%20ro", "B_R"] {
        let found = people(&server, &format!("?search={words}"));
        assert_eq!(found["people"][0]["name"], "Bob_Ross", "{words}");
    }
    server.get(&format!("{PEOPLE}?limit=0")).refused(400);
    server.get("/collections/no/people").refused(404);
    server.with_vectors("plain", 2, "Cosine");
    let plain = server.get("/collections/plain/people").refused(400);
    assert!(plain.contains("keyword"), "{plain}");
}

#[test]
fn a_renamed_person_is_another_only_when_nobody_has_the_name_or_both_are_merged() {
    let mut server = Server::start();
    fill(&server);
    let refused = |from: &str, to: &str, status| {
        let answer = server.post(RENAME, &json!({"from": from, "to": to}));
        answer.refused(status)
    };
    assert!(refused("Cleo", "Dora", 404).contains("`Cleo`"));
    assert!(refused("Ada", "Bob", 409).contains("merged"));
    for to in ["", "  ", "Ada\u{0}B", "a\nb"] {
        assert!(refused("Ada", to, 400).contains("`to`"), "{to:?}");
    }
    assert!(refused("Ada", "Ada", 400).contains("same"));
    let renamed = server.post(RENAME, &json!({"from": "Ada", "to": "Ada Lovelace"}));
    assert_eq!(renamed.ok()["changed"], 2);
    let merged = json!({"from": "Bob", "to": "Ada Lovelace", "merge": true});
    assert_eq!(server.post(RENAME, &merged).ok()["changed"], 1);
    server.restart();
    let all = people(&server, "");
    assert_eq!(all["people"].as_array().unwrap().len(), 1);
    assert_eq!(all["people"][0]["faces"], 3);
    let gone = server.delete("/collections/stars/faces?person=Ada%20Lovelace");
    assert_eq!(gone.ok()["deleted"], 3);
    assert_eq!(people(&server, "")["people"], json!([]));
}

#[test]
fn somebody_who_is_only_named_together_with_others_is_told_why_nothing_can_be_said_of_them() {
    let server = Server::start();
    fill(&server);
    let both = json!({"payload": {"person": ["Ada", "Eve"]}, "points": [28]});
    server.post("/collections/stars/points/payload", &both).ok();
    let listed = people(&server, "?search=Eve");
    assert_eq!(listed["people"][0]["faces"], 1);
    let ignored = json!({"name": "Eve", "ignored": true});
    let renamed = json!({"from": "Eve", "to": "Eva"});
    for refused in [
        server.json("PATCH", PEOPLE, &ignored),
        server.post(RENAME, &renamed),
    ] {
        let why = refused.refused(409);
        assert!(why.contains("point 28") && why.contains("set"), "{why}");
    }
    // As the answer says.
    let one = json!({"payload": {"person": "Eve"}, "points": [28]});
    server.post("/collections/stars/points/payload", &one).ok();
    assert_eq!(server.json("PATCH", PEOPLE, &ignored).ok()["ignored"], true);
    assert_eq!(server.post(RENAME, &renamed).ok()["changed"], 1);
}

#[test]
fn faces_that_are_of_others_too_go_with_a_person_only_if_that_is_said() {
    let server = Server::start();
    fill(&server);
    let both = json!({"payload": {"person": ["Ada", "Bob"]}, "points": [28]});
    server.post("/collections/stars/points/payload", &both).ok();
    let count = || {
        let all = json!({"exact": true});
        server.post("/collections/stars/points/count", &all).ok()["count"].clone()
    };
    let theirs = "/collections/stars/faces?person=Ada";
    let delete = "/collections/stars/faces/delete";
    let why = server.delete(theirs).refused(409);
    assert!(why.contains("1 of the 3 points"), "{why}");
    assert!(why.contains("`of_several`"), "{why}");
    server.post(delete, &json!({"person": "Ada"})).refused(409);
    let nobodys = json!({"points": [4], "of_several": "keep"});
    server.post(delete, &nobodys).refused(400);
    server
        .delete(&format!("{theirs}&of_several=x"))
        .refused(400);
    assert_eq!(count(), 4);
    let kept = server.delete(&format!("{theirs}&of_several=keep")).ok();
    assert_eq!((&kept["deleted"], count()), (&json!(2), json!(2)));
    assert_eq!(people(&server, "?search=Ada")["people"][0]["faces"], 1);
    // A null is nobody.
    let one = json!({"payload": {"person": ["Bob", null]}, "points": [16]});
    server.post("/collections/stars/points/payload", &one).ok();
    let renamed = json!({"from": "Bob", "to": "Rob"});
    assert_eq!(server.post(RENAME, &renamed).ok()["changed"], 1);
    let gone = json!({"person": "Ada", "of_several": "delete"});
    let gone = server.post(delete, &gone).ok();
    assert_eq!((&gone["deleted"], count()), (&json!(1), json!(1)));
    assert_eq!(server.delete(theirs).ok()["deleted"], 0);
}
