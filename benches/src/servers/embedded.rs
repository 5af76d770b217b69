//! Databases that run in the process that asks: `peers/embedded.py` does for each what `measure`
//! does for a server, and says it in one line of JSON.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::measure::{Inserted, Measured, Plan, Searched, Set};
use crate::ann::formats::{write_ids, write_vectors};
use crate::ann::table::Table;

/// Their names, and what must be installed for each.
pub const EMBEDDED: [(&str, &[&str]); 3] = [
    ("qdrant-edge", &["qdrant-edge-py"]),
    ("lancedb", &["lancedb"]),
    ("milvus-lite", &["milvus-lite"]),
];

#[derive(Deserialize)]
struct Told {
    promise: String,
    first_answer_s: f64,
    filled_s: f64,
    fill_s: f64,
    /// Recall, ef, threads, a second, p50 and p99 in milliseconds.
    searches: Vec<(f64, usize, usize, f64, f64, f64)>,
    /// Points at once, threads, points a second, p99 in milliseconds.
    inserts: Vec<(usize, usize, f64, f64)>,
    memory_mb: f64,
    disk_mb: f64,
    ready_s: f64,
}

/// Measures one.
///
/// # Errors
/// It fails.
pub fn embedded(name: &str, set: &Set, plan: &Plan) -> Result<Measured> {
    let dir = tempfile::tempdir_in(&plan.scratch)?;
    store(dir.path(), set)?;
    let done = Command::new(&plan.python)
        .arg(script())
        .arg(name)
        .arg(dir.path())
        .args(["0".to_owned(), plan.seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(done.status.success(), "it ended ({})", done.status);
    let told: Told = serde_json::from_slice(&done.stdout)?;
    let searches = told.searches.into_iter();
    let searches = searches.map(
        |(recall, ef, connections, per_second, p50_ms, p99_ms)| Searched {
            recall,
            ef,
            connections,
            per_second,
            p50_ms,
            p99_ms,
        },
    );
    let inserts = told.inserts.into_iter();
    let inserts = inserts.map(|(batch, connections, per_second, p99_ms)| Inserted {
        batch,
        connections,
        per_second,
        p99_ms,
    });
    Ok(Measured {
        name: format!("{name}, in process"),
        promise: told.promise,
        first_answer_s: told.first_answer_s,
        taken_s: told.filled_s,
        fill_s: told.fill_s,
        searches: searches.collect(),
        inserts: inserts.collect(),
        memory_mb: told.memory_mb,
        disk_mb: told.disk_mb,
        ready_after_stop_s: told.ready_s,
        ready_after_kill_s: None,
        ready_after_writes_s: None,
    })
}

fn store(dir: &Path, set: &Set) -> Result<()> {
    for (name, rows) in [
        ("vectors", &set.vectors),
        ("spare", &set.spare),
        ("queries", &set.queries),
    ] {
        let width = rows.first().map_or(0, Vec::len);
        write_vectors(
            &dir.join(format!("{name}.npy")),
            &Table::new(width, rows.concat())?,
        )?;
    }
    write_ids(&dir.join("truth.npy"), &set.truth)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/embedded.py")
}
