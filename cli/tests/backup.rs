//! `doppel backup` and `doppel restore`, with the real binary over real data folders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

fn doppel(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
    command.args(arguments).env_remove("DOPPEL_URL");
    command.env_remove("DOPPEL_API_KEY");
    command.output().unwrap()
}

fn done(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_stopped_folder_is_backed_up_and_restored_into_another() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/fixtures/v1");
    let (old, new) = (path(dir.path(), "old"), path(dir.path(), "new"));
    copy(&fixture, Path::new(&old));
    let (all, file) = (
        path(dir.path(), "all.doppel"),
        path(dir.path(), "again.doppel"),
    );
    let told = done(&doppel(&["backup", &all, "--data-dir", &old]));
    assert!(told.contains("SHA-256"), "{told}");
    let told = done(&doppel(&["restore", &all, "--data-dir", &new]));
    assert!(told.starts_with("restored `"), "{told}");
    let name = told.split('`').nth(1).unwrap();
    done(&doppel(&[
        "backup",
        &file,
        "--collection",
        name,
        "--data-dir",
        &new,
    ]));
    let told = done(&doppel(&[
        "restore",
        &file,
        "-c",
        "other",
        "--data-dir",
        &new,
    ]));
    assert_eq!(told, "restored as `other`\n");
    let report = done(&doppel(&["purge", "-c", "other", "--data-dir", &new]));
    assert!(report.contains("\"files_written\""), "{report}");
    let again = doppel(&["backup", &file, "--data-dir", &new]);
    assert_eq!(again.status.code(), Some(1), "no backup is written over");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = doppel(&["restore", &file, "-c", "other", "--data-dir", &new]);
    let complaint = String::from_utf8_lossy(&damaged.stderr);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(complaint.contains("damaged at byte"), "{complaint}");
    let left = std::fs::read_dir(dir.path().join("new/backups/collections").join(name));
    assert_eq!(left.unwrap().count(), 0, "the server keeps no copy");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
