//! What a node begins with that has nothing yet, or is further behind than the shared log reaches back:
//! all collections as another node had them at one position of it.
//!
//! It is a backup of everything, with the numbers of the collections, which a restore would give anew:
//! records of the log name collections by them. A node takes it as the first thing that it applies, as if
//! the log began with it, and then follows the log from there. Until its first checkpoint it has nothing:
//! a start before that begins once more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{
    BackupReader, Bookmark, CollectionId, DataFolder, Disk, DiskFile, History, Incoming, Log, Lsn,
    Manifests, Origin, OsDisk, Record, Restored, Tables,
};

use crate::backup::write_to;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::SEEDS_TRIED;
use crate::options::Options;

/// What is known of a seed beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedHead {
    /// How it is called where it lies; of one that was made here nothing is known of that.
    pub shown: String,
    /// All up to here is in it.
    pub lsn: Lsn,
    /// Where its bytes say that they were made; elsewhere than `lsn` where a log begins with it.
    pub made: Lsn,
    /// How the log stood there, where that is known.
    pub bookmark: Option<Bookmark>,
    /// The number of the next collection.
    pub next_collection: u64,
    /// The numbers of its collections, in the order of the backup.
    pub collections: Vec<u64>,
}

/// Hands the bytes of a seed to whoever takes them: of those that hold all up to this position or further
/// the one that is the newest but so many, if there is one.
pub type FetchSeed = Arc<
    dyn Fn(Lsn, usize, &mut dyn FnMut(&[u8]) -> Result<(), storage::Error>) -> Fetched
        + Send
        + Sync,
>;

/// What has been fetched.
pub type Fetched = Result<Option<SeedHead>, storage::Error>;

/// A seed that was made here; the file is gone when this is.
pub struct SeedFile {
    /// What is known of it.
    pub head: SeedHead,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: Bytes,
}

impl io::Read for SeedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Drop for SeedFile {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = self.disk.remove(&self.path);
    }
}

/// What is known of a backup with which a new shared log is to begin, and its bytes. Its collections get numbers
/// anew: no record of that log names one yet. `lsn` is where the backup was made.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn seed_of(backup: &Path) -> Result<(SeedHead, impl io::Read + Send + Unpin + use<>), Error> {
    let reader = BackupReader::open(&OsDisk, backup)?;
    reader.verify()?;
    let collections = reader.contents.collections.len() as u64;
    let head = SeedHead {
        shown: backup.display().to_string(),
        lsn: reader.origin.lsn,
        made: reader.origin.lsn,
        bookmark: None,
        next_collection: collections + 1,
        collections: (1..=collections).collect(),
    };
    let file = OsDisk.open(backup);
    let file = file.map_err(|error| Error::Corrupt(format!("{}: {error}", backup.display())))?;
    Ok((head, Bytes { file, at: 0 }))
}

