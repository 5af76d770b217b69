//! Keys with scopes over HTTP: every route refuses every key that is not good for it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use common::{Answer, Server, fake, photo};
use serde_json::{Value, json};

pub(crate) const ROOT: (&str, &str) = ("api-key", "the-key-of-the-settings");
pub(crate) const SCOPES: [&str; 9] = [
    "search",
    "read",
    "write",
    "delete",
    "images",
    "embeddings",
    "metrics",
    "admin:jobs",
    "admin:keys",
];

fn locked() -> Server {
    Server::start_with(&[("api_key", ROOT.1)], fake())
}

pub(crate) fn send(
    server: &Server,
    key: (&str, &str),
    method: &str,
    path: &str,
    body: &Value,
) -> Answer {
    let headers = [key, ("content-type", "application/json")];
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    server.send(method, path, &headers, body.as_bytes())
}

/// Makes a key with the one of the settings; returns its secret and its id.
fn made(server: &Server, body: &Value) -> (String, String) {
    let mut made = send(server, ROOT, "POST", "/admin/keys", body).ok();
    let text = |value: Value| value.as_str().unwrap().to_owned();
    (text(made["secret"].take()), text(made["key"]["id"].take()))
}

#[test]
fn every_route_refuses_every_key_that_is_not_good_for_it() {
    let server = locked();
    let keys = SCOPES.map(|scope| {
        let body = json!({"name": scope, "scopes": [scope]});
        (scope, made(&server, &body).0)
    });
    let document = server.get("/openapi.json").body();
    let mut judged = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| match part {
            "{id}" => "1",
            part if part.starts_with('{') => "nobody",
            part => part,
        });
        let place = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let ways = operation["security"].as_array().unwrap();
            let Some(way) = ways.iter().find(|way| way.get("apiKey").is_some()) else {
                let open = server.send(&method, &place, &[], &[]).status;
                assert!(open != 401 && open != 403, "{method} {path}");
                continue;
            };
            assert_eq!(server.send(&method, &place, &[], &[]).status, 401, "{path}");
            let needed = way["apiKey"].as_array().unwrap();
            assert!(!needed.is_empty(), "{method} {path}");
            for (scope, secret) in &keys {
                let good = needed.iter().all(|it| it == scope);
                let answer = server.send(&method, &place, &[("api-key", secret)], &[]);
                assert_eq!(answer.status != 403, good, "{method} {path} with {scope}");
                assert_ne!(answer.status, 401, "{method} {path} with {scope}");
                if !good {
                    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
                    assert!(
                        answer.text().contains("lacks the scope"),
                        "{}",
                        answer.text()
                    );
                }
                judged += 1;
            }
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn a_key_is_shown_in_a_header_and_never_in_a_url() {
    let document = locked().get("/openapi.json").body();
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .unwrap();
    for (name, scheme) in schemes {
        let bearer = (scheme["type"] == "http").then_some("bearer");
        let place = scheme["in"].as_str().or(bearer);
        assert!(
            matches!(place, Some("header" | "bearer")),
            "{name}: {scheme}"
        );
    }
    let operations = document["paths"].as_object().unwrap().values();
    for operation in operations.flat_map(|it| it.as_object().unwrap().values()) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap().to_lowercase();
            let secret = [
                "api_key", "apikey", "api-key", "token", "secret", "password",
            ];
            assert!(!secret.iter().any(|it| name.contains(it)), "{parameter}");
        }
    }
}

#[test]
fn vectors_are_shown_only_to_keys_that_may_see_them() {
    let server = locked();
    let body = json!({"vectors": {"size": 2, "distance": "Dot"}});
    send(&server, ROOT, "PUT", "/collections/v", &body).ok();
    let points = json!({"points": [{"id": 1, "vector": [1.0, 2.0], "payload": {"a": 1}}]});
    send(&server, ROOT, "PUT", "/collections/v/points", &points).ok();
    let (blind, _) = made(
        &server,
        &json!({"name": "blind", "scopes": ["search", "read"]}),
    );
    let (seeing, _) = made(
        &server,
        &json!({"name": "seeing", "scopes": ["search", "read", "embeddings"]}),
    );
    let asks = [
        ("points/search", json!({"vector": [1.0, 0.0], "limit": 1})),
        ("points/query", json!({"query": [1.0, 0.0], "limit": 1})),
        ("points/query", json!({"query": 1, "limit": 1})),
        (
            "points/query/batch",
            json!({"searches": [{"query": [1.0, 0.0]}]}),
        ),
        ("points/recommend", json!({"positive": [1], "limit": 1})),
        ("points/scroll", json!({"limit": 1})),
        ("points", json!({"ids": [1]})),
    ];
    for (path, body) in asks {
        let path = format!("/collections/v/{path}");
        send(&server, ("api-key", &blind), "POST", &path, &body).ok();
        let mut shown = body.clone();
        match shown.get_mut("searches") {
            Some(searches) => searches[0]["with_vector"] = json!(true),
            None => shown["with_vector"] = json!(true),
        }
        let refused = send(&server, ("api-key", &blind), "POST", &path, &shown).refused(403);
        assert!(refused.contains("`embeddings`"), "{path}: {refused}");
        send(&server, ("api-key", &seeing), "POST", &path, &shown).ok();
    }
    let one = |key: &str| {
        send(
            &server,
            ("api-key", key),
            "GET",
            "/collections/v/points/1",
            &Value::Null,
        )
        .ok()
    };
    assert_eq!(one(&blind).get("vector"), None);
    assert_eq!(one(&seeing)["vector"], json!([1.0, 2.0]));
}

