//! The applier: the one thread that makes the followers follow.
//!
//! Records come in the order of the log and only when they are durable. Applying is idempotent:
//! recovery uses the same function and may start early.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hnsw::Scratch;
use storage::{
    BlobKind, BlobRef, Blobs, CollectionId, FaceRecord, FaceRow, Lsn, Part, Plans, PointId,
    PointRecord, Record, Restored, TableChange, Tables,
};

use crate::backup::{Restores, full_rows};
use crate::catalog::Catalog;
use crate::changes::table_changes;
use crate::checkpoint::FrozenState;
use crate::collection::Collection;
use crate::commit::{Committed, Work};
use crate::compare;
use crate::convert;
use crate::error::Error;
use crate::index_work::index_work;
use crate::keep::new_payloads;
use crate::load::{Rows, load_state};
use crate::options::Event;
use crate::point::Written;
use crate::shared::Shared;
use crate::spare::stand_in;
use crate::sync::{Mutex, Receiver};
use crate::view::View;
use crate::watch::Watches;

/// What follows the log.
pub(crate) struct Followers<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) blobs: &'a Blobs,
    pub(crate) catalog: &'a Catalog,
    pub(crate) scratch: &'a Scratch,
    pub(crate) restores: &'a Restores,
    pub(crate) plans: &'a Mutex<Plans>,
    pub(crate) watches: &'a Watches,
}

/// A record that did nothing, because its collection had gone.
pub(crate) type Outcome = Result<(), Error>;

/// Runs until every sender of work is gone.
pub(crate) fn run(shared: &Arc<Shared>, work: &Receiver<Work>) {
    let followers = Followers {
        tables: &shared.tables,
        blobs: &shared.blobs,
        catalog: &shared.catalog,
        scratch: &shared.scratch,
        restores: &shared.restores,
        plans: &shared.plans,
        watches: &shared.watches,
    };
    // Before the first change, beside the first searches.
    for collection in shared.catalog.all() {
        collection.expect_changes();
    }
    for work in work {
        match work {
            Work::Group(group) => apply_groups(shared, &followers, group),
            // A checkpoint that gave up needs no answer.
            Work::Freeze(reply) if !shared.apply_failed() => {
                shared.plans.lock().rotate();
                drop(reply.send(FrozenState::take(shared, None)));
            }
            Work::View(only, reply) if !shared.apply_failed() => {
                drop(reply.send(View::take(shared, only)));
            }
            Work::Alone(work) if !shared.apply_failed() => work(shared),
            // This is for when applying has failed.
            Work::StandIn(reply) => drop(reply.send(stand_in(shared))),
            // What failed half-way is nothing to make a checkpoint of.
            Work::Freeze(reply) => drop(reply),
            Work::View(_, reply) => drop(reply),
            Work::Alone(work) => drop(work),
        }
    }
}

/// Stops behind each mark, where what is there is kept.
fn apply_groups(shared: &Shared, followers: &Followers<'_>, mut group: Vec<Committed>) {
    let is_mark = |it: &Committed| matches!(it.record, Record::Mark);
    while let Some(mark) = group.iter().position(is_mark) {
        let rest = group.split_off(mark + 1);
        apply_group(shared, followers, std::mem::replace(&mut group, rest));
        if !shared.apply_failed() {
            compare::keep(shared);
        }
    }
    if !group.is_empty() {
        apply_group(shared, followers, group);
    }
}

