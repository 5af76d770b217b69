//! Checkpoints in JetStream's object store, a stream beside the log's. The store's own checksum of an object is checked
//! when it is read, and the object has its own beside.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::object_store::{Config, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::{StorageType, Stream};
use futures_util::StreamExt;
use storage::Error;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::timeout;

use super::{checkpoint, failed, now, second};
use crate::checkpoints::Checkpoint;
use crate::limits::{PIECE, READ_PATIENCE};
use crate::settings::Settings;
use crate::stream;

/// The store of one log.
pub(crate) struct Beside {
    /// Its name.
    bucket: String,
    store: ObjectStore,
    /// What it lies in.
    objects: Stream,
}

impl Beside {
    /// Finds or makes it.
    pub(crate) async fn open(context: &Context, settings: &Settings) -> Result<Self, Error> {
        let bucket = bucket(settings);
        let found = stream::patiently(async || {
            let Ok(store) = context.get_object_store(&bucket).await else {
                let store = make(context, settings).await?;
                return Ok((store, wait_known(context, &bucket).await?));
            };
            let objects = context.get_stream(objects(&bucket)).await;
            let objects = objects.map_err(|error| failed("cannot be found", &error))?;
            Ok((store, objects))
        });
        let (store, objects) = found.await?;
        stream::check_beside(&objects.cached_info().config, settings, Duration::ZERO)?;
        Ok(Self {
            bucket,
            store,
            objects,
        })
    }

    /// Makes it.
    pub(crate) async fn make(context: &Context, settings: &Settings) -> Result<Self, Error> {
        let store = make(context, settings).await?;
        let bucket = bucket(settings);
        let known = wait_known(context, &bucket).await;
        if known.is_err() {
            remove(context, settings).await;
        }
        Ok(Self {
            objects: known?,
            bucket,
            store,
        })
    }

    /// What holds checkpoints of a log of this name, if it is there.
    pub(crate) async fn remains(
        context: &Context,
        settings: &Settings,
    ) -> Result<Option<String>, Error> {
        let objects = objects(&bucket(settings));
        let found = stream::find(context, &objects).await?;
        Ok(found.map(|_| objects))
    }

    /// A checkpoint, with its place.
    pub(crate) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.bucket)
    }

    pub(crate) async fn list(&self) -> Result<Vec<Checkpoint>, Error> {
        let list = self.store.list().await;
        let mut list = list.map_err(|error| failed("cannot be listed", &error))?;
        let (mut all, now) = (Vec::new(), now());
        while let Some(info) = list.next().await {
            let info = info.map_err(|error| failed("cannot be listed", &error))?;
            let modified = info.modified.map_or(0, |at| at.unix_timestamp());
            all.extend(checkpoint(&info.name, info.size as u64, modified, now));
        }
        Ok(all)
    }

    pub(crate) async fn fetch(
        &self,
        name: &str,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let stands = |_| failed("cannot be read", &"nothing comes");
        // Right after a store was made the server that is asked may not know it yet.
        let mut object = stream::patiently(async || {
            let object = timeout(READ_PATIENCE, self.store.get(name)).await;
            let object = object.map_err(stands)?;
            object.map_err(|error| failed("cannot be read", &error))
        })
        .await?;
        let about = object.info().description.clone().unwrap_or_default();
        let mut piece = vec![0; PIECE];
        loop {
            let got = timeout(READ_PATIENCE, object.read(&mut piece)).await;
            match got
                .map_err(stands)?
                .map_err(|error| failed("cannot be read", &error))?
            {
                0 => return Ok(about),
                got => take(piece.get(..got).unwrap_or_default())?,
            }
        }
    }

    pub(crate) async fn put(
        &self,
        name: String,
        about: String,
        bytes: impl Read + Send + Unpin,
    ) -> Result<(), Error> {
        let meta = ObjectMetadata {
            name,
            description: Some(about),
            chunk_size: Some(PIECE),
            ..ObjectMetadata::default()
        };
        let put = self.store.put(meta, &mut Blocking(bytes)).await;
        put.map_err(|error| failed("takes nothing", &error))?;
        Ok(())
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        let gone = self.store.delete(name).await;
        gone.map_err(|error| failed("lets nothing go", &error))
    }

    /// Pieces that no object names are of an upload; how long nothing was added is told by the servers' clocks, as the
    /// time before the last piece of all.
    pub(crate) async fn sweep(&self, quiet: Duration) -> Result<usize, Error> {
        let stays = |error: &dyn Display| failed("cannot be looked through", error);
        // Before the names: an upload that ends meanwhile is named.
        let info = self.objects.get_info().await;
        let newest = info.map_err(|error| stays(&error))?.state.last_timestamp;
        let pieces = format!("$O.{}.C.", self.bucket);
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
    }
}

fn bucket(settings: &Settings) -> String {
    format!("{}-checkpoints", settings.stream)
}

/// The stream that a store lies in.
fn objects(bucket: &str) -> String {
    format!("OBJ_{bucket}")
}

async fn make(context: &Context, settings: &Settings) -> Result<ObjectStore, Error> {
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
async fn wait_known(context: &Context, bucket: &str) -> Result<Stream, Error> {
    let piece = format!("$O.{bucket}.C.known");
    stream::patiently(async || {
        let failed = |error: &dyn Display| failed("takes nothing", error);
        let sent = context.publish(piece.clone(), "".into()).await;
        let taken = sent.map_err(|error| failed(&error))?.await;
        taken.map_err(|error| failed(&error))?;
        let objects = context.get_stream(objects(bucket)).await;
        let objects = objects.map_err(|error| failed(&error))?;
        let removed = objects.purge().filter(&piece).await;
        removed.map_err(|error| failed(&error))?;
        Ok(objects)
    })
    .await
}

/// Removes the store that was just made for a log that does not begin: with what is left of it nothing could begin again.
pub(crate) async fn remove(context: &Context, settings: &Settings) {
    let bucket = bucket(settings);
    if let Err(error) = context.delete_object_store(&bucket).await {
        tracing::warn!(%error, bucket, "what is left of it is to be removed by hand");
    }
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
