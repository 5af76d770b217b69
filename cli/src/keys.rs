//! `doppel keys`: the API keys of a server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::Exit;
use crate::out;
use crate::target::ServerArgs;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, and print its secret, which nobody can be told again
    Create(CreateArgs),
    /// List the keys
    List(ListArgs),
    /// Revoke a key at once
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Who or what it is for
    name: String,
    /// What it is good for; may be given several times: search, read, write, delete, images,
    /// embeddings, metrics, admin:jobs, admin:keys
    #[arg(
        short,
        long,
        value_name = "SCOPE",
        required = true,
        value_delimiter = ','
    )]
    scope: Vec<String>,
    /// Only this collection; may be given several times
    #[arg(short, long, value_name = "NAME")]
    collection: Vec<String>,
    /// It ends after so many days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
    /// For clients of CompreFace, and for this service of its: recognition, detection or verification.
    /// The secret is a UUID then
    #[arg(long, value_name = "SERVICE")]
    compreface: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Its id, as `doppel keys list` shows it
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl KeysCommand {
    /// Where the server is.
    pub(crate) fn server(&self) -> &ServerArgs {
        match self {
            Self::Create(CreateArgs { server, .. })
            | Self::List(ListArgs { server })
            | Self::Revoke(RevokeArgs { server, .. }) => server,
        }
    }
}

/// Asks the server for it.
pub(crate) fn run(command: &KeysCommand, client: &Client) -> Result<Exit> {
    let told = match command {
        KeysCommand::Create(arguments) => {
            let made = client.make_key(&body(arguments)?)?;
            let secret = made["secret"].as_str();
            secret.context("the server told no secret")?.to_owned()
        }
        KeysCommand::List(_) => serde_json::to_string_pretty(&client.keys()?["keys"])?,
        KeysCommand::Revoke(arguments) => {
            revoked(&arguments.id, &client.revoke_key(&arguments.id)?)
        }
    };
    out::print(&format!("{told}\n"))?;
    Ok(Exit::Success)
}

fn revoked(id: &str, told: &Value) -> String {
    let remaining = told["remaining"].as_array().into_iter().flatten();
    let text = |key: &Value, part: &str| key[part].as_str().unwrap_or_default().to_owned();
    let remaining = remaining.map(|key| format!("\n  {} ({})", text(key, "id"), text(key, "name")));
    let remaining: String = remaining.collect();
    match remaining.as_str() {
        "" => format!("{id} is revoked"),
        keys => format!(
            "{id} is revoked; the keys that it has made stay good, revoke them too if it was in wrong hands:{keys}"
        ),
    }
}

fn body(arguments: &CreateArgs) -> Result<Value> {
    let mut body = json!({"name": arguments.name, "scopes": arguments.scope});
    if !arguments.collection.is_empty() {
        body["collections"] = json!(arguments.collection);
    }
    if let Some(days) = arguments.days {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let end = now + Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        body["expires_at"] = json!(end.as_secs());
    }
    if let Some(service) = &arguments.compreface {
        body["compreface"] = json!(service);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_revokes_a_key_is_told_which_of_its_making_stay_good() {
        assert_eq!(revoked("a1", &json!({"remaining": []})), "a1 is revoked");
        let keys =
            json!({"remaining": [{"id": "b2", "name": "phone"}, {"id": "c3", "name": "page"}]});
        let told = revoked("a1", &keys);
        assert!(told.ends_with("\n  b2 (phone)\n  c3 (page)"), "{told}");
    }
}
