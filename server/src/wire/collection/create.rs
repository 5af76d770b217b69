//! The body that makes a collection.

use engine::CollectionSpec;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::super::unsupported::{self, Absent};
use super::super::{exact, schema};
use super::hints::{self, Hints};
use super::quantization::QuantizationConfig;
use super::vector::{Defaults, Hnsw, Model, VectorParams};
use crate::refusal::Refusal;

/// The body of `PUT /collections/{c}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCollection {
    vectors: Option<Vectors>,
    /// Ours: the model that makes this collection's vectors out of photos.
    embedder: Option<String>,
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    #[serde(default, deserialize_with = "exact::optional_map")]
    metadata: Option<Map<String, Value>>,
    /// Ours: seconds that points live after they were put in; 0, or nothing: for good.
    #[schemars(range(max = 3_162_240_000_u64))]
    ttl_s: Option<u64>,
    /// Ours: over how many shards the collection is spread, where nodes serve such; 1, or nothing: it is
    /// whole on every node.
    #[schemars(range(min = 1))]
    shards: Option<u32>,
    #[schemars(range(min = 1), transform = schema::no_effect)]
    shard_number: Option<u32>,
    #[schemars(extend("enum" = ["auto", null]), transform = schema::no_effect)]
    sharding_method: Option<ShardingMethod>,
    #[schemars(extend("enum" = [1, null]), transform = schema::no_effect)]
    replication_factor: Option<u32>,
    #[schemars(extend("enum" = [1, null]), transform = schema::no_effect)]
    write_consistency_factor: Option<u32>,
    #[serde(rename = "on_disk_payload")]
    #[schemars(transform = schema::no_effect)]
    _on_disk_payload: Option<bool>,
    #[schemars(transform = schema::hints(hints::MEMORY))]
    payload: Option<Hints>,
    #[schemars(transform = schema::hints(hints::MEMORY))]
    id_tracker: Option<Hints>,
    /// There are none: only an empty object may be sent.
    #[schemars(extend("maxProperties" = 0))]
    sparse_vectors: Option<Map<String, Value>>,
    #[schemars(transform = schema::hints(hints::WAL))]
    wal_config: Option<Hints>,
    #[schemars(transform = schema::hints(hints::OPTIMIZERS))]
    optimizers_config: Option<Hints>,
    #[schemars(transform = hints::switched_off)]
    strict_mode_config: Option<Map<String, Value>>,
    init_from: Absent,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ShardingMethod {
    Auto,
    Custom,
}

/// One vector without a name, or several by name.
#[derive(Debug)]
enum Vectors {
    Unnamed(Box<VectorParams>),
    Named(Vec<(String, VectorParams)>),
}

/// The settings of one vector have members that are no objects; of several by name all are.
impl<'de> Deserialize<'de> for Vectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let map = exact::map(deserializer)?;
        if !map.values().all(Value::is_object) {
            let params = VectorParams::deserialize(Value::Object(map));
            let params = params.map_err(|error| D::Error::custom(format!("`vectors`: {error}")))?;
            return Ok(Self::Unnamed(Box::new(params)));
        }
        let vectors = map.into_iter().map(|(name, value)| {
            let params = VectorParams::deserialize(value);
            let named = |error| D::Error::custom(format!("`vectors`, `{name}`: {error}"));
            Ok((name.clone(), params.map_err(named)?))
        });
        Ok(Self::Named(vectors.collect::<Result<_, D::Error>>()?))
    }
}

impl JsonSchema for Vectors {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VectorsConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (unnamed, named) = (
            generator.subschema_for::<VectorParams>(),
            generator.subschema_for::<std::collections::BTreeMap<String, VectorParams>>(),
        );
        json_schema!({"anyOf": [unnamed, named]})
    }
}

impl CreateCollection {
    /// Over how many shards it is to be spread; nothing if it is to be whole.
    pub(crate) fn shards(&self) -> Result<Option<u32>, Refusal> {
        match self.shards {
            Some(0) => Err(Refusal::wrong("`shards` must be at least 1")),
            many => Ok(many.filter(|count| *count > 1)),
        }
    }

