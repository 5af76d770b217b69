//! Backups over HTTP, as clients of the dialect make and restore them, and what operators ask.

use crate::common;

use common::{Answer, Server, fake, photo};
use serde_json::{Value, json};

const VECTORS: &str = "/collections/c/snapshots";

fn filled(count: u64) -> Server {
    let server = Server::start();
    fill(&server, count);
    server
}

fn fill(server: &Server, count: u64) {
    server.with_vectors("c", 2, "Euclid");
    let point = |id: u64| json!({"id": id, "vector": [id, 1], "payload": {"n": id}});
    let points: Vec<Value> = (0..count).map(point).collect();
    server
        .put("/collections/c/points", &json!({"points": points}))
        .ok();
}

fn count(server: &Server, name: &str) -> Value {
    server
        .post(&format!("/collections/{name}/points/count"), &json!({}))
        .ok()["count"]
        .clone()
}

fn upload(server: &Server, path: &str, bytes: &[u8]) -> Answer {
    let headers = [("content-type", "application/octet-stream")];
    server.send("POST", path, &headers, bytes)
}

fn form(server: &Server, path: &str, field: &str, bytes: &[u8]) -> Answer {
    let head = format!(
        "--line\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"a.snapshot\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), bytes, b"\r\n--line--\r\n"].concat();
    let headers = [("content-type", "multipart/form-data; boundary=line")];
    server.send("POST", path, &headers, &body)
}

#[test]
fn a_snapshot_is_made_listed_downloaded_and_uploaded_to_another_server_under_another_name() {
    let server = filled(50);
    let made = server.send("POST", VECTORS, &[], &[]).ok();
    let name = made["name"].as_str().unwrap();
    assert_eq!(server.get(VECTORS).ok(), json!([made]));
    let time = made["creation_time"].as_str().unwrap();
    assert_eq!((time.len(), &time[10..11]), (19, "T"), "{time}");
    let download = server.get(&format!("{VECTORS}/{name}"));
    let header = |name: &str| {
        download.response.headers()[name]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(download.status, 200);
    assert_eq!(header("content-length"), made["size"].to_string());
    assert_eq!(
        header("x-checksum-sha256"),
        made["checksum"].as_str().unwrap()
    );
    assert_eq!(download.bytes.len() as u64, made["size"].as_u64().unwrap());
    let other = Server::start();
    let checksum = made["checksum"].as_str().unwrap();
    let path =
        format!("/collections/d/snapshots/upload?priority=snapshot&wait=true&checksum={checksum}");
    assert_eq!(
        form(&other, &path, "snapshot", &download.bytes).ok(),
        json!(true)
    );
    assert_eq!(count(&other, "d"), 50);
    let sums = |server: &Server, name: &str| {
        let mut sums = server
            .get(&format!("/admin/collections/{name}/checksum"))
            .ok();
        // Where it stood in a log is each server's own.
        for place in ["lsn", "changed"] {
            assert!(sums.as_object_mut().unwrap().remove(place).is_some());
        }
        sums
    };
    assert_eq!(sums(&server, "c"), sums(&other, "d"));
    assert_eq!(
        server.delete(&format!("{VECTORS}/{name}")).ok(),
        json!(true)
    );
    assert_eq!(server.delete(&format!("{VECTORS}/{name}")).status, 404);
    assert_eq!(server.get(&format!("{VECTORS}/{name}")).status, 404);
    assert_eq!(server.get(VECTORS).ok(), json!([]));
}

#[test]
fn a_collection_is_recovered_from_a_snapshot_on_the_server_and_from_nowhere_else() {
    let mut server = filled(20);
    let made = server.send("POST", VECTORS, &[], &[]).ok();
    let name = made["name"].as_str().unwrap().to_owned();
    server.delete("/collections/c").ok();
    let recover = |server: &Server, location: &str| {
        server.put(
            "/collections/c/snapshots/recover",
            &json!({"location": location}),
        )
    };
    assert_eq!(recover(&server, &name).ok(), json!(true));
    assert_eq!(count(&server, "c"), 20);
    server.restart();
    assert_eq!(count(&server, "c"), 20);
    let path = std::path::absolute(server.data_dir()).unwrap();
    let url = format!("file://{}/backups/collections/c/{name}", path.display());
    assert_eq!(recover(&server, &url).ok(), json!(true));
    for location in [
        "http://127.0.0.1:1/x.snapshot",
        "https://example.com/x.snapshot",
        "ftp://h/x.snapshot",
        "file:///etc/passwd",
        "/etc/passwd",
        "../../FORMAT",
        "..",
        "x",
        "",
        &format!("file://{}/FORMAT", path.display()),
        &format!(
            "file://{}/backups/collections/c/../../../FORMAT",
            path.display()
        ),
    ] {
        let answer = recover(&server, location);
        assert_eq!(answer.status, 400, "{location}: {}", answer.text());
    }
    assert_eq!(recover(&server, "missing.snapshot").status, 404);
    let body = json!({"location": name, "api_key": "k"});
    assert_eq!(
        server.put("/collections/c/snapshots/recover", &body).status,
        400
    );
    let body = json!({"location": name, "checksum": "00"});
    assert_eq!(
        server.put("/collections/c/snapshots/recover", &body).status,
        400
    );
    for path in ["..%2F..%2FFORMAT", "%2e%2e", "FORMAT", "x%00.snapshot"] {
        let answer = server.get(&format!("{VECTORS}/{path}"));
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(
            server.delete(&format!("{VECTORS}/{path}")).status,
            400,
            "{path}"
        );
    }
    assert_eq!(count(&server, "c"), 20);
}

#[test]
fn half_an_upload_and_a_damaged_one_change_nothing() {
    let server = filled(20);
    let made = server.send("POST", VECTORS, &[], &[]).ok();
    let name = made["name"].as_str().unwrap();
    let good = server.get(&format!("{VECTORS}/{name}")).bytes;
    let path = "/collections/c/snapshots/upload";
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [
        &good[..good.len() / 2],
        &good[..good.len() - 1],
        &flipped,
        b"x",
        b"",
    ] {
        let answer = upload(&server, path, bad);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer.text().contains("nothing has been changed"),
            "{}",
            answer.text()
        );
    }
    assert!(upload(&server, path, &flipped).text().contains("at byte "));
    let other_sum = "0".repeat(64);
    let answer = upload(&server, &format!("{path}?checksum={other_sum}"), &good);
    assert_eq!(answer.status, 400);
    assert_eq!(form(&server, path, "file", &good).status, 400);
    assert_eq!(
        server
            .send("POST", path, &[("content-type", "text/plain")], b"x")
            .status,
        415
    );
    assert_eq!(
        upload(&server, &format!("{path}?priority=loud"), &good).status,
        400
    );
    let left = std::fs::read_dir(server.data_dir().join("restores")).unwrap();
    assert_eq!(left.count(), 0, "nothing is left behind");
    assert_eq!(count(&server, "c"), 20);
}

