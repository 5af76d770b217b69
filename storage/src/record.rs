//! Records: the decided facts that the log holds.
//!
//! On disk a record is one byte of body version, one byte of kind, and a MessagePack array. A new
//! field or kind gets a new version; every version that was ever released stays readable.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use crate::bytes::{pack, unpack};
use crate::error::Error;
use crate::ids::{CollectionId, PointId};
use crate::payload::decode_exact;

const VERSION: u8 = 1;
const CREATE: u8 = 1;
const DROP: u8 = 2;
const UPSERT: u8 = 3;
const DELETE: u8 = 4;

/// A decided fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A collection is made.
    CreateCollection {
        /// Its number.
        id: CollectionId,
        /// Its settings.
        config: CollectionConfig,
    },
    /// A collection goes, with all its points.
    DropCollection {
        /// Its number.
        id: CollectionId,
    },
    /// Points are put, each replacing what had its id.
    Upsert {
        /// Into which collection.
        collection: CollectionId,
        /// The points.
        points: Vec<PointRecord>,
    },
    /// Points go; ids that are not there are passed over.
    Delete {
        /// From which collection.
        collection: CollectionId,
        /// Which.
        ids: Vec<PointId>,
    },
}

/// A collection's settings as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionConfig {
    /// Its name.
    pub name: String,
    /// Numbers in a vector.
    pub dim: u32,
    /// How vectors are compared.
    pub metric: Metric,
    /// What the index walks on.
    pub quantization: Quantization,
    /// HNSW's M.
    pub m: u32,
    /// HNSW's efConstruction.
    pub ef_construct: u32,
    /// The model of a collection that takes photos.
    pub embedder: Option<EmbedderConfig>,
    /// Whether vectors lie in a file beside RAM; collections older than this setting have them in
    /// RAM.
    #[serde(default)]
    pub on_disk: bool,
}

/// A metric, by its number on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Metric {
    /// 0
    Cosine,
    /// 1
    Dot,
    /// 2
    Euclid,
    /// 3
    Manhattan,
}

impl From<Metric> for u8 {
    fn from(metric: Metric) -> u8 {
        metric as u8
    }
}

impl TryFrom<u8> for Metric {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        let all = [
            Metric::Cosine,
            Metric::Dot,
            Metric::Euclid,
            Metric::Manhattan,
        ];
        all.get(usize::from(number))
            .copied()
            .ok_or_else(|| format!("metric {number} is unknown"))
    }
}

/// A quantization, by its number on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Quantization {
    /// 0
    None,
    /// 1
    Int8,
    /// 2
    Bits1,
    /// 3
    Bits2,
    /// 4
    Bits4,
}

impl From<Quantization> for u8 {
    fn from(quantization: Quantization) -> u8 {
        quantization as u8
    }
}

impl TryFrom<u8> for Quantization {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        let all = [
            Quantization::None,
            Quantization::Int8,
            Quantization::Bits1,
            Quantization::Bits2,
            Quantization::Bits4,
        ];
        all.get(usize::from(number))
            .copied()
            .ok_or_else(|| format!("quantization {number} is unknown"))
    }
}

/// The model that makes a collection's vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderConfig {
    /// Its name.
    pub name: String,
    /// Hex SHA-256 of its file.
    pub sha256: String,
}

/// A point as it enters the log.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRecord {
    /// Its id.
    pub id: PointId,
    /// Its vector; on disk packed little-endian bytes.
    pub vector: Vec<f32>,
    /// Its payload, a MessagePack map.
    pub payload: Vec<u8>,
    /// The face it came from.
    pub face: Option<FaceRecord>,
}

/// A face as it enters the log, pictures and all.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceRecord {
    /// `x, y, width, height` in pixels.
    pub bounding_box: [f32; 4],
    /// Five points in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// The detector's confidence.
    pub confidence: f32,
    /// The cut-out face.
    pub crop: Option<Vec<u8>>,
    /// The whole photo.
    pub photo: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct PointOut<'a> {
    id: &'a Bytes,
    vector: &'a Bytes,
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
    vector: ByteBuf,
    payload: ByteBuf,
    face: Option<FaceIn>,
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
        let kind = match self {
            Record::CreateCollection { .. } => CREATE,
            Record::DropCollection { .. } => DROP,
            Record::Upsert { .. } => UPSERT,
            Record::Delete { .. } => DELETE,
        };
        let mut bytes = vec![VERSION, kind];
        let written = match self {
            Record::CreateCollection { id, config } => {
                rmp_serde::encode::write(&mut bytes, &(id.0, config))
            }
            Record::DropCollection { id } => rmp_serde::encode::write(&mut bytes, &(id.0,)),
            Record::Upsert { collection, points } => {
                return encode_upsert(bytes, *collection, points);
            }
            Record::Delete { collection, ids } => {
                let keys: Vec<ByteBuf> = ids.iter().map(|id| ByteBuf::from(id.key())).collect();
                rmp_serde::encode::write(&mut bytes, &(collection.0, keys))
            }
        };
        written.map_err(|error| Error::Decode {
            what: "a record",
            reason: error.to_string(),
        })?;
        Ok(bytes)
    }

    /// The reverse of [`Record::encode`]. Never panics, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Record, Error> {
        let fail = |reason: String| Error::Decode {
            what: "a record",
            reason,
        };
        let (kind, body) = match bytes {
            [VERSION, kind, body @ ..] => (*kind, body),
            [version, _, ..] => return Err(fail(format!("version {version} is unknown"))),
            _ => return Err(fail("it is cut off".into())),
        };
        match kind {
            CREATE => {
                let (id, config) = decode_exact("a record", body)?;
                Ok(Record::CreateCollection {
                    id: CollectionId(id),
                    config,
                })
            }
            DROP => {
                let (id,) = decode_exact("a record", body)?;
                Ok(Record::DropCollection {
                    id: CollectionId(id),
                })
            }
            UPSERT => decode_upsert(body),
            DELETE => {
                let (id, keys): (u64, Vec<ByteBuf>) = decode_exact("a record", body)?;
                let ids: Option<_> = keys.iter().map(|key| PointId::from_key(key)).collect();
                let ids = ids.ok_or_else(|| fail("an id is malformed".into()))?;
                Ok(Record::Delete {
                    collection: CollectionId(id),
                    ids,
                })
            }
            other => Err(fail(format!("kind {other} is unknown"))),
        }
    }
}

fn encode_upsert(
    mut bytes: Vec<u8>,
    collection: CollectionId,
    points: &[PointRecord],
) -> Result<Vec<u8>, Error> {
    let owned: Vec<_> = points
        .iter()
        .map(|point| (point.id.key(), pack(&point.vector)))
        .collect();
    let out: Vec<_> = points
        .iter()
        .zip(&owned)
        .map(|(point, (id, vector))| PointOut {
            id: Bytes::new(id),
            vector: Bytes::new(vector),
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
    rmp_serde::encode::write(&mut bytes, &(collection.0, out)).map_err(|error| Error::Decode {
        what: "a record",
        reason: error.to_string(),
    })?;
    Ok(bytes)
}

fn decode_upsert(body: &[u8]) -> Result<Record, Error> {
    let fail = |reason: &str| Error::Decode {
        what: "a record",
        reason: reason.into(),
    };
    let (collection, points): (u64, Vec<PointIn>) = decode_exact("a record", body)?;
    let points = points.into_iter().map(|point| {
        Ok(PointRecord {
            id: PointId::from_key(&point.id).ok_or_else(|| fail("an id is malformed"))?,
            vector: unpack(&point.vector).ok_or_else(|| fail("a vector is cut off"))?,
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
