//! CompreFace's API over HTTP: what its clients are told, and that it is the same people and faces as
//! this server's own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod keys;
mod looks;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::common::{Answer, Server, faceless, fake, group, photo};

/// Any UUID is good for a server without keys.
const ANY: &str = "00000000-0000-0000-0000-000000000002";
const FACES: &str = "/api/v1/recognition/faces";
const SUBJECTS: &str = "/api/v1/recognition/subjects";
const RECOGNIZE: &str = "/api/v1/recognition/recognize";

fn open() -> Server {
    Server::start_with(&[("compreface.collection", "faces")], fake())
}

fn send(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    server.send(method, path, &headers, body.as_bytes())
}

fn asked(server: &Server, path: &str) -> Answer {
    send(server, ANY, "GET", path, &Value::Null)
}

fn get(server: &Server, path: &str) -> Value {
    done(asked(server, path), 200)
}

fn delete(server: &Server, path: &str) -> Answer {
    send(server, ANY, "DELETE", path, &Value::Null)
}

fn post(server: &Server, path: &str, body: &Value) -> Answer {
    send(server, ANY, "POST", path, body)
}

/// Files by the names of their parts, with their own names.
fn upload(server: &Server, key: &str, path: &str, files: &[(&str, &str, &[u8])]) -> Answer {
    let line = "a-line-that-no-photo-holds";
    let mut body = Vec::new();
    for (field, name, bytes) in files {
        let head = format!(
            "--{line}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{line}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={line}");
    let headers = [("x-api-key", key), ("content-type", &kind)];
    server.send("POST", path, &headers, &body)
}

fn photo_to(server: &Server, path: &str, bytes: &[u8]) -> Answer {
    upload(server, ANY, path, &[("file", "a.png", bytes)])
}

#[track_caller]
fn done(answer: Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.body()
}

/// The sentence of a refusal with this status and CompreFace's number.
#[track_caller]
fn fault(answer: &Answer, status: u16, code: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.body();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

fn example(server: &Server, subject: &str, bright: u32) -> String {
    let path = format!("{FACES}?subject={subject}");
    let added = done(photo_to(server, &path, &photo(bright)), 201);
    assert_eq!(added["subject"], subject);
    added["image_id"].as_str().unwrap().to_owned()
}

fn names(server: &Server) -> Value {
    get(server, SUBJECTS)["subjects"].clone()
}

#[test]
fn it_is_off_unless_the_settings_name_a_collection() {
    let server = Server::start();
    for path in ["/api/v1/config", SUBJECTS, "/api/v1/consistence/status"] {
        asked(&server, path).refused(404);
    }
    let document = server.get("/openapi.json").body().to_string();
    assert!(!document.contains("/api/v1/"));
    let server = open();
    let document = server.get("/openapi.json").body();
    assert!(document["paths"][RECOGNIZE]["post"].is_object());
    let told = server.get("/collections/faces").ok();
    assert_eq!(told["embedder"]["name"], "fake-128", "{told}");
}

#[test]
fn subjects_are_made_listed_renamed_merged_and_taken_out() {
    let server = open();
    assert_eq!(names(&server), json!([]));
    let add = |body: Value| post(&server, SUBJECTS, &body);
    let ana = json!({"subject": "Ana", "api_endpoint": "x"});
    assert_eq!(done(add(ana.clone()), 201), json!({"subject": "Ana"}));
    let again = fault(&add(json!({"subject": "ANA"})), 400, 43);
    assert_eq!(again, "Subject already exists");
    let long = "x".repeat(51);
    let bad = [
        "", " ", "a;b", "a/b", "a\\b", ".", " .. ", "a\0b", "a\nb", &long,
    ];
    for bad in bad {
        fault(&add(json!({"subject": bad})), 400, 26);
    }
    fault(&add(json!({})), 400, 26);
    done(add(json!({"subject": "x".repeat(50)})), 201);
    done(
        delete(&server, &format!("{SUBJECTS}/{}", "X".repeat(50))),
        200,
    );
    let id = example(&server, "bob", 8);
    assert_eq!(names(&server), json!(["Ana", "bob"]));
    assert_eq!(
        get(&server, &format!("{SUBJECTS}/"))["subjects"],
        json!(["Ana", "bob"])
    );
    let rename = |from: &str, to: &str| {
        let path = format!("{SUBJECTS}/{from}");
        send(&server, ANY, "PUT", &path, &json!({"subject": to}))
    };
    let updated = |answer| done(answer, 200)["updated"].clone();
    assert_eq!(updated(rename("bob", "Bob")), false);
    assert_eq!(updated(rename("bob", "")), false);
    assert_eq!(updated(rename("BOB", "B C")), true);
    assert_eq!(updated(rename("b%20c", "ana")), true, "both become one");
    assert_eq!(names(&server), json!(["Ana"]));
    let page = get(&server, FACES);
    assert_eq!(page["faces"], json!([{"image_id": id, "subject": "Ana"}]));
    let nobody = fault(&rename("nobody", "x"), 404, 42);
    assert_eq!(nobody, "Subject nobody not found");
    for bad in ["a;b", "..", "\0"] {
        fault(&rename("ana", bad), 400, 26);
    }
    fault(&delete(&server, &format!("{SUBJECTS}/nobody")), 404, 42);
    let gone = done(delete(&server, &format!("{SUBJECTS}/aNa")), 200);
    assert_eq!(gone, json!({"subject": "Ana"}));
    assert_eq!(get(&server, FACES)["total_elements"], 0);
    done(add(ana), 201);
    example(&server, "Cleo", 4);
    for name in ["ANA", "Cleo"] {
        done(delete(&server, &format!("{SUBJECTS}/{name}")), 200);
    }
    assert_eq!(names(&server), json!([]));
}

#[test]
fn examples_are_put_in_listed_page_by_page_and_taken_out() {
    let mut server = open();
    let ids: Vec<_> = (1..=5)
        .map(|bright| example(&server, "Ana", bright * 4))
        .collect();
    let bob = example(&server, "Bob", 30);
    let page = |query: &str| get(&server, &format!("{FACES}?{query}"));
    let all = page("");
    let totals = |page: &Value| {
        let keys = ["total_pages", "total_elements", "page_number", "page_size"];
        keys.map(|key| page[key].as_u64().unwrap())
    };
    assert_eq!(totals(&all), [1, 6, 0, 20]);
    let two = page("&page=1&size=2&subject=ANA&sort=x");
    assert_eq!(totals(&two), [3, 5, 1, 2]);
    assert_eq!(two["faces"].as_array().unwrap().len(), 2);
    assert_eq!(page("subject=nobody")["faces"], json!([]));
    assert_eq!(page("page=7")["faces"], json!([]));
    for size in ["0", "10001"] {
        let told = fault(&asked(&server, &format!("{FACES}?size={size}")), 400, 26);
        assert_eq!(told, "size must be 1 to 10000");
    }
    let one = |id: &str| format!("{FACES}/{id}");
    let picture = asked(&server, &format!("{}/img", one(&bob)));
    assert_eq!(picture.header("content-type"), "application/octet-stream");
    assert_eq!(picture.header("cache-control"), "private, no-cache");
    assert_eq!(&picture.bytes[1..4], b"PNG");
    let none = asked(&server, &format!("{}/img", one(ANY)));
    assert_eq!((none.status, none.bytes.len()), (200, 0));
    let gone = done(delete(&server, &one(&bob)), 200);
    assert_eq!(gone, json!({"image_id": bob, "subject": "Bob"}));
    let missing = fault(&delete(&server, &one(&bob)), 404, 44);
    assert_eq!(missing, format!("Image {bob} not found"));
    fault(&delete(&server, &one("x")), 400, 36);
    assert_eq!(
        names(&server),
        json!(["Ana", "Bob"]),
        "a subject stays without examples"
    );
    let some = json!([ids[0], ANY, ids[1]]);
    let gone = done(post(&server, &format!("{FACES}/delete"), &some), 200);
    assert_eq!(gone.as_array().unwrap().len(), 2, "{gone}");
    server.restart_with(&[("compreface.collection", "faces")]);
    assert_eq!(names(&server), json!(["Ana", "Bob"]));
    let page = get(&server, FACES);
    assert_eq!(page["total_elements"], 3);
    example(&server, "BOB", 30);
    let people = server.get("/collections/faces/people").ok();
    assert_eq!(people["people"][1]["name"], "Bob");
    assert_eq!(people["people"][1]["faces"], 1, "{people}");
    let of = |subject: &str| delete(&server, &format!("{FACES}?subject={subject}"));
    assert_eq!(done(of("ana"), 200), json!({"deleted": 3}));
    assert_eq!(done(of("ana"), 200), json!({"deleted": 0}));
    assert_eq!(names(&server), json!(["Bob"]));
}

#[test]
fn an_example_must_be_one_face_in_a_picture_of_a_subject() {
    let server = open();
    let path = format!("{FACES}?subject=Ana");
    let told = |answer: Answer, code| fault(&answer, 400, code);
    let none = told(photo_to(&server, &path, &faceless()), 28);
    assert_eq!(none, "No face is found in the given image");
    let two = told(photo_to(&server, &path, &group(&[4, 20])), 31);
    assert_eq!(two, "More than one face in the source image");
    let sure = format!("{path}&det_prob_threshold=0.995");
    told(photo_to(&server, &sure, &photo(4)), 28);
    let missing = told(photo_to(&server, FACES, &photo(4)), 33);
    assert_eq!(missing, "Required parameter subject is missing");
    for bad in ["%20", "..", "%00", "a%0Ab"] {
        let path = format!("{FACES}?subject={bad}");
        told(photo_to(&server, &path, &photo(4)), 26);
    }
    let part = upload(&server, ANY, &path, &[("image", "a.png", b"text")]);
    assert_eq!(told(part, 34), "Required part file is missing");
    let name = upload(&server, ANY, &path, &[("file", "a.txt", &photo(4))]);
    assert_eq!(told(name, 21), "File [a.txt] has an unavailable extension");
    told(upload(&server, ANY, &path, &[("file", "", &photo(4))]), 21);
    told(photo_to(&server, &path, b"no picture"), 0);
    told(photo_to(&server, &path, &photo(4)[..60]), 0);
    told(post(&server, &path, &json!({"file": "no base64!"})), 21);
    told(post(&server, &path, &json!({})), 34);
    let plain = [("x-api-key", ANY), ("content-type", "text/plain")];
    told(server.send("POST", &path, &plain, b"x"), 0);
    assert_eq!(
        names(&server),
        json!([]),
        "nothing is left of what was refused"
    );
    let photo = BASE64_STANDARD.encode(photo(4));
    done(
        post(&server, &path, &json!({"file": photo, "other": 1})),
        201,
    );
    let upper = upload(&server, ANY, &path, &[("file", "A.JPG", &group(&[9]))]);
    done(upper, 201);
}

#[test]
fn what_comes_in_on_one_side_is_found_on_the_other() {
    let server = open();
    let path = format!("{FACES}?subject=Ana%20Mar%C3%ADa");
    let added = done(photo_to(&server, &path, &photo(6)), 201);
    assert_eq!(added["subject"], "Ana María");
    let id = added["image_id"].as_str().unwrap().to_owned();
    let faces = server.form("/collections/faces/faces/search", &[("image", &photo(6))]);
    let faces = faces.ok();
    assert_eq!(faces["faces"][0]["hits"][0]["id"], id.as_str());
    assert_eq!(faces["faces"][0]["hits"][0]["person"], "Ana María");
    let parts: [(&str, &[u8]); 2] = [("image", &photo(28)), ("person", b"Bob")];
    server.form("/collections/faces/faces", &parts).ok();
    let unnamed: [(&str, &[u8]); 1] = [("image", &photo(27))];
    server.form("/collections/faces/faces", &unnamed).ok();
    let path = format!("{RECOGNIZE}?prediction_count=3");
    let found = done(photo_to(&server, &path, &photo(27)), 200);
    let subjects = found["result"][0]["subjects"].as_array().unwrap().clone();
    let told: Vec<_> = subjects
        .iter()
        .map(|it| it["subject"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        ["Bob", "Ana María"],
        "a face without a name is no subject's"
    );
    let patch = json!({"name": "Bob", "ignored": true});
    server
        .json("PATCH", "/collections/faces/people", &patch)
        .ok();
    let found = done(photo_to(&server, &path, &photo(27)), 200);
    assert_eq!(found["result"][0]["subjects"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, FACES)["total_elements"], 2);
    server.delete("/collections/faces/faces?person=Bob").ok();
    assert_eq!(names(&server), json!(["Ana María"]));
    done(
        delete(&server, &format!("{SUBJECTS}/Ana%20Mar%C3%ADa")),
        200,
    );
    let left = server
        .post("/collections/faces/points/count", &json!({}))
        .ok();
    assert_eq!(left["count"], 1, "a face without a name stays");
}

#[test]
fn the_first_example_of_a_subject_takes_no_points_out_that_have_more_than_the_name() {
    let server = open();
    done(post(&server, SUBJECTS, &json!({"subject": "Ana"})), 201);
    let points = json!({"points": [
        {"id": 1, "vector": {}, "payload": {"person": "Ana", "note": "a vector may come"}},
        {"id": 2, "vector": {}, "payload": {"person": ["Ana", "Bob"]}},
    ]});
    let path = "/collections/faces/points?wait=true";
    server.json("PUT", path, &points).ok();
    let count = || {
        let count = server.post("/collections/faces/points/count", &json!({}));
        count.ok()["count"].clone()
    };
    assert_eq!(count(), 3);
    let first = example(&server, "Ana", 6);
    assert_eq!(count(), 3, "the mere name is gone, and nothing else");
    // A face whose vector is of a model that is used no more is one all the same.
    let without = json!({"points": [first], "vector": [""]});
    let path = "/collections/faces/points/vectors/delete?wait=true";
    server.post(path, &without).ok();
    example(&server, "Ana", 9);
    assert_eq!(count(), 4);
}

#[test]
fn who_is_named_twice_or_beside_nobody_is_alone() {
    let server = open();
    for person in [json!(["Ana", "Ana"]), json!(["Ana", null])] {
        let give = |id: &str| {
            let body = json!({"points": [id], "payload": {"person": person}});
            let path = "/collections/faces/points/payload?wait=true";
            server.post(path, &body).ok();
        };
        let one = example(&server, "Ana", 6);
        give(&one);
        assert_eq!(get(&server, FACES)["faces"].as_array().unwrap().len(), 1);
        done(delete(&server, &format!("{FACES}/{one}")), 200);
        give(&example(&server, "Ana", 9));
        let gone = done(delete(&server, &format!("{FACES}?subject=Ana")), 200);
        assert_eq!(gone, json!({"deleted": 1}), "{person}");
    }
}

#[test]
fn a_subject_whose_examples_are_of_others_too_is_not_told_to_be_gone() {
    let server = open();
    let shared = example(&server, "Ana", 6);
    example(&server, "Ana", 9);
    let body = json!({"points": [shared], "payload": {"person": ["Ana", "Bob"]}});
    server
        .post("/collections/faces/points/payload?wait=true", &body)
        .ok();
    for path in [format!("{SUBJECTS}/Ana"), format!("{FACES}?subject=Ana")] {
        let told = fault(&delete(&server, &path), 400, 0);
        assert!(told.contains("1 of the 2 points"), "{told}");
    }
    let path = "/collections/faces/faces?person=Ana&of_several=keep";
    server.delete(path).ok();
    let count = server.post("/collections/faces/points/count", &json!({}));
    assert_eq!(count.ok()["count"], 1, "the one of both");
}

#[test]
fn a_face_of_several_people_is_listed_and_recognized_under_the_name_of_each() {
    let server = open();
    let shared = example(&server, "Ana", 6);
    let own = example(&server, "Ana", 28);
    let body = json!({"points": [shared], "payload": {"person": ["Ana", "Bob"]}});
    server
        .post("/collections/faces/points/payload?wait=true", &body)
        .ok();
    let listed = |query: &str| {
        let faces = get(&server, &format!("{FACES}{query}"))["faces"].clone();
        let faces = faces.as_array().unwrap().iter().map(|it| {
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            (text("image_id"), text("subject"))
        });
        let mut faces: Vec<_> = faces.collect();
        faces.sort();
        faces
    };
    let told = |id: &str, subject: &str| (id.to_owned(), subject.to_owned());
    let (of_ana, of_bob) = (told(&shared, "Ana"), told(&shared, "Bob"));
    let mut all = vec![of_ana.clone(), of_bob.clone(), told(&own, "Ana")];
    all.sort();
    assert_eq!(listed(""), all);
    assert_eq!(listed("?subject=bob"), [of_bob]);
    assert_eq!(listed("?subject=Ana").len(), 2);
    let recognized = |query: &str| {
        let path = format!("{RECOGNIZE}{query}");
        let found = done(photo_to(&server, &path, &photo(6)), 200);
        let subjects = found["result"][0]["subjects"].as_array().unwrap().clone();
        let subjects = subjects.iter().map(|it| it["subject"].clone());
        subjects.collect::<Vec<_>>()
    };
    assert_eq!(recognized(""), ["Ana"]);
    assert_eq!(recognized("?prediction_count=3"), ["Ana", "Bob", "Ana"]);
    let path = format!("{FACES}/{shared}");
    let alike = done(photo_to(&server, &format!("{path}/verify"), &photo(6)), 200);
    assert_eq!(alike["result"][0]["subject"], "Ana, Bob");
    // Neither can take the other's out.
    let why = fault(&delete(&server, &path), 400, 36);
    assert!(why.contains("of 2 subjects, `Ana`, `Bob`"), "{why}");
    let both = json!([own, shared]);
    fault(&post(&server, &format!("{FACES}/delete"), &both), 400, 36);
    assert_eq!(listed(""), all, "all of it is there still");
}

#[test]
fn what_is_not_safe_is_off_and_says_so() {
    let server = open();
    example(&server, "Ana", 4);
    for path in [FACES.to_owned(), format!("{FACES}?subject=")] {
        let told = fault(&delete(&server, &path), 400, 33);
        assert_eq!(told, "Required parameter subject is missing");
    }
    // Both clients have a method that asks for it.
    for path in [SUBJECTS.to_owned(), format!("{SUBJECTS}?subject=Ana")] {
        let told = fault(&delete(&server, &path), 403, 0);
        assert!(told.contains("subjects/{subject}"), "{told}");
    }
    assert_eq!(get(&server, FACES)["total_elements"], 1);
    let migrate = server.post("/api/v1/migrate", &json!({}));
    assert!(fault(&migrate, 501, 0).contains("reembed"));
    let picture = server.get(&format!("/api/v1/static/{ANY}/images/{ANY}"));
    assert!(fault(&picture, 501, 0).contains("x-api-key"));
    let patch = send(&server, ANY, "PATCH", SUBJECTS, &json!({}));
    assert_eq!(
        fault(&patch, 404, 0),
        "Request method 'PATCH' not supported"
    );
    let config = server.get("/api/v1/config").body();
    assert_eq!(config["clientMaxFileSize"], 64 << 20);
    let status = server.get("/api/v1/consistence/status").body();
    assert_eq!(status["saveImagesToDB"], true);
    assert_eq!(status["dbIsInconsistent"], false);
}

#[test]
fn photos_are_not_kept_where_the_settings_say_so() {
    let settings = [
        ("compreface.collection", "faces"),
        ("compreface.keep_photos", "false"),
    ];
    let server = Server::start_with(&settings, fake());
    let id = example(&server, "Ana", 4);
    let path = format!("{FACES}/{id}/img");
    let crop = asked(&server, &path);
    assert_eq!(&crop.bytes[..2], [0xff, 0xd8], "the crop, a JPEG");
    let status = server.get("/api/v1/consistence/status").body();
    assert_eq!(status["saveImagesToDB"], false);
}
