//! How records are written down: one byte of body version, one byte of kind, and a MessagePack
//! array. A new field or kind gets a new version; every version that was ever released stays
//! readable.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use crate::bytes::{pack, unpack};
use crate::change::ChangeBody;
use crate::config::{CollectionConfig, VectorRow, VectorsConfig};
use crate::error::Error;
use crate::ids::{CollectionId, PointId, VectorId};
use crate::payload::decode_exact;
use crate::record::{FaceRecord, NamedVectors, PointRecord, Record, Restored};

const VERSION: u8 = 1;
/// Upserts of points with any number of vectors; in version 1 each has one, without a name.
const VECTORS: u8 = 2;
const CREATE: u8 = 1;
const DROP: u8 = 2;
const UPSERT: u8 = 3;
const DELETE: u8 = 4;
const CHANGE_PAYLOAD: u8 = 5;
const PUT_INDEX: u8 = 6;
const DROP_INDEX: u8 = 7;
const UPDATE_VECTORS: u8 = 8;
const DELETE_VECTORS: u8 = 9;
const ALIASES: u8 = 10;
const CONFIGURE: u8 = 11;
const RESTORE: u8 = 12;
const PURGE: u8 = 13;
const COPY_VECTORS: u8 = 14;
const SWAP_VECTOR: u8 = 15;
const MARK: u8 = 16;

#[derive(Serialize)]
struct PointOut<'a> {
    id: &'a Bytes,
    vectors: &'a [(u32, ByteBuf)],
    payload: &'a Bytes,
    face: Option<FaceOut<'a>>,
}

#[derive(Serialize)]
struct FaceOut<'a> {
    bounding_box: [f32; 4],
    landmarks: [[f32; 2]; 5],
    confidence: f32,
    crop: Option<&'a Bytes>,
    photo: Option<&'a Bytes>,
}

#[derive(Deserialize)]
struct PointIn {
    id: ByteBuf,
    vectors: Vec<(u32, ByteBuf)>,
    payload: ByteBuf,
    face: Option<FaceIn>,
}

/// A point of a record of version 1.
#[derive(Deserialize)]
struct OldPointIn {
    id: ByteBuf,
    vector: ByteBuf,
    payload: ByteBuf,
    face: Option<FaceIn>,
}

impl From<OldPointIn> for PointIn {
    fn from(old: OldPointIn) -> Self {
        Self {
            id: old.id,
            vectors: vec![(VectorId::UNNAMED.0, old.vector)],
            payload: old.payload,
            face: old.face,
        }
    }
}

/// The body of a `Restore`; what is added later comes last, with a default.
#[derive(Serialize, Deserialize)]
struct RestoreBody {
    file: String,
    collections: Vec<(u32, u64, CollectionConfig, Option<u64>)>,
    aliases: Vec<(String, u64)>,
}

/// The body of a `Configure`; what is added later comes last, with a default.
#[derive(Serialize, Deserialize)]
struct ConfigureBody {
    collection: u64,
    vectors: Option<(Vec<VectorRow>, u32)>,
    metadata: Option<ByteBuf>,
}

#[derive(Deserialize)]
struct FaceIn {
    bounding_box: [f32; 4],
    landmarks: [[f32; 2]; 5],
    confidence: f32,
    crop: Option<ByteBuf>,
    photo: Option<ByteBuf>,
}

