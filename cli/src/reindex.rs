//! `doppel reindex`: an index built anew while it serves.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Exit;
use crate::target::ServerOrFolderArgs;
use crate::{job, out};

#[derive(Debug, Args)]
pub(crate) struct ReindexArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    /// The vector whose index it is, where points have several
    #[arg(long, value_name = "NAME")]
    using: Option<String>,
    /// Links of a point on the upper levels of the graph (HNSW's M)
    #[arg(long, value_name = "COUNT")]
    m: Option<usize>,
    /// Candidates that are considered when a point is inserted
    #[arg(long, value_name = "COUNT")]
    ef_construct: Option<usize>,
    /// What searches walk on
    #[arg(long, value_enum)]
    quantization: Option<Quantization>,
    /// Whether the f32 vectors lie in a file beside RAM
    #[arg(long, value_name = "BOOL")]
    on_disk: Option<bool>,
    #[command(flatten)]
    pub(crate) target: ServerOrFolderArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Quantization {
    /// The f32 vectors
    None,
    /// One byte a number
    Int8,
    /// One bit a number
    #[value(name = "1")]
    One,
    /// Two bits a number
    #[value(name = "2")]
    Two,
    /// Four bits a number
    #[value(name = "4")]
    Four,
}

impl Quantization {
    fn config(self) -> Value {
        let packed = |bits: u8| json!({"packed": {"bits": bits}});
        match self {
            Self::None => json!("Disabled"),
            Self::Int8 => json!({"scalar": {"type": "int8"}}),
            Self::One => packed(1),
            Self::Two => packed(2),
            Self::Four => packed(4),
        }
    }
}

/// Has the index built anew, waits for it, and says what it came to.
pub(crate) fn run(arguments: &ReindexArgs, client: &Client) -> Result<Exit> {
    let body = json!({
        "using": arguments.using,
        "hnsw_config": {"m": arguments.m, "ef_construct": arguments.ef_construct},
        "quantization_config": arguments.quantization.map(Quantization::config),
        "on_disk": arguments.on_disk,
    });
    let job = client.reindex(&arguments.collection, &body)?;
    let result = job::wait(client, job, "points")?;
    let (points, memory) = (&result["points"], &result["memory_bytes"]);
    let (before, after) = (&memory["before"], &memory["after"]);
    out::print(&format!(
        "{points} points; the indexes took {before} bytes of memory, now {after}\n"
    ))?;
    Ok(Exit::Success)
}
