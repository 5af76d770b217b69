//! Whose faces are looked for, and what can be done to faces that are kept, over HTTP with the
//! stand-in for the models.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, fake, group, photo};
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
fn a_face_of_too_little_quality_is_not_kept_and_the_request_has_the_last_word() {
    let server = Server::start_with(&[("embedding.min_quality_percent", "99")], fake());
    server.with_faces("stars");
    let path = "/collections/stars/faces";
    let image = BASE64_STANDARD.encode(photo(4));
    let message = server.post(path, &json!({"image": image})).refused(422);
    assert!(message.contains("`min_quality`"), "{message}");
    let added = server
        .post(path, &json!({"image": image, "min_quality": 0}))
        .ok();
    let quality = &added["faces"][0]["quality"];
    assert!(quality["score"].as_f64().unwrap() < 0.99, "{quality}");
    let flaws = quality["flaws"].as_array().unwrap();
    assert!(!flaws.contains(&json!("unsure")), "{quality}");
}

#[test]
fn a_face_of_the_same_picture_is_told_or_refused_as_asked() {
    let server = Server::start();
    fill(&server);
    let path = "/collections/stars/faces";
    let image = BASE64_STANDARD.encode(photo(16));
    let again = server.post(path, &json!({"image": image, "id": 50})).ok();
    let twin = &again["faces"][0]["duplicate_of"];
    assert!(
        twin["id"] == 16 && twin["score"].as_f64().unwrap() > 0.999,
        "{twin}"
    );
    let body = json!({"image": image, "duplicates": "refuse"});
    let message = server.post(path, &body).refused(409);
    assert!(message.contains("face"), "{message}");
    let body = json!({"image": image, "duplicates": "ignore"});
    assert_eq!(
        server.post(path, &body).ok()["faces"][0]["duplicate_of"],
        Value::Null
    );
    server
        .post(path, &json!({"image": image, "duplicates": "drop"}))
        .refused(400);
    // Put again under its own id, it is no duplicate of itself.
    server
        .post(&format!("{path}/delete"), &json!({"points": [50]}))
        .ok();
    let alone = BASE64_STANDARD.encode(photo(28));
    let put = server.post(path, &json!({"image": alone, "id": 28})).ok();
    assert_eq!(put["faces"][0]["duplicate_of"], Value::Null);
    let fresh = BASE64_STANDARD.encode(photo(1));
    let both = json!({"images": [{"image": fresh, "id": 70}, {"image": fresh, "id": 71}]});
    let both = server.post(path, &both).ok();
    assert_eq!(both["faces"][0]["duplicate_of"], Value::Null);
    assert_eq!(both["faces"][1]["duplicate_of"]["id"], 70);
}

#[test]
fn a_kept_photo_has_lost_what_else_its_file_said() {
    let server = Server::start();
    server.with_faces("stars");
    let secret = b"tEXtwhere\0N 48.8584";
    let plain = photo(9);
    let length = u32::try_from(secret.len() - 4).unwrap().to_be_bytes();
    let mut tagged = plain[..33].to_vec();
    tagged.extend([&length[..], secret, &[0; 4]].concat());
    tagged.extend(&plain[33..]);
    let parts: [(&str, &[u8]); 3] = [("image", &tagged), ("id", b"9"), ("keep_photo", b"true")];
    server.form("/collections/stars/faces", &parts).ok();
    let kept = server
        .get("/collections/stars/faces/9/image?kind=photo")
        .bytes;
    assert_eq!(kept, plain);
}

#[test]
fn an_image_of_a_kind_that_is_not_read_is_told_by_name() {
    let server = Server::start();
    let avif = b"\0\0\0\x18ftypavif....";
    let message = server
        .form("/faces/detect", &[("image", avif)])
        .refused(415);
    assert!(
        message.contains("AVIF images") && message.contains("HEIC"),
        "{message}"
    );
}