    /// The engine's settings.
    pub(crate) fn spec(self, model: &Model<'_>) -> Result<CollectionSpec, Refusal> {
        self.refuse_what_is_not_there()?;
        let defaults = Defaults {
            hnsw: self.hnsw_config,
            quantization: self.quantization_config,
        };
        let vectors = match (self.vectors, self.embedder) {
            (None, None) => {
                return Err(Refusal::wrong(
                    "a collection needs `vectors` ({\"size\", \"distance\"}, or such objects by \
                     name) or an `embedder`",
                ));
            }
            (None, Some(embedder)) => vec![(String::new(), VectorParams::of_model(embedder))],
            (Some(Vectors::Unnamed(mut params)), embedder) => {
                params.embedder = params.embedder.or(embedder);
                vec![(String::new(), *params)]
            }
            (Some(Vectors::Named(vectors)), None) => vectors,
            (Some(Vectors::Named(_)), Some(_)) => {
                return Err(Refusal::wrong(
                    "where vectors have names, `embedder` belongs into each of `vectors`",
                ));
            }
        };
        let specs = vectors.into_iter().map(|(name, params)| {
            let spec = params
                .spec(&defaults, model)
                .map_err(|refusal| match name.as_str() {
                    "" => refusal,
                    name => refusal.at(&format!("`vectors`, `{name}`")),
                });
            Ok((name, spec?))
        });
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(ttl_s) = hints::ttl(self.ttl_s)?.filter(|told| !told.is_null()) {
            metadata.insert(engine::TTL_S.to_owned(), ttl_s);
        }
        Ok(CollectionSpec {
            vectors: specs.collect::<Result<_, Refusal>>()?,
            metadata,
        })
    }

    fn refuse_what_is_not_there(&self) -> Result<(), Refusal> {
        if self.shard_number == Some(0) {
            return Err(Refusal::wrong("`shard_number` must be at least 1"));
        }
        if matches!(self.sharding_method, Some(ShardingMethod::Custom)) {
            return Err(Refusal::wrong(
                "`sharding_method` can only be `auto`: this server is one node",
            ));
        }
        hints::one_copy(&[
            ("replication_factor", self.replication_factor),
            ("write_consistency_factor", self.write_consistency_factor),
        ])?;
        hints::own_metadata(self.metadata.as_ref())?;
        hints::no_sparse(self.sparse_vectors.as_ref())?;
        hints::strict_mode(self.strict_mode_config.as_ref())?;
        Hints::optimizers(self.optimizers_config.as_ref())?;
        Hints::wal(self.wal_config.as_ref())?;
        Hints::memory(self.payload.as_ref(), "payload")?;
        Hints::memory(self.id_tracker.as_ref(), "id_tracker")?;
        unsupported::refuse(&[("init_from", &self.init_from)])
    }
}

#[cfg(test)]
mod tests {
    use engine::{EmbedderRef, Metric, Quantization};
    use serde_json::json;

    use super::*;

