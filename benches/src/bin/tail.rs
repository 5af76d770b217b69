//! How long a search of many shards takes, simulated:
//! `cargo run --release -p benches --bin tail -- --shards 1,10,100 --replicas 3`.
//!
//! For each number of shards four ways of asking: any node of a shard, the least busy one, that and a
//! second one when it is late, and that but no longer than a deadline. What a node needs is given by
//! its median and 99th percentile, or drawn from times that were measured (`--times`, which
//! `--bin load -- --times` writes).

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::tail::{Choice, Cluster, Load, Outcome, Service, simulate};
use clap::Parser;

#[derive(Parser)]
#[command(name = "tail")]
struct Arguments {
    /// Parts of the collection, one block of rows for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    shards: Vec<usize>,
    /// Nodes that have the same shard.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Requests that a node works at at once.
    #[arg(long, default_value_t = 8)]
    cores: usize,
    /// The part of the nodes' time that they work.
    #[arg(long, default_value_t = 0.5)]
    busy: f64,
    /// Half of the requests need less of a node's time, in milliseconds.
    #[arg(long, default_value_t = 0.15)]
    median_ms: f64,
    /// 99 of 100 requests need less, in milliseconds.
    #[arg(long, default_value_t = 0.20)]
    p99_ms: f64,
    /// A file of measured times instead, one in milliseconds a line.
    #[arg(long, conflicts_with_all = ["median_ms", "p99_ms"])]
    times: Option<PathBuf>,
    /// When a second node is asked [default: what 95 of 100 requests to one shard take].
    #[arg(long)]
    hedge_ms: Option<f64>,
    /// When a query is answered with what is there [default: what 999 of 1,000 requests to one shard
    /// take].
    #[arg(long)]
    deadline_ms: Option<f64>,
    /// Queries that are counted.
    #[arg(long, default_value_t = 10_000)]
    queries: usize,
    /// What everything follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Requests by which hedging and deadline are set.
const REQUESTS: usize = 200_000;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let service = match &arguments.times {
        Some(path) => {
            let name = || path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(name)?;
            Service::measured(&text).with_context(name)?
        }
        None => Service::lognormal(arguments.median_ms, arguments.p99_ms)?,
    };
    let plain = Cluster {
        shards: 1,
        replicas: arguments.replicas,
        cores: arguments.cores,
        choice: Choice::Random,
        hedge_ms: None,
        deadline_ms: None,
        service,
    };
    let least = Cluster {
        choice: Choice::LeastBusy,
        ..plain.clone()
    };
    let load = Load {
        busy: arguments.busy,
        queries: arguments.queries,
        seed: arguments.seed,
    };
    let alone = Load {
        queries: REQUESTS,
        ..load
    };
    let alone = simulate(&least, alone)?;
    let hedge_ms = arguments.hedge_ms.unwrap_or(alone.percentile_ms(0.95));
    let deadline_ms = arguments.deadline_ms.unwrap_or(alone.percentile_ms(0.999));
    let mut ways = vec![("any node", plain), ("least busy", least.clone())];
    let hedged = Cluster {
        // With one node there is no second to ask.
        hedge_ms: (arguments.replicas > 1).then_some(hedge_ms),
        ..least
    };
    ways.push(("and a second one when late", hedged.clone()));
    let bounded = Cluster {
        deadline_ms: Some(deadline_ms),
        ..hedged
    };
    ways.push(("and a deadline", bounded));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "A node needs {:.3} ms in the mean; late after {hedge_ms:.3} ms, deadline {deadline_ms:.3} ms.\n",
        ways[0].1.service.mean_ms()
    )?;
    writeln!(
        out,
        "| shards | asked | p50 ms | p99 ms | p99.9 ms | busy | asked twice | partial | shards missing |\n\
         | --: | --- | --: | --: | --: | --: | --: | --: | --: |"
    )?;
    for shards in &arguments.shards {
        for (way, cluster) in &ways {
            let cluster = Cluster {
                shards: *shards,
                ..cluster.clone()
            };
            let row = row(&simulate(&cluster, load)?);
            writeln!(out, "| {shards} | {way} | {row} |")?;
        }
    }
    Ok(())
}

fn row(outcome: &Outcome) -> String {
    let times = [0.5, 0.99, 0.999].map(|part| format!("{:.3}", outcome.percentile_ms(part)));
    let parts = [
        (outcome.busy, 0),
        (outcome.hedged, 1),
        (outcome.partial, 1),
        (outcome.missing, 3),
    ];
    let parts = parts.map(|(part, digits)| match part {
        0.0 => "-".to_owned(),
        part => format!("{:.digits$} %", part * 100.0),
    });
    [&times[..], &parts[..]].concat().join(" | ")
}
