//! What nodes begin with, in a store; and trimming the stream below it.
//!
//! Invariant: a message goes only when two checkpoints are in the store that have all up to it, so that
//! whoever begins with either finds all that follows.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use storage::{Error, Lsn};
use tokio::runtime::Runtime;

use crate::connection::Waits;
use crate::limits::ANSWER;
use crate::log::{message_at, part, runtime};
use crate::position::{kept_from, sequence};
use crate::settings::Settings;
use crate::store::{Elsewhere, Store};
use crate::stream::{self, Absent};
use crate::{connection, varz};

/// Checkpoints of a log.
pub struct Checkpoints {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    client: Client,
    store: Store,
    stream: Stream,
    /// The first message of the stream that was found to be reached by a checkpoint.
    begun: AtomicU64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub(crate) name: String,
    /// All up to here is in it.
    pub lsn: Lsn,
    /// Its bytes, as it lies there.
    pub bytes: u64,
    /// How long ago it was made, by this machine's clock.
    pub age: Duration,
}

/// What a node does with a store of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreUse {
    /// It begins with what is there.
    Reads,
    /// It puts something there too.
    Puts,
}

/// Whether there is a store where the settings say that can be used so, as far as this machine can tell by itself.
///
/// # Errors
/// There is no such folder, or it takes nothing; or the environment does not say how S3 is reached.
pub fn check_store(settings: &Settings, used: StoreUse) -> Result<(), Error> {
    let Some(url) = &settings.checkpoints else {
        return Ok(());
    };
    let store = Elsewhere::open(url, &settings.stream)?;
    match used {
        StoreUse::Reads => Ok(()),
        StoreUse::Puts => store.takes(),
    }
}

impl Checkpoints {
    /// Connects, and finds or makes the store.
    ///
    /// # Errors
    /// No server answers in time, or there is no such log.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let runtime = runtime("checkpoints")?;
        let opened = runtime.block_on(async {
            let client = connection::connect(settings).await?;
            let mut context = jetstream::new(client.clone());
            context.set_timeout(ANSWER * 5);
            let (stream, number) =
                stream::open(&context, settings, Absent::Gone, Waits::UNTOLD).await?;
            let store = Store::open(&context, settings, number).await?;
            Ok::<_, Error>((client, store, stream))
        });
        let (client, store, stream) = opened?;
        Ok(Self {
            runtime: Some(runtime),
            client,
            store,
            stream,
            begun: AtomicU64::new(0),
        })
    }

    fn runtime(&self) -> &Runtime {
        let runtime = self.runtime.as_ref();
        runtime.expect("it is there until this is dropped")
    }

    /// All there are, the newest first.
    pub fn all(&self) -> Result<Vec<Checkpoint>, Error> {
        self.runtime().block_on(self.store.list())
    }

    /// Hands on its bytes, and gives what its maker said about it.
    pub fn fetch(
        &self,
        which: &Checkpoint,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let fetched = self.store.fetch(&which.name, take);
        self.runtime().block_on(fetched)
    }

    /// How one is called, with its place.
    pub fn shown(&self, which: &Checkpoint) -> String {
        self.store.shown(&which.name)
    }

    /// Puts one in: all of `bytes`, or nothing that anybody sees.
    pub fn put(
        &self,
        lsn: Lsn,
        about: String,
        bytes: impl Read + Send + Unpin,
    ) -> Result<(), Error> {
        self.runtime().block_on(self.store.put(lsn, about, bytes))
    }

    /// Asks again whether the servers that keep the log sync before they acknowledge.
    ///
    /// # Errors
    /// One does not, or too few have said so.
    pub fn check_sync(&self, settings: &Settings) -> Result<(), Error> {
        let info = self.runtime().block_on(self.stream.get_info());
        let info = info.map_err(|error| Error::Unreachable(error.to_string()))?;
        varz::check(settings, &stream::keepers(&info, &self.client))
    }

    /// Removes what is left of uploads that were broken off: what no checkpoint names, and to which nothing was added for
    /// so long. Returns of how many uploads there was any.
    pub fn sweep(&self, quiet: Duration) -> Result<usize, Error> {
        self.runtime().block_on(self.store.sweep(quiet))
    }

    /// The first message of the stream, and how far one must have applied it to go on with that, where nobody can begin:
    /// neither is there a checkpoint that goes up to it, nor all that comes before. Whoever trims it leaves more, so
    /// somebody else has purged it.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn purged(&self) -> Result<Option<(u64, Lsn)>, Error> {
        self.runtime().block_on(async {
            let info = self.stream.get_info().await;
            let info = info.map_err(|error| Error::Unreachable(error.to_string()))?;
            let first = info.state.first_sequence;
            if first <= 1 || self.begun.load(Ordering::Relaxed) == first {
                return Ok(None);
            }
            let reaches = kept_from(first);
            let all = self.store.list().await?;
            let begins = all.iter().any(|it| reaches <= it.lsn.next());
            if begins {
                self.begun.store(first, Ordering::Relaxed);
            }
            let needed = Lsn(reaches.0.saturating_sub(1));
            Ok((!begins).then_some((first, needed)))
        })
    }

    /// The number of the last message, if there is none any more: who opens the stream now cannot read what it was.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn emptied(&self) -> Result<Option<u64>, Error> {
        let info = self.runtime().block_on(self.stream.get_info());
        let state = info
            .map_err(|error| Error::Unreachable(error.to_string()))?
            .state;
        Ok((state.messages == 0 && state.last_sequence > 0).then_some(state.last_sequence))
    }

    /// Keeps the newest and those up to the first that is this much older, and of the stream what comes
    /// after that one. Returns from where on the stream is kept then.
    pub fn trim(&self, apart: Duration) -> Result<Lsn, Error> {
        self.runtime().block_on(async {
            let all = self.store.list().await?;
            let Some((newest, rest)) = all.split_first() else {
                return Ok(Lsn(1));
            };
            let older = |it: &Checkpoint| it.age >= newest.age + apart;
            let Some(at) = rest.iter().position(older) else {
                return Ok(Lsn(1));
            };
            let (kept, gone) = rest.split_at(at + 1);
            for old in gone {
                self.store.remove(&old.name).await?;
            }
            let Some(oldest) = kept.last() else {
                return Ok(Lsn(1));
            };
            // The group that it ends with stays, all its parts: what comes after is told by it to follow.
            let last = sequence(oldest.lsn);
            let info = self.stream.get_info().await;
            let info = info.map_err(|error| Error::Unreachable(error.to_string()))?;
            if last < info.state.first_sequence {
                // A log that has begun with this checkpoint, or was trimmed by somebody else.
                return Ok(oldest.lsn);
            }
            let Some(there) = message_at(&self.stream, last).await? else {
                return Err(Error::Shared(format!(
                    "a checkpoint ends with message {last}, and the stream has none of that number: \
                     nothing is trimmed"
                )));
            };
            let first = last.saturating_sub(part(Some(&there)));
            let purge = self.stream.purge().sequence(first).await;
            purge
                .map_err(|error| Error::Shared(format!("the stream cannot be trimmed: {error}")))?;
            Ok(oldest.lsn)
        })
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
