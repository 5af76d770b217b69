//! The manifest: what a checkpoint at LSN x consists of.
//!
//! Manifests are numbered; the two newest are kept. A new one is written under a temporary name,
//! synced and renamed, so the newest that verifies is always a complete checkpoint.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bytes::{Take, checksum};
use crate::config::CollectionConfig;
use crate::disk::{Disk, read_all};
use crate::error::Error;
use crate::ids::{CollectionId, Lsn};
use crate::limits::MAX_MANIFEST_BYTES;
use crate::payload::decode_exact;

const MAGIC: &[u8; 8] = b"doppelMF";
const VERSION: u32 = 2;
/// Of manifests that know no aliases.
const WITHOUT_ALIASES: u32 = 1;
const PREFIX: &str = "manifest-";
/// Bytes before the body: magic, version, store, checksum.
const HEADER: usize = 32;

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// All up to here is in what the manifest names.
    pub lsn: Lsn,
    /// The number that the next collection gets.
    pub next_collection: u64,
    /// The collections there are.
    pub collections: Vec<CollectionEntry>,
    /// Other names for them.
    pub aliases: Vec<(String, CollectionId)>,
}

/// A collection in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionEntry {
    /// Its number.
    pub id: CollectionId,
    /// Its settings.
    pub config: CollectionConfig,
    /// Its snapshot.
    pub snapshot: SnapshotRef,
}

/// A snapshot file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// Its name in the folder of snapshots.
    pub file: String,
    /// The last record that changed the collection before it was taken.
    pub changed: u64,
    /// Its bytes.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Body {
    lsn: u64,
    next_collection: u64,
    collections: Vec<(u64, CollectionConfig, SnapshotRef)>,
    #[serde(default)]
    aliases: Vec<(String, u64)>,
}

/// The manifests of a data folder.
pub struct Manifests {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: u128,
    /// Newest last; at most two are written about.
    kept: Vec<(u64, Manifest)>,
    next: u64,
    /// Those before the newest were found at the start, and whether they can be used was not looked at.
    unchecked: bool,
}

/// What was found of a data folder's checkpoints.
pub struct OpenedManifests {
    /// Those that can be used; where none can, those that can be read, with damage in what they
    /// name.
    pub manifests: Manifests,
    /// What was passed over and why.
    pub skipped: Vec<String>,
    /// Whether the newest one kept can be used without more ado.
    pub usable: bool,
    /// Whether the newest there is could be read.
    pub newest_read: bool,
    /// Whether all there are were kept.
    pub complete: bool,
}

