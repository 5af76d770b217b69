//! `doppel reembed`: a collection moved to another face model. The server does it; here it is begun,
//! waited for and told. The result goes to standard output as it came.

use anyhow::Result;
use clap::Args;
use config::Flag;
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Exit;
use crate::target::ServerOrFolderArgs;
use crate::{job, out};

pub(crate) const HELP: &str = "\
The collection is searched by its old vectors until all are made. Faces of which neither photo nor
crop is kept, or that the models do not find in them, are listed under `missing`; as long as there
are some, the old vectors stay, unless --accept-missing says that these faces need not be found any
more. The same command again goes on where it was stopped.

Exit codes: 0 the collection is of the new model, 3 some faces have no vector of it.";

#[derive(Debug, Args)]
pub(crate) struct ReembedArgs {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    pub(crate) collection: String,
    /// The model, which must be installed where the server is
    #[arg(short, long, value_name = "NAME")]
    pub(crate) model: String,
    /// The name of the new vector [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub(crate) vector: Option<String>,
    /// The vector that is replaced [default: the only one that a model makes]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Keep the old vectors too
    #[arg(long)]
    pub(crate) keep_old: bool,
    /// Drop the old vectors though some faces have no new one
    #[arg(long)]
    pub(crate) accept_missing: bool,
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
        let mut body = json!({
            "model": self.model,
            "keep_old": self.keep_old,
            "accept_missing": self.accept_missing,
        });
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
    let job = client.reembed(&arguments.collection, &arguments.body())?;
    let result = job::wait(client, job, "faces")?;
    out::print(&(serde_json::to_string_pretty(&result)? + "\n"))?;
    Ok(match result["without_new_vector"].as_u64() {
        Some(0) => Exit::Success,
        _ => Exit::Partial,
    })
}
