//! What is told about collections. Clients of the dialect expect every section to be there; what
//! has no meaning here is told as what it comes to on one node without segments.

use engine::{CollectionInfo, CollectionSpec, Metric, VectorSpec};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::quantization;
use super::vector::Distance;
use crate::wire::index;

/// The answer to `GET /collections`. What stands beside `name` is ours.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Collections {
    pub(crate) collections: Vec<Named>,
}

/// A collection in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Named {
    name: String,
    /// Not known of a damaged one.
    points_count: Option<usize>,
    embedder: Option<String>,
    /// What is wrong with it and can be done, if it is not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

impl Named {
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
        let mut vectors = info.spec.vectors.into_values();
        let embedder = vectors.find_map(|vector| vector.embedder);
        Self {
            name: info.name,
            points_count: Some(info.points),
            embedder: embedder.map(|embedder| embedder.name),
            damaged: None,
        }
    }
}

/// The answer to `GET /collections/{c}`.
pub(crate) fn described(info: &CollectionInfo) -> Value {
    let spec = &info.spec;
    // The settings of the collection as a whole are those of its first vector; each of several
    // tells its own too.
    let first = spec.vectors.values().next().cloned();
    let first = first.unwrap_or_else(|| VectorSpec::new(1, Metric::Cosine));
    let embedder = spec
        .vectors
        .values()
        .find_map(|vector| vector.embedder.as_ref());
    let mut config = json!({
        "params": {
            "vectors": vectors(spec),
            "shard_number": 1,
            "replication_factor": 1,
            "write_consistency_factor": 1,
            "on_disk_payload": true,
        },
        "hnsw_config": {
            "m": first.m,
            "ef_construct": first.ef_construct,
            "full_scan_threshold": 0,
        },
        "optimizer_config": {
            "deleted_threshold": 0.0,
            "vacuum_min_vector_number": 0,
            "default_segment_number": 1,
            "flush_interval_sec": 0,
        },
        "wal_config": null,
        "quantization_config": quantization::told(first.quantization),
    });
    if !spec.metadata.is_empty() {
        config["metadata"] = Value::Object(spec.metadata.clone());
    }
    json!({
        "status": "green",
        "optimizer_status": "ok",
        "points_count": info.points,
        "indexed_vectors_count": info.vectors,
        "segments_count": 1,
        "config": config,
        "payload_schema": index::schema(&info.indexes),
        "memory_bytes": info.memory_bytes,
        "embedder": embedder.map(|embedder| {
            json!({"name": embedder.name, "sha256": embedder.sha256})
        }),
    })
}

fn vectors(spec: &CollectionSpec) -> Value {
    if let (1, Some(unnamed)) = (spec.vectors.len(), spec.vectors.get("")) {
        return Value::Object(params(unnamed));
    }
    let vectors = spec.vectors.iter().map(|(name, vector)| {
        let mut params = params(vector);
        let hnsw = json!({"m": vector.m, "ef_construct": vector.ef_construct});
        params.insert("hnsw_config".to_owned(), hnsw);
        let quantization = quantization::told(vector.quantization);
        params.insert("quantization_config".to_owned(), quantization);
        if let Some(embedder) = &vector.embedder {
            params.insert("embedder".to_owned(), json!(embedder.name));
        }
        (name.clone(), Value::Object(params))
    });
    Value::Object(vectors.collect())
}

fn params(vector: &VectorSpec) -> Map<String, Value> {
    let params = [
        ("size", json!(vector.dim)),
        ("distance", json!(Distance::from(vector.metric))),
        ("on_disk", json!(vector.on_disk)),
    ];
    let params = params.into_iter();
    params
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