/// A file, from its beginning on.
struct Bytes {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl io::Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buffer, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Engine {
    /// Makes a seed of all collections. Not while an index is being built anew: a seed has none that
    /// nobody sees. Nor where a collection is damaged or writing has stopped: others begin with it.
    pub fn seed(&self) -> Result<SeedFile, Error> {
        let shared = self.shared();
        if let Some(error) = shared.read_only() {
            return Err(error);
        }
        if let Some((_, damaged)) = self.quarantined().into_iter().next() {
            return Err(damaged);
        }
        let _moving = self.moving.read();
        let view = self.view(None)?;
        if view.left_out {
            return Err(Error::Busy("an index is being built anew".into()));
        }
        let bookmark = shared.log.lock().bookmark();
        let head = SeedHead {
            shown: String::new(),
            lsn: view.state.lsn,
            made: view.state.lsn,
            bookmark: bookmark.filter(|it| it.last == view.state.lsn),
            next_collection: view.state.next_collection,
            collections: view.state.collections.iter().map(|it| it.0.id.0).collect(),
        };
        let disk = Arc::clone(&shared.disk);
        let dir = shared.folder.restores();
        // It makes the folder, and its name is one that a start removes.
        let path = Incoming::create(Arc::clone(&disk), &dir)?.path();
        let origin = Origin {
            store: shared.folder.store(),
            lsn: head.lsn,
            made_s: disk.now_s(),
        };
        write_to(shared, &path, &origin, &view, &mut |_, _| true)?;
        let file = disk.open(&path);
        let file = file.map_err(|error| Error::Corrupt(format!("{}: {error}", path.display())))?;
        Ok(SeedFile {
            head,
            disk,
            path,
            bytes: Bytes { file, at: 0 },
        })
    }
}

/// What a start begins with instead of a checkpoint.
pub(crate) struct Planted {
    pub(crate) lsn: Lsn,
    pub(crate) next_collection: u64,
    pub(crate) record: Record,
}

/// Fetches a seed where the folder has no checkpoint from which the shared log goes on, and takes what
/// there was out of the folder.
pub(crate) fn plant(
    options: &Options,
    folder: &DataFolder,
    log: &mut dyn Log,
    manifests: &mut Manifests,
) -> Result<Option<Planted>, Error> {
    let Some(fetch) = options.seed.as_ref().filter(|_| log.shared().is_some()) else {
        return Ok(None);
    };
    let checkpoint = manifests.newest().map(|newest| newest.lsn);
    // What this node has and the log has not is nobody's to remove.
    // Where the log is gone, so is what lies beside it.
    if log.rewritten().is_some() || log.is_severed() {
        return Ok(None);
    }
    // Who can do without the log wants what is in the folder.
    let has_any = checkpoint.is_some() || log.copied_to() > Lsn(0);
    if options.without_log && (has_any || log.broken().is_some()) {
        return Ok(None);
    }
    if checkpoint.is_some_and(|lsn| log.first_lsn() <= lsn.next()) {
        return Ok(None);
    }
    let reaches = Lsn(log.first_lsn().0.saturating_sub(1));
    // What an earlier start had fetched, of which nothing was kept.
    clear(folder, &folder.restores())?;
    let mut passed_over = None;
    for newest_but in 0..SEEDS_TRIED {
        let mut incoming = Incoming::create(Arc::clone(folder.disk()), &folder.restores())?;
        let fetched = fetch(reaches, newest_but, &mut |bytes| incoming.write(bytes));
        let planted = match fetched {
            Ok(None) => break,
            Ok(Some(head)) if head.lsn < log.copied_to() => {
                let (lsn, has) = (head.lsn.0, log.copied_to().0);
                tracing::info!(
                    lsn,
                    has,
                    "a checkpoint in the store has less than this node"
                );
                break;
            }
            Ok(Some(head)) => read(&head, incoming, folder, log).map_err(|it| named(it, &head)),
            Err(error) => Err(of_store(error)),
        };
        match planted {
            Ok(planted) => {
                let lsn = planted.lsn.0;
                tracing::warn!(
                    lsn,
                    ?checkpoint,
                    "the folder begins anew, with a checkpoint from the store"
                );
                empty(folder, manifests)?;
                log.begin_copy(planted.lsn);
                return Ok(Some(planted));
            }
            Err(error @ Error::Checkpoints(_)) => {
                tracing::warn!(%error, "nothing was had from the store of checkpoints");
                // What may be had a moment later is worth another start.
                passed_over = Some(error);
            }
            Err(error) => {
                tracing::warn!(%error, "a checkpoint in the store is passed over");
                passed_over.get_or_insert(error);
            }
        }
    }
    match passed_over {
        // What the folder has of a log that cannot be had is more than nothing.
        Some(error) if log.broken().is_none() => Err(error),
        _ => Ok(None),
    }
}

/// A seed that has been fetched, if it is whole and the log goes on behind it.
fn read(
    head: &SeedHead,
    incoming: Incoming,
    folder: &DataFolder,
    log: &mut dyn Log,
) -> Result<Planted, Error> {
    let reader = BackupReader::open(&**folder.disk(), &incoming.path())?;
    reader.verify()?;
    if head.lsn > log.last_lsn() {
        return Err(Error::Busy(format!(
            "the checkpoint in the store ends at LSN {}, and the log ended at {} when this start \
             began; start again",
            head.lsn,
            log.last_lsn()
        )));
    }
    let configs = &reader.contents.collections;
    if configs.len() != head.collections.len() || reader.origin.lsn != head.made {
        return Err(Error::Corrupt(
            "the checkpoint in the store is not what its description says".into(),
        ));
    }
    if let Some(bookmark) = &head.bookmark
        && let History::Another(why) = log.remember(bookmark)?
    {
        return Err(storage::Error::Shared(format!("the checkpoint in the store: {why}")).into());
    }
    let restored = (0u32..).zip(configs).zip(&head.collections);
    let restored = restored.map(|((part, config), id)| Restored {
        part,
        id: CollectionId(*id),
        replaces: None,
        config: config.clone(),
    });
    let collections: Vec<_> = restored.collect();
    let aliases = reader.contents.aliases.iter().filter_map(|(alias, part)| {
        let id = head.collections.get(*part as usize)?;
        Some((alias.clone(), CollectionId(*id)))
    });
    let aliases = aliases.collect();
    Ok(Planted {
        lsn: head.lsn,
        next_collection: head.next_collection,
        record: Record::Restore {
            file: incoming.keep(".restore")?,
            collections,
            aliases,
        },
    })
}

/// What is not as it should be in a seed, said of where it was fetched from.
fn named(error: Error, head: &SeedHead) -> Error {
    use storage::Error::{Corrupt, Decode};
    match error {
        Error::Storage(why) if matches!(*why, Corrupt { .. } | Decode { .. }) => {
            Error::Corrupt(format!("the checkpoint {}: {why}", head.shown))
        }
        Error::Corrupt(why) => Error::Corrupt(format!("the checkpoint {}: {why}", head.shown)),
        other => other,
    }
}

/// Nothing was to be written there.
fn of_store(error: storage::Error) -> Error {
    match error {
        unreachable @ storage::Error::Unreachable(_) => Error::Checkpoints(unreachable.to_string()),
        other => other.into(),
    }
}

/// Takes out what follows the log; backups and keys stay.
fn empty(folder: &DataFolder, manifests: &mut Manifests) -> Result<(), Error> {
    manifests.remove_all()?;
    Tables::remove(&folder.tables())?;
    clear(folder, &folder.snapshots())?;
    clear(folder, &folder.blobs())
}

/// Removes all files of a folder.
fn clear(folder: &DataFolder, dir: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Corrupt(format!("{}: {error}", dir.display()));
    let names = folder.disk().list(dir).map_err(failed)?;
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        folder.disk().remove(&dir.join(name)).map_err(failed)?;
    }
    folder.disk().sync_dir(dir).map_err(failed)
}
