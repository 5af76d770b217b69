//! The stream that is the log: made where it is not there, refused where it may lose records.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PeerInfo, RetentionPolicy, StorageType, Stream,
};
use futures_util::TryStreamExt;
use storage::Error;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::connection::{Waits, or_tell};
use crate::limits::{AGAIN, ANSWER, GONE_PATIENCE, HEARD, OPEN_PATIENCE};
use crate::settings::Settings;
use crate::store::Store;
use crate::varz;

/// Under which the stream's metadata has the number that tells this log from all others.
const NUMBER: &str = "doppel.log";

/// What is done where the stream is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is made.
    Make,
    /// It was there before, and what was in it is missed.
    Gone,
}

/// The stream, and the number of the log in it.
pub(crate) async fn open(
    context: &Context,
    settings: &Settings,
    absent: Absent,
    waits: Waits<'_>,
) -> Result<(Stream, u128), Error> {
    let started = Instant::now();
    let nothing = |why: &str| {
        let cannot = match absent {
            Absent::Make => "can neither be found nor made",
            Absent::Gone => "cannot be found",
        };
        Error::Unreachable(format!("the stream `{}` {cannot}: {why}", settings.stream))
    };
    let asked = RefCell::new(None);
    loop {
        let found = find_or_make(context, settings, absent, waits, &asked);
        let found = or_tell(found, || {
            (waits.asks)(&match asked.take() {
                Some(store) => Error::Checkpoints(store),
                None => nothing("no answer has come yet"),
            });
        });
        let found = found.await;
        let error = match found {
            Ok(Some(stream)) if absent == Absent::Gone && !is_led(stream.cached_info()) => {
                nothing(ALONE)
            }
            Ok(Some(stream)) => {
                let config = &stream.cached_info().config;
                check(config)?;
                let number = number(config)?;
                if config.num_replicas != settings.replicas {
                    let (there, wanted) = (config.num_replicas, settings.replicas);
                    tracing::warn!(there, wanted, "the stream has another number of replicas");
                }
                return Ok((stream, number));
            }
            Ok(None) if absent == Absent::Gone && started.elapsed() > GONE_PATIENCE => {
                return Err(Error::Gone(format!(
                    "the stream `{}` is not there, or not any more: it was lost or removed, or `nats.stream` in the \
                     settings names another than the one that the data here came from",
                    settings.stream
                )));
            }
            Ok(None) => nothing("it is not there"),
            Err(Error::Unreachable(why)) => nothing(&why),
            Err(error @ Error::Checkpoints(_)) => error,
            Err(error) => return Err(error),
        };
        if started.elapsed() > OPEN_PATIENCE {
            return Err(error);
        }
        (waits.fails)(&error);
        sleep(AGAIN * 4).await;
    }
}

/// Why what is told of a stream is not how it stands.
pub(crate) const ALONE: &str =
    "the server that tells of it has not heard of most of those that keep it for a while";

/// Whether most of the servers that keep a stream go with the one that tells of it. One that led it and was paused or cut
/// off tells how it stood then, until it finds out that the others have gone on without it.
pub(crate) fn is_led(info: &Info) -> bool {
    let replicas = info.cluster.as_ref().map(|it| it.replicas.as_slice());
    let replicas = replicas.unwrap_or_default();
    // Of one that was never heard it says that this was no time ago.
    let is_heard = |it: &&PeerInfo| !it.offline && !it.active.is_zero() && it.active <= HEARD;
    let with_it = replicas.iter().filter(is_heard).count() + 1;
    2 * with_it > replicas.len() + 1
}

/// Under which name the log of this number is there, if it is.
pub(crate) async fn named(context: &Context, number: u128) -> Option<String> {
    let mut all = context.streams();
    loop {
        let info = timeout(ANSWER, all.try_next()).await.ok()?.ok()??;
        let config = &info.config;
        // What was put back under another name would take nothing.
        let is_log = config.subjects == [subject(&config.name)];
        if is_log && self::number(config).ok() == Some(number) {
            return Some(info.config.name);
        }
    }
}

/// Settings that name a stream which is not there, by one whose log is there under another name.
pub(crate) fn misnamed(settings: &Settings, name: &str) -> Error {
    Error::Shared(format!(
        "the settings name the stream `{}` (`nats.stream`), which is not there, and the data here came from the stream \
         `{name}`, which is: give `nats.stream` the name that it had",
        settings.stream
    ))
}

/// Tries again for a moment what finds or makes something beside the log.
pub(crate) async fn patiently<T>(
    find_or_make: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        match find_or_make().await {
            Err(error @ (Error::Unreachable(_) | Error::Checkpoints(_)))
                if started.elapsed() < OPEN_PATIENCE =>
            {
                tracing::debug!(%error, "it is looked for again");
                sleep(AGAIN * 4).await;
            }
            outcome => return outcome,
        }
    }
}

