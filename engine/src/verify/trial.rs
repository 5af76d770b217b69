//! Recovery on a draft of the folder, and its outcome held against the tables as they are.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use storage::{BlobRef, CollectionId, Draft, FaceRow, PointId, Tables};

use super::{CheckedCollection, Remedy, Verdict};
use crate::collection::Collection;
use crate::error::Error;
use crate::options::Options;
use crate::recover::{self, Recovered};

pub(super) fn recover(dir: &Path, draft: &Draft) -> Result<Recovered, Error> {
    recover::recover(Options {
        disk: draft.disk(),
        beside: Some(draft.beside().to_owned()),
        without_log: true,
        ..Options::new(dir)
    })
}

/// Checks what a start would serve.
pub(super) fn compare(
    dir: &Path,
    recovered: Recovered,
    verdict: &mut Verdict,
) -> Result<(), Error> {
    let shared = &recovered.shared;
    for quarantined in shared.catalog.quarantined() {
        verdict.find(quarantined.refusal(), Remedy::RestoreCollection);
    }
    for collection in shared.catalog.all() {
        if let Err(what) = collection.check() {
            let what = format!("collection `{}`: {what}", collection.name);
            verdict.find(what, Remedy::RestoreCollection);
        }
        pictures(&recovered, &collection, verdict)?;
        verdict.collections.push(CheckedCollection {
            name: collection.name.clone(),
            points: collection.len(),
        });
    }
    verdict.copy = recovered.report.copy;
    if let Some((end, applied)) = verdict.copy.filter(|(end, applied)| end < applied) {
        let what = format!(
            "this node had applied the log that nodes share up to LSN {applied}, and its folder holds all up to {end} by \
             itself"
        );
        verdict.find(what, Remedy::FollowLog);
    }
    if let Some(reason) = &recovered.report.tables_rebuilt {
        if verdict.copy.is_none_or(|(end, applied)| end == applied) {
            verdict.find(reason, Remedy::Start);
        }
        return Ok(());
    }
    let named = |it: Arc<Collection>| (it.id, it.name.clone());
    let all: Vec<_> = shared.catalog.all().into_iter().map(named).collect();
    let found = shared.tables.clone();
    // The indexes of one recovery are enough for the memory.
    drop(recovered);
    let draft = Draft::without_tables()?;
    let built = self::recover(dir, &draft)?.shared.tables;
    for (id, name) in all {
        let differs = catch_unwind(AssertUnwindSafe(|| first_difference(&found, &built, id)));
        let what = match differs {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(what))) => what,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "sled panicked while reading".to_owned(),
        };
        let tables = dir.join("tables");
        let what = format!("{}: collection `{name}`: {what}", tables.display());
        verdict.find(what, Remedy::RebuildTables);
    }
    Ok(())
}

/// Where the tables are not what snapshots and log make of them. Pictures are written anew when
/// the log is replayed, so where they lie may differ.
fn first_difference(
    found: &Tables,
    built: &Tables,
    collection: CollectionId,
) -> Result<Option<String>, storage::Error> {
    let ids = |tables: &Tables| {
        tables
            .ids(collection, None)
            .collect::<Result<BTreeSet<_>, _>>()
    };
    let (ids, due) = (ids(found)?, ids(built)?);
    if let Some(id) = ids.symmetric_difference(&due).next() {
        return Ok(Some(format!("point {id} is in one of tables and log only")));
    }
    for id in ids {
        if found.put_by(collection, &id)?.is_none() {
            return Ok(Some(format!("the row of point {id} is missing")));
        }
        if found.payload(collection, &id)? != built.payload(collection, &id)? {
            return Ok(Some(format!("the payload of point {id} is another one")));
        }
        let face = |tables: &Tables| Ok(tables.face(collection, &id)?.map(without_places));
        let (face, due): (_, Result<_, storage::Error>) = (face(found)?, face(built));
        if face != due? {
            return Ok(Some(format!("the face of point {id} is another one")));
        }
    }
    Ok(None)
}

fn without_places(face: FaceRow) -> FaceRow {
    let length = |place: BlobRef| BlobRef {
        file: 0,
        offset: 0,
        len: place.len,
    };
    FaceRow {
        crop: face.crop.map(length),
        photo: face.photo.map(length),
        ..face
    }
}

/// Reads every picture that a row points to.
fn pictures(
    recovered: &Recovered,
    collection: &Collection,
    verdict: &mut Verdict,
) -> Result<(), Error> {
    let shared = &recovered.shared;
    let read = |id: &PointId, verdict: &mut Verdict| -> Result<(), Error> {
        let Some(face) = shared.tables.face(collection.id, id)? else {
            return Ok(());
        };
        for place in [face.crop, face.photo].into_iter().flatten() {
            match shared.blobs.read(&place, collection.id, id) {
                Ok(_) => verdict.pictures += 1,
                Err(error) => {
                    let what = format!("collection `{}`, point {id}: {error}", collection.name);
                    verdict.find(what, Remedy::PutPictureAgain);
                }
            }
        }
        Ok(())
    };
    let mut ids = collection.ids().into_iter();
    ids.try_for_each(|id| read(&id, verdict))
}
