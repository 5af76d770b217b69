//! What collections of several sizes would need, on paper: `cargo run -p benches --bin capacity`.

use std::io::Write;

use anyhow::{Result, ensure};
use benches::capacity::{MEASURED, Machine, Plan, plan};
use clap::Parser;

#[derive(Parser)]
#[command(name = "capacity")]
struct Arguments {
    /// Vectors of a collection.
    #[arg(long, value_delimiter = ',', default_value = "1e7,1e9,1e11")]
    vectors: Vec<f64>,
    /// Vectors of a shard.
    #[arg(long, value_delimiter = ',', default_value = "1e7,1e8")]
    shards: Vec<f64>,
    /// GB of RAM of a machine; a quarter is left free.
    #[arg(long, default_value_t = 256.0)]
    ram_gb: f64,
    /// Cores of a machine.
    #[arg(long, default_value_t = 32.0)]
    cores: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let all = [&arguments.vectors[..], &arguments.shards[..]].concat();
    let sound = |number: &f64| number.is_finite() && *number >= 1.0;
    ensure!(
        all.iter().all(sound) && sound(&arguments.ram_gb) && sound(&arguments.cores),
        "every number has to be 1 or more"
    );
    let machine = Machine {
        ram_bytes: arguments.ram_gb * 1e9 * 0.75,
        cores: arguments.cores,
    };
    let mut out = std::io::stdout().lock();
    let columns = [
        "vectors",
        "shards",
        "RAM",
        "disk",
        "machines",
        "CPU ms a search",
        "searches a second",
        "build, core hours",
        "photos, core hours",
        "a shard is ready after, s",
        "its checkpoint, s",
    ];
    writeln!(out, "| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", " --: |".repeat(columns.len()))?;
    for vectors in &arguments.vectors {
        let mut last = None;
        for shard in &arguments.shards {
            let plan = plan(&MEASURED, &machine, *vectors, shard.min(*vectors));
            if last != Some(plan) {
                writeln!(out, "| {} |", row(*vectors, &plan))?;
            }
            last = Some(plan);
        }
    }
    Ok(())
}

fn row(vectors: f64, plan: &Plan) -> String {
    let cells = [
        short(vectors),
        format!("{} of {}", short(plan.shards), short(vectors / plan.shards)),
        bytes(plan.ram_bytes),
        bytes(plan.disk_bytes),
        short(plan.machines),
        short(plan.search_ms),
        short(plan.searches),
        short(plan.build_core_hours),
        short(plan.photo_core_hours),
        short(plan.ready_s),
        short(plan.checkpoint_s),
    ];
    cells.join(" | ")
}

/// Two digits that count, and a word for the rest.
fn short(number: f64) -> String {
    let words = [
        (1e12, " trillion"),
        (1e9, " billion"),
        (1e6, " million"),
        (1e3, " thousand"),
    ];
    let word = words.iter().find(|(least, _)| number >= *least);
    let (scaled, word) = word.map_or((number, ""), |(least, word)| (number / least, *word));
    match scaled {
        scaled if scaled.is_infinite() => "none is large enough".to_owned(),
        scaled if scaled >= 10.0 || scaled.fract() == 0.0 => format!("{scaled:.0}{word}"),
        scaled if scaled >= 1.0 => format!("{scaled:.1}{word}"),
        scaled => format!("{scaled:.2}{word}"),
    }
}

fn bytes(number: f64) -> String {
    let words = [(1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (0.0, "MB")];
    let word = words.iter().find(|(least, _)| number >= *least);
    let (unit, name) = word.map_or((1e6, "MB"), |(least, name)| (least.max(1e6), *name));
    match number / unit {
        scaled if scaled >= 10.0 => format!("{scaled:.0} {name}"),
        scaled => format!("{scaled:.1} {name}"),
    }
}