/// `asked`: what is asked beside the servers at the moment.
async fn find_or_make(
    context: &Context,
    settings: &Settings,
    absent: Absent,
    waits: Waits<'_>,
    asked: &RefCell<Option<String>>,
) -> Result<Option<Stream>, Error> {
    let found = find(context, &settings.stream).await?;
    if found.is_some() || absent == Absent::Gone {
        return Ok(found);
    }
    let sums = format!("KV_{}-sums", settings.stream);
    let sums = find(context, &sums).await?.map(|_| {
        let removed = format!("`nats stream rm {sums}`");
        (sums.clone(), removed)
    });
    let asks = |store| drop(asked.replace(Some(store)));
    let remains = Store::remains(context, settings, asks).await;
    asked.take();
    let remains = remains?.or(sums);
    if let Some((beside, removed)) = remains {
        // Or another node has made both by now.
        let found = find(context, &settings.stream).await?;
        return found
            .map(Some)
            .ok_or_else(|| lost(&settings.stream, &beside, &removed));
    }
    // Nothing is made for a start that is refused.
    varz::check_before(settings, waits).await?;
    let made = context
        .create_stream(wanted(settings, Uuid::new_v4()))
        .await;
    // Another node may have been first.
    if made.is_ok() {
        tracing::info!(stream = settings.stream, "the stream was made");
    }
    match (find(context, &settings.stream).await?, made) {
        (None, Err(error)) => Err(Error::Unreachable(error.to_string())),
        (found, _) => Ok(found),
    }
}

fn lost(stream: &str, beside: &str, removed: &str) -> Error {
    Error::Shared(format!(
        "the stream `{stream}` is not there, but `{beside}` is, which was made beside it: the log was lost, or is just \
         being begun. Begin another with what a node, or a checkpoint in there, has (docs/SCALING.md, \"When the log is \
         damaged\"); for one that has nothing, name another stream or remove that one ({removed})"
    ))
}

