//! The gate, step by step; the first failure ends it. The workspace is compiled twice, once for
//! clippy and once for tests, and never in release: the tests' own build makes the `doppel` binary
//! that obtains the face models. `engine` and `hnsw` are compiled once more, to have the orders of
//! their threads tried.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::browser;
use crate::conformance::{self, Outcome};
use crate::models::{self, Models};
use crate::nats;
use crate::prometheus;
use crate::supply;
use crate::tidy;

/// Runs every step and ends with one line that says how it went.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let nextest = has_nextest();
    step("formatting", || cargo(&["fmt", "--all", "--check"]))?;
    step("tidy", tidy::run)?;
    step("licences", supply::check)?;
    step("clippy", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    step("build of the tests and of doppel", || {
        cargo(&["test", "--workspace", "--tests", "--no-run"])
    })?;
    let mut models = Models::Absent;
    step("face models", || {
        models = models::install(&target_dir()?)?;
        Ok(())
    })?;
    let mut broker = None;
    step("a server of NATS", || {
        broker = nats::server(&target_dir()?);
        Ok(())
    })?;
    step("tests", || tests(nextest, &models, broker.as_deref()))?;
    step("faces without ONNX Runtime", || without_library(&models))?;
    step("doc tests", || cargo(&["test", "--workspace", "--doc"]))?;
    step("orders of threads", orders)?;
    let mut clients = Outcome::Ran;
    step("official clients", || {
        clients = conformance::run(&target_dir()?, models.dir())?;
        Ok(())
    })?;
    let mut watched = Outcome::Ran;
    step("Prometheus", || {
        watched = prometheus::run(&target_dir()?, models.dir())?;
        Ok(())
    })?;
    let mut page = Outcome::Ran;
    step("the page in a browser", || {
        page = browser::run(&target_dir()?, models.dir())?;
        Ok(())
    })?;
    let note = match models {
        Models::Installed(_) => "",
        Models::Absent => ", without face models: tests that need them were skipped",
    };
    let alone = match broker {
        Some(_) => "",
        None => ", without NATS: tests of the shared log were skipped",
    };
    let skipped = [
        skipped("the official clients", clients),
        skipped("what Prometheus sees", watched),
        skipped("the page's tests", page),
    ]
    .concat();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("\nci: everything passed in {seconds:.0} s{note}{alone}{skipped}");
    Ok(())
}

fn skipped(what: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::Ran => String::new(),
        Outcome::Skipped(why) => format!("; of {what} not all ran: {why}"),
    }
}

/// That step alone, for a build that is there.
pub(crate) fn conformance() -> Result<()> {
    alone(conformance::run)
}

/// That step alone, for a build that is there.
pub(crate) fn browser() -> Result<()> {
    alone(browser::run)
}

/// That step alone, for a build that is there.
pub(crate) fn prometheus() -> Result<()> {
    alone(prometheus::run)
}

/// A few free photos, for trying things out; the folder is printed.
pub(crate) fn photos() -> Result<()> {
    let photos = conformance::photos(&target_dir()?)?;
    eprintln!(
        "photos of a few people, a folder for each: {}",
        photos.display()
    );
    Ok(())
}

/// The pictures of the documents, of a build that is there.
pub(crate) fn screenshots() -> Result<()> {
    alone(browser::screenshots)
}

fn alone(work: impl Fn(&Path, Option<&Path>) -> Result<Outcome>) -> Result<()> {
    let target = target_dir()?;
    let chosen = std::env::var_os("DOPPEL_MODELS_DIR").map(PathBuf::from);
    let dir = chosen.unwrap_or_else(|| target.join("doppel-models"));
    let models = dir.join("installed.json").exists().then_some(dir);
    match work(&target, models.as_deref())? {
        Outcome::Ran => Ok(()),
        Outcome::Skipped(why) => bail!("not all of it ran: {why}"),
    }
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("\n=== {name}");
    let start = Instant::now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    match &outcome {
        Ok(()) => eprintln!("=== {name}: done in {seconds:.1} s"),
        Err(_) => eprintln!("=== {name}: FAILED after {seconds:.1} s"),
    }
    outcome.with_context(|| format!("ci stopped at: {name}"))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run_command(building().args(arguments))
}

/// Everything is compiled once here: what makes a second time quicker would only fill the disk, and
/// so would what debuggers want to know in each of the many programs of the tests.
fn building() -> Command {
    let mut command = Command::new("cargo");
    command.env("CARGO_INCREMENTAL", "0");
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
    command
}

pub(crate) fn run_command(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn has_nextest() -> bool {
    let mut probe = Command::new("cargo");
    probe.args(["nextest", "--version"]);
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Only tests that run under shuttle can run with its locks.
fn orders() -> Result<()> {
    let of = ["-p", "engine", "-p", "hnsw", "--features", "engine/shuttle"];
    let targets = ["--lib", "--test", "interleavings"];
    let clippy = [&["clippy"][..], &of, &targets, &["--", "-D", "warnings"]];
    cargo(&clippy.concat())?;
    let small = [&["test"][..], &of, &["--lib", "interleavings"]];
    cargo(&small.concat())?;
    let whole = [&["test"][..], &of, &["--test", "interleavings"]];
    cargo(&whole.concat())
}

/// The backend that stands in where ONNX Runtime is not to be had, which no other build has.
fn without_library(models: &Models) -> Result<()> {
    let mut command = building();
    command.args(["test", "--package", "embedder", "--features", "tract"]);
    command.args(["--test", "real_models", "without_the_library"]);
    if let Models::Installed(dir) = models {
        command.env("DOPPEL_MODELS_DIR", dir);
    }
    run_command(&mut command)
}

/// With nextest each test has its own process, and a slow one is named.
fn tests(nextest: bool, models: &Models, broker: Option<&Path>) -> Result<()> {
    let mut command = building();
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        command.args(["test", "--workspace", "--tests", "--no-fail-fast"]);
    }
    if let Models::Installed(dir) = models {
        command.env("DOPPEL_MODELS_DIR", dir);
    }
    if let Some(server) = broker {
        command.env(nats::VARIABLE, server);
    }
    run_command(&mut command)
}

/// Where this workspace is built, whatever the environment says about it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = tidy::metadata()?;
    let path = metadata["target_directory"].as_str();
    let path = path.context("cargo metadata names no target directory")?;
    Ok(Path::new(path).to_path_buf())
}
