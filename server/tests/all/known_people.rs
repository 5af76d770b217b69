//! What is known of people beside their names, over HTTP with the stand-in for the models.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use common::{Server, photo};
use serde_json::{Value, json};

const PEOPLE: &str = "/collections/stars/people";
const SEARCH: &str = "/collections/stars/faces/search";

fn add(server: &Server, columns: u32, person: &str) {
    let (image, id) = (photo(columns), columns.to_string());
    let parts = [
        ("image", image.as_slice()),
        ("id", id.as_bytes()),
        ("person", person.as_bytes()),
    ];
    server.form("/collections/stars/faces", &parts).ok();
}

fn hits(server: &Server, columns: u32, fields: &[(&str, &[u8])]) -> Vec<Value> {
    let image = photo(columns);
    let parts = [&[("image", image.as_slice())], fields].concat();
    let found = server.form(SEARCH, &parts).ok();
    let hits = found["faces"][0]["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["id"].clone()).collect()
}

fn change(server: &Server, body: &Value) -> Value {
    server.json("PATCH", PEOPLE, body).ok()
}

#[test]
fn a_person_who_is_ignored_is_found_no_more_whoever_comes_in_later() {
    let server = Server::start();
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (6, "Ada"), (8, "Bob")] {
        add(&server, columns, person);
    }
    assert_eq!(hits(&server, 4, &[]).len(), 3);
    let told = change(&server, &json!({"name": "Ada", "ignored": true}));
    assert_eq!(
        (&told["ignored"], &told["faces"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(hits(&server, 4, &[]), [8]);
    add(&server, 5, "Ada");
    let reassigned = json!({"person": "Ada"});
    add(&server, 7, "Cleo");
    server
        .json("PATCH", "/collections/stars/faces/7", &reassigned)
        .ok();
    assert_eq!(hits(&server, 4, &[]), [8]);
    assert_eq!(hits(&server, 4, &[("include_ignored", b"true")]).len(), 5);
    server
        .json(
            "PATCH",
            "/collections/stars/faces/7",
            &json!({"person": null}),
        )
        .ok();
    assert_eq!(hits(&server, 7, &[]), [7, 8]);
    change(&server, &json!({"name": "Ada", "ignored": false}));
    assert_eq!(hits(&server, 4, &[]).len(), 5);
}

#[test]
fn nobody_is_left_out_of_searches_because_somebody_who_is_ignored_becomes_one_with_them() {
    let server = Server::start();
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (6, "Ada"), (8, "Bob")] {
        add(&server, columns, person);
    }
    let told = change(&server, &json!({"name": "Ada", "ignored": true, "best": 6}));
    assert_eq!(hits(&server, 4, &[]), [8]);
    let merge = json!({"from": "Ada", "to": "Bob", "merge": true});
    server.post(&format!("{PEOPLE}/rename"), &merge).ok();
    assert_eq!(hits(&server, 4, &[]).len(), 3);
    let bob = &server.get(PEOPLE).ok()["people"][0];
    assert_eq!((&bob["ignored"], &bob["faces"]), (&json!(false), &json!(3)));
    assert_ne!(bob["id"], told["id"]);
}

#[test]
fn a_face_that_was_chosen_for_a_person_is_not_shown_for_them_once_it_is_somebody_elses() {
    let server = Server::start();
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (6, "Ada"), (8, "Bob")] {
        add(&server, columns, person);
    }
    let best = || -> Vec<Value> {
        let people = server.get(PEOPLE).ok()["people"].clone();
        let people = people.as_array().unwrap().iter();
        people.map(|person| person["best"].clone()).collect()
    };
    change(&server, &json!({"name": "Ada", "best": 6}));
    assert_eq!(best(), [6, 8]);
    let to = |person: Value| {
        let body = json!({ "person": person });
        server
            .json("PATCH", "/collections/stars/faces/6", &body)
            .ok();
    };
    to(json!("Bob"));
    assert_eq!(best()[0], 4);
    // Also where nothing more is known of who has it now.
    to(Value::Null);
    assert_eq!(best(), [4, 8]);
    // Another face may come in under the id.
    change(&server, &json!({"name": "Ada", "best": 4}));
    server.delete("/collections/stars/faces/4").ok();
    add(&server, 9, "Ada");
    let (image, person) = (photo(4), b"Bob".as_slice());
    let parts = [
        ("image", image.as_slice()),
        ("id", b"4"),
        ("person", person),
    ];
    server.form("/collections/stars/faces", &parts).ok();
    assert_eq!(best()[0], 9);
}

#[test]
fn a_point_that_came_in_without_a_photo_cannot_be_chosen_to_be_shown_for_a_person() {
    let server = Server::start();
    server.with_faces("stars");
    add(&server, 4, "Ada");
    let vector = vec![0.5; 128];
    let point = json!({"id": 9, "vector": vector, "payload": {"person": "Ada"}});
    let points = json!({"points": [point]});
    server
        .put("/collections/stars/points?wait=true", &points)
        .ok();
    let body = json!({"name": "Ada", "best": 9, "ignored": true});
    let refused = server.json("PATCH", PEOPLE, &body);
    assert!(refused.refused(409).contains("has no face"));
    let ada = &server.get(PEOPLE).ok()["people"][0];
    assert_eq!((&ada["best"], &ada["ignored"]), (&json!(4), &json!(false)));
}

#[test]
fn a_person_keeps_id_attributes_and_best_face_through_renaming_and_a_restart() {
    let mut server = Server::start();
    server.with_faces("stars");
    for columns in [4, 6, 8] {
        add(&server, columns, "Ada");
    }
    let list = server.get(PEOPLE).ok();
    assert!(list["people"][0]["id"].is_null(), "{list}");
    let attributes = json!({"born": 1815, "field": "engines"});
    let told = change(
        &server,
        &json!({"name": "Ada", "best": 8, "attributes": attributes}),
    );
    let id = told["id"].as_str().unwrap().to_owned();
    assert_eq!(told["image"], "/collections/stars/faces/8/image");
    let rename = json!({"from": "Ada", "to": "Ada Lovelace"});
    server.post(&format!("{PEOPLE}/rename"), &rename).ok();
    server.restart();
    let found = server.get(&format!("{PEOPLE}?id={id}")).ok();
    let person = &found["people"][0];
    assert_eq!(person["name"], "Ada Lovelace");
    assert_eq!(
        (&person["best"], &person["attributes"]),
        (&json!(8), &attributes)
    );
    server.delete("/collections/stars/faces/8").ok();
    let told = change(
        &server,
        &json!({"name": "Ada Lovelace", "attributes": {"field": null}}),
    );
    assert_eq!(told["attributes"], json!({"born": 1815}));
    assert_ne!(told["best"], 8);
    assert_eq!(told["id"], id.as_str());
    let nobody = server.json("PATCH", PEOPLE, &json!({"name": "Bob"}));
    assert!(nobody.refused(404).contains("Bob"));
    let wrong = json!({"name": "Ada Lovelace", "best": 99});
    let wrong = server.json("PATCH", PEOPLE, &wrong);
    assert!(wrong.refused(400).contains("not theirs"));
    assert_eq!(
        server.get(&format!("{PEOPLE}?id=x")).ok()["people"],
        json!([])
    );
}

/// Every way in which a payload is written: what would be said of one face would not hold of the others.
#[test]
fn what_is_known_of_a_person_is_written_by_nobody_but_the_server() {
    let server = Server::start();
    server.with_faces("stars");
    add(&server, 4, "Ada");
    let told = change(&server, &json!({"name": "Ada", "ignored": true}));
    let forged = json!({"person": "Ada", "about_person": {"id": told["id"], "ignored": false}});
    let vector = vec![0.5; 128];
    let image = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, photo(4));
    let collection = "/collections/stars";
    let batch = |operation: Value| ("POST", "/points/batch", json!({"operations": [operation]}));
    let set = json!({"payload": forged, "points": [4]});
    let cases = [
        (
            "PUT",
            "/points",
            json!({"points": [{"id": 9, "vector": vector, "payload": forged}]}),
        ),
        (
            "PUT",
            "/points",
            json!({"batch": {"ids": [9], "vectors": [vector], "payloads": [forged]}}),
        ),
        ("POST", "/points/payload", set.clone()),
        ("PUT", "/points/payload", set.clone()),
        (
            "POST",
            "/points/payload",
            json!({"payload": {"ignored": false}, "key": "about_person", "points": [4]}),
        ),
        (
            "PUT",
            "/points/payload",
            json!({"payload": {"a": 1}, "key": "about_person.attributes", "points": [4]}),
        ),
        (
            "POST",
            "/points/payload/delete",
            json!({"keys": ["a", "about_person.ignored"], "points": [4]}),
        ),
        batch(json!({"set_payload": set})),
        batch(json!({"delete_payload": {"keys": ["about_person"], "points": [4]}})),
        ("POST", "/faces", json!({"image": image, "payload": forged})),
        ("PATCH", "/faces/4", json!({"payload": forged})),
        (
            "PATCH",
            "/faces/4",
            json!({"person": null, "payload": {"about_person": 1}}),
        ),
    ];
    for (method, path, body) in cases {
        let answer = server.json(method, &format!("{collection}{path}"), &body);
        let why = answer.refused(400);
        assert!(
            why.contains("PATCH /collections"),
            "{method} {path} {body}: {why}"
        );
    }
    let (image, payload) = (photo(4), br#"{"about_person": {}}"#);
    let parts = [("image", image.as_slice()), ("payload", payload.as_slice())];
    server.form("/collections/stars/faces", &parts).refused(400);
    assert_eq!(hits(&server, 4, &[]), [0; 0], "they are ignored as before");
}

#[test]
fn a_person_is_given_the_id_that_they_had_elsewhere_once() {
    let server = Server::start();
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (8, "Bob")] {
        add(&server, columns, person);
    }
    let id = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";
    let say = |body: Value| server.json("PATCH", PEOPLE, &body);
    let told = say(json!({"name": "Ada", "id": id.to_uppercase(), "ignored": true})).ok();
    assert_eq!((&told["id"], &told["ignored"]), (&json!(id), &json!(true)));
    say(json!({"name": "Ada", "id": id, "attributes": {"a": 1}})).ok();
    let other = "11111111-2d3e-4f50-8a6b-7c8d9e0f1a2b";
    let why = say(json!({"name": "Ada", "id": other})).refused(409);
    assert!(why.contains(id), "{why}");
    assert!(
        say(json!({"name": "Bob", "id": id}))
            .refused(409)
            .contains("somebody else")
    );
    assert!(
        say(json!({"name": "Bob", "id": "x"}))
            .refused(400)
            .contains("UUID")
    );
    let people = server.get(PEOPLE).ok();
    assert_eq!(
        people["people"][0]["attributes"],
        json!({"a": 1}),
        "{people}"
    );
    assert!(people["people"][1]["id"].is_null(), "{people}");
}

