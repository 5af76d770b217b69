//! The face half over HTTP, with the stand-in for the models: photos in, look-alikes out.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, faceless, group, made, photo, until};
use serde_json::{Value, json};

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Three people, told apart by how much of their photo is bright.
fn fill(server: &Server) {
    server.with_faces("stars");
    for (columns, person) in [(4, "Ada"), (16, "Bob"), (28, "Cleo")] {
        let id = columns.to_string();
        let parts: [(&str, &[u8]); 4] = [
            ("image", &photo(columns)),
            ("person", person.as_bytes()),
            ("id", id.as_bytes()),
            ("payload", br#"{"file": "x.png"}"#),
        ];
        let added = server.form("/collections/stars/faces", &parts).ok();
        assert_eq!(added["faces"][0]["id"], columns);
        assert_eq!(added["faces"][0]["box"], json!([0.0, 0.0, 32.0, 32.0]));
        assert_eq!(added["faces"][0]["landmarks"].as_array().unwrap().len(), 5);
        assert_eq!(added["errors"], json!([]));
    }
}

#[test]
fn the_person_in_the_photo_comes_first() {
    let server = Server::start();
    fill(&server);
    let parts: [(&str, &[u8]); 2] = [("image", &photo(15)), ("limit", b"2")];
    let found = server.form("/collections/stars/faces/search", &parts).ok();
    assert_eq!(found["faces"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&found["width"], &found["height"]),
        (&json!(32), &json!(32))
    );
    for stage in ["decode_ms", "detect_ms", "embed_ms", "search_ms"] {
        assert!(found["timings"][stage].is_number(), "{found}");
    }
    let hits = found["faces"][0]["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2);
    assert_eq!(hits[0]["person"], "Bob");
    assert_eq!(
        hits[0]["payload"],
        json!({"file": "x.png", "person": "Bob"})
    );
    assert_eq!(hits[0]["image"], "/collections/stars/faces/16/image");
    assert!(hits[0]["score"].as_f64() > hits[1]["score"].as_f64());
    let same = json!({"image": base64(&photo(15)), "limit": 2, "with_payload": false});
    let same = server.post("/collections/stars/faces/search", &same).ok();
    assert_eq!(same["faces"][0]["hits"][0]["person"], "Bob");
    assert_eq!(same["faces"][0]["hits"][0]["payload"], Value::Null);
    assert_eq!(same["faces"][0]["hits"][0]["score"], hits[0]["score"]);
}

/// The persons of each face's hits, from left to right.
fn first_hits(found: &Value) -> Vec<(f64, &Value)> {
    let faces = found["faces"].as_array().unwrap().iter();
    let mut firsts: Vec<_> = faces
        .map(|face| (face["box"][0].as_f64().unwrap(), &face["hits"][0]["person"]))
        .collect();
    firsts.sort_by(|a, b| a.0.total_cmp(&b.0));
    firsts
}

#[test]
fn every_face_of_a_group_has_its_own_look_alikes() {
    let server = Server::start();
    fill(&server);
    let together = group(&[28, 3, 17]);
    let parts: [(&str, &[u8]); 3] = [("image", &together), ("faces", b"all"), ("limit", b"1")];
    let found = server.form("/collections/stars/faces/search", &parts).ok();
    let wanted = ["Cleo", "Ada", "Bob"].map(|person| json!(person));
    let wanted: Vec<_> = [0.0, 32.0, 64.0].into_iter().zip(&wanted).collect();
    assert_eq!(first_hits(&found), wanted);
    let largest = json!({"image": base64(&together), "faces": "largest"});
    let largest = server.post("/collections/stars/faces/search", &largest);
    assert_eq!(largest.ok()["faces"].as_array().unwrap().len(), 1);
    let seen = json!({"image": base64(&together)});
    let seen = server.post("/faces/detect", &seen).ok();
    assert_eq!(seen["faces"].as_array().unwrap().len(), 3);
}

#[test]
fn every_face_of_a_group_is_kept_if_asked_for_under_ids_of_their_own() {
    let server = Server::start();
    server.with_faces("stars");
    let together = group(&[28, 3, 17]);
    let parts: [(&str, &[u8]); 3] = [("image", &together), ("faces", b"all"), ("id", b"7")];
    let message = server.form("/collections/stars/faces", &parts).refused(400);
    assert!(message.contains("one face"), "{message}");
    let added = server.form("/collections/stars/faces", &parts[..2]).ok();
    let faces = added["faces"].as_array().unwrap();
    let ids: std::collections::HashSet<_> = faces
        .iter()
        .map(|face| face["id"].as_str().unwrap())
        .collect();
    assert_eq!((faces.len(), ids.len()), (3, 3));
    for face in faces {
        let path = format!("/collections/stars/faces/{}", face["id"].as_str().unwrap());
        assert_eq!(server.get(&path).ok()["box"], face["box"]);
    }
}

#[test]
fn a_search_takes_a_threshold_an_ef_and_exactness() {
    let server = Server::start();
    fill(&server);
    let parts: [(&str, &[u8]); 5] = [
        ("image", &photo(16)),
        ("score_threshold", b"0.999"),
        ("hnsw_ef", b"32"),
        ("exact", b"true"),
        ("faces", b"largest"),
    ];
    let found = server.form("/collections/stars/faces/search", &parts).ok();
    assert_eq!(found["faces"][0]["hits"].as_array().unwrap().len(), 1);
    let wrong: [(&str, &[u8]); 2] = [("image", &photo(16)), ("limit", b"many")];
    let message = server
        .form("/collections/stars/faces/search", &wrong)
        .refused(400);
    assert!(
        message.contains("`limit`") && message.contains("many"),
        "{message}"
    );
}

#[test]
fn a_crop_is_kept_by_default_and_the_photo_only_if_asked() {
    let server = Server::start();
    fill(&server);
    let crop = server.get("/collections/stars/faces/16/image");
    assert_eq!(crop.status, 200);
    assert_eq!(crop.header("content-type"), "image/jpeg");
    assert_eq!(crop.header("x-content-type-options"), "nosniff");
    assert_eq!(crop.header("cache-control"), "private, no-cache");
    let disposition = "inline; filename=\"16-crop.jpg\"";
    assert_eq!(crop.header("content-disposition"), disposition);
    assert_eq!(crop.bytes[..3], [0xff, 0xd8, 0xff]);
    let tag = crop.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let again = server.send("GET", "/collections/stars/faces/16/image", &known, &[]);
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    server
        .get("/collections/stars/faces/16/image?kind=photo")
        .refused(404);

    let original = photo(9);
    let parts: [(&str, &[u8]); 4] = [
        ("image", &original),
        ("id", b"9"),
        ("keep_photo", b"true"),
        ("keep_crop", b"false"),
    ];
    server.form("/collections/stars/faces", &parts).ok();
    let message = server.get("/collections/stars/faces/9/image").refused(404);
    assert!(message.contains("no crop is kept"), "{message}");
    let kept = server.get("/collections/stars/faces/9/image?kind=photo");
    assert_eq!(kept.header("content-type"), "image/png");
    assert_eq!(kept.bytes, original);
    let face = server.get("/collections/stars/faces/9").ok();
    assert_eq!(face["image"], Value::Null);
    assert_eq!(face["photo"], "/collections/stars/faces/9/image?kind=photo");
}

#[test]
fn a_face_is_told_with_its_place_and_its_person() {
    let server = Server::start();
    fill(&server);
    let face = server.get("/collections/stars/faces/4").ok();
    assert_eq!(face["person"], "Ada");
    assert_eq!(face["box"], json!([0.0, 0.0, 32.0, 32.0]));
    assert_eq!(face["image"], "/collections/stars/faces/4/image");
    assert_eq!(face["photo"], Value::Null);
    let info = server.get("/collections/stars").ok();
    assert_eq!(info["embedder"]["name"], "fake-128");
    assert_eq!(info["config"]["params"]["vectors"]["size"], 128);
}

#[test]
fn a_deleted_face_is_gone_with_its_picture() {
    let server = Server::start();
    fill(&server);
    server.delete("/collections/stars/faces/16").ok();
    server.get("/collections/stars/faces/16").refused(404);
    let message = server.get("/collections/stars/faces/16/image").refused(404);
    assert!(message.contains("does not exist"), "{message}");
    server.delete("/collections/stars/faces/16").refused(404);
    let found = server
        .form("/collections/stars/faces/search", &[("image", &photo(16))])
        .ok();
    let hits = found["faces"][0]["hits"].as_array().unwrap();
    assert!(hits.iter().all(|hit| hit["person"] != "Bob"), "{hits:?}");
}

#[test]
fn a_point_that_is_no_face_has_no_face() {
    let server = Server::start();
    server.with_faces("stars");
    let vector = vec![1.0; 128];
    let points = json!({"points": [{"id": 1, "vector": vector}]});
    server.put("/collections/stars/points", &points).ok();
    server.get("/collections/stars/faces/1").refused(404);
    server.delete("/collections/stars/faces/1").refused(404);
    server.get("/collections/stars/points/1").ok();
}

#[test]
fn of_many_images_each_has_its_own_outcome() {
    let server = Server::start();
    server.with_faces("stars");
    let images = json!({"images": [
        {"image": base64(&photo(4)), "id": 1, "person": "Ada", "name": "a.png"},
        {"image": base64(&faceless()), "id": 2, "name": "b.png"},
        {"image": base64(b"nothing"), "id": 3, "name": "c.png"},
        {"image": base64(&photo(28)), "payload": {"a": 1}},
    ]});
    let added = server.post("/collections/stars/faces", &images).ok();
    let indexes: Vec<_> = added["faces"].as_array().unwrap().iter().collect();
    assert_eq!(indexes.len(), 2);
    assert_eq!(
        (&indexes[0]["image_index"], &indexes[0]["id"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(indexes[1]["image_index"], 3);
    assert_eq!(indexes[1]["id"].as_str().unwrap().len(), 36);
    let errors = added["errors"].as_array().unwrap();
    assert_eq!(
        (&errors[0]["image_index"], &errors[0]["status"]),
        (&json!(1), &json!(422))
    );
    assert_eq!(errors[0]["name"], "b.png");
    assert!(
        errors[1]["error"]
            .as_str()
            .unwrap()
            .contains("not an image")
    );
    let count = server
        .post("/collections/stars/points/count", &json!({}))
        .ok();
    assert_eq!(count["count"], 2);
    let one = json!({"images": [{"image": base64(&faceless())}]});
    server.post("/collections/stars/faces", &one).refused(422);
}

#[test]
fn many_images_of_one_form_share_its_fields() {
    let server = Server::start();
    server.with_faces("stars");
    let parts: [(&str, &[u8]); 3] = [
        ("image", &photo(4)),
        ("image", &photo(9)),
        ("person", b"Ada"),
    ];
    let added = server.form("/collections/stars/faces", &parts).ok();
    assert_eq!(added["faces"].as_array().unwrap().len(), 2);
    for face in added["faces"].as_array().unwrap() {
        let path = format!("/collections/stars/faces/{}", face["id"].as_str().unwrap());
        assert_eq!(server.get(&path).ok()["person"], "Ada");
    }
}

#[test]
fn a_restart_keeps_faces_and_their_pictures() {
    let mut server = Server::start();
    fill(&server);
    let before = server.get("/collections/stars/faces/16/image").bytes;
    server.restart();
    assert_eq!(
        server.get("/collections/stars/faces/16/image").bytes,
        before
    );
    let found = server
        .form("/collections/stars/faces/search", &[("image", &photo(15))])
        .ok();
    assert_eq!(found["faces"][0]["hits"][0]["person"], "Bob");
}

/// As several imports of one folder do at once.
#[test]
fn of_photos_that_come_under_one_id_at_once_the_first_is_kept_and_the_others_are_told() {
    let server = Server::start();
    server.with_faces("stars");
    let send = |first: u32| {
        let image = |n: u32| json!({"image": base64(&photo(first)), "id": n});
        let body = json!({"images": [image(1), image(2)], "existing": "keep"});
        server.post("/collections/stars/faces", &body).ok()
    };
    let told: Vec<Value> = std::thread::scope(|scope| {
        let sent: Vec<_> = (4..12).map(|n| scope.spawn(move || send(n))).collect();
        sent.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let count = |key: &str| -> usize {
        let lists = told.iter().filter_map(|it| it[key].as_array());
        lists.map(Vec::len).sum()
    };
    assert_eq!(
        (count("faces"), count("known"), count("errors")),
        (2, 14, 0)
    );
    let again = send(20);
    assert_eq!(
        again["known"],
        json!([{"id": 1, "image_index": 0}, {"id": 2, "image_index": 1}])
    );
    assert_eq!(again["faces"], json!([]));
    // What is said to be kept is what is there.
    let first = told
        .iter()
        .position(|it| it["faces"][0]["id"] == 1)
        .unwrap();
    let columns = 4 + u32::try_from(first).unwrap();
    let found = server.form(
        "/collections/stars/faces/search",
        &[("image", &photo(columns))],
    );
    let best = found.ok()["faces"][0]["hits"][0]["score"].as_f64().unwrap();
    assert!(best > 0.9999, "{best}");
    // Who says nothing replaces.
    let image = photo(20);
    let parts = [("image", image.as_slice()), ("id", b"1".as_slice())];
    assert_eq!(
        server.form("/collections/stars/faces", &parts).ok()["faces"][0]["id"],
        1
    );
    let wrong = [
        ("image", image.as_slice()),
        ("existing", b"perhaps".as_slice()),
    ];
    let why = server.form("/collections/stars/faces", &wrong).refused(400);
    assert!(why.contains("replace or keep"), "{why}");
}

#[test]
fn a_model_that_breaks_down_while_it_is_loaded_is_told_and_the_server_is_ready_without_it() {
    let server = Server::starting(&[], made(|| panic!("on purpose")));
    until(|| server.get("/readyz").status == 200);
    server.with_vectors("v", 2, "Dot");
    let image = photo(4);
    let told = server.form("/faces/embed", &[("image", image.as_slice())]);
    let told = told.refused(501);
    assert!(told.contains("broke down"), "{told}");
    let metrics = server.get("/metrics").text();
    assert!(
        metrics.contains("\ndoppel_panics_total 1\n"),
        "it is counted"
    );
}
