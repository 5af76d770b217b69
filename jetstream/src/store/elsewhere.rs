//! Checkpoints in a folder (`file:///mnt/checkpoints/faces`) or in a bucket of S3 (`s3://bucket/folder`), each log's in a
//! folder of its own: its stream's name and then its number. So logs of one name never begin with each other's.
//!
//! Each is a backup as `doppel backup` makes one, with which also another log can begin; beside it, under its name with
//! `.about`, lies what its maker said of it (`about`). That is there before it, and as long as it is.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use rustls::crypto::ring;
use storage::Error;
use tokio::time::timeout;
use uuid::Uuid;

use super::environment::{Hint, check_endpoint, hint};
use super::{about, checkpoint, failed, now, second};
use crate::checkpoints::Checkpoint;
use crate::limits::{ANSWER, PART, PARTS_AT_ONCE, PIECE, READ_PATIENCE};

/// What follows a checkpoint's name where it is said what it is.
const ABOUT: &str = ".about";

const UNLISTED: &str = "cannot be listed";
const UNREAD: &str = "cannot be read";
const UNTAKEN: &str = "takes nothing";
const UNREMOVED: &str = "lets nothing go";

/// The store of the logs of one name.
pub(crate) struct Elsewhere {
    /// As the settings name it, with the stream's name and, once it is known, the log's number.
    shown: String,
    /// What there is to look at where it refuses this node, or says nothing.
    hint: Option<Hint>,
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// The folder of the settings and that of the log, where they are on this machine.
    local: Option<(PathBuf, PathBuf)>,
    number: u128,
}

impl Elsewhere {
    /// Finds it; nobody is asked yet.
    ///
    /// # Errors
    /// There is no such folder, or the environment does not say how S3 is reached.
    pub(crate) fn open(url: &str, stream: &str) -> Result<Self, Error> {
        let shown = format!("{}/{stream}", url.trim_end_matches('/'));
        let wrong = |error: &dyn Display| Error::Shared(format!("`{url}`: {error}"));
        if let Some(folder) = url.strip_prefix("file://") {
            if !PathBuf::from(folder).is_dir() {
                return Err(wrong(&"this is no folder: make it, or mount it"));
            }
            let store = LocalFileSystem::new_with_prefix(folder);
            let store = store.map_err(|error| wrong(&error))?;
            return Ok(Self {
                shown,
                hint: None,
                store: Arc::new(store.with_fsync(true)),
                folder: Path::from(stream),
                local: Some((folder.into(), PathBuf::from(folder).join(stream))),
                number: 0,
            });
        }
        let place = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
        // Whoever makes the first connection of the process says how; it may have been made already.
        let _ = ring::default_provider().install_default();
        let again = RetryConfig {
            max_retries: 5,
            retry_timeout: READ_PATIENCE,
            ..RetryConfig::default()
        };
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(again);
        check_endpoint(&store).map_err(|error| wrong(&error))?;
        let hint = hint(&store);
        let store = store.build().map_err(|error| wrong(&error))?;
        let folder = folder.split('/').filter(|it| !it.is_empty());
        Ok(Self {
            shown,
            hint: Some(hint),
            store: Arc::new(store),
            folder: folder.chain([stream]).collect(),
            local: None,
            number: 0,
        })
    }

    /// That of the log with this number.
    pub(crate) fn of(mut self, number: u128) -> Self {
        let own = format!("{number:032x}");
        self.shown = format!("{}/{own}", self.shown);
        self.local = self.local.map(|(root, local)| (root, local.join(&own)));
        self.folder = self.folder.join(own);
        self.number = number;
        self
    }

    /// Refuses a folder that is gone, as one on a file server is when that is: in its place another would be made.
    fn there(&self) -> Result<(), Error> {
        match &self.local {
            Some((root, _)) if !root.is_dir() => Err(failed("is not there", &root.display())),
            _ => Ok(()),
        }
    }

