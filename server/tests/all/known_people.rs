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
        server.json("PATCH", "/collections/stars/faces/6", &body).ok();
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
    let parts = [("image", image.as_slice()), ("id", b"4"), ("person", person)];
    server.form("/collections/stars/faces", &parts).ok();
    assert_eq!(best()[0], 9);
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
