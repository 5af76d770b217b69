//! `doppel admin`: the jobs of a server, and what is done with it now and then while it serves.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, wire};
use crate::exit::Exit;
use crate::target::ServerArgs;
use crate::{job, out};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// List the jobs that are at work and the last that have ended
    Jobs(OfServer),
    /// Wait for a job, and print what came of it
    Watch(OfJob),
    /// Ask a job to end early; what it has written stays
    Cancel(OfJob),
    /// Take a checkpoint
    Checkpoint(OfServer),
    /// Read all checkpoints and backups and compare them with their checksums; damaged snapshots are
    /// written anew
    Verify(OfServer),
    /// Write the tables anew and release the log; writes wait while the tables are written
    Compact(OfServer),
    /// Read all vectors and payloads of a collection into memory
    WarmUp(OfCollection),
}

#[derive(Debug, Args)]
pub(crate) struct OfServer {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OfJob {
    /// Its id, as `doppel admin jobs` shows it
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OfCollection {
    /// The collection
    #[arg(short, long, value_name = "NAME")]
    collection: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl AdminCommand {
    /// Where the server is.
    pub(crate) fn server(&self) -> &ServerArgs {
        match self {
            Self::Jobs(of) | Self::Checkpoint(of) | Self::Verify(of) | Self::Compact(of) => {
                &of.server
            }
            Self::Watch(of) | Self::Cancel(of) => &of.server,
            Self::WarmUp(of) => &of.server,
        }
    }
}

/// Asks the server for it.
pub(crate) fn run(command: &AdminCommand, client: &Client) -> Result<Exit> {
    let all = |kind: &str, what| {
        let begun = client.begin_job(None, &json!({ "kind": kind }))?;
        job::wait(client, begun, what)
    };
    let told = match command {
        AdminCommand::Jobs(_) => listed(&client.jobs()?),
        AdminCommand::Watch(of) => {
            let result = job::wait(client, client.job(of.id)?, "done")?;
            as_it_came(&job::shortened(result))?
        }
        AdminCommand::Cancel(of) => {
            format!("job {}: {}\n", of.id, client.cancel_job(of.id)?.status)
        }
        AdminCommand::Checkpoint(_) => as_it_came(&client.checkpoint()?)?,
        AdminCommand::Compact(_) => as_it_came(&all("compact", "steps")?)?,
        AdminCommand::Verify(_) => {
            let result = all("verify", "snapshots")?;
            out::print(&as_it_came(&result)?)?;
            return Ok(
                match result["damaged"].as_array().is_some_and(Vec::is_empty) {
                    true => Exit::Success,
                    false => Exit::Failure,
                },
            );
        }
        AdminCommand::WarmUp(of) => {
            let body = json!({"kind": "warm_up"});
            let begun = client.begin_job(Some(&of.collection), &body)?;
            as_it_came(&job::wait(client, begun, "points")?)?
        }
    };
    out::print(&told)?;
    Ok(Exit::Success)
}

fn as_it_came(result: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

fn listed(jobs: &[wire::ListedJob]) -> String {
    if jobs.is_empty() {
        return "no job has been begun since the server started\n".to_owned();
    }
    let line = |job: &wire::ListedJob| {
        let of = job.collection.as_deref().unwrap_or("-");
        let far = match job.job.of {
            0 => String::new(),
            all => format!("{}/{all}", job.job.done),
        };
        format!(
            "{:>13}  {:<10} {:<20} {:<10} {far:<15} {:.1} s\n",
            job.job.id, job.kind, of, job.job.status, job.seconds
        )
    };
    let lines: String = jobs.iter().map(line).collect();
    format!(
        "{:>13}  {:<10} {:<20} {:<10} {:<15} took\n{lines}",
        "id", "kind", "collection", "status", "done"
    )
}
