//! `cargo xtask sanitize`: tests of the engine's threads, built with ThreadSanitizer, hnsw, storage and
//! sled with them. The standard library is as it comes with the toolchain, without it, so what it alone
//! would order is listed in `tsan.supp`. Not a part of ci: it compiles everything once more.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ci;

/// Tests in which threads meet.
const TESTS: [&str; 8] = [
    "aliases",
    "behaviour",
    "concurrent",
    "determinism",
    "model",
    "purge",
    "refill",
    "reindex",
];
/// `doppel_sanitized` has nobody wait where the standard library's waiting is not seen.
const FLAGS: &str =
    "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg doppel_sanitized";

/// Fails on the first test that fails, or in which two threads race.
pub(crate) fn run() -> Result<()> {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tsan.supp");
    let folder = ci::target_dir()?.join("sanitized");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "-p", "engine", "--target", &host()?, "--target-dir"])
        .arg(folder)
        // The flags are of the compiler's unstable ones.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env(
            "TSAN_OPTIONS",
            format!("history_size=4 suppressions={list}"),
        );
    for test in TESTS {
        cargo.args(["--test", test]);
    }
    ci::run_command(&mut cargo)
}

/// The machine that this compiler makes programs for.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    if !output.status.success() {
        bail!("rustc -vV ended with {}", output.status);
    }
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}
