//! What an operator does beside the load: backups, restores under another name, erasure, indexes
//! built anew, vectors and payload indexes that come and go.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::Process;
use crate::chance::Chance;

/// The key of payloads that says which client put a point.
pub(super) const OWNER: &str = "owner";
/// The route of a vector that comes and goes.
const ANOTHER: &str = "/vectors/another";
/// What is restored of the hammered collection.
const COPY: &str = "/collections/copied";

/// One task after another until the server is dead. `collection` is the path of its route.
pub(super) fn operate(
    server: &Process,
    collection: &str,
    data: &Path,
    seed: u64,
    dead: &AtomicBool,
) -> Result<()> {
    let mut chance = Chance::new(seed);
    let name = collection.rsplit('/').next().unwrap_or_default();
    let shelf = data
        .join("backups")
        .join(collection.trim_start_matches('/'));
    let mut backup: Option<String> = None;
    let empty = json!({});
    loop {
        let snapshots = format!("{collection}/snapshots");
        let (method, path, body) = match (&backup, chance.below(15)) {
            (_, 8) => {
                let path = format!("/admin/collections/{name}/reindex");
                let m = 4 + chance.below(20);
                ("POST", path, json!({"using": "", "hnsw_config": {"m": m}}))
            }
            (_, 0) => {
                let path = format!("/admin/collections/{name}/purge");
                ("POST", path, empty.clone())
            }
            (_, 5..=7 | 9..=11) => settings(collection, &mut chance),
            (Some(backup), 1..=3) => {
                let location = format!("file://{}", shelf.join(backup).display());
                let path = format!("{COPY}/snapshots/recover");
                ("PUT", path, json!({ "location": location }))
            }
            (Some(backup), 4) => ("DELETE", format!("{snapshots}/{backup}"), empty.clone()),
            _ => ("POST", snapshots.clone(), empty.clone()),
        };
        match server.call(method, &path, Some(&body)) {
            Ok((200, text)) => match method {
                "POST" if path.ends_with("/snapshots") => {
                    let answer: Value = serde_json::from_str(&text)?;
                    backup = answer["result"]["name"].as_str().map(str::to_owned);
                }
                "DELETE" if path.starts_with(&snapshots) => backup = None,
                _ => {}
            },
            Ok((503 | 507, _)) => {}
            // One is at it.
            Ok((409, _)) if path.ends_with("/reindex") => {}
            // What is to go has gone before, what is to come is there with other settings.
            Ok((404, _)) if method == "DELETE" => {}
            Ok((409, _)) if method == "PUT" && path.ends_with(ANOTHER) => {}
            Ok((status, text)) => bail!("{method} {path}: {status}: {text}"),
            Err(_) if dead.load(Ordering::Acquire) => return Ok(()),
            Err(error) => bail!("the server died by itself: {error}"),
        }
    }
}

/// A change of what the collection is made of, or a measurement of what its searches take.
fn settings(collection: &str, chance: &mut Chance) -> (&'static str, String, Value) {
    let vector = format!("{collection}{ANOTHER}");
    match chance.below(5) {
        0 => {
            let m = 8 + chance.below(8);
            let dense = json!({"size": 8, "distance": "Cosine", "hnsw_config": {"m": m}});
            ("PUT", vector, json!({ "dense": dense }))
        }
        1 => ("DELETE", vector, json!({})),
        2 => {
            let body = json!({"field_name": OWNER, "field_schema": "integer"});
            ("PUT", format!("{collection}/index?wait=true"), body)
        }
        3 => {
            let path = format!("{collection}/index/{OWNER}?wait=true");
            ("DELETE", path, json!({}))
        }
        _ => {
            let body = json!({"target_recall": 0.9});
            ("POST", format!("{collection}/tune"), body)
        }
    }
}

/// Every backup that is listed can be read, and the copy holds as many points as it says.
pub(super) fn check(server: &Process, collection: &str) -> Result<()> {
    let (_, listed) = server.call("GET", &format!("{collection}/snapshots"), None)?;
    let listed: Value = serde_json::from_str(&listed)?;
    for backup in listed["result"].as_array().into_iter().flatten() {
        let name = backup["name"].as_str().unwrap_or_default();
        if backup["creation_time"].is_null() {
            bail!("backup {name} cannot be read");
        }
    }
    let (status, told) = server.call("GET", COPY, None)?;
    if status == 404 {
        return Ok(());
    }
    let told: Value = serde_json::from_str(&told)?;
    let count = server.send("POST", &format!("{COPY}/points/count"), &json!({}))?;
    if told["result"]["points_count"] != count["count"] {
        bail!("{COPY}: {told}, but {count}");
    }
    Ok(())
}
