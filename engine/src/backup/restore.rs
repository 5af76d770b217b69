//! Restoring: everything is read and checked first, and then happens in one step of the log.
//!
//! A record names the file, which has been made durable before; so a cut leaves either no record,
//! and a file that nobody names, or a record and all that it needs. Whoever replays the record reads
//! the file again.

use std::collections::HashSet;
use std::io::Read;

use storage::{
    BackupReader, CollectionId, FaceRow, Incoming, Lsn, Part, PointId, PointRow, Record, Restored,
    read_rows,
};

use crate::collection::State;
use crate::convert;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::MAX_COLLECTIONS;
use crate::load::{self, load_state};
use crate::point::Ack;
use crate::sections;
use crate::spec::check_name;

/// What a backup is restored as.
#[derive(Debug, Clone, Copy)]
pub enum RestoreAs<'a> {
    /// Its only collection, under this name; a collection that has it now is replaced.
    Name(&'a str),
    /// All its collections and aliases under the names they had; those that have them now are
    /// replaced.
    Everything,
}

/// What a restore has done.
#[derive(Debug, Clone)]
pub struct RestoreReport {
    /// The record that did it.
    pub lsn: Lsn,
    /// The collections that came out of the backup, with their points.
    pub collections: Vec<(String, usize)>,
}

impl Engine {
    /// Restores a backup that has come in whole. On any error nothing has changed.
    pub fn restore(
        &self,
        backup: Incoming,
        what: RestoreAs<'_>,
        sha256: Option<&str>,
    ) -> Result<RestoreReport, Error> {
        if self.shared().log_is_shared {
            return Err(Error::Shared("restoring a backup"));
        }
        if let Some(error) = self.shared().read_only() {
            return Err(error);
        }
        let got = backup.sha256();
        if let Some(expected) = sha256.filter(|expected| !expected.eq_ignore_ascii_case(&got)) {
            let expected: String = expected.chars().take(80).collect();
            return Err(Error::BadRequest(format!(
                "the backup's SHA-256 is {got}, but should be {expected}: it was damaged on its way"
            )));
        }
        let (loaded, aliases) = self.check_backup(&backup, what)?;
        self.replace(backup, loaded, aliases)
    }

    /// Restores a backup that lies in the data folder.
    pub fn restore_from_shelf(
        &self,
        of: Option<&str>,
        file: &str,
        what: RestoreAs<'_>,
        sha256: Option<&str>,
    ) -> Result<RestoreReport, Error> {
        let found = self.backup_file(of, file)?;
        let (path, _) = found.ok_or_else(|| Error::NoBackup(file.into()))?;
        let mut backup = self.receive_backup()?;
        backup.copy(&path)?;
        let restored = self.restore(backup, what, sha256);
        restored.map_err(|error| match error {
            Error::BadRequest(what) => Error::BadRequest(format!("`{file}`: {what}")),
            other => other,
        })
    }

    /// Reads all of a backup and builds its collections.
    fn check_backup(&self, backup: &Incoming, what: RestoreAs<'_>) -> Result<Loaded, Error> {
        let wrong = |error: storage::Error| match error {
            storage::Error::Corrupt { offset, what, .. } => Error::BadRequest(format!(
                "the backup is damaged at byte {offset}: {what}; nothing has been changed"
            )),
            storage::Error::Decode { .. } => Error::BadRequest(format!(
                "the backup is damaged: {error}; nothing has been changed"
            )),
            other => other.into(),
        };
        let reader = BackupReader::open(&*self.shared().disk, &backup.path()).map_err(wrong)?;
        reader.verify().map_err(wrong)?;
        let contents = &reader.contents;
        let mut names: Vec<&str> = contents
            .collections
            .iter()
            .map(|config| config.name.as_str())
            .collect();
        if let RestoreAs::Name(name) = what {
            if names.len() != 1 {
                return Err(Error::BadRequest(format!(
                    "the backup holds {} collections: restore it whole, not as one collection",
                    names.len()
                )));
            }
            names = vec![name];
        }
        names.iter().try_for_each(|name| check_name(name))?;
        if names.iter().collect::<HashSet<_>>().len() != names.len() {
            return Err(Error::BadRequest(
                "the backup holds two collections of one name".into(),
            ));
        }
        let mut loaded = Vec::with_capacity(names.len());
        for (part, (config, name)) in contents.collections.iter().zip(&names).enumerate() {
            let settings = convert::settings(config)?;
            let part = reader.part(part);
            let state = load_state(&part, settings, &self.shared().scratch, load::Rows::Within)
                .and_then(|state| check_rows(&part, &state).map(|()| state));
            let state = state.map_err(|error| match error {
                Error::Corrupt(what) => Error::BadRequest(format!(
                    "the backup is damaged: {what}; nothing has been changed"
                )),
                other => other,
            })?;
            loaded.push(((*name).to_owned(), config.clone(), state));
        }
        let aliases = match what {
            RestoreAs::Name(_) => Vec::new(),
            RestoreAs::Everything => contents.aliases.clone(),
        };
        Ok((loaded, aliases))
    }

