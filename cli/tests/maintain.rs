//! `doppel verify` and `doppel repair` as an operator meets them: on the folder of a server that
//! was killed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn text(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

/// The binary, with nothing of this process's own settings.
fn without_settings() -> Command {
    let mut doppel = Command::new(env!("CARGO_BIN_EXE_doppel"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOPPEL_") {
            doppel.env_remove(name);
        }
    }
    doppel
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A folder with thirty points in three writes, left by a killed server.
fn left_by_a_killed_server() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut server = without_settings()
        .args(["serve", "--no-install", "--listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let url = line
        .split_once("listening on ")
        .unwrap()
        .1
        .trim_end_matches('/')
        .to_owned();
    let ready = || ureq::get(format!("{url}/readyz")).call().is_ok();
    while !ready() {
        std::thread::yield_now();
    }
    let put = |path: &str, body: &Value| {
        let answer = ureq::put(format!("{url}{path}"))
            .header("content-type", "application/json")
            .send(body.to_string());
        answer.unwrap();
    };
    put(
        "/collections/c",
        &json!({"vectors": {"size": 2, "distance": "Cosine"}}),
    );
    for from in [0, 10, 20] {
        let point = |id| json!({"id": id, "vector": [id, 1], "payload": {"n": id}});
        let points: Vec<_> = (from..from + 10).map(point).collect();
        put(
            "/collections/c/points?wait=true",
            &json!({ "points": points }),
        );
    }
    server.kill().unwrap();
    server.wait().unwrap();
    dir
}

fn run(command: &str, dir: &Path, more: &[&str]) -> Output {
    let mut doppel = without_settings();
    doppel.arg(command).arg("--data-dir").arg(dir);
    doppel.args(more).output().unwrap()
}

fn segment(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("log")).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|it| it == "log"))
        .unwrap()
}

#[test]
fn the_folder_of_a_killed_server_is_whole_and_a_torn_tail_is_cut_only_with_yes() {
    let dir = left_by_a_killed_server();
    let whole = run("verify", dir.path(), &["--json"]);
    assert_eq!(code(&whole), 0, "{}", text(&whole));
    let verdict: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(verdict["whole"], true, "{verdict}");
    assert_eq!(verdict["collections"], json!([{"name": "c", "points": 30}]));
    let segment = segment(dir.path());
    let mut log = fs::File::options().append(true).open(&segment).unwrap();
    log.write_all(&[7; 9]).unwrap();
    let torn = fs::read(&segment).unwrap();
    let shown = run("repair", dir.path(), &[]);
    assert!(text(&shown).contains("torn at byte"), "{}", text(&shown));
    assert!(
        text(&shown).contains("with --yes this is done"),
        "{}",
        text(&shown)
    );
    assert_eq!(fs::read(&segment).unwrap(), torn, "only shown");
    let done = run("repair", dir.path(), &["--yes"]);
    assert_eq!(code(&done), 0, "{}", text(&done));
    assert!(
        text(&done).ends_with("everything is whole\n"),
        "{}",
        text(&done)
    );
}

#[test]
fn a_flipped_byte_in_the_log_is_told_with_file_and_offset_and_costs_nothing_unasked() {
    let dir = left_by_a_killed_server();
    let segment = segment(dir.path());
    let mut bytes = fs::read(&segment).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let found = run("verify", dir.path(), &[]);
    assert_eq!(code(&found), 1, "{}", text(&found));
    let named = format!("{}: damaged at byte ", segment.display());
    assert!(text(&found).contains(&named), "{}", text(&found));
    let told = String::from_utf8(found.stdout).unwrap();
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("not as") && !told.contains("everything is whole"),
        "{told}"
    );
    let unasked = run("repair", dir.path(), &["--yes"]);
    assert_eq!(code(&unasked), 1, "{}", text(&unasked));
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    let accepted = run("repair", dir.path(), &["--yes", "--accept-loss"]);
    assert_eq!(code(&accepted), 0, "{}", text(&accepted));
    assert!(
        text(&accepted).contains("collection `c`: 20 points"),
        "{}",
        text(&accepted)
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let refused = run("verify", &nowhere, &[]);
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused).contains("there is no data folder here"),
        "{}",
        text(&refused)
    );
    assert!(!nowhere.exists());
}
