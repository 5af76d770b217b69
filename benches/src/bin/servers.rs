//! The server beside other servers, with the same client, vectors, hits and recall:
//!
//! ```sh
//! cargo build --release && cargo run --release -p benches --bin servers -- --svg docs/benchmarks/servers.svg
//! ```
//!
//! The server has one core and the client another (where there are two). Vectors are people of 20
//! photos each at cosine 0.6; every server builds with M = 16 and `ef_construct` 100 and is searched
//! with the least effort that reaches a recall. Servers come from PyPI, into a virtual environment
//! that is made in the build's folder; Redis and PostgreSQL are asked in their own protocols, Chroma
//! and doppel in JSON over HTTP, by one client that copies bytes made beforehand. Qdrant's, LanceDB's
//! and Milvus's embedded forms run in a Python process, on one core too, asked by threads. What cannot
//! be had or fails is named, and the others go on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use benches::ann::dataset::target_dir;
use benches::ann::venv::Venv;
use benches::servers::{EMBEDDED, Peer, Plan, Set, embedded, measure, report};
use clap::Parser;

#[derive(Parser)]
#[command(name = "servers")]
struct Arguments {
    /// Vectors to put in.
    #[arg(long, default_value_t = 100_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// What they are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that each load of searches lasts.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only these, by name: doppel, redis, postgres, chroma, qdrant-edge, lancedb, milvus-lite.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Draws the plots into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// The peers' environment [default: server-peers-venv in the build's own folder].
    #[arg(long)]
    venv: Option<PathBuf>,
    /// The interpreter that makes it.
    #[arg(long, default_value = "python3")]
    python: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = wanted(&arguments.only)?;
    let dir = match &arguments.venv {
        Some(dir) => dir.clone(),
        None => target_dir()?.join("server-peers-venv"),
    };
    let mut venv = Venv::new(dir, arguments.python.clone());
    // Not in the build's folder: PostgreSQL runs as a user of its own, who may not look in there.
    let scratch = tempfile::tempdir()?;
    open_to_all(scratch.path())?;
    let set = Set::new(arguments.seed, arguments.vectors, arguments.dim)?;
    let mut plan = Plan {
        seconds: arguments.seconds,
        python: PathBuf::new(),
        scratch: scratch.path().to_owned(),
    };
    let mut all = Vec::new();
    let mut left_out = Vec::new();
    for (name, packages, server) in wanted {
        eprintln!("{name}");
        let measured = venv.python_with(packages).and_then(|python| {
            plan.python = python;
            match server {
                Some(peer) => measure(peer, &set, &plan),
                None => embedded(&name, &set, &plan),
            }
        });
        match measured {
            Ok(measured) => all.push(measured),
            Err(why) => left_out.push(format!("{name}: {why:#}")),
        }
    }
    let mut out = std::io::stdout().lock();
    report::print(&mut out, &all)?;
    for why in left_out {
        writeln!(out, "Left out: {why}\n")?;
    }
    if let Some(path) = arguments.svg {
        std::fs::write(&path, report::picture(&all)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A system's name, what it needs, and the server unless it runs in our process.
type System = (String, &'static [&'static str], Option<Peer>);

/// All systems, or those named.
fn wanted(only: &[String]) -> Result<Vec<System>> {
    let servers = Peer::ALL.into_iter().map(|peer| {
        let name = format!("{peer:?}").to_lowercase();
        (name, peer.packages(), Some(peer))
    });
    let in_process = EMBEDDED.map(|(name, packages)| (name.to_owned(), packages, None));
    let mut all: Vec<System> = servers.chain(in_process).collect();
    for name in only {
        let known = all.iter().any(|(known, ..)| known == name);
        ensure!(known, "no system is called {name}; --help has their names");
    }
    all.retain(|(name, ..)| only.is_empty() || only.contains(name));
    Ok(all)
}

#[cfg(unix)]
fn open_to_all(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
