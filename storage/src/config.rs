//! A collection's settings as the log and the manifests keep them.
//!
//! Until now a collection had one vector without a name, and its settings stood in the row itself.
//! Such rows are still read: they are those that say nothing of a next vector's number.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::change::IndexConfig;
use crate::ids::VectorId;

/// A collection's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct CollectionConfig {
    /// Its name.
    pub name: String,
    /// The vectors that its points may have.
    pub vectors: VectorsConfig,
    /// What its users want to be kept with it, a MessagePack map; nothing if there is none.
    pub metadata: Vec<u8>,
    /// The indexes of its payloads; `None` where they are those that such a collection has by
    /// default.
    pub indexes: Option<Vec<IndexConfig>>,
}

/// The vectors that a collection's points may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorsConfig {
    /// By number.
    pub list: Vec<VectorConfig>,
    /// The number that the next one gets, at least 1.
    pub next: u32,
}

/// One vector's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorConfig {
    /// Its number.
    pub id: VectorId,
    /// Its name; empty where a collection's only vector has none.
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
    /// Whether vectors lie in a file beside RAM.
    pub on_disk: bool,
    /// The model that makes them out of photos.
    pub embedder: Option<EmbedderConfig>,
    /// The vector whose index this one is to replace, with the same vectors in it, once it is
    /// complete. Until then nobody sees it.
    pub rebuilds: Option<VectorId>,
    /// The vector that this one is made of, point by point: what is put into that one takes this one's
    /// away, unless it is put with it.
    pub made_of: Option<VectorId>,
}

/// A config on disk. Fields from `on_disk` on came later, one after the other.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    name: String,
    dim: u32,
    metric: Metric,
    quantization: Quantization,
    m: u32,
    ef_construct: u32,
    embedder: Option<EmbedderConfig>,
    #[serde(default)]
    on_disk: bool,
    #[serde(default)]
    vectors: Vec<VectorRow>,
    /// 0 in rows of the old form.
    #[serde(default)]
    next_vector: u32,
    #[serde(default)]
    metadata: ByteBuf,
    #[serde(default)]
    indexes: Option<Vec<IndexConfig>>,
}

/// A vector's settings on disk.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct VectorRow {
    id: u32,
    name: String,
    dim: u32,
    metric: Metric,
    quantization: Quantization,
    m: u32,
    ef_construct: u32,
    on_disk: bool,
    embedder: Option<EmbedderConfig>,
    /// Left out where there is none, as it was before there were such; nil where only what follows is
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rebuilds: Option<Option<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_of: Option<u32>,
}

impl From<Row> for CollectionConfig {
    fn from(row: Row) -> Self {
        let vectors = match row.next_vector {
            0 => VectorsConfig {
                list: vec![VectorConfig {
                    id: VectorId::UNNAMED,
                    name: String::new(),
                    dim: row.dim,
                    metric: row.metric,
                    quantization: row.quantization,
                    m: row.m,
                    ef_construct: row.ef_construct,
                    on_disk: row.on_disk,
                    embedder: row.embedder,
                    rebuilds: None,
                    made_of: None,
                }],
                next: 1,
            },
            next => VectorsConfig::from_rows(row.vectors, next),
        };
        Self {
            name: row.name,
            vectors,
            metadata: row.metadata.into_vec(),
            indexes: row.indexes,
        }
    }
}

impl From<CollectionConfig> for Row {
    fn from(config: CollectionConfig) -> Self {
        let (vectors, next_vector) = config.vectors.into_rows();
        Self {
            name: config.name,
            dim: 0,
            metric: Metric::Cosine,
            quantization: Quantization::None,
            m: 0,
            ef_construct: 0,
            embedder: None,
            on_disk: false,
            vectors,
            next_vector,
            metadata: ByteBuf::from(config.metadata),
            indexes: config.indexes,
        }
    }
}

impl VectorsConfig {
    pub(crate) fn from_rows(rows: Vec<VectorRow>, next: u32) -> Self {
        let vector = |row: VectorRow| VectorConfig {
            id: VectorId(row.id),
            name: row.name,
            dim: row.dim,
            metric: row.metric,
            quantization: row.quantization,
            m: row.m,
            ef_construct: row.ef_construct,
            on_disk: row.on_disk,
            embedder: row.embedder,
            rebuilds: row.rebuilds.flatten().map(VectorId),
            made_of: row.made_of.map(VectorId),
        };
        Self {
            list: rows.into_iter().map(vector).collect(),
            next: next.max(1),
        }
    }

    pub(crate) fn into_rows(self) -> (Vec<VectorRow>, u32) {
        let row = |vector: VectorConfig| VectorRow {
            id: vector.id.0,
            name: vector.name,
            dim: vector.dim,
            metric: vector.metric,
            quantization: vector.quantization,
            m: vector.m,
            ef_construct: vector.ef_construct,
            on_disk: vector.on_disk,
            embedder: vector.embedder,
            rebuilds: (vector.rebuilds.is_some() || vector.made_of.is_some())
                .then(|| vector.rebuilds.map(|vector| vector.0)),
            made_of: vector.made_of.map(|vector| vector.0),
        };
        (self.list.into_iter().map(row).collect(), self.next.max(1))
    }
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
