//! Collections as they travel: the body that makes one, and what is told about one.
//!
//! Hints about where bytes lie and how many threads work (`on_disk`, `on_disk_payload`,
//! `max_indexing_threads`, `full_scan_threshold`, ...) change no answer and are taken as hints.
//! What would change an answer and is not there is refused by name.

use engine::{CollectionInfo, CollectionSpec, EmbedderRef, Metric, Quantization};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::unsupported::{self, Absent};
use crate::refusal::Refusal;

/// The body of `PUT /collections/{c}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCollection {
    vectors: Option<Vectors>,
    /// The model that makes this collection's vectors out of photos; fixes size and metric.
    pub(crate) embedder: Option<String>,
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    shard_number: Option<u32>,
    replication_factor: Option<u32>,
    write_consistency_factor: Option<u32>,
    #[serde(rename = "on_disk_payload")]
    _on_disk_payload: Option<bool>,
    sparse_vectors: Option<Map<String, Value>>,
    sharding_method: Absent,
    wal_config: Absent,
    optimizers_config: Absent,
    init_from: Absent,
    strict_mode_config: Absent,
    metadata: Absent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    size: usize,
    distance: Distance,
    on_disk: Option<bool>,
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    datatype: Option<Datatype>,
    multivector_config: Absent,
}

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Distance {
    Cosine,
    Dot,
    Euclid,
    Manhattan,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Datatype {
    Float32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hnsw {
    m: Option<usize>,
    ef_construct: Option<usize>,
    #[serde(rename = "full_scan_threshold")]
    _full_scan_threshold: Option<u64>,
    #[serde(rename = "max_indexing_threads")]
    _max_indexing_threads: Option<u64>,
    #[serde(rename = "on_disk")]
    _on_disk: Option<bool>,
    #[serde(rename = "inline_storage")]
    _inline_storage: Option<bool>,
    payload_m: Absent,
}

/// Scores are exact either way; `Disabled` walks on the `f32` vectors themselves.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected {\"scalar\": {\"type\": \"int8\"}}, {\"binary\": {\"encoding\": \"one_bit\" or \
                 \"two_bits\"}}, {\"packed\": {\"bits\": 1, 2 or 4}} or \"Disabled\""
)]
enum QuantizationConfig {
    Disabled(DisabledWord),
    Scalar(#[expect(dead_code, reason = "being readable is all it says")] ScalarConfig),
    Binary(BinaryConfig),
    Packed(PackedConfig),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BinaryConfig {
    binary: Binary,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary {
    encoding: Option<Encoding>,
    #[serde(rename = "always_ram")]
    _always_ram: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    OneBit,
    TwoBits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedConfig {
    packed: Packed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    bits: u8,
}

impl TryFrom<QuantizationConfig> for Quantization {
    type Error = Refusal;

    fn try_from(config: QuantizationConfig) -> Result<Self, Refusal> {
        match config {
            QuantizationConfig::Disabled(DisabledWord::Disabled) => Ok(Quantization::None),
            QuantizationConfig::Scalar(_) => Ok(Quantization::Int8),
            QuantizationConfig::Binary(BinaryConfig { binary }) => Ok(match binary.encoding {
                None | Some(Encoding::OneBit) => Quantization::Bits1,
                Some(Encoding::TwoBits) => Quantization::Bits2,
            }),
            QuantizationConfig::Packed(PackedConfig { packed }) => match packed.bits {
                1 => Ok(Quantization::Bits1),
                2 => Ok(Quantization::Bits2),
                4 => Ok(Quantization::Bits4),
                bits => Err(Refusal::wrong(format!(
                    "`quantization_config.packed.bits` can be 1, 2 or 4, not {bits}"
                ))),
            },
        }
    }
}

#[derive(Debug, Deserialize)]
enum DisabledWord {
    Disabled,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScalarConfig {
    #[serde(rename = "scalar")]
    _scalar: Scalar,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scalar {
    #[serde(rename = "type")]
    _kind: ScalarKind,
    #[serde(rename = "quantile")]
    _quantile: Option<f32>,
    #[serde(rename = "always_ram")]
    _always_ram: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScalarKind {
    Int8,
}

impl CreateCollection {
    /// The engine's settings; `model` is the one that `embedder` names, with its vectors' size.
    pub(crate) fn spec(
        self,
        model: Option<(EmbedderRef, usize)>,
    ) -> Result<CollectionSpec, Refusal> {
        self.refuse_what_is_not_there()?;
        let mut spec = basis(self.vectors.as_ref(), model)?;
        let (mut hnsw, mut quantization) = (self.hnsw_config, self.quantization_config);
        if let Some(vectors) = self.vectors {
            spec.on_disk = vectors.on_disk.unwrap_or(spec.on_disk);
            hnsw = vectors.hnsw_config.or(hnsw);
            quantization = vectors.quantization_config.or(quantization);
        }
        if let Some(hnsw) = hnsw {
            unsupported::refuse(&[("hnsw_config.payload_m", &hnsw.payload_m)])?;
            spec.m = hnsw.m.unwrap_or(spec.m);
            spec.ef_construct = hnsw.ef_construct.unwrap_or(spec.ef_construct);
        }
        if let Some(quantization) = quantization {
            spec.quantization = quantization.try_into()?;
        }
        Ok(spec)
    }

    fn refuse_what_is_not_there(&self) -> Result<(), Refusal> {
        let one_node = [
            ("shard_number", self.shard_number),
            ("replication_factor", self.replication_factor),
            ("write_consistency_factor", self.write_consistency_factor),
        ];
        if let Some((name, _)) = one_node.iter().find(|(_, n)| n.is_some_and(|n| n != 1)) {
            return Err(Refusal::wrong(format!(
                "`{name}` can only be 1: this server is one node"
            )));
        }
        if self.sparse_vectors.as_ref().is_some_and(|s| !s.is_empty()) {
            return Err(Refusal::wrong("`sparse_vectors` is not supported"));
        }
        unsupported::refuse(&[
            ("sharding_method", &self.sharding_method),
            ("wal_config", &self.wal_config),
            ("optimizers_config", &self.optimizers_config),
            ("init_from", &self.init_from),
            ("strict_mode_config", &self.strict_mode_config),
            ("metadata", &self.metadata),
        ])
    }
}

/// Size and metric, from the model if there is one; both may be named only when they agree.
fn basis(
    vectors: Option<&Vectors>,
    model: Option<(EmbedderRef, usize)>,
) -> Result<CollectionSpec, Refusal> {
    if let Some(vectors) = vectors {
        unsupported::refuse(&[("vectors.multivector_config", &vectors.multivector_config)])?;
        // `float32` is the only one; the field is there so that clients may say so.
        let _: Option<&Datatype> = vectors.datatype.as_ref();
    }
    match (vectors, model) {
        (None, None) => Err(Refusal::wrong(
            "a collection needs `vectors` ({\"size\", \"distance\"}) or an `embedder`",
        )),
        (Some(vectors), None) => Ok(CollectionSpec::new(vectors.size, vectors.distance.into())),
        (None, Some((embedder, dim))) => Ok(with_embedder(embedder, dim)),
        (Some(vectors), Some((embedder, dim))) => {
            if vectors.size != dim || vectors.distance != Distance::Cosine {
                return Err(Refusal::wrong(format!(
                    "`vectors` does not fit `embedder`: {} makes {dim} numbers, compared by Cosine",
                    embedder.name
                )));
            }
            Ok(with_embedder(embedder, dim))
        }
    }
}

fn with_embedder(embedder: EmbedderRef, dim: usize) -> CollectionSpec {
    CollectionSpec {
        embedder: Some(embedder),
        ..CollectionSpec::new(dim, Metric::Cosine)
    }
}

impl From<Distance> for Metric {
    fn from(distance: Distance) -> Self {
        match distance {
            Distance::Cosine => Self::Cosine,
            Distance::Dot => Self::Dot,
            Distance::Euclid => Self::Euclid,
            Distance::Manhattan => Self::Manhattan,
        }
    }
}

impl From<Metric> for Distance {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Cosine => Self::Cosine,
            Metric::Dot => Self::Dot,
            Metric::Euclid => Self::Euclid,
            Metric::Manhattan => Self::Manhattan,
        }
    }
}

/// The answer to `GET /collections`. What stands beside `name` is ours.
#[derive(Debug, Serialize)]
pub(crate) struct Collections {
    pub(crate) collections: Vec<Named>,
}

/// A collection in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    name: String,
    points_count: usize,
    embedder: Option<String>,
}

impl From<CollectionInfo> for Named {
    fn from(info: CollectionInfo) -> Self {
        Self {
            name: info.name,
            points_count: info.points,
            embedder: info.spec.embedder.map(|embedder| embedder.name),
        }
    }
}

/// The answer to `GET /collections/{c}`. Clients of the dialect expect every section to be there;
/// what has no meaning here is told as what it comes to on one node without segments.
pub(crate) fn described(info: &CollectionInfo) -> Value {
    let spec = &info.spec;
    let quantization = match spec.quantization {
        Quantization::None => Value::Null,
        Quantization::Int8 => json!({"scalar": {"type": "int8"}}),
        Quantization::Bits1 => json!({"binary": {"encoding": "one_bit"}}),
        Quantization::Bits2 => json!({"binary": {"encoding": "two_bits"}}),
        // The dialect has no word for it.
        Quantization::Bits4 => Value::Null,
    };
    json!({
        "status": "green",
        "optimizer_status": "ok",
        "points_count": info.points,
        "indexed_vectors_count": info.points,
        "segments_count": 1,
        "config": {
            "params": {
                "vectors": {
                    "size": spec.dim,
                    "distance": Distance::from(spec.metric),
                    "on_disk": spec.on_disk,
                },
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": true,
            },
            "hnsw_config": {
                "m": spec.m,
                "ef_construct": spec.ef_construct,
                "full_scan_threshold": 0,
            },
            "optimizer_config": {
                "deleted_threshold": 0.0,
                "vacuum_min_vector_number": 0,
                "default_segment_number": 1,
                "flush_interval_sec": 0,
            },
            "quantization_config": quantization,
        },
        "payload_schema": {},
        "memory_bytes": info.memory_bytes,
        "embedder": spec.embedder.as_ref().map(|embedder| {
            json!({"name": embedder.name, "sha256": embedder.sha256})
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(body: Value, model: Option<usize>) -> Result<CollectionSpec, String> {
        let body: CreateCollection =
            serde_json::from_value(body).map_err(|error| error.to_string())?;
        let model = model.map(|dim| {
            let (name, sha256) = ("fake".to_owned(), "00".to_owned());
            (EmbedderRef { name, sha256 }, dim)
        });
        body.spec(model).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_stock_clients_send_makes_a_collection() {
        let body = json!({
            "vectors": {"size": 4, "distance": "Dot", "on_disk": true, "hnsw_config": {"m": 8}},
            "hnsw_config": {"m": 32, "ef_construct": 64}, "shard_number": 1,
            "replication_factor": null, "on_disk_payload": false, "sparse_vectors": {},
            "optimizers_config": null, "wal_config": null, "quantization_config": "Disabled",
        });
        let spec = spec(body, None).unwrap();
        assert_eq!((spec.dim, spec.metric, spec.m), (4, Metric::Dot, 8));
        assert_eq!(spec.quantization, Quantization::None);
    }

    #[test]
    fn a_model_fixes_size_and_metric() {
        let made = spec(json!({"embedder": "fake"}), Some(128)).unwrap();
        assert_eq!((made.dim, made.metric), (128, Metric::Cosine));
        assert_eq!(made.embedder.unwrap().name, "fake");
        let agreeing = json!({"embedder": "fake", "vectors": {"size": 128, "distance": "Cosine"}});
        assert!(spec(agreeing, Some(128)).is_ok());
        let other = json!({"embedder": "fake", "vectors": {"size": 64, "distance": "Cosine"}});
        assert!(spec(other, Some(128)).unwrap_err().contains("does not fit"));
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        let vectors = json!({"size": 4, "distance": "Cosine"});
        let cases = [
            ("shard_number", json!(2)),
            ("sparse_vectors", json!({"text": {}})),
            ("optimizers_config", json!({"indexing_threshold": 0})),
            ("metadata", json!({})),
            ("hnsw_config", json!({"payload_m": 8})),
            ("colour", json!("red")),
            (
                "quantization_config",
                json!({"product": {"compression": "x4"}}),
            ),
        ];
        for (name, value) in cases {
            let mut body = json!({"vectors": vectors});
            body[name] = value;
            let error = spec(body, None).unwrap_err();
            let named = error.contains(name) || error.contains("int8");
            assert!(named, "{name}: {error}");
        }
        assert!(spec(json!({}), None).unwrap_err().contains("vectors"));
        let named = json!({"vectors": {"image": {"size": 4, "distance": "Dot"}}});
        assert!(spec(named, None).unwrap_err().contains("image"));
    }
}
