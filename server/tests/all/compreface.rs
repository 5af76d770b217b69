//! CompreFace's API over HTTP: what its clients are told, and that it is the same people and faces as
//! this server's own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::common::{Answer, Server, faceless, fake, group, photo};

/// Any UUID is good for a server without keys.
const ANY: &str = "00000000-0000-0000-0000-000000000002";
const ROOT: &str = "the-key-of-the-settings";
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

fn get(server: &Server, path: &str) -> Value {
    done(send(server, ANY, "GET", path, &Value::Null), 200)
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
        let answer = send(&server, ANY, "GET", path, &Value::Null);
        answer.refused(404);
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
    for bad in ["", " ", "a;b", "a/b", "a\\b", &"x".repeat(51)] {
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
    fault(&rename("ana", "a;b"), 400, 26);
    fault(&delete(&server, &format!("{SUBJECTS}/nobody")), 404, 42);
    let gone = done(delete(&server, &format!("{SUBJECTS}/aNa")), 200);
    assert_eq!(gone, json!({"subject": "Ana"}));
    assert_eq!(get(&server, FACES)["total_elements"], 0);
    done(add(ana), 201);
    example(&server, "Cleo", 4);
    assert_eq!(done(delete(&server, SUBJECTS), 200), json!({"deleted": 2}));
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
    fault(
        &send(
            &server,
            ANY,
            "GET",
            &format!("{FACES}?size=0"),
            &Value::Null,
        ),
        400,
        26,
    );
    let one = |id: &str| format!("{FACES}/{id}");
    let picture = send(
        &server,
        ANY,
        "GET",
        &format!("{}/img", one(&bob)),
        &Value::Null,
    );
    assert_eq!(picture.header("content-type"), "application/octet-stream");
    assert_eq!(picture.header("cache-control"), "private, no-cache");
    assert_eq!(&picture.bytes[1..4], b"PNG");
    let none = send(
        &server,
        ANY,
        "GET",
        &format!("{}/img", one(ANY)),
        &Value::Null,
    );
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
    told(
        photo_to(&server, &format!("{FACES}?subject=%20"), &photo(4)),
        26,
    );
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
    done(delete(&server, SUBJECTS), 200);
    let left = server
        .post("/collections/faces/points/count", &json!({}))
        .ok();
    assert_eq!(left["count"], 1, "a face without a name stays");
}

#[test]
fn faces_are_recognized_detected_and_verified_with_what_was_asked_of_them() {
    let server = open();
    let empty = done(photo_to(&server, RECOGNIZE, &photo(4)), 200);
    assert_eq!(empty["result"][0]["subjects"], json!([]));
    let (ana, _) = (example(&server, "Ana", 4), example(&server, "Ana", 6));
    example(&server, "Bob", 28);
    let plain = done(photo_to(&server, RECOGNIZE, &group(&[4, 28])), 200);
    let faces = plain["result"].as_array().unwrap();
    assert_eq!(faces.len(), 2, "{plain}");
    let mut keys: Vec<_> = faces[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["box", "subjects"]);
    assert_eq!(
        faces[0]["subjects"],
        json!([{"subject": "Ana", "similarity": 1.0}])
    );
    assert_eq!(
        faces[0]["box"],
        json!({"probability": 0.99, "x_max": 32, "y_max": 32, "x_min": 0, "y_min": 0})
    );
    assert_eq!(plain.as_object().unwrap().len(), 1, "{plain}");
    let query = "&limit=1&det_prob_threshold=0.8&prediction_count=3&\
        face_plugins=age,gender,landmarks,calculator,pose,mask&status=True";
    let full = done(
        photo_to(&server, &format!("{RECOGNIZE}?{query}"), &group(&[4, 28])),
        200,
    );
    let [face] = full["result"].as_array().unwrap().as_slice() else {
        panic!("{full}")
    };
    let subjects = face["subjects"].as_array().unwrap().iter();
    let subjects: Vec<_> = subjects.map(|it| it["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["Ana", "Ana", "Bob"], "the nearest examples");
    assert_eq!(face["landmarks"][0], json!([10, 13]));
    assert_eq!(face["embedding"].as_array().unwrap().len(), 128);
    assert!(face["pose"]["yaw"].is_number() && face["execution_time"]["detector"].is_number());
    assert_eq!(face.get("age"), None);
    assert_eq!(
        full["unsupported_plugins"],
        json!(["age", "gender", "mask"])
    );
    assert_eq!(
        full["plugins_versions"]["calculator"],
        "fake-128.Calculator"
    );
    fault(&photo_to(&server, RECOGNIZE, &faceless()), 400, 28);
    for query in ["limit=-1", "prediction_count=0", "det_prob_threshold=2"] {
        let path = format!("{RECOGNIZE}?{query}");
        fault(&photo_to(&server, &path, &photo(4)), 400, 26);
    }
    let crop = format!("{RECOGNIZE}?detect_faces=false");
    fault(&photo_to(&server, &crop, &photo(4)), 400, 36);

    let detect = "/api/v1/detection/detect";
    let detected = done(photo_to(&server, detect, &group(&[4, 28])), 200);
    assert_eq!(detected["result"].as_array().unwrap().len(), 2);
    assert_eq!(detected["result"][0].as_object().unwrap().len(), 1);
    fault(&photo_to(&server, detect, &faceless()), 400, 28);

    let of = |id: &str| format!("{FACES}/{id}/verify?limit=1");
    let alike = done(photo_to(&server, &of(&ana), &photo(4)), 200);
    assert_eq!(alike["result"][0]["subject"], "Ana");
    assert_eq!(alike["result"][0]["similarity"], 1.0);
    let nobody = done(photo_to(&server, &of(ANY), &photo(4)), 200);
    assert_eq!(nobody["result"][0]["subject"], "");
    assert_eq!(nobody["result"][0]["similarity"], 0.0);

    let verify = "/api/v1/verification/verify";
    let pair = |source: &[u8], target: &[u8]| {
        let files = [
            ("source_image", "a.png", source),
            ("target_image", "b.png", target),
        ];
        upload(&server, ANY, verify, &files)
    };
    let compared = done(pair(&photo(4), &group(&[4, 28])), 200);
    let [only] = compared["result"].as_array().unwrap().as_slice() else {
        panic!("{compared}")
    };
    assert!(only["source_image_face"]["box"].is_object());
    assert_eq!(only["face_matches"][0]["similarity"], 1.0);
    assert!(only["face_matches"][1]["similarity"].as_f64().unwrap() < 1.0);
    fault(&pair(&group(&[4, 28]), &photo(4)), 400, 31);
    fault(&pair(&faceless(), &photo(4)), 400, 28);
    fault(&pair(&photo(4), &faceless()), 400, 28);
    let half = upload(
        &server,
        ANY,
        verify,
        &[("source_image", "a.png", &photo(4))],
    );
    assert_eq!(
        fault(&half, 400, 34),
        "Required part target_image is missing"
    );

    the_same_by_vectors(&server, &ana, &face["embedding"]);
}

fn the_same_by_vectors(server: &Server, ana: &str, embedding: &Value) {
    let mut other = vec![0.0; 128];
    other[0] = 3.0;
    let both = json!({"embeddings": [other, embedding]});
    let path = "/api/v1/recognition/embeddings/recognize";
    let counted = format!("{path}?prediction_count=2");
    let found = done(post(server, &counted, &both), 200);
    assert_eq!(found["result"][1]["embedding"], *embedding);
    assert_eq!(
        found["result"][1]["similarities"][0],
        json!({"subject": "Ana", "similarity": 1.0})
    );
    assert_eq!(
        found["result"][1]["similarities"].as_array().unwrap().len(),
        2
    );
    for nothing in [json!({}), json!({"embeddings": []})] {
        let told = fault(&post(server, path, &nothing), 400, 5);
        assert_eq!(told, "Field embeddings cannot be empty");
    }
    fault(
        &post(server, path, &json!({"embeddings": [[1.0]]})),
        400,
        36,
    );
    fault(
        &post(server, path, &json!({"embeddings": [vec![0.0; 128]]})),
        400,
        36,
    );
    let path = format!("/api/v1/recognition/embeddings/faces/{ana}/verify");
    let found = done(post(server, &path, &both), 200);
    assert_eq!(
        found["result"][0]["embedding"], *embedding,
        "most alike first"
    );
    assert_eq!(found["result"][0]["similarity"], 1.0);
    let path = "/api/v1/verification/embeddings/verify";
    let body = json!({"source": embedding, "targets": [other, embedding]});
    let found = done(post(server, path, &body), 200);
    assert_eq!(
        found["result"][0],
        json!({"embedding": embedding, "similarity": 1.0})
    );
    fault(
        &post(server, path, &json!({"source": [], "targets": [other]})),
        400,
        5,
    );
    fault(&post(server, path, &json!({"source": other})), 400, 5);
}

#[test]
fn what_is_not_safe_is_off_and_says_so() {
    let server = open();
    example(&server, "Ana", 4);
    for path in [FACES.to_owned(), format!("{FACES}?subject=")] {
        let told = fault(&delete(&server, &path), 400, 33);
        assert_eq!(told, "Required parameter subject is missing");
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
    let crop = send(&server, ANY, "GET", &path, &Value::Null);
    assert_eq!(&crop.bytes[..2], [0xff, 0xd8], "the crop, a JPEG");
    let status = server.get("/api/v1/consistence/status").body();
    assert_eq!(status["saveImagesToDB"], false);
}

fn made(server: &Server, body: &Value) -> String {
    let headers = [("api-key", ROOT), ("content-type", "application/json")];
    let made = server.send("POST", "/admin/keys", &headers, body.to_string().as_bytes());
    made.ok()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_takes_a_key_of_its_service_with_its_scope_and_no_other() {
    let settings = [("compreface.collection", "faces"), ("api_key", ROOT)];
    let server = Server::start_with(&settings, fake());
    let scopes = ["search", "read", "write", "delete", "images", "metrics"];
    let services = ["recognition", "detection", "verification"];
    let mut keys = Vec::new();
    for service in services {
        for scope in scopes {
            let body = json!({"name": scope, "scopes": [scope], "compreface": service});
            keys.push((service, scope, made(&server, &body)));
        }
    }
    let plain = made(&server, &json!({"name": "plain", "scopes": ["read"]}));
    let nobodys = "11111111-2222-4333-8444-555555555555";
    let document = server.get("/openapi.json").body();
    let mut judged = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            continue;
        };
        let own = rest.split('/').next().unwrap();
        let place = path.replace("{id}", ANY).replace("{subject}", "nobody");
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            if operation["security"] == json!([]) {
                assert_eq!(server.send(&method, &place, &[], &[]).status, 200, "{path}");
                continue;
            }
            let needed = operation["security"][0]["serviceKey"][0].as_str().unwrap();
            let missing = fault(&server.send(&method, &place, &[], &[]), 400, 20);
            assert_eq!(missing, "Missing header: x-api-key");
            for bad in ["x", &plain, ROOT] {
                let told = send(&server, bad, &method, &place, &Value::Null);
                assert_eq!(fault(&told, 400, 26), "Service API key should be UUID");
            }
            let told = send(&server, nobodys, &method, &place, &Value::Null);
            let told = fault(&told, 404, 10);
            let service = format!("{}{}", own[..1].to_uppercase(), &own[1..]);
            assert_eq!(
                told,
                format!("{service} service with API Key {nobodys} not found")
            );
            for (service, scope, secret) in &keys {
                let answer = send(&server, secret, &method, &place, &Value::Null);
                let place = format!("{method} {path}: {service}, {scope}: {}", answer.text());
                if *service != own {
                    assert_eq!(
                        (answer.status, &answer.body()["code"]),
                        (404, &json!(10)),
                        "{place}"
                    );
                } else if *scope == needed {
                    assert_ne!(answer.status, 403, "{place}");
                    let code =
                        &serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default()["code"];
                    assert!(*code != 10 && *code != 20 && *code != 26, "{place}");
                } else {
                    assert!(
                        fault(&answer, 403, 0).contains("lacks the scope"),
                        "{place}"
                    );
                }
                judged += 1;
            }
        }
    }
    assert!(judged > 300, "{judged}");
}

#[test]
fn a_key_for_a_collection_works_on_that_one_and_shows_vectors_only_with_the_scope() {
    let root = "abcdefab-0000-4000-8000-000000000001";
    let settings = [("compreface.collection", "faces"), ("api_key", root)];
    let server = Server::start_with(&settings, fake());
    let own = |method: &str, path: &str, body: &Value| {
        let headers = [("api-key", root), ("content-type", "application/json")];
        server.send(method, path, &headers, body.to_string().as_bytes())
    };
    own("PUT", "/collections/cats", &json!({"embedder": "fake-128"})).ok();
    let key = |body: Value| own("POST", "/admin/keys", &body);
    let all = ["search", "read", "write", "delete", "images"];
    let cats = json!({"name": "cats", "scopes": all, "collections": ["cats"], "compreface": "recognition"});
    let made = key(cats.clone()).ok();
    assert_eq!(made["key"]["compreface"], "recognition");
    let cats = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(cats.len(), 36);
    let two =
        json!({"name": "x", "scopes": all, "collections": ["a", "b"], "compreface": "recognition"});
    assert!(key(two).refused(400).contains("one collection"));
    key(json!({"name": "x", "scopes": all, "compreface": "faces"})).refused(400);
    let path = format!("{FACES}?subject=Tom");
    let added = upload(&server, &cats, &path, &[("file", "a.png", &photo(4))]);
    done(added, 201);
    let listed = |key: &str| done(send(&server, key, "GET", SUBJECTS, &Value::Null), 200);
    assert_eq!(listed(&cats)["subjects"], json!(["Tom"]));
    assert_eq!(
        listed(&root.to_uppercase())["subjects"],
        json!([]),
        "that of the settings"
    );
    let path = format!("{RECOGNIZE}?face_plugins=calculator");
    let shown = upload(&server, &cats, &path, &[("file", "a.png", &photo(4))]);
    assert!(fault(&shown, 403, 0).contains("embeddings"));
    let revoked = format!("/admin/keys/{}", made["key"]["id"].as_str().unwrap());
    own("DELETE", &revoked, &Value::Null).ok();
    fault(
        &send(&server, &cats, "GET", SUBJECTS, &Value::Null),
        404,
        10,
    );
    let dir = server.stop();
    let kept = std::fs::read_to_string(dir.path().join("data/KEYS"));
    assert!(!kept.unwrap_or_default().contains(&cats));
}

#[test]
fn the_trail_tells_who_changed_something_and_no_name_and_too_many_are_told_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("compreface.collection", "faces"),
        ("audit.dir", folder.path().to_str().unwrap()),
        ("api_key", ROOT),
        ("server.requests_per_key_s", "2"),
    ];
    let server = Server::start_with(&settings, fake());
    let scopes = ["read", "write", "delete"];
    let body = json!({"name": "cam", "scopes": scopes, "compreface": "recognition"});
    let key = made(&server, &body);
    let path = format!("{SUBJECTS}/Secret_Name");
    fault(&send(&server, &key, "DELETE", &path, &Value::Null), 404, 42);
    fault(&send(&server, ANY, "DELETE", &path, &Value::Null), 404, 10);
    let mut last = send(&server, &key, "GET", SUBJECTS, &Value::Null);
    for _ in 0..10 {
        last = send(&server, &key, "GET", SUBJECTS, &Value::Null);
        if last.status == 429 {
            break;
        }
    }
    assert!(fault(&last, 429, 0).contains("requests_per_key_s"));
    assert_eq!(last.header("retry-after"), "1");
    drop(server);
    let trail = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = trail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let deletes: Vec<_> = lines.iter().filter(|it| it["method"] == "DELETE").collect();
    let [line] = deletes.as_slice() else {
        panic!("{trail}")
    };
    assert_eq!(line["path"], "/api/v1/recognition/subjects/{subject}");
    assert_eq!(line["key"][1], "cam");
    assert!(!trail.contains("Secret_Name"), "{trail}");
}