#[test]
fn a_face_that_is_given_another_name_in_its_payload_is_that_persons_by_every_route() {
    let server = Server::start();
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (5, "Ada"), (8, "Bob"), (9, "Cleo")] {
        add(&server, columns, person);
    }
    let ada = change(&server, &json!({"name": "Ada", "ignored": true}))["id"].clone();
    let bob = change(&server, &json!({"name": "Bob", "attributes": {"a": 1}}))["id"].clone();
    let batch = |operation: Value| ("POST", "/points/batch", json!({"operations": [operation]}));
    let said = |payload: Value| json!({"payload": payload, "points": [4]});
    let person = |name: &str| json!({ "person": name });
    let cases = [
        (("POST", "/points/payload", said(person("Bob"))), &bob),
        (("PUT", "/points/payload", said(person("Bob"))), &bob),
        (("PUT", "/points/payload", said(person("Ada"))), &ada),
        (
            (
                "POST",
                "/points/payload",
                said(json!({"person": ["Ada", "Bob"]})),
            ),
            &Value::Null,
        ),
        (batch(json!({"set_payload": said(person("Ada"))})), &ada),
        (
            (
                "POST",
                "/points/payload/delete",
                json!({"keys": ["person"], "points": [4]}),
            ),
            &Value::Null,
        ),
        (
            batch(json!({"overwrite_payload": said(person("Bob"))})),
            &bob,
        ),
        (
            batch(json!({"delete_payload": {"keys": ["person"], "points": [4]}})),
            &Value::Null,
        ),
        (
            ("PATCH", "/faces/4", json!({"payload": person("Ada")})),
            &ada,
        ),
        (
            batch(json!({"clear_payload": {"points": [4]}})),
            &Value::Null,
        ),
        (("PATCH", "/faces/4", person("Ada")), &ada),
        (
            ("POST", "/points/payload", said(person("Cleo"))),
            &Value::Null,
        ),
    ];
    for ((method, path, body), id) in cases {
        let path = format!("/collections/stars{path}");
        server.json(method, &path, &body).ok();
        let payload = server.get("/collections/stars/points/4").ok()["payload"].clone();
        assert_eq!(payload["about_person"]["id"], *id, "{method} {path} {body}");
        let found = hits(&server, 4, &[]).contains(&json!(4));
        assert_eq!(found, *id != ada, "{method} {path} {body}");
    }
    let part = json!({"payload": {"a": 1}, "key": "person", "points": [5]});
    let refused = server.json("PUT", "/collections/stars/points/payload", &part);
    assert!(refused.refused(400).contains("point 5"));
}
