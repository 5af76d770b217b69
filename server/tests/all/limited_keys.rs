//! Keys that are for some collections only: every route holds to it, also for what it begins, and who
//! made a key is known.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::collections::BTreeSet;
use std::fs;

use crate::keys::{ROOT, SCOPES, send};
use common::{Server, fake, until};
use serde_json::{Value, json};

/// All scopes but `metrics`, which tells of all collections.
fn scopes() -> Vec<&'static str> {
    let all = SCOPES.into_iter();
    all.filter(|scope| *scope != "metrics").collect()
}

/// What no such key may ask, whatever its scopes: it concerns all collections.
const OF_ALL: [&str; 12] = [
    "DELETE /snapshots/{name}",
    "GET /aliases",
    "GET /metrics",
    "GET /snapshots",
    "GET /snapshots/{name}",
    "GET /telemetry",
    "POST /admin/checkpoint",
    "POST /admin/jobs",
    "POST /collections/aliases",
    "POST /snapshots",
    "POST /snapshots/upload",
    "PUT /snapshots/recover",
];
/// What has no collection in its path and is about none, or is answered as if there were only its own.
const OF_NONE: [&str; 13] = [
    "DELETE /admin/jobs/{job}",
    "DELETE /admin/keys/{key_id}",
    "GET /admin/jobs",
    "GET /admin/jobs/{job}",
    "GET /admin/keys",
    "GET /cluster",
    "GET /collections",
    "GET /faces/models",
    "GET /issues",
    "POST /admin/keys",
    "POST /faces/compare",
    "POST /faces/detect",
    "POST /faces/embed",
];

fn locked() -> Server {
    let server = Server::start_with(&[("api_key", ROOT.1)], fake());
    for name in ["mine", "other"] {
        let body = json!({"vectors": {"size": 2, "distance": "Dot"}});
        send(&server, ROOT, "PUT", &format!("/collections/{name}"), &body).ok();
    }
    server
}

/// The secret of a key for one collection, with all scopes that it may have.
fn for_one(server: &Server, collection: &str) -> String {
    let body = json!({"name": "one", "scopes": scopes(), "collections": [collection]});
    let made = send(server, ROOT, "POST", "/admin/keys", &body).ok();
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_holds_a_key_to_its_collections() {
    let server = locked();
    let secret = for_one(&server, "nobody");
    let key = ("api-key", secret.as_str());
    let document = server.get("/openapi.json").body();
    let (mut of_all, mut of_none) = (BTreeSet::new(), BTreeSet::new());
    let mut named = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let ways = operation["security"].as_array().unwrap();
            if !ways.iter().any(|way| way.get("apiKey").is_some()) {
                continue;
            }
            let method = method.to_uppercase();
            let asked = |collection: &str| {
                let parts = path.split('/').map(|part| match part {
                    "{collection}" => collection,
                    "{id}" | "{job}" => "1",
                    part if part.starts_with('{') => "nobody",
                    part => part,
                });
                let place = parts.collect::<Vec<_>>().join("/");
                send(&server, key, &method, &place, &Value::Null)
            };
            let operation = format!("{method} {path}");
            if path.contains("{collection}") {
                let other = asked("other");
                assert_eq!(other.status, 403, "{operation}");
                let why = other.text();
                assert!(why.contains("is not for the collection"), "{why}");
                assert_ne!(asked("nobody").status, 403, "{operation}");
                named += 1;
            } else if asked("nobody").status == 403 {
                of_all.insert(operation);
            } else {
                of_none.insert(operation);
            }
        }
    }
    assert!(named > 50, "{named}");
    let set = |rows: &[&str]| {
        rows.iter()
            .map(|&it| it.to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of_all, set(&OF_ALL), "which concern all collections");
    assert_eq!(of_none, set(&OF_NONE), "which concern none");
}

#[test]
fn a_path_is_judged_as_it_is_routed_whatever_of_it_is_escaped() {
    let server = locked();
    let secret = for_one(&server, "mine");
    let mine = ("api-key", secret.as_str());
    let scopes = json!({"name": "reader", "scopes": ["search", "read"]});
    let made = send(&server, ROOT, "POST", "/admin/keys", &scopes).ok();
    let reader = ("api-key", made["secret"].as_str().unwrap());
    let alias = json!({"create_alias": {"alias_name": "a", "collection_name": "mine"}});
    let aliases = json!({"actions": [alias]});
    for (key, method, path, body) in [
        (mine, "DELETE", "/%63ollections/other", Value::Null),
        (mine, "DELETE", "/collections/%6Fther", Value::Null),
        (mine, "POST", "/collections/%61liases", aliases.clone()),
        (reader, "DELETE", "/collections%2Fother", Value::Null),
        (reader, "DELETE", "/%63ollections/other", Value::Null),
        (reader, "POST", "/collections/%61liases", aliases),
        (reader, "POST", "/admin/%63heckpoint", json!({})),
    ] {
        let answer = send(&server, key, method, path, &body);
        assert!(
            [403, 404].contains(&answer.status),
            "{method} {path}: {}",
            answer.text()
        );
    }
    for there in [
        "/collections/other",
        "/collections/%6f%74%68er",
        "/%63ollections/mine",
    ] {
        send(&server, ROOT, "GET", there, &Value::Null).ok();
    }
    let aliases = send(&server, ROOT, "GET", "/aliases", &Value::Null).ok();
    assert_eq!(aliases["aliases"], json!([]));
    let entry = |path: &str| send(&server, mine, "GET", path, &Value::Null).status;
    assert_eq!(
        (entry("/%63ollections/mine"), entry("/collections/%6dine")),
        (200, 200)
    );
}