impl Record {
    /// The record's bytes in the log.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        match self {
            Record::CreateCollection { id, config } => body(VERSION, CREATE, &(id.0, config)),
            Record::DropCollection { id } => body(VERSION, DROP, &(id.0,)),
            Record::Upsert { collection, points } => encode_upsert(*collection, points),
            Record::Delete { collection, ids } => body(VERSION, DELETE, &(collection.0, keys(ids))),
            Record::UpdateVectors { collection, points } => {
                let points = points.iter();
                let points = points.map(|(id, vectors)| (ByteBuf::from(id.key()), packed(vectors)));
                let points: Vec<_> = points.collect();
                body(VERSION, UPDATE_VECTORS, &(collection.0, points))
            }
            Record::DeleteVectors {
                collection,
                ids,
                vectors,
            } => {
                let vectors: Vec<u32> = vectors.iter().map(|vector| vector.0).collect();
                body(VERSION, DELETE_VECTORS, &(collection.0, keys(ids), vectors))
            }
            Record::CopyVectors {
                collection,
                into,
                ids,
            } => body(VERSION, COPY_VECTORS, &(collection.0, into.0, keys(ids))),
            Record::SwapVector { collection, from } => {
                body(VERSION, SWAP_VECTOR, &(collection.0, from.0))
            }
            Record::ChangePayload {
                collection,
                ids,
                change,
            } => {
                let change = ChangeBody::from(change);
                body(VERSION, CHANGE_PAYLOAD, &(collection.0, keys(ids), change))
            }
            Record::PutIndex { collection, index } => {
                body(VERSION, PUT_INDEX, &(collection.0, index))
            }
            Record::DropIndex { collection, key } => {
                body(VERSION, DROP_INDEX, &(collection.0, key))
            }
            Record::Restore {
                file,
                collections,
                aliases,
            } => body(VERSION, RESTORE, &restore_body(file, collections, aliases)),
            Record::Purge { collection } => body(VERSION, PURGE, &(collection.0,)),
            Record::Mark => body(VERSION, MARK, &[0u8; 0]),
            Record::ChangeAliases { changes } => {
                let changes = changes.iter();
                let changes = changes.map(|(alias, target)| (alias, target.map(|id| id.0)));
                body(VERSION, ALIASES, &(changes.collect::<Vec<_>>(),))
            }
            Record::Configure {
                collection,
                vectors,
                metadata,
            } => {
                let body_of = ConfigureBody {
                    collection: collection.0,
                    vectors: vectors.clone().map(VectorsConfig::into_rows),
                    metadata: metadata.clone().map(ByteBuf::from),
                };
                body(VERSION, CONFIGURE, &body_of)
            }
        }
    }

    /// The reverse of [`Record::encode`]. Never panics, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Record, Error> {
        let (version, kind, body) = match bytes {
            [version, kind, body @ ..] => (*version, *kind, body),
            _ => return Err(fail("it is cut off")),
        };
        match (version, kind) {
            (VERSION, CREATE) => {
                let (id, config) = decode_exact(WHAT, body)?;
                Ok(Record::CreateCollection {
                    id: CollectionId(id),
                    config,
                })
            }
            (VERSION, DROP) => {
                let (id,) = decode_exact(WHAT, body)?;
                Ok(Record::DropCollection {
                    id: CollectionId(id),
                })
            }
            (VERSION, UPSERT) => {
                let (collection, points): (u64, Vec<OldPointIn>) = decode_exact(WHAT, body)?;
                decode_upsert(collection, points)
            }
            (VECTORS, UPSERT) => {
                let (collection, points): (u64, Vec<PointIn>) = decode_exact(WHAT, body)?;
                decode_upsert(collection, points)
            }
            (VERSION, DELETE) => {
                let (id, keys): (u64, Vec<ByteBuf>) = decode_exact(WHAT, body)?;
                Ok(Record::Delete {
                    collection: CollectionId(id),
                    ids: ids(&keys)?,
                })
            }
            (VERSION, CHANGE_PAYLOAD) => {
                let (id, keys, change): (u64, Vec<ByteBuf>, ChangeBody) = decode_exact(WHAT, body)?;
                Ok(Record::ChangePayload {
                    collection: CollectionId(id),
                    ids: ids(&keys)?,
                    change: change.try_into()?,
                })
            }
            (VERSION, PUT_INDEX) => {
                let (id, index) = decode_exact(WHAT, body)?;
                Ok(Record::PutIndex {
                    collection: CollectionId(id),
                    index,
                })
            }
            (VERSION, DROP_INDEX) => {
                let (id, key) = decode_exact(WHAT, body)?;
                Ok(Record::DropIndex {
                    collection: CollectionId(id),
                    key,
                })
            }
            (VERSION, UPDATE_VECTORS) => decode_update_vectors(body),
            (VERSION, DELETE_VECTORS) => decode_delete_vectors(body),
            (VERSION, COPY_VECTORS) => decode_copy_vectors(body),
            (VERSION, SWAP_VECTOR) => {
                let (id, from) = decode_exact(WHAT, body)?;
                Ok(Record::SwapVector {
                    collection: CollectionId(id),
                    from: VectorId(from),
                })
            }
            (VERSION, ALIASES) => {
                let (changes,): (Vec<(String, Option<u64>)>,) = decode_exact(WHAT, body)?;
                let changes = changes.into_iter();
                let changes = changes.map(|(alias, target)| (alias, target.map(CollectionId)));
                Ok(Record::ChangeAliases {
                    changes: changes.collect(),
                })
            }
            (VERSION, RESTORE) => Ok(restore(decode_exact(WHAT, body)?)),
            (VERSION, MARK) => {
                let []: [u8; 0] = decode_exact(WHAT, body)?;
                Ok(Record::Mark)
            }
            (VERSION, PURGE) => {
                let (id,) = decode_exact(WHAT, body)?;
                Ok(Record::Purge {
                    collection: CollectionId(id),
                })
            }
            (VERSION, CONFIGURE) => {
                let body: ConfigureBody = decode_exact(WHAT, body)?;
                let vectors = body.vectors;
                Ok(Record::Configure {
                    collection: CollectionId(body.collection),
                    vectors: vectors.map(|(rows, next)| VectorsConfig::from_rows(rows, next)),
                    metadata: body.metadata.map(ByteBuf::into_vec),
                })
            }
            (VERSION, kind) => Err(fail(format!("kind {kind} is unknown"))),
            (version, kind) => Err(fail(format!("version {version} of kind {kind} is unknown"))),
        }
    }
}

const WHAT: &str = "a record";

fn fail(reason: impl Into<String>) -> Error {
    Error::Decode {
        what: WHAT,
        reason: reason.into(),
    }
}

fn body(version: u8, kind: u8, body: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![version, kind];
    rmp_serde::encode::write(&mut bytes, body).map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}

