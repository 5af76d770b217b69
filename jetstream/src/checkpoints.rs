//! What nodes begin with, in an object store beside the stream; and trimming the stream below it.
//!
//! Invariant: a message goes only when two checkpoints are in the store that have all up to it, so that
//! whoever begins with either finds all that follows. The store's own checksum of an object is checked
//! when it is read, and the object has its own beside.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Task, Poll};
use std::time::{Duration, SystemTime};

use async_nats::Client;
use async_nats::jetstream::object_store::{Config, ObjectInfo, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context, stream::StorageType};
use futures_util::StreamExt;
use storage::{Error, Lsn};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use uuid::Uuid;

use crate::limits::{ANSWER, PIECE, READ_PATIENCE};
use crate::log::{message_at, part, runtime};
use crate::position::{kept_from, sequence};
use crate::settings::Settings;
use crate::stream::{self, Absent};
use crate::{connection, varz};

/// Checkpoints of a log.
pub struct Checkpoints {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    /// Of the log.
    name: String,
    client: Client,
    store: ObjectStore,
    /// What the store lies in.
    objects: Stream,
    stream: Stream,
    /// The first message of the stream that was found to be reached by a checkpoint.
    begun: AtomicU64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    name: String,
    /// All up to here is in it.
    pub lsn: Lsn,
    /// Its bytes.
    pub bytes: usize,
    /// How long ago it was made, by this machine's clock.
    pub age: Duration,
    /// What its maker said about it.
    pub about: String,
}

