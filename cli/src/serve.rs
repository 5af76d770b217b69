//! The commands that run a server in this process: `doppel serve`, and `doppel import --data-dir`,
//! which runs one for itself alone, on a port of its own, for as long as the import takes.

use anyhow::{Context, Result};
use config::{Config, Level, LogOutput, Sources};

use crate::arguments::{ImportArgs, ServeArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::{import, logging};

/// Serves until told to stop. The server says where it listens.
pub(crate) fn run(arguments: &ServeArgs) -> Result<Exit> {
    let config = Config::load(&Sources::of_process(
        arguments.config.clone(),
        arguments.flags(),
    ))?;
    logging::start(&config.log_output);
    server::run(config)?;
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
    let key = config.api_key.clone();
    let server = server::start(config).context("cannot open the data folder")?;
    server.wait_ready();
    let url = format!("http://{}", server.addr());
    let client = Client::new(&url, key.as_ref().map(config::ApiKey::as_str))?;
    let outcome = import::run(arguments, &client);
    server.stop().context("cannot close the data folder")?;
    outcome
}
