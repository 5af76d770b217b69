//! What is told about collections. Clients of the dialect expect every section to be there; what
//! has no meaning here is told as what it comes to on one node without segments.

use std::collections::BTreeMap;

use engine::{CollectionInfo, CollectionSpec, EmbedderRef, Metric, VectorSpec};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::quantization::{self, QuantizationTold, WalkedOn};
use super::vector::Distance;
use crate::makers::searched_by;
use crate::shards;
use crate::wire::index::{self, IndexTold};

/// The answer to `GET /collections`. What stands beside `name` is ours.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Collections {
    pub(crate) collections: Vec<Named>,
}

/// A collection in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Named {
    name: String,
    /// Not known of a damaged one, and told by `GET /collections/{c}` of one that is spread over shards.
    points_count: Option<usize>,
    embedder: Option<String>,
    /// What is wrong with it and can be done, if it is not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

impl Named {
    /// Whether this is its name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The same under another name of its.
    pub(crate) fn called(&self, alias: &str) -> Self {
        Self {
            name: alias.to_owned(),
            ..self.clone()
        }
    }

    /// A collection that is not served.
    pub(crate) fn damaged(name: String, why: &engine::Error) -> Self {
        Self {
            name,
            points_count: None,
            embedder: None,
            damaged: Some(why.to_string()),
        }
    }
}

impl From<CollectionInfo> for Named {
    fn from(info: CollectionInfo) -> Self {
        let embedder = model_of(&info);
        Self {
            name: info.name,
            points_count: (!info.spec.metadata.contains_key(shards::KEY)).then_some(info.points),
            embedder: embedder.map(|embedder| embedder.name),
            damaged: None,
        }
    }
}

/// The model by whose vectors photos are looked for where nobody says by which; else one of those there are.
fn model_of(info: &CollectionInfo) -> Option<EmbedderRef> {
    let vectors = &info.spec.vectors;
    let first = searched_by(info).and_then(|name| vectors.get(&name));
    let mut vectors = first.into_iter().chain(vectors.values());
    vectors.find_map(|vector| vector.embedder.clone())
}

/// The answer to `GET /collections/{c}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Described {
    status: &'static str,
    optimizer_status: &'static str,
    points_count: usize,
    indexed_vectors_count: usize,
    segments_count: usize,
    config: Config,
    /// The indexes of payload keys.
    payload_schema: BTreeMap<String, IndexTold>,
    /// Ours: bytes of the indexes in memory.
    memory_bytes: usize,
    /// Ours: what the index of each vector is walked on; an unnamed one is told under "".
    walked_on: BTreeMap<String, WalkedOn>,
    /// Ours: the model that makes this collection's vectors out of photos.
    embedder: Option<EmbedderTold>,
    /// Ours: seconds that points live after they were put in, if they do not stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectionConfig")]
struct Config {
    params: Params,
    hnsw_config: HnswTold,
    optimizer_config: Optimizer,
    wal_config: Option<()>,
    quantization_config: Option<QuantizationTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectionParams")]
struct Params {
    vectors: VectorsTold,
    shard_number: u32,
    replication_factor: u32,
    write_consistency_factor: u32,
    on_disk_payload: bool,
}

/// One vector without a name, or several by name.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum VectorsTold {
    Unnamed(VectorTold),
    Named(BTreeMap<String, NamedVectorTold>),
}

#[derive(Debug, Serialize, JsonSchema)]
struct VectorTold {
    size: usize,
    distance: Distance,
    on_disk: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NamedVectorTold {
    #[serde(flatten)]
    vector: VectorTold,
    hnsw_config: HnswTold,
    quantization_config: Option<QuantizationTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder_sha256: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct HnswTold {
    m: usize,
    ef_construct: usize,
    full_scan_threshold: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Optimizer {
    deleted_threshold: f32,
    vacuum_min_vector_number: u64,
    default_segment_number: u64,
    flush_interval_sec: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EmbedderTold {
    name: String,
    sha256: String,
}

impl From<CollectionInfo> for Described {
    fn from(info: CollectionInfo) -> Self {
        let model = model_of(&info);
        let mut spec = info.spec;
        let ttl_s = spec.ttl_s();
        // It is told by itself.
        spec.metadata.remove(engine::TTL_S);
        let vectors = spec.vectors.iter();
        let walked_on = vectors.map(|(name, it)| (name.clone(), it.quantization.into()));
        let walked_on = walked_on.collect();
        let embedder = model.map(|model| EmbedderTold {
            name: model.name,
            sha256: model.sha256,
        });
        Self {
            status: "green",
            optimizer_status: "ok",
            points_count: info.points,
            indexed_vectors_count: info.vectors,
            segments_count: 1,
            config: spec.into(),
            payload_schema: index::told(&info.indexes),
            memory_bytes: info.memory_bytes,
            walked_on,
            embedder,
            ttl_s,
        }
    }
}

impl From<CollectionSpec> for Config {
    fn from(spec: CollectionSpec) -> Self {
        // The settings of the collection as a whole are those of its first vector; each of several
        // tells its own too.
        let first = spec.vectors.values().next().cloned();
        let first = first.unwrap_or_else(|| VectorSpec::new(1, Metric::Cosine));
        Self {
            params: Params {
                vectors: vectors(&spec),
                shard_number: 1,
                replication_factor: 1,
                write_consistency_factor: 1,
                on_disk_payload: true,
            },
            hnsw_config: HnswTold::from(&first),
            optimizer_config: Optimizer {
                deleted_threshold: 0.0,
                vacuum_min_vector_number: 0,
                default_segment_number: 1,
                flush_interval_sec: 0,
            },
            wal_config: None,
            quantization_config: quantization::told(first.quantization),
            metadata: Some(spec.metadata).filter(|metadata| !metadata.is_empty()),
        }
    }
}

fn vectors(spec: &CollectionSpec) -> VectorsTold {
    if let (1, Some(unnamed)) = (spec.vectors.len(), spec.vectors.get("")) {
        return VectorsTold::Unnamed(unnamed.into());
    }
    let vectors = spec.vectors.iter().map(|(name, vector)| {
        let told = NamedVectorTold {
            vector: vector.into(),
            hnsw_config: vector.into(),
            quantization_config: quantization::told(vector.quantization),
            embedder: vector.embedder.as_ref().map(|it| it.name.clone()),
            embedder_sha256: vector.embedder.as_ref().map(|it| it.sha256.clone()),
        };
        (name.clone(), told)
    });
    VectorsTold::Named(vectors.collect())
}

impl From<&VectorSpec> for VectorTold {
    fn from(vector: &VectorSpec) -> Self {
        Self {
            size: vector.dim,
            distance: vector.metric.into(),
            on_disk: vector.on_disk,
        }
    }
}

impl From<&VectorSpec> for HnswTold {
    fn from(vector: &VectorSpec) -> Self {
        Self {
            m: vector.m,
            ef_construct: vector.ef_construct,
            full_scan_threshold: 0,
        }
    }
}

/// The answer to `GET /collections/{c}/exists`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exists {
    pub(crate) exists: bool,
}
