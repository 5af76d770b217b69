//! A job of the server, waited for; how far it is shows on a terminal.

use std::io::{IsTerminal, stderr};
use std::thread;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

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

/// A result as it is shown: of faces that are missing the first, and how many more there are.
pub(crate) fn shortened(mut result: Value) -> Value {
    let Some(missing) = result.get_mut("missing") else {
        return result;
    };
    let count = |why| missing.get(why).and_then(Value::as_u64);
    let all: u64 = ["no_picture", "not_found"]
        .into_iter()
        .filter_map(count)
        .sum();
    if let Some(first) = missing.get_mut("first").and_then(Value::as_array_mut) {
        first.truncate(limits::MISSING_SHOWN);
        let more = all.saturating_sub(first.len() as u64);
        missing["more"] = json!(more);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_are_missing_the_first_are_shown_and_how_many_more_there_are() {
        let first: Vec<Value> = (0..1_000).map(|id| json!({"id": id})).collect();
        let result = |first: &[Value], all: usize| json!({"missing": {"no_picture": all - 1, "not_found": 1, "first": first}});
        let told = shortened(result(&first, 1_200));
        let shown = told["missing"]["first"].as_array().unwrap();
        assert_eq!((shown.len(), &shown[19]["id"]), (20, &json!(19)));
        assert_eq!(told["missing"]["more"], 1_180);
        let told = shortened(result(&first[..3], 3));
        assert_eq!(told["missing"]["first"].as_array().unwrap().len(), 3);
        assert_eq!(told["missing"]["more"], 0);
        let other = json!({"missing": 3});
        assert_eq!(shortened(other.clone()), other);
        assert_eq!(shortened(Value::Null), Value::Null);
    }
}
