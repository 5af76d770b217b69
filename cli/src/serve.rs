//! The commands that run a server in this process: `doppel serve`, and those that are given a
//! `--data-dir`, which run one for themselves alone, on a port of its own, for as long as they take.

use anyhow::{Context, Result};
use config::{ApiKey, Config, Flag, Level, LogOutput, Sources};
use embedder::models;

use crate::arguments::{ImportArgs, ServeArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::reembed::ReembedArgs;
use crate::target::ServerOrFolderArgs;
use crate::{import, logging, out};

/// Serves until told to stop. The line with the address is part of the interface: whoever starts
/// a server on port 0 reads from it which port it became.
pub(crate) fn run(arguments: &ServeArgs) -> Result<Exit> {
    let signals = server::Signals::catch()?;
    let config = Config::load(&Sources::of_process(
        arguments.config.clone(),
        arguments.flags(),
    ))?;
    logging::start(&config.log_output);
    let server = server::start(config)?;
    out::print(&format!("listening on {}\n", server.url()))?;
    server.wait(signals)?;
    Ok(Exit::Success)
}

/// Imports into a data folder that no server uses; its lock says if one does.
pub(crate) fn import(arguments: &ImportArgs) -> Result<Exit> {
    let mut config = Config::load(&Sources::of_process(
        arguments.config.clone(),
        arguments.flags(),
    ))?;
    config.log_output = LogOutput {
        level: Level::Warn,
        ..config.log_output
    };
    logging::start(&config.log_output);
    if config.models.install_on_start && !arguments.dry_run {
        let model = models::find(&config.models_dir, &config.models.default)?;
        models::install(&config.models_dir, &model, &mut |step| eprintln!("{step}"))?;
    }
    alone(config, |client| import::run(arguments, client))
}

/// Runs a command against the server it names, or against one of its own over the folder it names.
pub(crate) fn reach(
    target: &ServerOrFolderArgs,
    command: impl FnOnce(&Client) -> Result<Exit>,
) -> Result<Exit> {
    if target.data_dir.is_none() {
        return command(&target.server.client()?);
    }
    quietly(target.flags(), command)
}

/// Moves a collection of a data folder that no server uses to another model.
pub(crate) fn reach_with_models(
    arguments: &ReembedArgs,
    command: impl FnOnce(&Client) -> Result<Exit>,
) -> Result<Exit> {
    quietly(arguments.flags(), command)
}

fn quietly(flags: Vec<Flag>, command: impl FnOnce(&Client) -> Result<Exit>) -> Result<Exit> {
    let mut config = Config::load(&Sources::of_process(None, flags))?;
    config.log_output = LogOutput {
        level: Level::Warn,
        ..config.log_output
    };
    logging::start(&config.log_output);
    alone(config, command)
}

/// Runs a command against a server that is there for it alone.
fn alone(config: Config, command: impl FnOnce(&Client) -> Result<Exit>) -> Result<Exit> {
    let key = config.api_key.clone();
    // Nobody else is to reach it.
    let server = server::start_alone(Config {
        tls: None,
        ..config
    })?;
    let url = format!("http://{}", server.addr());
    let outcome = server.wait_ready().map_err(Into::into).and_then(|()| {
        let client = Client::new(
            &url,
            key.as_ref().map(ApiKey::as_str),
            server::tls_of_client(None, None)?,
        )?;
        command(&client)
    });
    let stopped = server.stop();
    let exit = outcome?;
    stopped.context("it is done, but the data folder could not be closed cleanly")?;
    Ok(exit)
}
