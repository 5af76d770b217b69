//! Writing a backup out of a view.

use std::io;
use std::path::Path;
use std::sync::Arc;

use storage::{
    BackupFile, BackupWriter, BlobRef, CollectionId, Contents, Disk, Origin, PointId, PointRow,
    Shelf, write_row,
};

use crate::collection::FrozenCollection;
use crate::convert;
use crate::error::Error;
use crate::options::Progress;
use crate::sections;
use crate::shared::Shared;
use crate::view::View;

/// Rows or pictures between two looks at whether to go on.
const STRIDE: usize = 256;

/// Writes a backup of all that a view shows and puts it on its shelf.
pub(super) fn write(
    shared: &Shared,
    shelf: Shelf<'_>,
    view: &View,
    progress: Progress<'_>,
) -> Result<BackupFile, Error> {
    let origin = Origin {
        store: shared.folder.store(),
        lsn: view.state.lsn,
        made_s: shared.disk.now_s(),
    };
    let (name, path) = shared.backups.new_name(shelf, &origin)?;
    let (bytes, sha256) = write_to(shared, &path, &origin, view, progress)?;
    if let Err(error) = shared.backups.note_sha256(shelf, &name, &sha256) {
        // Whoever asked for it is told that there is none. If it cannot be removed, it is listed.
        let _ = shared.backups.remove(shelf, &name);
        return Err(error.into());
    }
    Ok(BackupFile {
        name,
        bytes,
        lsn: Some(origin.lsn),
        made_s: Some(origin.made_s),
        sha256: Some(sha256),
    })
}

/// Writes it to a path; its bytes and its SHA-256.
pub(crate) fn write_to(
    shared: &Shared,
    path: &Path,
    origin: &Origin,
    view: &View,
    progress: Progress<'_>,
) -> Result<(u64, String), Error> {
    let mut tally = Tally::new(view, progress);
    let disk = Arc::clone(&shared.disk) as Arc<dyn Disk>;
    let mut writer = BackupWriter::create(disk, path, origin, &contents(view)?)?;
    for (part, (collection, state)) in view.state.collections.iter().enumerate() {
        sections::write_state(state, |name, fill| writer.section(part, name, fill))?;
        let rows = Rows {
            shared,
            view,
            collection: collection.id,
            state,
        };
        rows.write(&mut writer, part, &mut tally)
            .map_err(|error| tally.named(error))?;
    }
    Ok(writer.finish()?)
}

fn contents(view: &View) -> Result<Contents, Error> {
    let state = &view.state;
    let configs = state.collections.iter();
    let configs =
        configs.map(|(collection, frozen)| convert::config(&collection.name, &frozen.settings));
    let part = |id: &CollectionId| {
        let mut parts = (0u32..).zip(&state.collections);
        parts.find(|(_, (collection, _))| collection.id == *id)
    };
    let aliases = state.aliases.iter();
    let aliases = aliases.filter_map(|(alias, id)| Some((alias.clone(), part(id)?.0)));
    Ok(Contents {
        collections: configs.collect::<Result<_, _>>()?,
        aliases: aliases.collect(),
    })
}

/// How far a backup is: each point counts once as a row and once for its pictures.
struct Tally<'a> {
    progress: Progress<'a>,
    done: u64,
    of: u64,
    cancelled: bool,
}

impl<'a> Tally<'a> {
    fn new(view: &View, progress: Progress<'a>) -> Self {
        let collections = view.state.collections.iter();
        let points = collections.map(|(_, state)| state.ids.iter().flatten().count() as u64);
        Self {
            progress,
            done: 0,
            of: 2 * points.sum::<u64>(),
            cancelled: false,
        }
    }

    /// An error if it is to go no further.
    fn at(&mut self, done: u64) -> Result<(), Error> {
        self.cancelled |= !(self.progress)(done, self.of);
        match self.cancelled {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// What passed through a writer of files as a failure of theirs, by its name.
    fn named(&self, error: Error) -> Error {
        match self.cancelled {
            true => Error::Cancelled,
            false => error,
        }
    }
}

/// The rows of one collection in a view.
struct Rows<'a> {
    shared: &'a Shared,
    view: &'a View,
    collection: CollectionId,
    state: &'a FrozenCollection,
}

impl Rows<'_> {
    /// Rows and then their pictures, in the same order. A row's references say where its pictures
    /// stand among those.
    fn write(
        &self,
        writer: &mut BackupWriter,
        part: usize,
        tally: &mut Tally<'_>,
    ) -> Result<(), Error> {
        let mut pictures: Vec<(PointId, BlobRef)> = Vec::new();
        let mut end = 0;
        let ids = || self.state.ids.iter().flatten();
        writer.section(part, sections::POINTS, |out| {
            for (at, id) in ids().enumerate() {
                if at % STRIDE == 0 {
                    tally.at(tally.done + at as u64)?;
                }
                let row = self
                    .view
                    .watch
                    .row(&self.shared.tables, self.collection, id)?;
                let row =
                    row.ok_or_else(|| io::Error::other("the collection was dropped meanwhile"))?;
                let mut face = row.face;
                if let Some(face) = &mut face {
                    for place in [&mut face.crop, &mut face.photo].into_iter().flatten() {
                        pictures.push((*id, *place));
                        (place.file, place.offset) = (0, end);
                        end += u64::from(place.len);
                    }
                }
                let (id, payload) = (*id, row.payload);
                write_row(out, PointRow { id, payload, face })?;
            }
            Ok(())
        })?;
        let points = ids().count() as u64;
        tally.done += points;
        let all = pictures.len().max(1) as u64;
        writer.section(part, sections::PICTURES, |out| {
            for (at, (id, place)) in pictures.iter().enumerate() {
                if at % STRIDE == 0 {
                    tally.at(tally.done + points * at as u64 / all)?;
                }
                let picture = self.shared.blobs.read(place, self.collection, id);
                out.write_all(&picture?)?;
            }
            Ok(())
        })?;
        tally.done += points;
        tally.at(tally.done)
    }
}
