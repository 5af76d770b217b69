//! Where checkpoints lie: in JetStream's object store beside the stream (`beside`), or where the settings say, in a
//! folder or a bucket of S3 (`elsewhere`), which is a system of its own and outlives the servers that keep the log.

mod about;
mod beside;
mod elsewhere;
mod environment;

use std::fmt::Display;
use std::io::Read;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::Context;
use storage::{Error, Lsn};
use uuid::Uuid;

pub(crate) use beside::Beside;
pub(crate) use elsewhere::Elsewhere;

use crate::checkpoints::Checkpoint;
use crate::settings::Settings;

const PREFIX: &str = "checkpoint-";

/// Checkpoints of one log.
pub(crate) enum Store {
    Beside(Box<Beside>),
    Elsewhere(Elsewhere),
}

impl Store {
    /// Finds or makes the store of the log that has this number.
    pub(crate) async fn open(
        context: &Context,
        settings: &Settings,
        number: u128,
    ) -> Result<Self, Error> {
        Ok(match &settings.checkpoints {
            None => Self::Beside(Box::new(Beside::open(context, settings).await?)),
            Some(url) => Self::Elsewhere(Elsewhere::open(url, &settings.stream)?.of(number)),
        })
    }

    /// Makes the store of a log that is to begin with this number.
    pub(crate) async fn make(
        context: &Context,
        settings: &Settings,
        number: u128,
    ) -> Result<Self, Error> {
        match &settings.checkpoints {
            None => {
                let beside = Beside::make(context, settings).await?;
                Ok(Self::Beside(Box::new(beside)))
            }
            Some(_) => Self::open(context, settings, number).await,
        }
    }

    /// What there is of checkpoints of a log of this name, whichever, and how it is removed by hand. What is asked for that
    /// elsewhere is told before.
    pub(crate) async fn remains(
        context: &Context,
        settings: &Settings,
        asked: impl FnOnce(String),
    ) -> Result<Option<(String, String)>, Error> {
        if let Some(bucket) = Beside::remains(context, settings).await? {
            let removed = format!("`nats stream rm {bucket}`");
            return Ok(Some((bucket, removed)));
        }
        let Some(url) = &settings.checkpoints else {
            return Ok(None);
        };
        let elsewhere = Elsewhere::open(url, &settings.stream)?;
        asked(elsewhere.asked());
        elsewhere.remains().await
    }

    /// All there are, the newest first.
    pub(crate) async fn list(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut all = match self {
            Self::Beside(store) => store.list().await?,
            Self::Elsewhere(store) => store.list().await?,
        };
        all.sort_by(|a, b| (b.lsn, &b.name).cmp(&(a.lsn, &a.name)));
        Ok(all)
    }

    /// Hands on its bytes, and gives what its maker said about it.
    pub(crate) async fn fetch(
        &self,
        name: &str,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let fetched = match self {
            Self::Beside(store) => store.fetch(name, take).await,
            Self::Elsewhere(store) => store.fetch(name, take).await,
        };
        fetched.map_err(|error| match error {
            Error::Checkpoints(why) => {
                Error::Checkpoints(format!("the checkpoint {}: {why}", self.shown(name)))
            }
            error => error,
        })
    }

    /// A checkpoint, with its place.
    pub(crate) fn shown(&self, name: &str) -> String {
        match self {
            Self::Beside(store) => store.shown(name),
            Self::Elsewhere(store) => store.shown(name),
        }
    }

    /// Puts one in: all of `bytes`, or nothing that anybody sees. It stays there once this returns.
    pub(crate) async fn put(
        &self,
        lsn: Lsn,
        about: String,
        bytes: impl Read + Send + Unpin,
    ) -> Result<(), Error> {
        let name = format!("{PREFIX}{:020}-{}", lsn.0, Uuid::new_v4().simple());
        match self {
            Self::Beside(store) => store.put(name, about, bytes).await,
            Self::Elsewhere(store) => store.put(&name, &about, bytes).await,
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Beside(store) => store.remove(name).await,
            Self::Elsewhere(store) => store.remove(name).await,
        }
    }

    /// Removes all that there is of a log that has not come to be.
    pub(crate) async fn clear(&self, context: &Context, settings: &Settings) {
        match self {
            Self::Beside(_) => beside::remove(context, settings).await,
            Self::Elsewhere(store) => store.clear().await,
        }
    }

    /// Removes what is left of uploads that were broken off, and to which nothing was added for so long. Returns of
    /// how many there was anything.
    pub(crate) async fn sweep(&self, quiet: Duration) -> Result<usize, Error> {
        match self {
            Self::Beside(store) => store.sweep(quiet).await,
            Self::Elsewhere(store) => store.sweep(quiet).await,
        }
    }
}

/// One of these names, so many bytes, of that second, as it is now; what is no checkpoint is none.
fn checkpoint(name: &str, bytes: u64, modified: i64, now: Duration) -> Option<Checkpoint> {
    let (lsn, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some(Checkpoint {
        name: name.to_owned(),
        lsn: Lsn(lsn.parse().ok()?),
        bytes,
        age: now.saturating_sub(second(modified)),
    })
}

/// How long ago that was, by this machine's clock.
pub(crate) fn since(unix: i64) -> Duration {
    now().saturating_sub(second(unix))
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
}

fn second(unix: i64) -> Duration {
    Duration::from_secs(u64::try_from(unix).unwrap_or_default())
}

fn failed(what: &str, error: &dyn Display) -> Error {
    Error::Checkpoints(format!("the store of checkpoints {what}: {error}"))
}
