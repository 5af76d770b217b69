//! Whether the servers sync before they acknowledge, asked where they tell about themselves (`/varz`).
//!
//! By default they sync every two minutes: what they have acknowledged since is lost when their machines
//! lose power together.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use storage::Error;

use crate::limits::{ANSWER, VARZ_BYTES};
use crate::settings::Settings;

/// What a server says.
struct Told {
    name: String,
    syncs: bool,
}

/// Checks the servers that keep the stream, by name. Those that do not answer may be down: what is told
/// of more than half of them is enough, and the rest is named.
pub(crate) fn check(settings: &Settings, keepers: &[String]) -> Result<(), Error> {
    let (good, silent) = match ask_all(settings) {
        Ok(told) => told,
        Err(lazy) => return judged(settings, lazy),
    };
    let known = keepers.iter().filter(|keeper| good.contains(keeper));
    if known.count() * 2 > keepers.len() {
        if !silent.is_empty() {
            let silent = silent.join("; ");
            tracing::warn!(silent, "it is not known whether all servers sync");
        }
        return Ok(());
    }
    judged(settings, unknown(keepers, &silent)).map_err(|error| later(error, &silent))
}

/// What those who are silent have not told they may tell later.
fn later(error: Error, silent: &[String]) -> Error {
    match error {
        Error::Shared(what) if !silent.is_empty() => Error::Unreachable(what),
        error => error,
    }
}

/// Checks them before there is a stream: whichever will keep it, more than half of so many must have said so.
pub(crate) fn check_before(settings: &Settings) -> Result<(), Error> {
    match ask_all(settings) {
        Ok((good, _)) if good.len() * 2 > settings.replicas => Ok(()),
        Ok((_, silent)) => {
            judged(settings, unknown(&[], &silent)).map_err(|error| later(error, &silent))
        }
        Err(lazy) => judged(settings, lazy),
    }
}

/// Who has said that it syncs, and who has said nothing; or what is wrong with one that does not.
fn ask_all(settings: &Settings) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut good, mut silent) = (Vec::new(), Vec::new());
    for monitor in &settings.monitors {
        match ask(monitor) {
            Ok(told) if told.syncs => good.push(told.name),
            Ok(told) => return Err(lazy(&told.name)),
            Err(why) => silent.push(format!("{monitor}: {why}")),
        }
    }
    Ok((good, silent))
}

fn lazy(name: &str) -> String {
    format!(
        "the server `{name}` acknowledges records before it syncs them, and they would be lost when all \
         servers lose power: set `jetstream {{ sync_interval: always }}` there"
    )
}

fn unknown(keepers: &[String], silent: &[String]) -> String {
    let told = match silent {
        [] => "no addresses of theirs are set".to_owned(),
        silent => silent.join("; "),
    };
    let keepers = match keepers {
        [] => String::new(),
        keepers => format!(" ({})", keepers.join(", ")),
    };
    format!(
        "it is not known whether the servers of the log{keepers} sync before they acknowledge ({told}): set \
         `nats.monitors` to where they tell, such as http://10.0.0.1:8222, for most of them"
    )
}

fn judged(settings: &Settings, what: String) -> Result<(), Error> {
    if settings.lazy_sync {
        tracing::warn!("{what}; it goes on, as `nats.lazy_sync` says");
        return Ok(());
    }
    Err(Error::Shared(format!(
        "{what}; or set `nats.lazy_sync` to go on nevertheless"
    )))
}

fn ask(monitor: &str) -> Result<Told, String> {
    let url = format!("{}/varz", monitor.trim_end_matches('/'));
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER.max(Duration::from_secs(1))))
        .build()
        .new_agent();
    let mut answer = agent.get(&url).call().map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    let reader = answer.body_mut().as_reader();
    let read = reader.take(VARZ_BYTES).read_to_end(&mut body);
    read.map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    told(&value).ok_or_else(|| "what it says names no JetStream".to_owned())
}

fn told(varz: &Value) -> Option<Told> {
    let config = varz.get("jetstream")?.get("config")?;
    Some(Told {
        name: varz.get("server_name")?.as_str()?.to_owned(),
        syncs: config.get("sync_always").and_then(Value::as_bool) == Some(true),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_server_that_says_that_it_always_syncs_does() {
        let of = |config: Value| {
            let varz = json!({"server_name": "n1", "jetstream": {"config": config}});
            told(&varz).unwrap().syncs
        };
        assert!(of(
            json!({"sync_always": true, "sync_interval": 120_000_000_000_u64})
        ));
        assert!(!of(json!({"sync_always": false})));
        assert!(!of(json!({"sync_interval": 120_000_000_000_u64})));
        assert!(told(&json!({"server_name": "n1", "jetstream": {}})).is_none());
    }
}
