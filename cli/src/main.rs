//! The `doppel` binary: the server, and the commands that talk to one. Everything a command does
//! to a running server goes over its REST interface, like any other program's.

mod admin;
mod arguments;
mod backup;
mod client;
mod columns;
mod eval;
mod exit;
mod export;
mod import;
mod job;
mod keys;
mod limits;
mod logging;
mod maintain;
mod models;
mod npy;
mod out;
mod people;
mod reembed;
mod reindex;
mod search;
mod serve;
mod target;
mod training;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};

use arguments::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    let outcome = run(Cli::parse());
    let exit = outcome.unwrap_or_else(|error| {
        eprintln!("doppel: {}", told(&error));
        match error.is::<config::Error>() {
            true => Exit::Usage,
            false => Exit::Failure,
        }
    });
    exit.into()
}

/// An error and what caused it, in one line; many errors have told their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.as_str() {
            "" => cause,
            told if told.contains(&cause) => told.to_owned(),
            told => format!("{told}: {cause}"),
        }
    })
}

fn run(cli: Cli) -> Result<Exit> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Import(arguments) if arguments.data_dir.is_some() => serve::import(&arguments),
        Command::Import(arguments) => import::run(&arguments, &arguments.server.client()?),
        Command::Export(arguments) => {
            serve::reach(&arguments.from, |client| export::run(&arguments, client))
        }
        Command::Search(arguments) => search::run(&arguments, &arguments.server.client()?),
        Command::People(command) => {
            serve::reach(command.target(), |client| people::run(&command, client))
        }
        Command::Cluster(arguments) => serve::reach(&arguments.target, |client| {
            people::cluster(&arguments, client)
        }),
        Command::Reindex(arguments) => {
            serve::reach(&arguments.target, |client| reindex::run(&arguments, client))
        }
        Command::Reembed(arguments) if arguments.target.data_dir.is_some() => {
            serve::reach_with_models(&arguments, |client| reembed::run(&arguments, client))
        }
        Command::Reembed(arguments) => reembed::run(&arguments, &arguments.target.server.client()?),
        Command::Backup(arguments) => {
            // Before anything is done for it.
            backup::is_free(&arguments.file)?;
            serve::reach(&arguments.from, |client| backup::backup(&arguments, client))
        }
        Command::Restore(arguments) if arguments.begin_log => backup::begin_log(&arguments),
        Command::Restore(arguments) => {
            serve::reach(&arguments.to, |client| backup::restore(&arguments, client))
        }
        Command::Purge(arguments) => serve::reach(&arguments.target, |client| {
            backup::purge(&arguments, client)
        }),
        Command::Admin(command) => admin::run(&command, &command.server().client()?),
        Command::Keys(command) => keys::run(&command, &command.server().client()?),
        Command::Models(command) => models::run(&command),
        Command::Eval(command) => eval::run(&command),
        Command::Train(command) => training::run(&command),
        Command::Verify(arguments) => maintain::verify(&arguments),
        Command::Repair(arguments) => maintain::repair(&arguments),
        Command::Version => print(concat!("doppel ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "doppel", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Manual { folder } => {
            let written = clap_mangen::generate_to(Cli::command(), &folder);
            written.with_context(|| format!("cannot write into {}", folder.display()))?;
            Ok(Exit::Success)
        }
    }
}

fn print(text: &str) -> Result<Exit> {
    out::print(text)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let tells = config::Error::Read {
            path: "x.toml".into(),
            source: missing(),
        };
        let text = told(&anyhow::Error::new(tells));
        assert_eq!(text.matches("entity not found").count(), 1, "{text}");
        let silent = Err::<(), _>(missing())
            .context("cannot read x")
            .unwrap_err();
        assert_eq!(told(&silent), "cannot read x: entity not found");
    }
}