    /// Has the log say that these collections are there from now on.
    fn replace(
        &self,
        backup: Incoming,
        loaded: Vec<(String, storage::CollectionConfig, State)>,
        aliases: Vec<(String, u32)>,
    ) -> Result<RestoreReport, Error> {
        let _moving = self.moving.read();
        let deciding = self.on_names();
        let catalog = &self.shared().catalog;
        let known = catalog.aliases();
        let first = catalog.next_id().0;
        let (mut restored, mut states, mut report) = (Vec::new(), Vec::new(), Vec::new());
        for (part, (name, config, state)) in (0u32..).zip(loaded) {
            if known.contains_key(&name) {
                return Err(Error::Conflict(format!(
                    "`{name}` is an alias: restore under another name, or delete the alias"
                )));
            }
            let served = catalog.by_own_name(&name).map(|known| known.id);
            let replaces = served.or_else(|| Some(self.quarantined_as(&name)?.entry.id));
            report.push((name.clone(), state.numbers.len()));
            restored.push(Restored {
                part,
                id: CollectionId(first + u64::from(part)),
                replaces,
                config: storage::CollectionConfig { name, ..config },
            });
            states.push(state);
        }
        let new = restored.iter().filter(|it| it.replaces.is_none()).count();
        if catalog.len() + new > MAX_COLLECTIONS {
            return Err(Error::TooLarge(format!(
                "there may be at most {MAX_COLLECTIONS} collections"
            )));
        }
        let aliases = self.decided_aliases(&restored, aliases)?;
        let file = backup.keep(".restore")?;
        let restores = &self.shared().restores;
        // Until the record is written nobody knows its number; the applier notes it.
        restores.note(&file, Lsn(u64::MAX));
        restores.hand_over(&file, states);
        let record = Record::Restore {
            file: file.clone(),
            collections: restored,
            aliases,
        };
        let written = self.write(deciding.basis, record, Ack::Applied);
        drop(restores.take(&file));
        Ok(RestoreReport {
            lsn: written?.lsn,
            collections: report,
        })
    }

    fn decided_aliases(
        &self,
        restored: &[Restored],
        aliases: Vec<(String, u32)>,
    ) -> Result<Vec<(String, CollectionId)>, Error> {
        let mut decided = Vec::with_capacity(aliases.len());
        for (alias, part) in aliases {
            check_name(&alias)?;
            let taken = self.shared().catalog.has_name(&alias)
                || restored.iter().any(|it| it.config.name == alias);
            if taken {
                return Err(Error::Conflict(format!(
                    "the backup has an alias `{alias}`, but a collection has this name"
                )));
            }
            let target = restored.iter().find(|it| it.part == part);
            let target = target.ok_or_else(|| {
                Error::BadRequest(format!("the backup's alias `{alias}` leads nowhere"))
            })?;
            decided.push((alias, target.id));
        }
        Ok(decided)
    }
}

/// Collections with their names, and aliases with the numbers of theirs.
type Loaded = (
    Vec<(String, storage::CollectionConfig, State)>,
    Vec<(String, u32)>,
);

/// Every point must have one row, and every row's pictures must be there.
fn check_rows(part: &Part<'_>, state: &State) -> Result<(), Error> {
    let corrupt = |what: String| Error::Corrupt(what);
    let mut seen = HashSet::with_capacity(state.numbers.len());
    let mut pictures = 0;
    for row in rows(part)? {
        let row = row?;
        if state.numbers.number(&row.id).is_none() || !seen.insert(row.id) {
            return Err(corrupt(format!("the row of point {} is surplus", row.id)));
        }
        convert::payload(&row.payload)?;
        pictures += row.face.iter().map(pictures_bytes).sum::<u64>();
    }
    if seen.len() != state.numbers.len() {
        return Err(corrupt("some points have no row".into()));
    }
    if part.section(sections::PICTURES)?.size() != pictures {
        return Err(corrupt(
            "there are not as many pictures as the rows say".into(),
        ));
    }
    Ok(())
}

fn pictures_bytes(face: &FaceRow) -> u64 {
    let places = [&face.crop, &face.photo].into_iter().flatten();
    places.map(|place| u64::from(place.len)).sum()
}

fn rows<'a>(
    part: &Part<'a>,
) -> Result<impl Iterator<Item = Result<PointRow, storage::Error>> + use<'a>, Error> {
    Ok(read_rows(part.section(sections::POINTS)?))
}

/// A row of a backup with its pictures.
pub(crate) struct FullRow {
    pub(crate) id: PointId,
    pub(crate) payload: Vec<u8>,
    pub(crate) face: Option<FullFace>,
}

/// A face with its pictures; where they stood in the backup says nothing any more.
pub(crate) struct FullFace {
    pub(crate) row: FaceRow,
    pub(crate) crop: Option<Vec<u8>>,
    pub(crate) photo: Option<Vec<u8>>,
}

/// The rows of a part in order, each with its pictures.
pub(crate) fn full_rows<'a>(
    part: &Part<'a>,
) -> Result<impl Iterator<Item = Result<FullRow, Error>> + use<'a>, Error> {
    let mut pictures = part.section(sections::PICTURES)?;
    let path = part.path().to_owned();
    let mut next = move |len: u32| {
        let mut bytes = vec![0; len as usize];
        let read = pictures.read_exact(&mut bytes);
        read.map_err(|error| Error::Corrupt(format!("{}: {error}", path.display())))?;
        Ok::<_, Error>(bytes)
    };
    Ok(rows(part)?.map(move |row| {
        let row = row?;
        let face = row.face.map(|row| {
            let crop = row.crop.map(|place| next(place.len)).transpose()?;
            let photo = row.photo.map(|place| next(place.len)).transpose()?;
            Ok::<_, Error>(FullFace { row, crop, photo })
        });
        Ok(FullRow {
            id: row.id,
            payload: row.payload,
            face: face.transpose()?,
        })
    }))
}