const PREFIX: &str = "checkpoint-";

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
            let (stream, _) = stream::open(&context, settings, Absent::Gone).await?;
            let bucket = bucket(settings);
            let (store, objects) = stream::patiently(async || {
                let store = match context.get_object_store(&bucket).await {
                    Ok(store) => store,
                    Err(_) => make(&context, settings).await?,
                };
                let objects = context.get_stream(format!("OBJ_{bucket}")).await;
                let objects = objects.map_err(|error| failed("cannot be found", &error))?;
                Ok((store, objects))
            })
            .await?;
            Ok::<_, Error>((client, store, objects, stream))
        });
        let (client, store, objects, stream) = opened?;
        stream::check_beside(&objects.cached_info().config, settings, Duration::ZERO)?;
        Ok(Self {
            runtime: Some(runtime),
            name: settings.stream.clone(),
            client,
            store,
            objects,
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
        self.runtime().block_on(self.list())
    }

    async fn list(&self) -> Result<Vec<Checkpoint>, Error> {
        let list = self.store.list().await;
        let mut list = list.map_err(|error| failed("cannot be listed", &error))?;
        let (mut all, now) = (Vec::new(), now());
        while let Some(info) = list.next().await {
            let info = info.map_err(|error| failed("cannot be listed", &error))?;
            all.extend(checkpoint(&info, now));
        }
        all.sort_by(|a, b| (b.lsn, &b.name).cmp(&(a.lsn, &a.name)));
        Ok(all)
    }

    /// Hands on its bytes.
    pub fn fetch(
        &self,
        which: &Checkpoint,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.runtime().block_on(async {
            let stands = |_| failed("cannot be read", &"nothing comes");
            let object = timeout(READ_PATIENCE, self.store.get(&which.name)).await;
            let object = object.map_err(stands)?;
            let mut object = object.map_err(|error| failed("cannot be read", &error))?;
            let mut piece = vec![0; PIECE];
            loop {
                let got = timeout(READ_PATIENCE, object.read(&mut piece)).await;
                match got
                    .map_err(stands)?
                    .map_err(|error| failed("cannot be read", &error))?
                {
                    0 => return Ok(()),
                    got => take(piece.get(..got).unwrap_or_default())?,
                }
            }
        })
    }

    /// Puts one in: all of `bytes`, or nothing that anybody sees.
    pub fn put(
        &self,
        lsn: Lsn,
        about: String,
        bytes: impl Read + Send + Unpin,
    ) -> Result<(), Error> {
        self.runtime().block_on(put(&self.store, lsn, about, bytes))
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

    /// Removes what is left of uploads that were broken off: pieces that no checkpoint names, and to which
    /// nothing was added for so long, by the servers' clocks, before the last piece of all. Returns of how many
    /// uploads there were any.
    pub fn sweep(&self, quiet: Duration) -> Result<usize, Error> {
        self.runtime().block_on(async {
            let stays = |error: &dyn Display| failed("cannot be looked through", error);
            // Before the names: an upload that ends meanwhile is named.
            let info = self.objects.get_info().await;
            let newest = info.map_err(|error| stays(&error))?.state.last_timestamp;
            let pieces = format!("$O.{}-checkpoints.C.", self.name);
            let mut subjects = self
                .objects
                .info_with_subjects(format!("{pieces}>"))
                .await
                .map_err(|error| stays(&error))?;
            let mut left = HashMap::new();
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(|error| stays(&error))?;
                let upload = subject.strip_prefix(&pieces).map(str::to_owned);
                left.extend(upload.map(|upload| (upload, subject)));
            }
            let mut named = self.store.list().await.map_err(|error| stays(&error))?;
            while let Some(info) = named.next().await {
                left.remove(&info.map_err(|error| stays(&error))?.nuid);
            }
            let mut removed = 0;
            for subject in left.into_values() {
                let last = self.objects.get_last_raw_message_by_subject(&subject).await;
                let Ok(last) = last else { continue };
                let added = second(last.time.unix_timestamp());
                if added + quiet > second(newest.unix_timestamp()) {
                    continue;
                }
                let purge = self.objects.purge().filter(subject).await;
                purge.map_err(|error| stays(&error))?;
                removed += 1;
            }
            Ok(removed)
        })
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
            let all = self.list().await?;
            let begins = all.iter().any(|it| reaches <= it.lsn.next());
            if begins {
                self.begun.store(first, Ordering::Relaxed);
            }
            let needed = Lsn(reaches.0.saturating_sub(1));
            Ok((!begins).then_some((first, needed)))
        })
    }

    /// Keeps the newest and those up to the first that is this much older, and of the stream what comes
    /// after that one. Returns from where on the stream is kept then.
    pub fn trim(&self, apart: Duration) -> Result<Lsn, Error> {
        self.runtime().block_on(async {
            let all = self.list().await?;
            let Some((newest, rest)) = all.split_first() else {
                return Ok(Lsn(1));
            };
            let older = |it: &Checkpoint| it.age >= newest.age + apart;
            let Some(at) = rest.iter().position(older) else {
                return Ok(Lsn(1));
            };
            let (kept, gone) = rest.split_at(at + 1);
            for old in gone {
                let gone = self.store.delete(&old.name).await;
                gone.map_err(|error| failed("lets nothing go", &error))?;
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

/// The name of the store.
pub(crate) fn bucket(settings: &Settings) -> String {
    format!("{}-checkpoints", settings.stream)
}

/// Makes the store.
pub(crate) async fn make(context: &Context, settings: &Settings) -> Result<ObjectStore, Error> {
    let config = Config {
        bucket: bucket(settings),
        description: Some("what nodes of doppel begin with".into()),
        storage: StorageType::File,
        num_replicas: settings.replicas,
        ..Config::default()
    };
    let made = context.create_object_store(config).await;
    made.map_err(|error| failed("cannot be made", &error))
}

/// Waits until the server that is asked has heard of a store that was just made: before, it takes no pieces for it.
pub(crate) async fn wait_known(context: &Context, settings: &Settings) -> Result<(), Error> {
    let bucket = bucket(settings);
    let piece = format!("$O.{bucket}.C.known");
    stream::patiently(async || {
        let failed = |error: &dyn Display| failed("takes nothing", error);
        let sent = context.publish(piece.clone(), "".into()).await;
        let taken = sent.map_err(|error| failed(&error))?.await;
        taken.map_err(|error| failed(&error))?;
        let objects = context.get_stream(format!("OBJ_{bucket}")).await;
        let objects = objects.map_err(|error| failed(&error))?;
        let removed = objects.purge().filter(&piece).await;
        removed.map(drop).map_err(|error| failed(&error))
    })
    .await
}

/// Puts a checkpoint in.
pub(crate) async fn put(
    store: &ObjectStore,
    lsn: Lsn,
    about: String,
    bytes: impl Read + Send + Unpin,
) -> Result<(), Error> {
    let name = format!("{PREFIX}{:020}-{}", lsn.0, Uuid::new_v4().simple());
    let meta = ObjectMetadata {
        name,
        description: Some(about),
        chunk_size: Some(PIECE),
        ..ObjectMetadata::default()
    };
    let put = store.put(meta, &mut Blocking(bytes)).await;
    put.map_err(|error| failed("takes nothing", &error))?;
    Ok(())
}

fn failed(what: &str, error: &dyn Display) -> Error {
    Error::Unreachable(format!("the store of checkpoints {what}: {error}"))
}

/// What is no checkpoint is left alone.
fn checkpoint(info: &ObjectInfo, now: Duration) -> Option<Checkpoint> {
    let (lsn, _) = info.name.strip_prefix(PREFIX)?.split_once('-')?;
    Some(Checkpoint {
        name: info.name.clone(),
        lsn: Lsn(lsn.parse().ok()?),
        bytes: info.size,
        age: now.saturating_sub(second(info.modified?.unix_timestamp())),
        about: info.description.clone().unwrap_or_default(),
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

/// A file of this machine, read where it is asked for: nothing else runs on that thread.
struct Blocking<R>(R);

impl<R: Read + Unpin> AsyncRead for Blocking<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let got = self.0.read(buffer.initialize_unfilled());
        Poll::Ready(got.map(|got| buffer.advance(got)))
    }
}