fn keys(ids: &[PointId]) -> Vec<ByteBuf> {
    ids.iter().map(|id| ByteBuf::from(id.key())).collect()
}

fn id(key: &[u8]) -> Result<PointId, Error> {
    PointId::from_key(key).ok_or_else(|| fail("an id is malformed"))
}

fn ids(keys: &[ByteBuf]) -> Result<Vec<PointId>, Error> {
    keys.iter().map(|key| id(key)).collect()
}

fn packed(vectors: &NamedVectors) -> Vec<(u32, ByteBuf)> {
    let vectors = vectors.iter();
    vectors
        .map(|(id, vector)| (id.0, ByteBuf::from(pack(vector))))
        .collect()
}

fn unpacked(vectors: Vec<(u32, ByteBuf)>) -> Result<NamedVectors, Error> {
    let vector = |(id, bytes): (u32, ByteBuf)| {
        let vector = unpack(&bytes).ok_or_else(|| fail("a vector is cut off"))?;
        Ok((VectorId(id), vector))
    };
    vectors.into_iter().map(vector).collect()
}

fn encode_upsert(collection: CollectionId, points: &[PointRecord]) -> Result<Vec<u8>, Error> {
    let owned: Vec<_> = points
        .iter()
        .map(|point| (point.id.key(), packed(&point.vectors)))
        .collect();
    let out: Vec<_> = points
        .iter()
        .zip(&owned)
        .map(|(point, (id, vectors))| PointOut {
            id: Bytes::new(id),
            vectors,
            payload: Bytes::new(&point.payload),
            face: point.face.as_ref().map(|face| FaceOut {
                bounding_box: face.bounding_box,
                landmarks: face.landmarks,
                confidence: face.confidence,
                crop: face.crop.as_deref().map(Bytes::new),
                photo: face.photo.as_deref().map(Bytes::new),
            }),
        })
        .collect();
    body(VECTORS, UPSERT, &(collection.0, out))
}

fn decode_upsert<P: Into<PointIn>>(collection: u64, points: Vec<P>) -> Result<Record, Error> {
    let points = points.into_iter().map(|point| {
        let point = point.into();
        Ok(PointRecord {
            id: id(&point.id)?,
            vectors: unpacked(point.vectors)?,
            payload: point.payload.into_vec(),
            face: point.face.map(|face| FaceRecord {
                bounding_box: face.bounding_box,
                landmarks: face.landmarks,
                confidence: face.confidence,
                crop: face.crop.map(ByteBuf::into_vec),
                photo: face.photo.map(ByteBuf::into_vec),
            }),
        })
    });
    Ok(Record::Upsert {
        collection: CollectionId(collection),
        points: points.collect::<Result<_, Error>>()?,
    })
}

fn restore_body(
    file: &str,
    collections: &[Restored],
    aliases: &[(String, CollectionId)],
) -> RestoreBody {
    let row = |restored: &Restored| {
        let replaces = restored.replaces.map(|id| id.0);
        let config = restored.config.clone();
        (restored.part, restored.id.0, config, replaces)
    };
    let aliases = aliases.iter();
    RestoreBody {
        file: file.to_owned(),
        collections: collections.iter().map(row).collect(),
        aliases: aliases.map(|(alias, id)| (alias.clone(), id.0)).collect(),
    }
}

fn restore(body: RestoreBody) -> Record {
    let collections = body.collections.into_iter();
    let collections = collections.map(|(part, id, config, replaces)| Restored {
        part,
        id: CollectionId(id),
        config,
        replaces: replaces.map(CollectionId),
    });
    let aliases = body.aliases.into_iter();
    Record::Restore {
        file: body.file,
        collections: collections.collect(),
        aliases: aliases
            .map(|(alias, id)| (alias, CollectionId(id)))
            .collect(),
    }
}

fn decode_update_vectors(body: &[u8]) -> Result<Record, Error> {
    type Points = Vec<(ByteBuf, Vec<(u32, ByteBuf)>)>;
    let (collection, points): (u64, Points) = decode_exact(WHAT, body)?;
    let points = points.into_iter();
    let points = points.map(|(key, vectors)| Ok((id(&key)?, unpacked(vectors)?)));
    Ok(Record::UpdateVectors {
        collection: CollectionId(collection),
        points: points.collect::<Result<_, Error>>()?,
    })
}

fn decode_delete_vectors(body: &[u8]) -> Result<Record, Error> {
    let (collection, keys, vectors): (u64, Vec<ByteBuf>, Vec<u32>) = decode_exact(WHAT, body)?;
    Ok(Record::DeleteVectors {
        collection: CollectionId(collection),
        ids: ids(&keys)?,
        vectors: vectors.into_iter().map(VectorId).collect(),
    })
}

fn decode_copy_vectors(body: &[u8]) -> Result<Record, Error> {
    let (collection, into, keys): (u64, u32, Vec<ByteBuf>) = decode_exact(WHAT, body)?;
    Ok(Record::CopyVectors {
        collection: CollectionId(collection),
        into: VectorId(into),
        ids: ids(&keys)?,
    })
}