    fn spec(body: Value) -> Result<CollectionSpec, String> {
        let body: CreateCollection =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        let model = |name: &str| match name {
            "fake" => {
                let (name, sha256) = ("fake".to_owned(), "00".to_owned());
                Ok((EmbedderRef { name, sha256 }, 128))
            }
            other => Err(Refusal::wrong(format!("no embedder {other}"))),
        };
        body.spec(&model).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_stock_clients_send_makes_a_collection() {
        let body = json!({
            "vectors": {"size": 4, "distance": "Dot", "on_disk": true, "hnsw_config": {"m": 8}},
            "hnsw_config": {"m": 32, "ef_construct": 64, "payload_m": 16}, "shard_number": 2,
            "replication_factor": null, "on_disk_payload": false, "sparse_vectors": {},
            "optimizers_config": {"indexing_threshold": 0, "memmap_threshold": 20_000},
            "wal_config": {"wal_capacity_mb": 1}, "quantization_config": "Disabled",
            "sharding_method": "auto", "strict_mode_config": {"enabled": false},
            "metadata": {"owner": "Ada"}, "payload": {"memory": "cold"},
        });
        let spec = spec(body).unwrap();
        let vector = &spec.vectors[""];
        assert_eq!((vector.dim, vector.metric, vector.m), (4, Metric::Dot, 8));
        assert_eq!(vector.quantization, Quantization::None);
        assert_eq!(spec.metadata["owner"], "Ada");
    }

    #[test]
    fn each_vector_has_its_own_settings_and_takes_the_others_from_the_collection() {
        let body = json!({
            "vectors": {
                "face": {"embedder": "fake", "quantization_config": {"scalar": {"type": "int8"}}},
                "text": {
                    "size": 3, "distance": "Euclid", "memory": "pinned", "hnsw_config": {"m": 8},
                },
            },
            "hnsw_config": {"m": 24, "ef_construct": 70},
        });
        let vectors = spec(body).unwrap().vectors;
        let (face, text) = (&vectors["face"], &vectors["text"]);
        assert_eq!((face.dim, face.metric, face.m), (128, Metric::Cosine, 24));
        assert_eq!(face.embedder.as_ref().unwrap().name, "fake");
        assert_eq!(
            (face.quantization, face.on_disk),
            (Quantization::Int8, true)
        );
        assert_eq!((text.dim, text.m, text.on_disk), (3, 8, false));
        assert_eq!((text.ef_construct, face.ef_construct), (70, 70));
        assert!(spec(json!({"vectors": {}})).unwrap().vectors.is_empty());
    }

    #[test]
    fn a_model_fixes_size_and_metric() {
        let made = spec(json!({"embedder": "fake"})).unwrap();
        assert_eq!(made.vectors[""].dim, 128);
        let agreeing = json!({"embedder": "fake", "vectors": {"size": 128, "distance": "Cosine"}});
        assert!(spec(agreeing).is_ok());
        let other = json!({"embedder": "fake", "vectors": {"size": 64, "distance": "Cosine"}});
        assert!(spec(other).unwrap_err().contains("does not fit"));
        let both = json!({"embedder": "fake", "vectors": {"a": {"size": 8, "distance": "Dot"}}});
        assert!(spec(both).unwrap_err().contains("`embedder`"));
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        let vectors = json!({"size": 4, "distance": "Cosine"});
        let cases = [
            ("shard_number", json!(0)),
            ("sharding_method", json!("custom")),
            ("replication_factor", json!(2)),
            ("write_consistency_factor", json!(2)),
            ("sparse_vectors", json!({"text": {}})),
            ("optimizers_config", json!({"colour": 0})),
            ("wal_config", json!({"colour": 0})),
            ("init_from", json!({"collection": "other"})),
            ("metadata", json!({"reembedding": {"state": "running"}})),
            ("metadata", json!({"ttl_s": 5})),
            ("ttl_s", json!(4_000_000_000_u64)),
            (
                "strict_mode_config",
                json!({"enabled": true, "max_query_limit": 10}),
            ),
            ("hnsw_config", json!({"colour": 8})),
            ("colour", json!("red")),
            (
                "quantization_config",
                json!({"product": {"compression": "x4"}}),
            ),
        ];
        for (name, value) in cases {
            let mut body = json!({"vectors": vectors});
            body[name] = value;
            let error = spec(body).unwrap_err();
            let named = [name, "int8", "`colour`"]
                .iter()
                .any(|word| error.contains(word));
            assert!(named, "{name}: {error}");
        }
        assert!(spec(json!({})).unwrap_err().contains("vectors"));
        let of_one = [
            json!({"a": {"size": 4}}),
            json!({"a": {"size": 4, "distance": "Dot", "datatype": "uint8"}}),
            json!({"a": {"size": 4, "distance": "Dot", "multivector_config": {}}}),
            json!({"a": {"size": 4, "distance": "Dot", "colour": 1}}),
        ];
        for vectors in of_one {
            let error = spec(json!({"vectors": vectors})).unwrap_err();
            assert!(error.contains("`a`"), "{error}");
        }
    }
}