    /// Refuses a folder that takes nothing and will not by itself. One that is full may have room later.
    pub(crate) fn takes(&self) -> Result<(), Error> {
        let Some((root, own)) = &self.local else {
            return Ok(());
        };
        let folder = if own.is_dir() { own } else { root };
        // A name that nobody takes for anything.
        let tried = folder.join(format!("tried-{}#1", Uuid::new_v4().simple()));
        match File::create(&tried) {
            Ok(_) => {
                let _ = fs::remove_file(&tried);
                Ok(())
            }
            Err(error) if is_for_good(error.kind()) => Err(Error::Shared(format!(
                "nothing can be put into {}: {error}: let doppel's user write there, or name another folder",
                folder.display()
            ))),
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "the store of checkpoints takes nothing now");
                Ok(())
            }
        }
    }

    /// Where checkpoints of any log of this name are, if there are any, and how they are called together.
    pub(crate) async fn remains(&self) -> Result<Option<(String, String)>, Error> {
        let first = self.objects().await?.into_iter().next();
        let shown = &self.shown;
        let all = match self.local {
            Some(_) => "the folder".to_owned(),
            None => format!("all that lies under {shown}/"),
        };
        Ok(first.map(|_| (shown.clone(), all)))
    }

    /// What is asked, and what comes of it may be slow for.
    pub(crate) fn asked(&self) -> String {
        let shown = &self.shown;
        match self.hint {
            Some(hint @ Hint::NoKeys) => {
                format!("the store of checkpoints, {shown}, is asked; {hint}")
            }
            _ => format!("the store of checkpoints, {shown}, is asked"),
        }
    }

    /// A checkpoint, with its place.
    pub(crate) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.shown)
    }

    async fn objects(&self) -> Result<Vec<ObjectMeta>, Error> {
        self.there()?;
        let all = self.store.list(Some(&self.folder)).try_collect();
        self.answered(UNLISTED, ANSWER * 5, all).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<Checkpoint>, Error> {
        let now = now();
        let all = self.objects().await?.into_iter().filter_map(|object| {
            let name = object.location.filename()?;
            let modified = object.last_modified.timestamp();
            let is_whole = !name.ends_with(ABOUT);
            is_whole.then(|| checkpoint(name, object.size, modified, now))?
        });
        Ok(all.collect())
    }

    pub(crate) async fn fetch(
        &self,
        name: &str,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let head = async { self.store.get(&self.about(name)).await?.bytes().await };
        let head = self.answered(UNREAD, ANSWER * 5, head).await?;
        let about = about::decode(&head, self.number).map_err(|why| {
            let shown = self.shown(name);
            Error::Shared(format!("what is said of the checkpoint {shown}: {why}"))
        })?;
        let path = self.path(name);
        let whole = self.store.head(&path);
        let whole = self.answered(UNREAD, ANSWER * 5, whole).await?;
        let (mut at, end) = (0, whole.size);
        while at < end {
            let next = end.min(at + PART as u64);
            let piece = self.store.get_range(&path, at..next);
            take(&self.answered(UNREAD, READ_PATIENCE, piece).await?)?;
            at = next;
        }
        Ok(about)
    }

    /// It is seen when it is whole and, in a folder, synced.
    pub(crate) async fn put(
        &self,
        name: &str,
        about: &str,
        bytes: impl Read + Send,
    ) -> Result<(), Error> {
        self.there()?;
        let head = about::encode(self.number, about).into();
        let beside = self.about(name);
        let head = self.store.put(&beside, head);
        self.answered(UNTAKEN, ANSWER * 5, head).await?;
        let put = self.put_bytes(name, bytes).await;
        if put.is_err() {
            // What stays of it is nothing that anybody takes for a checkpoint.
            let _ = self.store.delete(&self.about(name)).await;
        }
        put
    }

    async fn put_bytes(&self, name: &str, mut bytes: impl Read + Send) -> Result<(), Error> {
        let untaken = |error| self.unanswered(UNTAKEN, error);
        let upload = self.store.put_multipart(&self.path(name)).await;
        let upload = upload.map_err(untaken)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut piece = vec![0; PIECE];
        let sent = loop {
            if let Err(error) = upload.wait_for_capacity(PARTS_AT_ONCE).await {
                break Err(untaken(error));
            }
            match bytes.read(&mut piece) {
                Ok(0) => break Ok(()),
                Ok(got) => upload.write(piece.get(..got).unwrap_or_default()),
                Err(error) => break Err(failed(UNTAKEN, &error)),
            }
        };
        match sent {
            Ok(()) => match upload.finish().await {
                Ok(_) => Ok(()),
                Err(error) => Err(untaken(error)),
            },
            Err(error) => {
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        self.there()?;
        for path in [self.path(name), self.about(name)] {
            let gone = self.store.delete(&path);
            self.answered(UNREMOVED, ANSWER * 5, gone).await?;
        }
        Ok(())
    }

    /// Removes all of them.
    pub(crate) async fn clear(&self) {
        let removed = async {
            for one in self.list().await? {
                self.remove(&one.name).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = removed.await {
            let folder = &self.shown;
            tracing::warn!(%error, folder, "what is left of it is to be removed by hand");
        }
    }

    /// What is said of no checkpoint, and in a folder what was not whole, which lies under the name with `#` and a number.
    /// S3 tells nobody of parts: a rule of the bucket removes them.
    pub(crate) async fn sweep(&self, quiet: Duration) -> Result<usize, Error> {
        let (objects, now) = (self.objects().await?, now());
        let names: HashSet<_> = objects.iter().map(|it| it.location.as_ref()).collect();
        let mut removed = 0;
        for object in &objects {
            let of = object.location.as_ref().strip_suffix(ABOUT);
            let rests = now.saturating_sub(second(object.last_modified.timestamp()));
            if of.is_some_and(|of| !names.contains(of)) && rests >= quiet {
                let gone = self.store.delete(&object.location).await;
                gone.map_err(|error| self.unanswered(UNREMOVED, error))?;
                removed += 1;
            }
        }
        Ok(removed + self.sweep_local(quiet)?)
    }

    fn sweep_local(&self, quiet: Duration) -> Result<usize, Error> {
        let local = self.local.as_ref().map(|(_, local)| local);
        let Some(local) = local.filter(|local| local.exists()) else {
            return Ok(0);
        };
        let stays = |error: &dyn Display| failed("cannot be looked through", error);
        let mut removed = 0;
        for entry in fs::read_dir(local).map_err(|error| stays(&error))? {
            let entry = entry.map_err(|error| stays(&error))?;
            if !entry.file_name().to_string_lossy().contains('#') {
                continue;
            }
            let modified = entry.metadata().and_then(|it| it.modified());
            let rests = modified.ok().and_then(|at| at.elapsed().ok());
            if rests.is_some_and(|rests| rests >= quiet) {
                fs::remove_file(entry.path()).map_err(|error| stays(&error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// What the store answers, if it does in time: one that takes connections and says nothing is told like one that is
    /// away.
    async fn answered<T>(
        &self,
        what: &str,
        patience: Duration,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Error> {
        match timeout(patience, answer).await {
            Ok(answer) => answer.map_err(|error| self.unanswered(what, error)),
            Err(_) => Err(failed(what, &self.with_hint(&"it does not answer"))),
        }
    }

    /// Why there is no answer. What a wait does not mend is told apart.
    fn unanswered(&self, what: &str, error: object_store::Error) -> Error {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        let told = error.to_string();
        // What a list is refused with is in the words alone; others than the store are asked for keys.
        let is_of_list = what == UNLISTED && told.contains("performing list request");
        let is = |status: &str| is_of_list && told.contains(&format!("status code: {status} "));
        let for_good = match &error {
            PermissionDenied { .. } | Unauthenticated { .. } => "refuses this node",
            _ if is("401") || is("403") => "refuses this node",
            _ if is("404") => "has no such bucket",
            _ => return failed(what, &self.with_hint(&told)),
        };
        let (shown, hint) = (&self.shown, self.hint.unwrap_or(Hint::Keys));
        Error::Shared(format!(
            "the store of checkpoints (`nats.checkpoints`), {shown}, {for_good}: {told}; {hint}"
        ))
    }

    fn with_hint(&self, why: &dyn Display) -> String {
        match self.hint {
            Some(hint @ Hint::NoKeys) => format!("{why}; {hint}"),
            _ => why.to_string(),
        }
    }

    /// Where what is said of one lies.
    fn about(&self, name: &str) -> Path {
        self.path(&format!("{name}{ABOUT}"))
    }

    fn path(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }
}

/// What a folder answers that will not be otherwise before somebody changes something.
fn is_for_good(kind: ErrorKind) -> bool {
    use ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        kind,
        NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem | Unsupported
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// What comes of a look into a store that answers with this status.
    fn looked(status: &'static str) -> Error {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let (mut asked, mut piece) = (Vec::<u8>::new(), [0; 1 << 10]);
                while !asked.windows(4).any(|it| it == b"\r\n\r\n") {
                    match connection.read(&mut piece) {
                        Ok(len @ 1..) => asked.extend(piece.iter().take(len)),
                        _ => break,
                    }
                }
                let _ = write!(
                    connection,
                    "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
        });
        let _ = ring::default_provider().install_default();
        let store = AmazonS3Builder::new()
            .with_bucket_name("faces")
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_access_key_id("wrong")
            .with_secret_access_key("wrong")
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        let store = Elsewhere {
            shown: "s3://faces/log".to_owned(),
            hint: Some(hint(&store)),
            store: Arc::new(store.build().unwrap()),
            folder: Path::from("log"),
            local: None,
            number: 0,
        };
        let runtime = crate::log::runtime("test").unwrap();
        runtime.block_on(store.list()).unwrap_err()
    }

    #[test]
    fn what_a_store_refuses_for_good_is_told_apart_from_what_may_pass() {
        for (status, words) in [
            ("403 Forbidden", "refuses this node"),
            ("404 Not Found", "has no such bucket"),
        ] {
            let told = looked(status);
            assert!(matches!(told, Error::Shared(_)), "{told:?}");
            let told = told.to_string();
            assert!(
                told.contains(words) && told.contains("AWS_ACCESS_KEY_ID"),
                "{told}"
            );
        }
        let passes = looked("503 Service Unavailable");
        assert!(matches!(passes, Error::Checkpoints(_)), "{passes:?}");
    }
}