#[test]
fn a_likeness_is_measured_among_the_collections_own_people_once_they_are_enough() {
    let server = Server::start();
    server.with_faces("stars");
    let image = BASE64_STANDARD.encode(photo(20));
    let search = || {
        server
            .post(SEARCH, &json!({"image": image, "limit": 3}))
            .ok()
    };
    let vector = |n: u32| {
        let at = |place: u32| ((n * 31 + place * 17) % 101) as f32 - 40.0;
        (0..128).map(at).collect::<Vec<_>>()
    };
    let points: Vec<_> = (0..320)
        .map(|n| json!({"id": n, "vector": vector(n), "payload": {"person": format!("P{n}")}}))
        .collect();
    server
        .put(
            "/collections/stars/points",
            &json!({"points": points[..20]}),
        )
        .ok();
    let few = search();
    assert_eq!(
        (&few["likeness_among"], &few["model"]),
        (&Value::Null, &json!("fake-128"))
    );
    assert_eq!(few["faces"][0]["hits"][0]["likeness"], Value::Null);
    server
        .put("/collections/stars/points", &json!({"points": points}))
        .ok();
    let many = search();
    assert_eq!(many["likeness_among"], "collection");
    let hits = many["faces"][0]["hits"].as_array().unwrap();
    let likeness: Vec<_> = hits
        .iter()
        .map(|hit| hit["likeness"].as_f64().unwrap())
        .collect();
    assert!(
        likeness.windows(2).all(|pair| pair[0] >= pair[1]),
        "{likeness:?}"
    );
    assert!(
        likeness.iter().all(|it| (0.0..=100.0).contains(it)),
        "{likeness:?}"
    );
    assert_eq!(hits[0]["probability"], Value::Null);
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

#[test]
fn an_empty_filter_takes_out_no_face() {
    let server = Server::start();
    server.with_faces("f");
    server
        .form("/collections/f/faces", &[("image", &photo(4))])
        .ok();
    let body = json!({"filter": {}});
    let message = server
        .post("/collections/f/faces/delete", &body)
        .refused(400);
    assert!(message.contains("every face"), "{message}");
    let count = server.post("/collections/f/points/count", &json!({})).ok();
    assert_eq!(count["count"], 1);
}

#[test]
fn a_picture_that_is_known_is_not_sent_again() {
    let server = Server::start();
    server.with_faces("f");
    let parts: [(&str, &[u8]); 2] = [("image", &photo(4)), ("id", b"1")];
    server.form("/collections/f/faces", &parts).ok();
    let path = "/collections/f/faces/1/image";
    let tag = server.get(path).header("etag").to_owned();
    let known = |tags: &str| {
        server
            .send("GET", path, &[("if-none-match", tags)], &[])
            .status
    };
    for tags in [tag.clone(), "*".to_owned(), format!("\"x\", W/{tag}")] {
        assert_eq!(known(&tags), 304, "{tags}");
    }
    assert_eq!(known("\"x\", W/\"y\""), 200);
    let unchanged = server.send("GET", path, &[("if-none-match", &tag)], &[]);
    assert_eq!(unchanged.header("cache-control"), "private, no-cache");
    let document = server.get("/openapi.json").body();
    let answers =
        &document["paths"]["/collections/{collection}/faces/{id}/image"]["get"]["responses"];
    assert!(answers["304"].is_object() && answers["200"]["headers"]["etag"].is_object());
}

#[test]
fn of_more_faces_than_are_told_it_is_told_how_many_more_there_are() {
    let server = Server::start();
    server.with_faces("stars");
    let path = "/collections/stars/faces";
    let crowd: Vec<_> = (0..117).map(|n| 4 + n % 20).collect();
    let (crowd, few) = (
        BASE64_STANDARD.encode(group(&crowd)),
        BASE64_STANDARD.encode(photo(4)),
    );
    for path in [path, "/faces/detect", "/faces/embed", SEARCH] {
        let told = |image: &str| {
            let body = json!({"image": image, "faces": "all"});
            let mut told = server.post(path, &body).ok();
            if let Some(of_photo) = told.get_mut("left_out") {
                assert_eq!(of_photo[0]["image_index"], 0);
                told["faces_left_out"] = of_photo[0]["faces_left_out"].take();
            }
            told
        };
        let many = told(&crowd);
        assert_eq!(many["faces"].as_array().unwrap().len(), 100, "{path}");
        assert_eq!(many["faces_left_out"], 17, "{path}");
        let all = told(&few);
        assert!(
            all.get("faces_left_out").is_none() && all.get("left_out").is_none(),
            "{path}"
        );
    }
    // Nobody asked for more than one.
    let largest = server
        .post(
            "/faces/detect",
            &json!({"image": crowd, "faces": "largest"}),
        )
        .ok();
    assert!(largest.get("faces_left_out").is_none());
}
