//! A job of the server, waited for; how far it is shows on a terminal.

use std::io::{IsTerminal, stderr};
use std::thread;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::client::{Client, wire};
use crate::limits;

const BAR: &str = "{bar:32} {pos}/{len} {msg}  {per_sec}  {eta} left";

/// Waits until a job has ended, and gives its result. `what` is what it counts: `faces`.
pub(crate) fn wait(client: &Client, mut job: wire::Job, what: &'static str) -> Result<Value> {
    let bar = match stderr().is_terminal() {
        true => ProgressBar::new(0),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template(BAR).expect("the template is well formed");
    bar.set_style(style);
    bar.set_message(what);
    while job.status == "running" {
        thread::sleep(limits::JOB_LOOK);
        job = client.job(job.id)?;
        bar.set_length(job.of);
        bar.set_position(job.done);
    }
    bar.finish_and_clear();
    match (job.status.as_str(), job.result, job.error) {
        ("completed", result, _) => Ok(result.unwrap_or_default()),
        (_, _, Some(error)) => bail!("job {} has failed: {error}", job.id),
        (status, Some(result), _) => bail!("job {} is {status}; until then: {result}", job.id),
        (status, _, _) => bail!("job {} is {status}", job.id),
    }
}