fn apply_group(shared: &Shared, followers: &Followers<'_>, group: Vec<Committed>) {
    let started = Instant::now();
    let (mut records, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0);
    for committed in group {
        bytes += committed.bytes;
        replies.push((committed.lsn, committed.reply));
        records.push((committed.lsn, committed.record));
    }
    let count = records.len();
    let outcomes = match shared.read_only().filter(|_| shared.apply_failed()) {
        Some(error) => Err(error),
        None => followers.apply(records),
    };
    shared
        .progress
        .queued_bytes
        .fetch_sub(bytes, Ordering::Relaxed);
    match outcomes {
        Ok(outcomes) => {
            if let Some((last, _)) = replies.last() {
                shared.progress.has_applied(*last);
            }
            for ((lsn, reply), outcome) in replies.into_iter().zip(outcomes) {
                if let Some(reply) = reply {
                    // A writer that has gone away needs no answer.
                    let _ = reply.send(outcome.map(|()| Written { lsn }));
                }
            }
        }
        Err(error) => {
            // The records are durable; a restart applies them.
            shared.latch_apply(&error.to_string());
            for (_, reply) in replies {
                if let Some(reply) = reply {
                    let _ = reply.send(Err(Error::ReadOnly(error.to_string())));
                }
            }
        }
    }
    shared.observe(Event::Apply {
        records: count,
        duration: started.elapsed(),
    });
}