#[test]
fn everything_is_backed_up_and_restored_at_once_faces_too() {
    let server = filled(10);
    server.with_faces("people");
    let added = server.form(
        "/collections/people/faces",
        &[("image", &photo(12)), ("person", b"Ada")],
    );
    let id = added.ok()["faces"][0]["id"].clone();
    let crop = |server: &Server| {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        server
            .get(&format!("/collections/people/faces/{id}/image"))
            .bytes
    };
    let before = crop(&server);
    assert!(!before.is_empty());
    let made = server.send("POST", "/snapshots", &[], &[]).ok();
    let name = made["name"].as_str().unwrap();
    assert_eq!(server.get("/snapshots").ok(), json!([made]));
    let bytes = server.get(&format!("/snapshots/{name}")).bytes;
    let other = Server::start();
    let restored = upload(&other, "/snapshots/upload", &bytes).ok();
    let names = json!([{"name": "c", "points": 10}, {"name": "people", "points": 1}]);
    assert_eq!(restored["collections"], names);
    assert_eq!(crop(&other), before);
    server.delete("/collections/c").ok();
    server
        .put("/snapshots/recover", &json!({"location": name}))
        .ok();
    assert_eq!(count(&server, "c"), 10);
    let answer = upload(&server, "/collections/d/snapshots/upload", &bytes);
    assert!(answer.text().contains("2 collections"), "{}", answer.text());
    assert_eq!(
        server.delete(&format!("/snapshots/{name}")).ok(),
        json!(true)
    );
    assert_eq!(server.get("/snapshots").ok(), json!([]));
}

#[test]
fn a_checkpoint_is_taken_when_asked_and_only_with_the_key() {
    let server = filled(3);
    let lsn = server.send("POST", "/admin/checkpoint", &[], &[]).ok()["lsn"].clone();
    assert_eq!(server.get("/admin/collections/c/checksum").ok()["lsn"], lsn);
    assert_eq!(server.get("/admin/collections/x/checksum").status, 404);
    assert_eq!(
        server
            .send("POST", "/collections/x/snapshots", &[], &[])
            .status,
        404
    );
    assert_eq!(server.get("/collections/x/snapshots").status, 404);
    let locked = Server::start_with(&[("api_key", "a-long-key")], fake());
    for (method, path) in [
        ("POST", "/admin/checkpoint"),
        ("GET", "/admin/collections/c/checksum"),
        ("POST", "/snapshots"),
        ("GET", "/snapshots"),
        ("POST", "/snapshots/upload"),
        ("GET", "/collections/c/snapshots"),
    ] {
        assert_eq!(locked.send(method, path, &[], &[]).status, 401, "{path}");
    }
}

#[test]
fn a_purge_answers_with_a_report_of_what_it_did_and_did_not_touch() {
    let server = filled(10);
    let made = server.send("POST", VECTORS, &[], &[]).ok();
    server
        .post("/collections/c/points/delete", &json!({"points": [1, 2]}))
        .ok();
    let purge = |query: &str| {
        let path = format!("/admin/collections/c/purge{query}");
        server.send("POST", &path, &[], &[])
    };
    let report = purge("").ok();
    let kept = format!("backups/collections/c/{}", made["name"].as_str().unwrap());
    assert_eq!(report["backups_not_included"], json!([kept]));
    assert!(report["lsn"].as_u64().unwrap() > made["lsn"].as_u64().unwrap());
    assert!(
        report["files_written"]
            .as_array()
            .unwrap()
            .contains(&json!("tables/"))
    );
    assert!(!report["files_removed"].as_array().unwrap().is_empty());
    assert_eq!(
        purge("?backups=delete").ok()["backups_not_included"],
        json!([])
    );
    assert_eq!(server.get(VECTORS).ok(), json!([]));
    assert_eq!(purge("?backups=maybe").status, 400);
    assert_eq!(
        server
            .send("POST", "/admin/collections/x/purge", &[], &[])
            .status,
        404
    );
    assert_eq!(count(&server, "c"), 8);
}