#[test]
fn who_may_begin_a_job_sees_and_cancels_it_and_those_of_other_collections_are_none() {
    let server = locked();
    let alias = json!({"create_alias": {"alias_name": "alias", "collection_name": "mine"}});
    let aliases = json!({"actions": [alias]});
    send(&server, ROOT, "POST", "/collections/aliases", &aliases).ok();
    let backup = json!({"kind": "backup"});
    let begun = |key: (&str, &str), path: &str| {
        send(&server, key, "POST", path, &backup).ok()["id"].clone()
    };
    let others = begun(ROOT, "/admin/collections/other/jobs");
    let all = begun(ROOT, "/admin/jobs");
    let jobs = |key: (&str, &str)| {
        let jobs = send(&server, key, "GET", "/admin/jobs", &Value::Null).ok();
        let jobs = jobs["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    let mut mine = Vec::new();
    for name in ["mine", "alias"] {
        let secret = for_one(&server, name);
        let key = ("api-key", secret.as_str());
        until(|| {
            let jobs = send(&server, ROOT, "GET", "/admin/jobs", &Value::Null);
            !jobs.text().contains("running")
        });
        mine.push(begun(key, &format!("/admin/collections/{name}/jobs")));
        assert_eq!(jobs(key), mine);
        let path = |id: &Value| format!("/admin/jobs/{id}");
        for method in ["GET", "DELETE"] {
            let told = send(&server, key, method, &path(&mine[0]), &Value::Null).ok();
            assert_eq!(told["collection"], "mine");
            for id in [&others, &all] {
                let refused = send(&server, key, method, &path(id), &Value::Null);
                assert!(refused.refused(404).contains("does not exist"));
            }
        }
        send(&server, key, "POST", "/admin/jobs", &backup)
            .status
            .eq(&403)
            .then_some(())
            .unwrap();
    }
    let seen = jobs(ROOT);
    assert_eq!(seen.len(), 4);
    assert!(seen.contains(&others) && seen.contains(&all));
}

#[test]
fn a_job_of_before_a_restart_names_none_after_it() {
    let mut server = Server::start();
    server.with_vectors("v", 2, "Dot");
    let begin = |server: &Server| {
        let begun = server.post("/admin/collections/v/jobs", &json!({"kind": "warm_up"}));
        let id = begun.ok()["id"].as_u64().unwrap();
        let path = format!("/admin/jobs/{id}");
        until(|| server.get(&path).ok()["status"] == "completed");
        id
    };
    let (first, second) = (begin(&server), begin(&server));
    server.restart();
    for id in [first, second] {
        let told = server.get(&format!("/admin/jobs/{id}")).refused(404);
        assert!(told.contains("before the server's last start"), "{told}");
    }
    let after = begin(&server);
    assert!(first < second && second < after, "{first} {second} {after}");
    // Numbers that a browser reads exactly (RFC 8259, 6).
    assert!(after < 1 << 53);
}

#[test]
fn a_key_for_one_collection_gets_no_backup_of_others_and_removes_none() {
    let server = locked();
    let secret = for_one(&server, "mine");
    let key = ("api-key", secret.as_str());
    let made = |key: (&str, &str), path: &str| {
        let made = send(&server, key, "POST", path, &json!({})).ok();
        made["name"].as_str().unwrap().to_owned()
    };
    let (all, others) = (
        made(ROOT, "/snapshots"),
        made(ROOT, "/collections/other/snapshots"),
    );
    let own = made(key, "/collections/mine/snapshots");
    let folder = std::path::absolute(server.data_dir().join("backups")).unwrap();
    let recover = |key: (&str, &str), place: &str| {
        let body = json!({"location": format!("file://{}/{place}", folder.display())});
        send(
            &server,
            key,
            "PUT",
            "/collections/mine/snapshots/recover",
            &body,
        )
    };
    let other = format!("collections/other/{others}");
    for place in [&format!("full/{all}"), &other] {
        let refused = recover(key, place).refused(403);
        assert!(refused.contains("of other collections"), "{refused}");
    }
    recover(key, &format!("collections/mine/{own}")).ok();
    recover(ROOT, &other).ok();

    let purge = "/admin/collections/mine/purge?backups=delete";
    let refused = send(&server, key, "POST", purge, &Value::Null).refused(403);
    assert!(refused.contains("backups of all collections"), "{refused}");
    let job = json!({"kind": "purge", "backups": "delete"});
    let begun = send(&server, key, "POST", "/admin/collections/mine/jobs", &job);
    begun.refused(403);
    let shelf = send(&server, ROOT, "GET", "/snapshots", &Value::Null).ok();
    assert_eq!(shelf[0]["name"], all.as_str());
    let purge = "/admin/collections/mine/purge";
    send(&server, key, "POST", purge, &Value::Null).ok();
    send(
        &server,
        ROOT,
        "POST",
        &format!("{purge}?backups=delete"),
        &Value::Null,
    )
    .ok();
    let shelf = send(&server, ROOT, "GET", "/snapshots", &Value::Null).ok();
    assert_eq!(shelf, json!([]));
}

#[test]
fn no_key_of_some_collections_is_for_metrics_which_tell_of_all() {
    let server = locked();
    let body = json!({"name": "x", "scopes": ["read", "metrics"], "collections": ["mine"]});
    let refused = send(&server, ROOT, "POST", "/admin/keys", &body).refused(400);
    assert!(refused.contains("leave `metrics` out"), "{refused}");
}

#[test]
fn who_made_a_key_stands_in_its_listing_and_in_the_audit_trail() {
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("trail");
    let settings = [("api_key", ROOT.1), ("audit.dir", trail.to_str().unwrap())];
    let mut server = Server::start_with(&settings, fake());
    let body = json!({"name": "keeper", "scopes": ["read", "admin:keys"]});
    let keeper = send(&server, ROOT, "POST", "/admin/keys", &body).ok();
    let secret = keeper["secret"].as_str().unwrap();
    let body = json!({"name": "reader", "scopes": ["read"]});
    let reader = send(&server, ("api-key", secret), "POST", "/admin/keys", &body).ok();
    let (keeper, reader) = (&keeper["key"], &reader["key"]);
    assert_eq!(
        (&keeper["made_by"], &reader["made_by"]),
        (&json!("settings"), &keeper["id"])
    );
    let lines = fs::read_to_string(trail.join("audit.jsonl")).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<_> = lines
        .map(|line| (line["key"][0].clone(), line["made"][0].clone()))
        .collect();
    let expected = [
        (json!("settings"), keeper["id"].clone()),
        (keeper["id"].clone(), reader["id"].clone()),
    ];
    assert_eq!(told, expected);

    server.restart_with(&settings);
    let listed = send(&server, ROOT, "GET", "/admin/keys", &Value::Null).ok();
    let by: Vec<_> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["made_by"])
        .collect();
    assert_eq!(by, [&json!("settings"), &keeper["id"]]);
}

#[test]
fn whoever_revokes_a_key_is_told_which_keys_of_its_making_stay_good() {
    let server = locked();
    let make = |by: (&str, &str), name: &str| {
        let body = json!({"name": name, "scopes": ["read", "admin:keys"]});
        send(&server, by, "POST", "/admin/keys", &body).ok()
    };
    let first = make(ROOT, "first");
    let second = make(("api-key", first["secret"].as_str().unwrap()), "second");
    let third = ("api-key", second["secret"].as_str().unwrap());
    make(third, "third");
    make(ROOT, "other");
    let path = format!("/admin/keys/{}", first["key"]["id"].as_str().unwrap());
    let told = send(&server, ROOT, "DELETE", &path, &Value::Null).ok();
    let remaining = told["remaining"].as_array().unwrap().iter();
    let names: Vec<_> = remaining.map(|key| &key["name"]).collect();
    assert_eq!(names, ["second", "third"]);
    send(&server, third, "GET", "/admin/keys", &Value::Null).ok();
}

#[test]
fn a_key_for_an_alias_lists_its_collection_under_that_name() {
    let server = locked();
    let alias = json!({"create_alias": {"alias_name": "today", "collection_name": "mine"}});
    let actions = json!({"actions": [alias]});
    send(&server, ROOT, "POST", "/collections/aliases", &actions).ok();
    let body = json!({"name": "x", "scopes": ["read"], "collections": ["today", "gone"]});
    let made = send(&server, ROOT, "POST", "/admin/keys", &body).ok();
    let key = ("api-key", made["secret"].as_str().unwrap());
    let listed = send(&server, key, "GET", "/collections", &Value::Null).ok();
    let named = json!([{"name": "today", "points_count": 0, "embedder": null}]);
    assert_eq!(listed["collections"], named);
}