impl Followers<'_> {
    /// Applies durable records in order: blobs, tables (one transaction), indexes. An outer error
    /// means that the followers can follow no further in this process.
    pub(crate) fn apply(&self, records: Vec<(Lsn, Record)>) -> Result<Vec<Outcome>, Error> {
        let (mut outcomes, mut together) = (Vec::with_capacity(records.len()), Vec::new());
        for (lsn, record) in records {
            // Aliases pass on to what is restored, so those given before it must be there by then.
            if matches!(record, Record::Restore { .. }) {
                outcomes.extend(self.apply_together(std::mem::take(&mut together))?);
            }
            together.push((lsn, record));
        }
        outcomes.extend(self.apply_together(together)?);
        Ok(outcomes)
    }

    /// Applies records of which none but the first may be a restore.
    fn apply_together(&self, records: Vec<(Lsn, Record)>) -> Result<Vec<Outcome>, Error> {
        let Some(upto) = records.last().map(|(lsn, _)| *lsn) else {
            return Ok(Vec::new());
        };
        let mut faces = Vec::with_capacity(records.len());
        let mut known = Vec::with_capacity(records.len());
        for (lsn, record) in &records {
            known.push(self.note_collection(*lsn, record)?);
            faces.push(self.store_blobs(*lsn, record)?);
        }
        let payloads = new_payloads(&|of, id| self.tables.payload(of, id), &records)?;
        let mut changes = Vec::new();
        let rows = records.iter().zip(&faces).zip(&payloads).zip(&known);
        for ((((lsn, record), faces), payloads), known) in rows {
            if known.is_some() {
                table_changes(*lsn, record, faces, payloads, &mut changes);
            }
        }
        self.watches.keep(&changes, self.tables)?;
        self.tables.apply(upto, &changes)?;
        drop(changes);
        let work = records.into_iter().zip(payloads).zip(known);
        let work = work.map(|(((lsn, record), payloads), known)| {
            let work = index_work(record, payloads, known)?;
            self.do_index_work(lsn, work)
        });
        work.collect()
    }

    /// The collection a record is about, if it is there; creates and drops take effect here.
    fn note_collection(
        &self,
        lsn: Lsn,
        record: &Record,
    ) -> Result<Option<Option<Arc<Collection>>>, Error> {
        match record {
            Record::CreateCollection { id, config } => {
                if self.catalog.by_id(*id).is_none() && !self.catalog.is_quarantined(*id) {
                    let collection = Collection::new(
                        *id,
                        config.name.clone(),
                        convert::settings(config)?,
                        self.scratch,
                    )?;
                    collection.mark_changed(lsn);
                    self.catalog.insert(collection);
                }
                Ok(Some(None))
            }
            Record::DropCollection { id } => {
                self.catalog.remove(*id);
                Ok(Some(None))
            }
            Record::Restore {
                file,
                collections,
                aliases,
            } => {
                self.restore(lsn, file, collections, aliases)?;
                Ok(Some(None))
            }
            Record::Purge { .. } | Record::Mark => Ok(Some(None)),
            // Takes effect after the points that were written before it.
            Record::ChangeAliases { .. } => Ok(Some(None)),
            Record::Upsert { collection, .. }
            | Record::Delete { collection, .. }
            | Record::ChangePayload { collection, .. }
            | Record::PutIndex { collection, .. }
            | Record::DropIndex { collection, .. }
            | Record::UpdateVectors { collection, .. }
            | Record::DeleteVectors { collection, .. }
            | Record::CopyVectors { collection, .. }
            | Record::SwapVector { collection, .. }
            | Record::Configure { collection, .. } => {
                Ok(match self.catalog.by_id(*collection) {
                    // The tables go on following; there is no index to.
                    None if self.catalog.is_quarantined(*collection) => Some(None),
                    known => known.map(Some),
                })
            }
        }
    }

    /// Takes collections out of a backup: rows first, then they are there for all. Records before
    /// it in the same group do not speak of them.
    fn restore(
        &self,
        lsn: Lsn,
        file: &str,
        collections: &[Restored],
        aliases: &[(String, CollectionId)],
    ) -> Result<(), Error> {
        self.restores.note(file, lsn);
        let reader = self.restores.open(file)?;
        let mut loaded = self.restores.take(file).unwrap_or_default().into_iter();
        let mut there = Vec::with_capacity(collections.len());
        for restored in collections {
            let part = reader.part(restored.part as usize);
            self.restore_rows(lsn, restored.id, &part)?;
            let loaded = loaded.next();
            // After a replay payload indexes are built from the payloads as they are then.
            let replayed = loaded.is_none();
            let state = match loaded {
                Some(state) => state,
                None => {
                    let settings = convert::settings(&restored.config)?;
                    load_state(&part, settings, self.scratch, Rows::Within)?
                }
            };
            let name = restored.config.name.clone();
            let collection = Collection::with_state(restored.id, name, state, lsn);
            if !replayed {
                collection.build_payload_indexes(self.tables)?;
            }
            there.push((collection, restored.replaces));
        }
        self.catalog.restore(there, aliases);
        Ok(())
    }

    fn restore_rows(&self, lsn: Lsn, of: CollectionId, part: &Part<'_>) -> Result<(), Error> {
        let mut rows = full_rows(part)?;
        loop {
            let piece: Vec<_> = rows.by_ref().take(1_000).collect::<Result<_, _>>()?;
            if piece.is_empty() {
                return Ok(());
            }
            let mut changes = Vec::with_capacity(piece.len());
            for row in &piece {
                let face = row.face.as_ref();
                let face = face.map(|face| {
                    let (crop, photo) = (&face.crop, &face.photo);
                    Ok::<_, Error>(FaceRow {
                        crop: self.picture(lsn, of, &row.id, BlobKind::Crop, crop)?,
                        photo: self.picture(lsn, of, &row.id, BlobKind::Photo, photo)?,
                        ..face.row.clone()
                    })
                });
                changes.push(TableChange::PutPoint {
                    collection: of,
                    id: row.id,
                    lsn,
                    payload: &row.payload,
                    face: face.transpose()?,
                });
            }
            self.tables.apply_part(&changes)?;
        }
    }

    fn picture(
        &self,
        lsn: Lsn,
        of: CollectionId,
        id: &PointId,
        kind: BlobKind,
        bytes: &Option<Vec<u8>>,
    ) -> Result<Option<BlobRef>, Error> {
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(Some(self.blobs.append(of, id, kind, lsn, bytes)?))
    }

    fn store_blobs(&self, lsn: Lsn, record: &Record) -> Result<Vec<Option<FaceRow>>, Error> {
        let Record::Upsert { collection, points } = record else {
            return Ok(Vec::new());
        };
        let row = |point: &PointRecord| -> Result<Option<FaceRow>, Error> {
            let Some(face) = &point.face else {
                return Ok(None);
            };
            self.face_row(lsn, *collection, &point.id, face).map(Some)
        };
        points.iter().map(row).collect()
    }

    fn face_row(
        &self,
        lsn: Lsn,
        collection: CollectionId,
        id: &PointId,
        face: &FaceRecord,
    ) -> Result<FaceRow, Error> {
        let store = |kind, bytes| self.picture(lsn, collection, id, kind, bytes);
        Ok(FaceRow {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
            crop: store(BlobKind::Crop, &face.crop)?,
            photo: store(BlobKind::Photo, &face.photo)?,
        })
    }
}
