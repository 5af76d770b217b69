//! `doppel verify` and `doppel repair`: a data folder that no server is using. Repairing shows what
//! it would do, and does it only when told to.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use config::{Config, LogOutput, Sources};
use serde_json::{Value, json};
use server::{Loss, Verdict};

use crate::arguments::{FolderArgs, RepairArgs, VerifyArgs};
use crate::exit::Exit;
use crate::{logging, out};

pub(crate) fn verify(arguments: &VerifyArgs) -> Result<Exit> {
    let dir = data_dir(&arguments.folder)?;
    let verdict = server::verify(&dir)?;
    match arguments.json {
        true => out::print(&format!("{:#}\n", as_json(&verdict)))?,
        false => out::print(&told(&verdict))?,
    }
    Ok(outcome(&verdict))
}

pub(crate) fn repair(arguments: &RepairArgs) -> Result<Exit> {
    let dir = data_dir(&arguments.folder)?;
    let found = server::verify(&dir)?;
    out::print(&told(&found))?;
    let loss = match arguments.accept_loss {
        true => Loss::Accepted,
        false => Loss::Refused,
    };
    let steps = found.plan(loss);
    if steps.is_empty() {
        if !found.is_whole() {
            out::print("there is nothing that can be mended here without a loss\n")?;
        }
        return Ok(outcome(&found));
    }
    if !arguments.yes {
        let steps = steps.iter().map(|step| format!("  {step}\n"));
        out::print(&format!(
            "with --yes this is done:\n{}",
            steps.collect::<String>()
        ))?;
        return Ok(outcome(&found));
    }
    let (done, verdict) = server::repair(&dir, &found, loss)?;
    out::print(&format!("done:\n  {}\nnow:\n", done.join("\n  ")))?;
    out::print(&told(&verdict))?;
    Ok(outcome(&verdict))
}

fn data_dir(arguments: &FolderArgs) -> Result<PathBuf> {
    let config = Config::load(&Sources::of_process(
        arguments.config.clone(),
        arguments.flags(),
    ))?;
    // What recovery has to say is in the verdict.
    logging::start(&LogOutput {
        level: config::Level::Error,
        ..config.log_output
    });
    Ok(config.data_dir)
}

fn outcome(verdict: &Verdict) -> Exit {
    match verdict.loses_nothing() {
        true => Exit::Success,
        false => Exit::Failure,
    }
}

fn told(verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    if let Some((end, applied)) = verdict.copy {
        line(format!(
            "a node's folder: it holds all up to LSN {end} by itself, and had applied the log that nodes share up to \
             {applied}"
        ));
    }
    match verdict.log {
        None if verdict.copy.is_some() => {}
        Some((first, last)) if last < first => line("log: empty".into()),
        Some((first, last)) => line(format!("log: records {first} to {last}")),
        None => line("log: damaged".into()),
    }
    match verdict.checkpoint {
        Some(lsn) => line(format!("newest checkpoint: at {lsn}")),
        None => line("newest checkpoint: none".into()),
    }
    for collection in &verdict.collections {
        line(format!(
            "collection `{}`: {} points",
            collection.name, collection.points
        ));
    }
    line(format!("pictures: {}", verdict.pictures));
    line(format!("backups: {}", verdict.backups));
    for finding in &verdict.findings {
        line(format!("found: {}\n  {}", finding.what, finding.remedy));
    }
    let lost = match verdict.loses_nothing() {
        true => ", and nothing is lost",
        false => "",
    };
    line(match verdict.findings.len() {
        0 => "everything is whole".into(),
        1 => format!("one thing is not as it should be{lost}"),
        more => format!("{more} things are not as they should be{lost}"),
    });
    text
}

fn as_json(verdict: &Verdict) -> Value {
    let collections = verdict.collections.iter();
    let findings = verdict.findings.iter();
    json!({
        "whole": verdict.is_whole(),
        "loses_nothing": verdict.loses_nothing(),
        "log": verdict.log.map(|(first, last)| json!({"first": first.0, "last": last.0})),
        "checkpoint": verdict.checkpoint.map(|lsn| lsn.0),
        "copy": verdict.copy.map(|(end, applied)| json!({"lsn": end.0, "applied": applied.0})),
        "collections": collections
            .map(|it| json!({"name": it.name, "points": it.points}))
            .collect::<Vec<_>>(),
        "pictures": verdict.pictures,
        "backups": verdict.backups,
        "findings": findings
            .map(|it| json!({
                "what": it.what,
                "remedy": it.remedy.to_string(),
                "loses_nothing": it.remedy.loses_nothing(),
            }))
            .collect::<Vec<_>>(),
    })
}
