//! Writing a backup out of a view.

use std::io;
use std::sync::Arc;

use storage::{
    BackupFile, BackupWriter, BlobRef, CollectionId, Contents, Disk, Origin, PointId, PointRow,
    Shelf, write_row,
};

use crate::collection::FrozenCollection;
use crate::convert;
use crate::error::Error;
use crate::sections;
use crate::shared::Shared;
use crate::view::View;

/// Writes a backup of all that a view shows and puts it on its shelf.
pub(super) fn write(shared: &Shared, shelf: Shelf<'_>, view: View) -> Result<BackupFile, Error> {
    let origin = Origin {
        store: shared.folder.store(),
        lsn: view.state.lsn,
        made_s: shared.disk.now_s(),
    };
    let (name, path) = shared.backups.new_name(shelf, &origin)?;
    let disk = Arc::clone(&shared.disk) as Arc<dyn Disk>;
    let mut writer = BackupWriter::create(disk, &path, &origin, &contents(&view)?)?;
    for (part, (collection, state)) in view.state.collections.iter().enumerate() {
        sections::write_state(state, |name, fill| writer.section(part, name, fill))?;
        write_rows(&mut writer, part, shared, &view, (collection.id, state))?;
    }
    let (bytes, sha256) = writer.finish()?;
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

/// Rows and then their pictures, in the same order. A row's references say where its pictures stand
/// among those.
fn write_rows(
    writer: &mut BackupWriter,
    part: usize,
    shared: &Shared,
    view: &View,
    (collection, state): (CollectionId, &FrozenCollection),
) -> Result<(), Error> {
    let mut pictures: Vec<(PointId, BlobRef)> = Vec::new();
    let mut end = 0;
    writer.section(part, sections::POINTS, |out| {
        for id in state.ids.iter().flatten() {
            let row = view.watch.row(&shared.tables, collection, id);
            let row =
                row?.ok_or_else(|| io::Error::other("the collection was dropped meanwhile"))?;
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
    writer.section(part, sections::PICTURES, |out| {
        pictures.iter().try_for_each(|(id, place)| {
            let picture = shared.blobs.read(place, collection, id);
            out.write_all(&picture?)
        })
    })?;
    Ok(())
}
