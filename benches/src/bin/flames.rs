//! Where the time goes, as flame graphs and the dearest functions:
//!
//! ```sh
//! cargo install inferno && cargo build --release
//! cargo run --release -p benches --bin flames -- --models-dir models --photos FOLDER --out docs/benchmarks
//! ```
//!
//! Samples a process (`perf record`, the CPU's clock, stacks unwound by DWARF) while it is asked over
//! one connection: `index`, searches in process without a server; `search`, the same over REST;
//! `insert`, single points over REST, searchable when answered; `batch`, 64 of them a request; `photo`,
//! photos whose faces go into a collection. For each it writes `flames-NAME.svg` and prints the five
//! functions in which most samples end. Linux, with `perf` and `inferno` (a set of programs, not a
//! library of this one).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use benches::load::{self, request, search_requests};
use benches::original::photos;
use benches::{Process, people};
use clap::Parser;
use hnsw::{Index, Metric, Params, SearchOptions};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(name = "flames")]
struct Arguments {
    /// Vectors to search and add to.
    #[arg(long, default_value_t = 20_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// How long each is sampled.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these: index, search, insert, batch, photo.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Folder of the installed face models, for `photo`.
    #[arg(long, requires = "photos")]
    models_dir: Option<PathBuf>,
    /// Folder of photos, for `photo`.
    #[arg(long, requires = "models_dir")]
    photos: Option<PathBuf>,
    /// Folder for the pictures.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Search the index until killed; what `index` starts.
    #[arg(long, hide = true)]
    walk: bool,
}

const COLLECTION: &str = "/collections/faces";
const SAMPLES_A_SECOND: &str = "997";
const QUERIES: usize = 500;
const FILL: usize = 256;
/// Points put in one by one, or in batches, while sampled: more than get through.
const INSERTS: usize = 40_000;
const PHOTOS: usize = 100;
const MODEL: &str = "facenet-128";
/// How long the model may take to be loaded.
const LOADING: Duration = Duration::from_secs(60);
const DEAREST: usize = 5;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.vectors >= QUERIES,
        "at least {QUERIES} vectors are needed"
    );
    if arguments.walk {
        return walk(&arguments);
    }
    for program in ["perf", "inferno-collapse-perf", "inferno-flamegraph"] {
        let there = Command::new(program).arg("--help").output();
        there.with_context(|| format!("{program} cannot be run"))?;
    }
    let is_wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    if is_wanted("index") {
        index(&arguments)?;
    }
    if ["search", "insert", "batch"].into_iter().any(is_wanted) {
        points(&arguments, is_wanted)?;
    }
    if let (true, Some(models), Some(folder)) =
        (is_wanted("photo"), &arguments.models_dir, &arguments.photos)
    {
        photo(&arguments, models, folder)?;
    }
    Ok(())
}

/// Searches for photos of the people who are in the index, until killed.
fn walk(arguments: &Arguments) -> Result<()> {
    let vectors = people(1, arguments.vectors, arguments.dim);
    let mut index = Index::new(Params::new(arguments.dim, Metric::Cosine))?;
    // Evenly spread, as hashes of ids are.
    let seeds = (1u64..).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let points: Vec<(u64, &[f32])> = seeds.zip(vectors.iter().map(Vec::as_slice)).collect();
    for points in points.chunks(FILL) {
        index.insert_batch(points, 1)?;
    }
    writeln!(std::io::stdout().lock(), "ready")?;
    for query in vectors.iter().step_by(arguments.vectors / QUERIES).cycle() {
        std::hint::black_box(index.search(query, 10, &SearchOptions::default())?);
    }
    Ok(())
}

fn index(arguments: &Arguments) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    let (vectors, dim) = (arguments.vectors.to_string(), arguments.dim.to_string());
    command.args(["--walk", "--vectors", &vectors, "--dim", &dim]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("no standard output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let sampled = sample(arguments, child.id(), "index", || Ok(()));
    child.kill()?;
    child.wait()?;
    sampled
}

fn points(arguments: &Arguments, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Process::start(dir.path())?;
    let config = json!({"vectors": {"size": arguments.dim, "distance": "Cosine"}});
    server.send("PUT", COLLECTION, &config)?;
    let there = arguments.vectors;
    let all = people(1, there + 2 * INSERTS, arguments.dim);
    let (vectors, spare) = all.split_at(there);
    let fill = upserts(0, vectors, FILL);
    load::run(server.address(), &fill, 1, Duration::MAX, false)?;
    let step = there / QUERIES;
    let queries: Vec<Vec<f32>> = vectors.iter().step_by(step).cloned().collect();
    let (single, batched) = spare.split_at(INSERTS);
    let loads = [
        (
            "search",
            search_requests(COLLECTION, &queries, 10, &json!({})),
        ),
        ("insert", upserts(there, single, 1)),
        ("batch", upserts(there + INSERTS, batched, 64)),
    ];
    for (name, requests) in loads {
        if is_wanted(name) {
            ask(arguments, &server, name, &requests)?;
        }
    }
    server.stop()
}

fn photo(arguments: &Arguments, models: &Path, folder: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let binary = std::env::current_exe()?.with_file_name("doppel");
    let mut command = Command::new(binary);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--no-install",
        "--data-dir",
    ]);
    command.arg(dir.path()).arg("--models-dir").arg(models);
    let mut server = Process::spawn(command)?;
    server.wait_ready()?;
    server.send("PUT", COLLECTION, &json!({"embedder": MODEL}))?;
    let path = format!("{COLLECTION}/faces");
    let mut bodies = Vec::new();
    for path in photos::below(folder)?.iter().take(PHOTOS) {
        let image = STANDARD.encode(std::fs::read(path)?);
        bodies.push(json!({"images": [{"image": image}]}));
    }
    // The model is loaded beside the start.
    let started = Instant::now();
    while server.call("POST", &path, bodies.first())?.0 != 200 {
        ensure!(
            started.elapsed() < LOADING,
            "photos are not taken: is {MODEL} installed?"
        );
        thread::sleep(Duration::from_millis(100));
    }
    let requests: Vec<_> = bodies
        .iter()
        .map(|body| request("POST", &path, body))
        .collect();
    ask(arguments, &server, "photo", &requests)?;
    server.stop()
}