#[test]
fn a_batch_deletes_only_with_the_scope_for_it() {
    let server = locked();
    let body = json!({"vectors": {"size": 2, "distance": "Dot"}});
    send(&server, ROOT, "PUT", "/collections/v", &body).ok();
    let (writer, _) = made(&server, &json!({"name": "writer", "scopes": ["write"]}));
    let put = json!({"upsert": {"points": [{"id": 1, "vector": [1.0, 2.0]}]}});
    let batch = "/collections/v/points/batch";
    let both = json!({"operations": [put.clone(), {"delete": {"points": [1]}}]});
    let refused = send(&server, ("api-key", &writer), "POST", batch, &both).refused(403);
    assert!(refused.contains("`delete`"), "{refused}");
    let count = |server: &Server| {
        send(
            server,
            ROOT,
            "POST",
            "/collections/v/points/count",
            &json!({}),
        )
        .ok()
    };
    assert_eq!(
        count(&server)["count"],
        0,
        "half of a refused batch was written"
    );
    let only = json!({"operations": [put]});
    send(&server, ("api-key", &writer), "POST", batch, &only).ok();
    assert_eq!(count(&server)["count"], 1);
    let patch = |body| {
        send(
            &server,
            ("api-key", &writer),
            "PATCH",
            "/collections/v",
            &body,
        )
    };
    let refused = patch(json!({"ttl_s": 1})).refused(403);
    assert!(refused.contains("`delete`"), "{refused}");
    patch(json!({"ttl_s": 0})).ok();
    // Nor by making it once more; one that is new has nobody's points in it yet.
    let again = json!({"vectors": {"size": 2, "distance": "Dot"}, "ttl_s": 1});
    let put = |name: &str| {
        let path = format!("/collections/{name}");
        send(&server, ("api-key", &writer), "PUT", &path, &again)
    };
    put("v").refused(409);
    put("w").ok();
    let told = |name: &str| {
        let path = format!("/collections/{name}");
        send(&server, ROOT, "GET", &path, &Value::Null).ok()["ttl_s"].clone()
    };
    assert_eq!((told("v"), told("w")), (Value::Null, json!(1)));
}

#[test]
fn a_key_for_one_collection_sees_that_one_only() {
    let server = locked();
    for name in ["mine", "other"] {
        let body = json!({"embedder": "fake-128"});
        send(&server, ROOT, "PUT", &format!("/collections/{name}"), &body).ok();
    }
    let scopes = SCOPES.map(|scope| match scope {
        // Which tells of all collections.
        "metrics" => "read",
        other => other,
    });
    let limits = json!({"name": "mine", "scopes": scopes, "collections": ["mine"]});
    let (secret, _) = made(&server, &limits);
    let key = ("api-key", secret.as_str());
    let listed = send(&server, key, "GET", "/collections", &Value::Null).ok();
    let names = listed["collections"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| &it["name"]).collect();
    assert_eq!(names, ["mine"]);
    send(&server, key, "GET", "/collections/mine", &Value::Null).ok();
    for (method, path) in [
        ("GET", "/collections/other"),
        ("DELETE", "/collections/other"),
        ("POST", "/collections/other/points/scroll"),
        ("GET", "/collections/%6fther"),
        ("GET", "/snapshots"),
        ("POST", "/collections/aliases"),
        ("GET", "/telemetry"),
        ("POST", "/admin/collections/other/purge"),
        ("POST", "/admin/checkpoint"),
    ] {
        let answer = send(&server, key, method, path, &json!({}));
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
    let (content_type, photo) = (("content-type", "image/png"), photo(4));
    let path = "/faces/detect";
    let seen = server.send("POST", path, &[key, content_type], &photo);
    seen.ok();
}

#[test]
fn no_key_makes_or_revokes_one_that_may_do_more() {
    let server = locked();
    let body = json!({"name": "keeper", "scopes": ["read", "admin:keys"], "collections": ["a"]});
    let (keeper, _) = made(&server, &body);
    let (writer, writer_id) = made(&server, &json!({"name": "w", "scopes": ["write"]}));
    let key = ("api-key", keeper.as_str());
    for more in [
        json!({"name": "x", "scopes": ["write"], "collections": ["a"]}),
        json!({"name": "x", "scopes": ["read"]}),
        json!({"name": "x", "scopes": ["read"], "collections": ["a", "b"]}),
    ] {
        let refused = send(&server, key, "POST", "/admin/keys", &more).refused(403);
        assert!(refused.contains("would have"), "{refused}");
    }
    let path = format!("/admin/keys/{writer_id}");
    send(&server, key, "DELETE", &path, &Value::Null).refused(403);
    let listed = send(&server, key, "GET", "/admin/keys", &Value::Null).ok();
    let names: Vec<_> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["keeper"]);
    let within = json!({"name": "reader", "scopes": ["read"], "collections": ["a"]});
    send(&server, key, "POST", "/admin/keys", &within).ok();
    let used = |secret: &str| {
        send(
            &server,
            ("api-key", secret),
            "PUT",
            "/collections/a/points",
            &json!({}),
        )
        .status
    };
    assert_eq!(used(&writer), 400);
    send(&server, ROOT, "DELETE", &path, &Value::Null).ok();
    assert_eq!(used(&writer), 401, "a revoked key is none");
    send(&server, ROOT, "DELETE", &path, &Value::Null).refused(404);
}