/// The stream of this name, if it is there.
pub(crate) async fn find(context: &Context, name: &str) -> Result<Option<Stream>, Error> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(Error::Unreachable(error.to_string())),
    }
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    use async_nats::jetstream::ErrorCode;
    use async_nats::jetstream::context::GetStreamErrorKind;
    matches!(error.kind(), GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// The servers that keep it, by name.
pub(crate) fn keepers(info: &Info, client: &Client) -> Vec<String> {
    let cluster = info.cluster.as_ref();
    let leader = cluster.and_then(|it| it.leader.clone());
    let others = cluster.into_iter().flat_map(|it| &it.replicas);
    let mut keepers: Vec<_> = others.map(|it| it.name.clone()).collect();
    keepers.extend(leader);
    if keepers.is_empty() {
        keepers.push(client.server_info().server_name);
    }
    keepers
}

/// The subject that records are sent to.
pub(crate) fn subject(stream: &str) -> String {
    format!("{stream}.log")
}

/// As it is made, for a log with this number.
pub(crate) fn wanted(settings: &Settings, number: Uuid) -> Config {
    Config {
        name: settings.stream.clone(),
        description: Some("doppel's log: only doppel may write to it".into()),
        subjects: vec![subject(&settings.stream)],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_age: Duration::ZERO,
        deny_delete: true,
        metadata: HashMap::from([(NUMBER.into(), number.simple().to_string())]),
        ..Config::default()
    }
}

/// Records must stay until doppel lets go of them.
fn check(config: &Config) -> Result<(), Error> {
    // One that is full refuses what comes, and keeps what it has.
    let refuses = config.discard == DiscardPolicy::New;
    let fits = [
        ("max_msgs", config.max_messages <= 0 || refuses),
        ("max_bytes", config.max_bytes <= 0 || refuses),
        ("max_msgs_per_subject", config.max_messages_per_subject <= 0),
        ("max_age", config.max_age.is_zero()),
        ("retention", config.retention == RetentionPolicy::Limits),
        ("storage", config.storage == StorageType::File),
        ("mirror", config.mirror.is_none()),
        ("sources", config.sources.as_ref().is_none_or(Vec::is_empty)),
        ("no_ack", !config.no_ack),
    ];
    match fits.iter().find(|(_, fits)| !fits) {
        None => Ok(()),
        Some((what, _)) => Err(Error::Shared(format!(
            "the stream `{}` may lose records because of its `{what}`: let doppel make \
             the stream, or set no limits, limits as its retention, and file storage",
            config.name
        ))),
    }
}

/// What lies beside the log must stay too, for as long as it is to be kept there (for good, if that is
/// nothing).
pub(crate) fn check_beside(
    config: &Config,
    settings: &Settings,
    kept: Duration,
) -> Result<(), Error> {
    if config.num_replicas < settings.replicas {
        let (stream, there, wanted) = (&config.name, config.num_replicas, settings.replicas);
        tracing::warn!(
            stream,
            there,
            wanted,
            "what lies beside the log is kept fewer times"
        );
    }
    let fits = [
        ("max_msgs", config.max_messages <= 0),
        ("max_bytes", config.max_bytes <= 0),
        ("max_age", config.max_age == kept),
        ("storage", config.storage == StorageType::File),
        ("sealed", !config.sealed),
    ];
    match fits.iter().find(|(_, fits)| !fits) {
        None => Ok(()),
        Some((what, _)) => Err(Error::Shared(format!(
            "the stream `{}` beside the log loses what is put there, or keeps it for another time than \
             doppel says, because of its `{what}`: remove it, and doppel makes it anew",
            config.name
        ))),
    }
}

pub(crate) fn number(config: &Config) -> Result<u128, Error> {
    let written = config.metadata.get(NUMBER);
    let number = written.and_then(|text| u128::from_str_radix(text, 16).ok());
    number.ok_or_else(|| {
        Error::Shared(format!(
            "the stream `{}` is no log of doppel's: its metadata has no `{NUMBER}`; name another stream, \
             and doppel makes it",
            config.name
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Access;

    fn settings() -> Settings {
        Settings {
            servers: vec!["nats://127.0.0.1:4222".into()],
            stream: "doppel".into(),
            replicas: 3,
            monitors: Vec::new(),
            lazy_sync: false,
            checkpoints: None,
            access: Access::default(),
        }
    }

    #[test]
    fn who_has_not_heard_of_most_of_those_that_keep_a_stream_does_not_lead_it() {
        let is_led = |active: &[u64]| {
            let replicas = active.iter().map(|seconds| {
                json!({"name": "other", "current": true, "active": seconds * 1_000_000_000})
            });
            let replicas: Vec<_> = replicas.collect();
            let info = json!({
                "config": Config::default(),
                "created": "2026-01-01T00:00:00Z",
                "state": {
                    "messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0,
                    "first_ts": "2026-01-01T00:00:00Z", "last_ts": "2026-01-01T00:00:00Z",
                },
                "cluster": {"name": "c", "leader": "this", "replicas": replicas},
            });
            is_led(&serde_json::from_value(info).unwrap())
        };
        assert!(is_led(&[]), "it keeps it alone");
        assert!(is_led(&[1, 1]) && is_led(&[1, 60]));
        assert!(!is_led(&[60, 60]), "it was paused");
        assert!(!is_led(&[0, 0]), "it has heard of nobody yet");
        assert!(is_led(&[1, 1, 60, 60]) && !is_led(&[1, 60, 60, 60]));
    }

    #[test]
    fn what_lies_beside_the_log_is_refused_where_it_would_not_stay() {
        let day = Duration::from_secs(86_400);
        let made = Config {
            max_messages: -1,
            max_bytes: -1,
            max_age: day,
            ..Config::default()
        };
        check_beside(&made, &settings(), day).unwrap();
        let refused = |change: &dyn Fn(&mut Config)| {
            let mut config = made.clone();
            change(&mut config);
            let refused = check_beside(&config, &settings(), day);
            refused.unwrap_err().to_string()
        };
        assert!(refused(&|it| it.max_bytes = 1 << 30).contains("max_bytes"));
        assert!(refused(&|it| it.max_age = day * 2).contains("max_age"));
        assert!(refused(&|it| it.storage = StorageType::Memory).contains("storage"));
    }

    #[test]
    fn a_stream_as_it_is_made_is_taken_and_one_that_may_lose_records_is_not() {
        let config = wanted(&settings(), Uuid::new_v4());
        assert!(check(&config).is_ok() && number(&config).is_ok());
        let refused = |change: &dyn Fn(&mut Config)| {
            let mut config = wanted(&settings(), Uuid::new_v4());
            change(&mut config);
            check(&config).unwrap_err().to_string()
        };
        let drops = |it: &mut Config| (it.max_bytes, it.discard) = (1 << 30, DiscardPolicy::Old);
        assert!(refused(&drops).contains("max_bytes"));
        let refuses = Config {
            max_bytes: 1 << 30,
            ..wanted(&settings(), Uuid::new_v4())
        };
        assert!(
            check(&refuses).is_ok(),
            "it is full before anything is lost"
        );
        assert!(refused(&|it| it.max_age = Duration::from_secs(9)).contains("max_age"));
        assert!(refused(&|it| it.storage = StorageType::Memory).contains("storage"));
        let foreign = Config {
            metadata: HashMap::new(),
            ..config
        };
        assert!(number(&foreign).unwrap_err().to_string().contains("no log"));
    }
}