fn upserts(first: usize, vectors: &[Vec<f32>], batch: usize) -> Vec<Vec<u8>> {
    let path = format!("{COLLECTION}/points?wait=true");
    let mut id = first;
    let put = |vectors: &[Vec<f32>]| {
        let point = |vector| {
            id += 1;
            json!({"id": id - 1, "vector": vector})
        };
        let points: Vec<Value> = vectors.iter().map(point).collect();
        request("PUT", &path, &json!({ "points": points }))
    };
    vectors.chunks(batch).map(put).collect()
}

fn ask(arguments: &Arguments, server: &Process, name: &str, requests: &[Vec<u8>]) -> Result<()> {
    // Longer than it is sampled, so that the end of one is not the end of the other.
    let how_long = Duration::from_secs(arguments.seconds + 2);
    let pid = server.pid().context("the server has ended")?;
    sample(arguments, pid, name, || {
        load::run(server.address(), requests, 1, how_long, true).map(drop)
    })
}

/// Samples a process while something is done with it; writes the picture and prints what is dearest.
fn sample(
    arguments: &Arguments,
    pid: u32,
    name: &str,
    work: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("perf.data");
    let record = || -> Result<()> {
        let mut command = Command::new("perf");
        command.args([
            "record",
            "--quiet",
            "-e",
            "cpu-clock",
            "-F",
            SAMPLES_A_SECOND,
        ]);
        command.args(["--call-graph", "dwarf,16384", "-p", &pid.to_string(), "-o"]);
        command
            .arg(&data)
            .args(["--", "sleep", &arguments.seconds.to_string()]);
        done(command.spawn()?, "perf record")
    };
    thread::scope(|scope| {
        let working = scope.spawn(work);
        record()?;
        working.join().ok().context("a thread panicked")?
    })?;
    let (script, folded) = (dir.path().join("script"), dir.path().join("folded"));
    let mut command = Command::new("perf");
    command.args(["script", "--no-inline", "-i"]).arg(&data);
    command.stdout(File::create(&script)?).stderr(Stdio::null());
    done(command.spawn()?, "perf script")?;
    let mut command = Command::new("inferno-collapse-perf");
    command.arg(&script).stdout(File::create(&folded)?);
    done(command.spawn()?, "inferno-collapse-perf")?;
    let drawn = dir.path().join("drawn");
    let mut command = Command::new("inferno-flamegraph");
    command
        .args(["--minwidth", "0.3", "--title", name])
        .arg(&folded);
    command.stdout(File::create(&drawn)?);
    done(command.spawn()?, "inferno-flamegraph")?;
    let picture = arguments.out.join(format!("flames-{name}.svg"));
    std::fs::write(
        &picture,
        without_comments(&std::fs::read_to_string(&drawn)?),
    )
    .with_context(|| picture.display().to_string())?;
    dearest(name, &std::fs::read_to_string(&folded)?)
}

/// A picture without what the authors of its script say to each other.
fn without_comments(picture: &str) -> String {
    let lines = picture.split_inclusive('\n');
    lines
        .filter(|line| !line.trim_start().starts_with("// "))
        .collect()
}

fn done(mut child: Child, name: &str) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Prints the functions in which most samples end. A line of `folded` is a stack, its frames with `;`
/// between them, and the nanoseconds of the CPU's clock that its samples stand for.
fn dearest(name: &str, folded: &str) -> Result<()> {
    let mut ends: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').context("a line without a count")?;
        let last = stack.rsplit(';').next().unwrap_or(stack);
        *ends.entry(last).or_default() += count.parse::<u64>()?;
    }
    let all: u64 = ends.values().sum();
    let mut ends: Vec<(&str, u64)> = ends.into_iter().collect();
    ends.sort_unstable_by_key(|(function, count)| (std::cmp::Reverse(*count), *function));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name}: {:.2} s of CPU time sampled", all as f64 / 1e9)?;
    for (function, count) in ends.iter().take(DEAREST) {
        let share = *count as f64 * 100.0 / all.max(1) as f64;
        writeln!(out, "  {share:>4.1} % {function}")?;
    }
    Ok(())
}
