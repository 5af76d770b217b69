//! `doppel reembed`: a collection moved to another face model. The server does it; here it is begun,
//! waited for and told. The result goes to standard output as it came.

use std::thread;

use anyhow::Result;
use clap::Args;
use config::Flag;
use serde_json::{Value, json};

use crate::client::{Client, wire};
use crate::exit::Exit;
use crate::target::ServerOrFolderArgs;
use crate::{job, limits, out};

pub(crate) const HELP: &str = "\
The collection is searched by its old vectors until all are made. Faces of which neither photo nor
crop is kept, or that the models do not find in them, are listed under `missing`; as long as there
are some, the old vectors stay, unless --accept-missing says that these faces need not be found any
more. The same command again goes on where it was stopped; --give-up takes the new vectors away, and all
is as it was before.

A head (docs/METRIC_LEARNING.md) makes its vectors of those of its base, without pictures. The way back is
not open: once the base's vectors are gone, other vectors are made from photos and crops alone. So a move to
a head has to say --keep-old or --drop-old. The result names the old vector (`from`, `from_model`) and says whether
it was removed or kept (`old_vector`).

Exit codes: 0 the collection is of the new model, 3 some faces have no vector of it.";

#[derive(Debug, Args)]
pub(crate) struct ReembedArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: String,
    /// The model, which must be installed where the server is
    #[arg(short, long, value_name = "NAME", required_unless_present = "give_up")]
    pub(crate) model: Option<String>,
    /// The name of the new vector [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub(crate) vector: Option<String>,
    /// The vector that is replaced [default: the only one that a model makes]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Keep the old vectors too
    #[arg(long, conflicts_with = "drop_old")]
    pub(crate) keep_old: bool,
    /// Drop the old vectors in the end [default, but to a head]
    #[arg(long)]
    pub(crate) drop_old: bool,
    /// Drop the old vectors though some faces have no new one (with --give-up: the new ones)
    #[arg(long)]
    pub(crate) accept_missing: bool,
    /// Give up a move that has begun: the new vectors go
    #[arg(long, conflicts_with_all = ["model", "vector", "from", "keep_old", "drop_old"])]
    pub(crate) give_up: bool,
    #[command(flatten)]
    pub(crate) target: ServerOrFolderArgs,
    /// Folder of the face models, with --data-dir
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    pub(crate) models_dir: Option<String>,
}

impl ReembedArgs {
    /// The flags that concern a server of its own, as settings.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let dir = self.models_dir.as_ref();
        let dir = dir.map(|dir| Flag::new("--models-dir", "models_dir", dir));
        self.target.flags().into_iter().chain(dir).collect()
    }

    fn body(&self) -> Value {
        let mut body = json!({"model": self.model, "accept_missing": self.accept_missing});
        // What is not said is as it was when the move was begun.
        if self.keep_old || self.drop_old {
            body["keep_old"] = json!(self.keep_old);
        }
        for (key, name) in [("vector", &self.vector), ("from", &self.from)] {
            if let Some(name) = name {
                body[key] = json!(name);
            }
        }
        body
    }
}

/// Has it done, waits, and prints what came of it.
pub(crate) fn run(arguments: &ReembedArgs, client: &Client) -> Result<Exit> {
    let collection = &arguments.collection;
    if arguments.give_up {
        end_jobs(collection, client)?;
        let told = client.give_up_reembedding(collection, arguments.accept_missing)?;
        out::print(&(serde_json::to_string_pretty(&told)? + "\n"))?;
        return Ok(Exit::Success);
    }
    let job = client.reembed(collection, &arguments.body())?;
    let result = job::wait(client, job, "faces")?;
    out::print(&(serde_json::to_string_pretty(&job::shortened(result.clone()))? + "\n"))?;
    let lacking = result["without_new_vector"].as_u64();
    if lacking == Some(0) {
        return Ok(Exit::Success);
    }
    if result["old_vector"] == "kept" {
        eprintln!(
            "{} points have no new vector: `missing` says why. The old vectors stay, and searches go by them. \
             --accept-missing goes on without these points, --give-up takes the new vectors away again",
            lacking.unwrap_or_default()
        );
    }
    Ok(Exit::Partial)
}

/// Cancels what is moving the collection, and waits for its end.
fn end_jobs(collection: &str, client: &Client) -> Result<()> {
    let own = client.own_name(collection)?;
    let moving = |it: &wire::ListedJob| {
        it.kind == "reembed" && it.collection.as_deref() == Some(own.as_str())
    };
    for it in client.jobs()?.into_iter().filter(moving) {
        let mut status = it.job.status;
        while status == "running" {
            status = client.cancel_job(it.job.id)?.status;
            thread::sleep(limits::JOB_LOOK);
        }
    }
    Ok(())
}