impl Manifests {
    /// Finds the manifests of `dir`; `usable` says whether what a manifest names can be used. That is
    /// asked until one can be; those before it are left for [`Manifests::check_spare`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: u128,
        usable: &dyn Fn(&Manifest) -> Result<(), Error>,
    ) -> Result<OpenedManifests, Error> {
        let numbers = numbers(&*disk, dir)?;
        let mut this = Self {
            disk,
            dir: dir.to_owned(),
            store,
            kept: Vec::new(),
            next: numbers.last().map_or(1, |last| last + 1),
            unchecked: false,
        };
        let (mut damaged, mut skipped) = (Vec::new(), Vec::new());
        let newest = numbers.last().copied();
        for number in numbers.iter().rev() {
            let manifest = match this.load(*number) {
                Ok(manifest) => manifest,
                // An older one is kept as a spare only; what is wrong with it can wait.
                Err(_) if !this.kept.is_empty() => continue,
                Err(error) => {
                    skipped.push(error.to_string());
                    continue;
                }
            };
            if !this.kept.is_empty() {
                this.kept.insert(0, (*number, manifest));
                this.unchecked = true;
                continue;
            }
            match usable(&manifest) {
                Ok(()) => this.kept.push((*number, manifest)),
                Err(error) => {
                    skipped.push(error.to_string());
                    damaged.insert(0, (*number, manifest));
                }
            }
        }
        let usable = !this.kept.is_empty() || numbers.is_empty();
        if !usable {
            this.kept = damaged;
        }
        let newest_kept = this.kept.last().map(|(number, _)| *number);
        Ok(OpenedManifests {
            newest_read: newest_kept == newest,
            complete: this.kept.len() == numbers.len(),
            manifests: this,
            skipped,
            usable,
        })
    }

    /// Every manifest there is, oldest first, or what is wrong with it; whether what it names is
    /// whole is not looked at.
    pub fn examine(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: u128,
    ) -> Result<Vec<Result<Manifest, Error>>, Error> {
        let numbers = numbers(&*disk, dir)?;
        let this = Self {
            disk,
            dir: dir.to_owned(),
            store,
            kept: Vec::new(),
            next: 0,
            unchecked: false,
        };
        Ok(numbers.iter().map(|number| this.load(*number)).collect())
    }

    /// Looks once into what the manifests before the newest name, which nobody started from, and keeps
    /// those that can be used. Before the next one is written, which relies on them: it may name the same
    /// snapshots, and lets the log go that they do without. Tells what could not be used.
    pub fn check_spare(
        &mut self,
        usable: &dyn Fn(&Manifest) -> Result<(), Error>,
    ) -> Option<Error> {
        if !std::mem::take(&mut self.unchecked) {
            return None;
        }
        let newest = self.kept.pop();
        let mut wrong = None;
        self.kept.retain(|(_, manifest)| match usable(manifest) {
            Ok(()) => true,
            Err(error) => {
                wrong = Some(error);
                false
            }
        });
        self.kept.extend(newest);
        wrong
    }

    /// The newest manifest that is kept.
    pub fn newest(&self) -> Option<&Manifest> {
        self.kept.last().map(|(_, manifest)| manifest)
    }

    /// The manifest before the newest one that is kept.
    pub fn older(&self) -> Option<&Manifest> {
        match self.kept.as_slice() {
            [.., (_, older), _] => Some(older),
            _ => None,
        }
    }

    /// The log below this may be released: it is not needed by any manifest that is kept.
    pub fn release_below(&self) -> Lsn {
        match self.kept.as_slice() {
            [(_, older), .., _] => older.lsn.next(),
            _ => Lsn(0),
        }
    }

    /// Writes a manifest, durable on return, and removes all but it and the one before.
    pub fn write(&mut self, manifest: Manifest) -> Result<(), Error> {
        let path = self.path(self.next);
        let temporary = path.with_extension("tmp");
        let bytes = self.encode(&manifest)?;
        let file = self
            .disk
            .create(&temporary)
            .map_err(Error::io(&temporary, "create"))?;
        file.write_at(&bytes, 0)
            .map_err(Error::io(&temporary, "write"))?;
        file.sync().map_err(Error::io(&temporary, "sync"))?;
        self.disk
            .rename(&temporary, &path)
            .map_err(Error::io(&path, "rename"))?;
        self.sync_dir()?;
        self.kept.push((self.next, manifest));
        self.next += 1;
        let surplus = self.kept.len().saturating_sub(2);
        self.kept.drain(..surplus);
        self.remove_others()
    }

    /// Commits to starting from the newest manifest that is kept: those that were passed over will
    /// never be started from, even if they turn out to be readable after all. Replaying what is
    /// before them changes what they stand for.
    pub fn remove_passed_over(&self) -> Result<(), Error> {
        self.remove_others()
    }

    /// Commits to starting from the log alone.
    pub fn remove_all(&mut self) -> Result<(), Error> {
        self.kept.clear();
        self.remove_others()
    }

    /// The snapshot files that the manifests which are kept name.
    pub fn snapshots(&self) -> HashSet<&str> {
        let kept = self.kept.iter();
        let entries = kept.flat_map(|(_, manifest)| &manifest.collections);
        entries.map(|entry| entry.snapshot.file.as_str()).collect()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{number:020}"))
    }

    fn sync_dir(&self) -> Result<(), Error> {
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io(&self.dir, "sync the folder"))
    }

    fn remove_others(&self) -> Result<(), Error> {
        for name in self
            .disk
            .list(&self.dir)
            .map_err(Error::io(&self.dir, "list"))?
        {
            let number = name
                .strip_prefix(PREFIX)
                .and_then(|number| number.parse::<u64>().ok());
            if number.is_some_and(|number| self.kept.iter().all(|(kept, _)| *kept != number)) {
                let path = self.dir.join(&name);
                self.disk
                    .remove(&path)
                    .map_err(Error::io(&path, "remove"))?;
            }
        }
        self.sync_dir()
    }

    fn encode(&self, manifest: &Manifest) -> Result<Vec<u8>, Error> {
        let collections = manifest.collections.iter();
        let body = Body {
            lsn: manifest.lsn.0,
            next_collection: manifest.next_collection,
            collections: collections
                .map(|c| (c.id.0, c.config.clone(), c.snapshot.clone()))
                .collect(),
            aliases: manifest
                .aliases
                .iter()
                .map(|(alias, id)| (alias.clone(), id.0))
                .collect(),
        };
        let body = rmp_serde::to_vec(&body).map_err(|error| Error::Decode {
            what: "a manifest",
            reason: error.to_string(),
        })?;
        let head = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &self.store.to_le_bytes(),
        ]
        .concat();
        let crc = checksum(&[&head, &body]);
        Ok([head.as_slice(), &crc.to_le_bytes(), &body].concat())
    }

    fn load(&self, number: u64) -> Result<Manifest, Error> {
        let path = self.path(number);
        let file = self.disk.open(&path).map_err(Error::io(&path, "open"))?;
        let bytes = read_all(&*file, MAX_MANIFEST_BYTES).map_err(Error::io(&path, "read"))?;
        let body = self
            .check(&bytes)
            .map_err(|what| Error::corrupt(&path, 0, what))?;
        let body: Body = decode_exact("a manifest", body)
            .map_err(|error| Error::corrupt(&path, HEADER as u64, error.to_string()))?;
        let collections = body.collections.into_iter();
        Ok(Manifest {
            lsn: Lsn(body.lsn),
            next_collection: body.next_collection,
            collections: collections
                .map(|(id, config, snapshot)| CollectionEntry {
                    id: CollectionId(id),
                    config,
                    snapshot,
                })
                .collect(),
            aliases: body
                .aliases
                .into_iter()
                .map(|(alias, id)| (alias, CollectionId(id)))
                .collect(),
        })
    }

    fn check<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let (header, body) = bytes
            .split_at_checked(HEADER)
            .ok_or("the header is cut off")?;
        let mut take = Take::new(header);
        let mut read = || Some((take.bytes(8)?, take.u32()?, take.u128()?, take.u32()?));
        let (magic, version, store, crc) = read().ok_or("the header is cut off")?;
        if magic != MAGIC {
            return Err("this is no manifest".into());
        }
        if checksum(&[header.get(..HEADER - 4).unwrap_or_default(), body]) != crc {
            return Err("the checksum is wrong".into());
        }
        if version != VERSION && version != WITHOUT_ALIASES {
            return Err(format!("manifest version {version} is unknown"));
        }
        if store != self.store {
            return Err("the manifest belongs to another data folder".into());
        }
        Ok(body)
    }
}

/// The numbers of the manifests there are, in order.
fn numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let names = disk.list(dir).map_err(Error::io(dir, "list"))?;
    let numbers = names.iter();
    let numbers = numbers.filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}