#[test]
fn keys_outlive_a_restart_and_their_secrets_are_in_no_file() {
    let mut server = locked();
    let (secret, _) = made(&server, &json!({"name": "scraper", "scopes": ["metrics"]}));
    let scrape = |server: &Server| {
        server
            .send("GET", "/metrics", &[("api-key", &secret)], &[])
            .status
    };
    assert_eq!(scrape(&server), 200);
    server.restart_with(&[("api_key", ROOT.1)]);
    assert_eq!(scrape(&server), 200);
    let kept = std::fs::read(server.data_dir().join("KEYS")).unwrap();
    let kept = String::from_utf8_lossy(&kept).into_owned();
    assert!(
        kept.contains("scraper") && !kept.contains(&secret[4..]),
        "{kept}"
    );
    server.restart_with(&[]);
    assert_eq!(
        server.get("/collections").status,
        401,
        "keys lock it, settings or not"
    );
    assert_eq!(scrape(&server), 200);
}

#[test]
fn damaged_keys_are_told_by_verify_and_refuse_the_start_by_name() {
    let server = locked();
    made(&server, &json!({"name": "scraper", "scopes": ["metrics"]}));
    let dir = server.stop();
    let (data, file) = (dir.path().join("data"), dir.path().join("data/KEYS"));
    let whole = server::verify(&data).unwrap();
    assert!(whole.is_whole(), "{whole:?}");
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for bad in [&flipped[..], &good[..good.len() / 2], &[]] {
        std::fs::write(&file, bad).unwrap();
        let told = server::verify(&data).unwrap();
        let [finding] = told.findings.as_slice() else {
            panic!("{told:?}")
        };
        assert!(finding.what.contains("KEYS: damaged at byte 0"), "{told:?}");
        assert!(!told.loses_nothing());
        let (_, after) = server::repair(&data, &told, server::Loss::Refused).unwrap();
        assert_eq!(after.findings.len(), 1, "{after:?}");
        assert_eq!(std::fs::read(&file).unwrap(), bad, "nothing was changed");
        let settings = common::config(dir.path(), &[("api_key", ROOT.1)]);
        let refused = server::start_with(settings, fake()).err().unwrap();
        let refused = refused.to_string();
        assert!(refused.contains("KEYS: damaged at byte 0"), "{refused}");
    }
    std::fs::write(&file, &good).unwrap();
    assert!(server::verify(&data).unwrap().is_whole());
}

#[test]
fn what_was_a_key_is_in_no_file_once_it_is_revoked() {
    let server = locked();
    let (_, id) = made(&server, &json!({"name": "for-a-while", "scopes": ["read"]}));
    made(&server, &json!({"name": "stays", "scopes": ["read"]}));
    let path = format!("/admin/keys/{id}");
    send(&server, ROOT, "DELETE", &path, &Value::Null).ok();
    let dir = server.stop();
    for gone in ["for-a-while", id.as_str()] {
        assert_eq!(
            common::holding(dir.path(), gone.as_bytes()),
            [] as [&str; 0]
        );
    }
    assert_eq!(common::holding(dir.path(), b"stays").len(), 1);
}

#[test]
fn an_open_server_makes_no_key() {
    let server = Server::start();
    let body = json!({"name": "x", "scopes": ["read"]});
    let message = server.post("/admin/keys", &body).refused(409);
    assert!(message.contains("DOPPEL_API_KEY"), "{message}");
    assert_eq!(server.get("/admin/keys").ok()["keys"], json!([]));
}

#[test]
fn wrong_keys_are_refused_by_what_is_wrong() {
    let server = locked();
    for (body, word) in [
        (json!({"name": "", "scopes": ["read"]}), "`name`"),
        (json!({"name": "x\n", "scopes": ["read"]}), "`name`"),
        (json!({"name": "x", "scopes": []}), "admin:keys"),
        (json!({"name": "x", "scopes": ["reed"]}), "reed"),
        (
            json!({"name": "x", "scopes": ["read"], "collections": []}),
            "`collections`",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "collections": ["a/b"]}),
            "a/b",
        ),
        (
            json!({"name": "x", "scopes": ["read"], "until": 1}),
            "until",
        ),
    ] {
        let message = send(&server, ROOT, "POST", "/admin/keys", &body).refused(400);
        assert!(message.contains(word), "{body}: {message}");
    }
}
