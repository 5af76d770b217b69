//! Keys of its services: what they are good for, and what is told of those who show them.

use serde_json::{Value, json};

use super::{ANY, FACES, RECOGNIZE, SUBJECTS, done, fault, send, upload};
use crate::common::{Server, fake, photo};

const ROOT: &str = "the-key-of-the-settings";

fn made(server: &Server, body: &Value) -> String {
    let headers = [("api-key", ROOT), ("content-type", "application/json")];
    let made = server.send("POST", "/admin/keys", &headers, body.to_string().as_bytes());
    made.ok()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_not_there_is_told_in_the_form_of_compreface_with_and_without_keys() {
    let settings = [("compreface.collection", "faces"), ("api_key", ROOT)];
    let (open, kept) = (super::open(), Server::start_with(&settings, fake()));
    let key = json!({"name": "one", "scopes": ["read"], "compreface": "recognition"});
    let key = made(&kept, &key);
    let nobodys = "11111111-2222-4333-8444-555555555555";
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/recognition/nothing/at/all",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let told = fault(&send(&open, ANY, method, path, &Value::Null), 404, 0);
            assert_eq!(told, "there is nothing at this path", "{method} {path}");
        }
    }
    let nothing = "/api/v1/recognition/nothing";
    let asked = |key, path: &str| send(&kept, key, "GET", path, &Value::Null);
    fault(&asked(&key, nothing), 404, 0);
    fault(&asked(nobodys, nothing), 404, 10);
    fault(&asked(&key, "/api/v1/detection/nothing"), 404, 10);
    fault(&kept.send("GET", nothing, &[], &[]), 400, 20);
    fault(&asked(&key, "/api/v1/nothing"), 401, 0);
    let root = [("api-key", ROOT)];
    fault(&kept.send("GET", "/api/v1/nothing", &root, &[]), 404, 0);
    // Elsewhere, and where that API is off, it is told as ever.
    send(&open, ANY, "GET", "/api/v10/nothing", &Value::Null).refused(404);
    let off = Server::start();
    off.get("/api/v1/nothing").refused(404);
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
