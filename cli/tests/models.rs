//! `doppel models` over a folder of files that are none, with a stand-in for Python.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{code, command, complaint, doppel, text};
use embedder::Manifest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const RUNTIME: &str = "libonnxruntime.so.1.32.0";

/// Makes an environment that is itself, and installs nothing; a script makes the file that it is to make.
const PYTHON: &str = r#"#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") ;;
  *) echo "made anew of $#" > "$4" ;;
esac
"#;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
}

/// A model of one's own whose network another version has translated.
fn translated_before(dir: &Path) {
    let mut manifest = serde_json::to_value(Manifest::builtin()).unwrap();
    let files = [
        (RUNTIME, None),
        ("d.onnx", None),
        ("own.onnx", Some("another")),
        ("own.int8.onnx", Some("another")),
    ];
    let mut recorded = Vec::new();
    for (name, made_by) in files {
        fs::write(dir.join(name), name).unwrap();
        let mut file = json!({"name": name, "sha256": sha256(name.as_bytes())});
        if let Some(made_by) = made_by {
            file["made_by"] = json!(made_by);
        }
        recorded.push(file);
    }
    fs::write(dir.join("own.h5"), "weights").unwrap();
    manifest["name"] = json!("own");
    let without_source = |part: &mut Value| drop(part.as_object_mut().unwrap().remove("from"));
    let detector = &mut manifest["detector"];
    (detector["file"], detector["sha256"]) = (json!("d.onnx"), json!(sha256(b"d.onnx")));
    without_source(detector);
    let network = &mut manifest["embedder"];
    (network["file"], network["sha256"]) = (json!("own.onnx"), json!(sha256(b"weights")));
    network["translated"]["weights"] = json!("own.h5");
    network["translated"]["rounded"] = json!("own.int8.onnx");
    without_source(network);
    fs::write(dir.join("own.manifest.json"), manifest.to_string()).unwrap();
    let record = json!({"files": recorded, "models": ["own"]}).to_string();
    fs::write(dir.join("installed.json"), record).unwrap();
    let python = dir.join("python.sh");
    fs::write(&python, PYTHON).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The command over this folder, with the script in it in Python's place.
fn over(dir: &Path, arguments: &[&str]) -> Output {
    let python = dir.join("python.sh");
    let python = [("DOPPEL_PYTHON", python.to_str().unwrap())];
    let place = ["--models-dir", dir.to_str().unwrap()];
    doppel(&python, &[arguments, &place].concat())
}

/// A head on it, whose file has these bytes.
fn head_on_it(dir: &Path, onnx: &[u8]) {
    let text = fs::read_to_string(dir.join("own.manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["name"] = json!("small");
    manifest["head"] = json!({
        "base": "own", "input": manifest["dim"], "file": "small.head.onnx", "sha256": sha256(onnx),
    });
    manifest["dim"] = json!(64);
    fs::write(dir.join("small.manifest.json"), manifest.to_string()).unwrap();
}

#[test]
fn a_head_whose_file_is_missing_or_damaged_is_told_by_the_list_and_by_verify() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: there is no ONNX Runtime for this system");
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    translated_before(dir);
    let run = |arguments: &[&str]| over(dir, arguments);
    assert_eq!(code(&run(&["models", "install", "own"])), 0);
    head_on_it(dir, b"learned");
    for (damage, words) in [(None, "is missing"), (Some("other"), "has SHA-256")] {
        if let Some(bytes) = damage {
            fs::write(dir.join("small.head.onnx"), bytes).unwrap();
        }
        let listed = text(&run(&["models", "list"]));
        let told = listed
            .lines()
            .find(|line| line.contains("small.head.onnx") && line.contains(words));
        assert!(
            told.is_some_and(|it| it.contains("cannot be used")),
            "{listed}"
        );
        let verified = run(&["models", "verify"]);
        assert_eq!(code(&verified), 1);
        assert!(
            complaint(&verified).contains(words),
            "{}",
            complaint(&verified)
        );
        assert!(
            text(&verified).contains("every file of own"),
            "{}",
            text(&verified)
        );
        let installed = run(&["models", "install", "small"]);
        assert_eq!(code(&installed), 1);
        assert!(
            complaint(&installed).contains(words),
            "{}",
            complaint(&installed)
        );
    }
    fs::write(dir.join("small.head.onnx"), "learned").unwrap();
    let verified = run(&["models", "verify"]);
    assert_eq!(code(&verified), 0, "{}", complaint(&verified));
    assert!(
        text(&verified).contains("every file of small"),
        "{}",
        text(&verified)
    );
}

#[test]
fn a_file_that_was_installed_and_is_missing_is_named_by_verify_beside_models_that_are_whole() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: there is no ONNX Runtime for this system");
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    translated_before(dir);
    let run = |arguments: &[&str]| over(dir, arguments);
    assert_eq!(code(&run(&["models", "install", "own"])), 0);
    // The same under another name, with a network of its own that was put there by hand.
    let manifest = fs::read_to_string(dir.join("own.manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest["name"] = json!("other");
    let network = manifest["embedder"].as_object_mut().unwrap();
    network.remove("translated");
    network.insert("file".to_owned(), json!("other.onnx"));
    network.insert("sha256".to_owned(), json!(sha256(b"other")));
    fs::write(dir.join("other.manifest.json"), manifest.to_string()).unwrap();
    // It was never installed, and nobody misses it.
    let verified = run(&["models", "verify"]);
    assert_eq!(code(&verified), 0, "{}", complaint(&verified));
    fs::write(dir.join("other.onnx"), "other").unwrap();
    let installed = run(&["models", "install", "other"]);
    assert_eq!(code(&installed), 0, "{}", complaint(&installed));
    for missing in [&["own.int8.onnx"][..], &["own.onnx", "own.int8.onnx"]] {
        for name in missing {
            let _ = fs::remove_file(dir.join(name));
        }
        let verified = run(&["models", "verify"]);
        let (why, fine) = (complaint(&verified), text(&verified));
        assert_eq!(code(&verified), 1, "{why}");
        for name in missing {
            let told = format!("{} is missing", dir.join(name).display());
            assert!(why.contains(&told), "{why}");
        }
        assert!(why.contains("own: ") && why.contains("install"), "{why}");
        assert!(!why.contains("other"), "{why}");
        assert!(fine.contains("every file of other"), "{fine}");
    }
    // Where nothing is whole it is still what was installed that is missed.
    fs::remove_file(dir.join("other.onnx")).unwrap();
    let why = complaint(&run(&["models", "verify"]));
    assert!(
        why.contains("own.onnx") && why.contains("other.onnx"),
        "{why}"
    );
    assert!(!why.contains("facenet"), "{why}");
}

#[test]
fn what_another_version_has_translated_is_told_and_made_anew_by_an_install() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: there is no ONNX Runtime for this system");
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    translated_before(dir);
    let run = |arguments: &[&str]| over(dir, arguments);
    let verified = run(&["models", "verify"]);
    assert_eq!(code(&verified), 1);
    let why = complaint(&verified);
    for words in ["own.onnx", "another version", "doppel models install"] {
        assert!(why.contains(words), "{why}");
    }
    assert!(text(&run(&["models", "list"])).contains("another version"));
    let installed = run(&["models", "install", "own"]);
    assert_eq!(code(&installed), 0, "{}", complaint(&installed));
    let made = ["own.onnx", "own.int8.onnx"].map(|name| fs::read_to_string(dir.join(name)));
    let made = made.map(Result::unwrap);
    assert_eq!(made, ["made anew of 4\n", "made anew of 5\n"]);
    let verified = run(&["models", "verify"]);
    assert_eq!(code(&verified), 0, "{}", complaint(&verified));
    // And once is enough.
    fs::remove_file(dir.join("python.sh")).unwrap();
    let again = run(&["models", "install", "own"]);
    assert_eq!(code(&again), 0, "{}", complaint(&again));
}

#[test]
fn an_installation_that_broke_off_is_finished_by_the_next_and_one_at_work_is_waited_for() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: there is no ONNX Runtime for this system");
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    translated_before(dir);
    let (python, record) = (dir.join("python.sh"), dir.join("installed.json"));
    let before = fs::read(&record).unwrap();
    let place = ["--models-dir", dir.to_str().unwrap()];
    let variables = [("DOPPEL_PYTHON", python.to_str().unwrap())];
    let run = |arguments: &[&str]| doppel(&variables, &[arguments, &place].concat());
    let installed = run(&["models", "install", "own"]);
    assert_eq!(code(&installed), 0, "{}", complaint(&installed));
    // Killed after the first file: what makes others must not be needed any more.
    let work = dir.join("installing");
    fs::create_dir(&work).unwrap();
    fs::rename(&record, work.join("installed.json")).unwrap();
    fs::rename(dir.join("own.int8.onnx"), work.join("own.int8.onnx")).unwrap();
    fs::write(&record, before).unwrap();
    fs::write(dir.join("own.int8.onnx"), "own.int8.onnx").unwrap();
    fs::remove_file(dir.join("python.sh")).unwrap();
    let other = File::options().write(true).open(dir.join("install.lock"));
    let other = other.unwrap();
    other.lock().unwrap();
    assert_eq!(code(&run(&["models", "verify"])), 1);
    let install = [["models", "install", "own"].as_slice(), &place].concat();
    let mut second = command(&variables, &install);
    let mut second = second.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(second.stderr.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    assert!(
        first.contains("waiting for another installation"),
        "{first}"
    );
    other.unlock().unwrap();
    let rest: Vec<_> = told.map(Result::unwrap).collect();
    assert!(second.wait().unwrap().success(), "{rest:?}");
    assert!(!work.exists());
    let verified = run(&["models", "verify"]);
    assert_eq!(code(&verified), 0, "{}", complaint(&verified));
}

/// Stands in for Python where a model is made anew: it gives the files that lie in a folder.
const COPIER: &str = r#"#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") ;;
  *) cp "MADE/$(basename "$4")" "$4" ;;
esac
"#;

#[test]
fn a_server_takes_photos_while_it_has_its_model_made_anew_and_then_goes_by_the_new_one() {
    let Some(from) = std::env::var_os("DOPPEL_MODELS_DIR") else {
        return eprintln!("skipped: DOPPEL_MODELS_DIR is not set");
    };
    let from = std::path::absolute(from).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for entry in fs::read_dir(&from).unwrap() {
        let name = entry.unwrap().file_name();
        std::os::unix::fs::symlink(from.join(&name), dir.join(&name)).unwrap();
    }
    // The weights lie there, so that none are fetched.
    let mut manifest = serde_json::to_value(Manifest::builtin()).unwrap();
    let network = &mut manifest["embedder"];
    network["sha256"] = json!(sha256(b"weights"));
    let weights = network["translated"]["weights"]
        .as_str()
        .unwrap()
        .to_owned();
    let rounded = network["translated"]["rounded"]
        .as_str()
        .unwrap()
        .to_owned();
    network.as_object_mut().unwrap().remove("from");
    let name = manifest["name"].as_str().unwrap().to_owned();
    fs::write(
        dir.join(format!("{name}.manifest.json")),
        manifest.to_string(),
    )
    .unwrap();
    let _ = fs::remove_file(dir.join(&weights));
    fs::write(dir.join(&weights), "weights").unwrap();
    let path = dir.join("installed.json");
    let mut stale: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let maker = |record: &Value| -> Option<String> {
        let files = record["files"].as_array()?.iter();
        let mut made = files.filter(|file| file["name"] == rounded.as_str());
        made.next()?["made_by"].as_str().map(str::to_owned)
    };
    for file in stale["files"].as_array_mut().unwrap() {
        if file["name"] == rounded.as_str() {
            file["made_by"] = json!("another");
        }
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, stale.to_string()).unwrap();
    let python = dir.join("python.sh");
    fs::write(&python, COPIER.replace("MADE", from.to_str().unwrap())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let data = dir.join("data").display().to_string();
    let (models, python) = (dir.to_str().unwrap(), python.to_str().unwrap());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", &data];
    let arguments = [&arguments[..], &["--models-dir", models]].concat();
    let mut server = command(&[("DOPPEL_PYTHON", python)], &arguments);
    let piped = server.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = piped.spawn().unwrap();
    let mut out = BufReader::new(server.stdout.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().contains("listening"));
    let mut told = Vec::new();
    for line in BufReader::new(server.stderr.take().unwrap()).lines() {
        told.push(line.unwrap());
        // At first with numbers of 32 bits, then anew.
        let taken = told
            .iter()
            .filter(|it| it.contains("photos are taken") && it.contains(&name));
        if taken.count() == 2 || told.last().unwrap().contains("stay as they are") {
            break;
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let anew = told
        .iter()
        .any(|it| it.contains("making the face models anew"));
    assert!(anew, "{told:?}");
    let record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(maker(&record).is_some_and(|it| it != "another"), "{told:?}");
}
