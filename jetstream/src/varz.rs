//! Whether the servers sync before they acknowledge, asked where they tell about themselves (`/varz`).
//!
//! By default they sync every two minutes: what they have acknowledged since is lost when their machines
//! lose power together.

use std::collections::HashSet;
use std::io::Read;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use storage::Error;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::connection::{Waits, or_tell};
use crate::limits::{ANSWER, VARZ_BYTES};
use crate::settings::Settings;

/// What a server says.
struct Told {
    name: String,
    syncs: bool,
}

/// What all have said: of those that sync where they tell it and how they are called, and of the others why they are
/// silent.
#[derive(Default)]
struct Heard {
    good: Vec<(String, String)>,
    silent: Vec<String>,
}

/// Checks the servers that keep the stream, by name. Those that do not answer may be down: what is told
/// of more than half of them is enough, and the rest is named.
pub(crate) fn check(settings: &Settings, keepers: &[String]) -> Result<(), Error> {
    let Heard { good, mut silent } = match ask_all(settings) {
        Ok(heard) => heard,
        Err(lazy) => return judged(settings, lazy),
    };
    let is_keeper = |(_, name): &&(String, String)| keepers.contains(name);
    let known: HashSet<_> = good
        .iter()
        .filter(is_keeper)
        .map(|(_, name)| name)
        .collect();
    if known.len() * 2 > keepers.len() {
        if !silent.is_empty() {
            let silent = silent.join("; ");
            tracing::warn!(silent, "it is not known whether all servers sync");
        }
        return Ok(());
    }
    let may_tell = silent.len();
    let strange = good.iter().filter(|it| !is_keeper(it));
    let strange = strange
        .map(|(monitor, name)| format!("{monitor}: it is of {name}, which does not keep it"));
    silent.extend(strange);
    let judged = judged(settings, unknown(keepers, &silent));
    judged.map_err(|error| later(error, may_tell))
}

/// What those who are silent have not told they may tell later.
fn later(error: Error, silent: usize) -> Error {
    match error {
        Error::Shared(what) if silent > 0 => Error::Unreachable(what),
        error => error,
    }
}

/// Checks them before there is a stream: whichever will keep it, more than half of so many must have said so.
pub(crate) async fn check_before(settings: &Settings, waits: Waits<'_>) -> Result<(), Error> {
    let asked = {
        let settings = settings.clone();
        spawn_blocking(move || ask_all(&settings))
    };
    match told_of(settings, asked, waits).await? {
        Ok(heard) if heard.good.len() * 2 > settings.replicas => Ok(()),
        Ok(heard) => {
            let judged = judged(settings, unknown(&[], &heard.silent));
            judged.map_err(|error| later(error, heard.silent.len()))
        }
        Err(lazy) => judged(settings, lazy),
    }
}

/// The same as `check`, and tells where the servers are asked if that takes long.
pub(crate) async fn check_telling(
    settings: &Settings,
    keepers: Vec<String>,
    waits: Waits<'_>,
) -> Result<(), Error> {
    let asked = {
        let settings = settings.clone();
        spawn_blocking(move || check(&settings, &keepers))
    };
    told_of(settings, asked, waits).await?
}

async fn told_of<T>(
    settings: &Settings,
    asked: JoinHandle<T>,
    waits: Waits<'_>,
) -> Result<T, Error> {
    let tell = || {
        let monitors = settings.monitors.join(", ");
        (waits.asks)(&Error::Unreachable(format!(
            "it is not known yet whether the servers of the log sync before they acknowledge ({monitors})"
        )));
    };
    let asked = or_tell(asked, tell).await;
    asked.map_err(|error| Error::Shared(format!("the servers cannot be asked: {error}")))
}

/// What each says; or what is wrong with one that does not sync.
fn ask_all(settings: &Settings) -> Result<Heard, String> {
    let asked = thread::scope(|scope| {
        let monitors = settings.monitors.iter();
        let asked = monitors.map(|monitor| (monitor, scope.spawn(move || ask(monitor))));
        let asked: Vec<_> = asked.collect();
        let heard = asked.into_iter().map(|(monitor, asked)| {
            let told = asked.join();
            let told = told.unwrap_or_else(|_| Err("asking it broke down".to_owned()));
            (monitor.clone(), told)
        });
        heard.collect::<Vec<_>>()
    });
    let mut heard = Heard::default();
    for (monitor, told) in asked {
        match told {
            Ok(told) if told.syncs => heard.good.push((monitor, told.name)),
            Ok(told) => return Err(lazy(&told.name)),
            Err(why) => heard.silent.push(format!("{monitor}: {why}")),
        }
    }
    Ok(heard)
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
