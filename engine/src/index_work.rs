//! What records have done to indexes, once the tables have them.

use std::sync::Arc;

use storage::{CollectionId, IndexConfig, Lsn, PointId, Record, VectorId, VectorsConfig};

use crate::apply::{Followers, Outcome};
use crate::collection::Collection;
use crate::convert;
use crate::error::Error;
use crate::grow::PointVectors;
use crate::keep::NewPayload;
use crate::payload::{index_of, path};
use crate::settings::Settings;

/// A record's work on an index, to be done once the tables have it.
pub(crate) enum IndexWork {
    None,
    Missing(CollectionId),
    Upsert(Arc<Collection>, Vec<PointVectors>),
    Update(Arc<Collection>, Vec<PointVectors>),
    Delete(Arc<Collection>, Vec<PointId>),
    Payloads(Arc<Collection>, Vec<NewPayload>),
    PutIndex(Arc<Collection>, IndexConfig),
    DropIndex(Arc<Collection>, String),
    DeleteVectors(Arc<Collection>, Vec<PointId>, Vec<VectorId>),
    CopyVectors(Arc<Collection>, VectorId, Vec<PointId>),
    SwapVector(Arc<Collection>, VectorId),
    Configure(Arc<Collection>, Option<VectorsConfig>, Option<Vec<u8>>),
    Aliases(Vec<(String, Option<CollectionId>)>),
    Sweep(Vec<CollectionId>),
}

impl Followers<'_> {
    pub(crate) fn do_index_work(&self, lsn: Lsn, work: IndexWork) -> Result<Outcome, Error> {
        let fatal = |error: hnsw::Error| Error::of_record(lsn, error);
        let plans = self.plans;
        match work {
            IndexWork::None => {}
            IndexWork::Missing(id) => {
                return Ok(Err(Error::NoCollection(format!("number {}", id.0))));
            }
            IndexWork::Upsert(collection, points) => {
                collection.apply_upsert(lsn, points, plans).map_err(fatal)?
            }
            IndexWork::Delete(collection, ids) => {
                collection.apply_delete(lsn, &ids).map_err(fatal)?
            }
            IndexWork::Payloads(collection, payloads) => {
                collection.apply_payloads(lsn, &payloads)?
            }
            IndexWork::PutIndex(collection, index) => {
                collection.apply_put_index(lsn, index_of(&index)?, self.tables)?
            }
            IndexWork::DropIndex(collection, key) => collection.apply_drop_index(lsn, &path(&key)?),
            IndexWork::Update(collection, points) => {
                collection.apply_update(lsn, points, plans).map_err(fatal)?
            }
            IndexWork::DeleteVectors(collection, ids, vectors) => collection
                .apply_delete_vectors(lsn, &ids, &vectors)
                .map_err(fatal)?,
            IndexWork::CopyVectors(collection, into, ids) => collection
                .apply_copy(lsn, into, ids, plans)
                .map_err(fatal)?,
            IndexWork::SwapVector(collection, from) => collection.apply_swap(lsn, from),
            IndexWork::Configure(collection, vectors, metadata) => {
                let mut settings = Settings::clone(&collection.settings());
                if let Some(config) = vectors {
                    settings.vectors = convert::vectors(&config);
                    settings.next = config.next;
                }
                if let Some(bytes) = metadata {
                    settings.metadata = convert::metadata(&bytes)?;
                }
                collection.apply_settings(lsn, settings, self.scratch)?;
            }
            IndexWork::Aliases(changes) => self.catalog.change_aliases(changes),
            IndexWork::Sweep(ids) => {
                let mut ids = ids.into_iter();
                ids.try_for_each(|id| self.tables.sweep_dropped(id))?;
            }
        }
        Ok(Ok(()))
    }
}

pub(crate) fn index_work(
    record: Record,
    payloads: Vec<NewPayload>,
    known: Option<Option<Arc<Collection>>>,
) -> Result<IndexWork, Error> {
    let known = known.flatten();
    Ok(match record {
        Record::CreateCollection { .. } => IndexWork::None,
        Record::DropCollection { id } => IndexWork::Sweep(vec![id]),
        Record::Restore { collections, .. } => {
            let replaced = collections.iter().filter_map(|restored| restored.replaces);
            IndexWork::Sweep(replaced.collect())
        }
        Record::Purge { .. } | Record::Mark => IndexWork::None,
        Record::ChangeAliases { changes } => IndexWork::Aliases(changes),
        Record::Upsert { collection, points } => match known {
            None => IndexWork::Missing(collection),
            Some(known) => {
                let points = known.with_entries(points)?;
                IndexWork::Upsert(known, points)
            }
        },
        Record::UpdateVectors { collection, points } => of(known, collection, |known| {
            let points = points.into_iter();
            let points = points.map(|(id, vectors)| PointVectors {
                id,
                vectors,
                entries: None,
                faced: false,
            });
            IndexWork::Update(known, points.collect())
        }),
        Record::Delete { collection, ids } => {
            of(known, collection, |known| IndexWork::Delete(known, ids))
        }
        Record::ChangePayload { collection, .. } => of(known, collection, |known| {
            IndexWork::Payloads(known, payloads)
        }),
        Record::PutIndex { collection, index } => {
            of(known, collection, |known| IndexWork::PutIndex(known, index))
        }
        Record::DropIndex { collection, key } => {
            of(known, collection, |known| IndexWork::DropIndex(known, key))
        }
        Record::DeleteVectors {
            collection,
            ids,
            vectors,
        } => of(known, collection, |known| {
            IndexWork::DeleteVectors(known, ids, vectors)
        }),
        Record::CopyVectors {
            collection,
            into,
            ids,
        } => of(known, collection, |known| {
            IndexWork::CopyVectors(known, into, ids)
        }),
        Record::SwapVector { collection, from } => of(known, collection, |known| {
            IndexWork::SwapVector(known, from)
        }),
        Record::Configure {
            collection,
            vectors,
            metadata,
        } => of(known, collection, |known| {
            IndexWork::Configure(known, vectors, metadata)
        }),
    })
}

fn of(
    known: Option<Arc<Collection>>,
    id: CollectionId,
    work: impl FnOnce(Arc<Collection>) -> IndexWork,
) -> IndexWork {
    known.map_or(IndexWork::Missing(id), work)
}
