//! The body that changes a collection. What is built into an index cannot change this way: the
//! index is built anew instead (see `reindex`).

use std::collections::BTreeMap;

use engine::{CollectionChange, CollectionSpec, Quantization, VectorSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{exact, schema};
use super::hints::{self, Hints};
use super::quantization::QuantizationConfig;
use super::vector::{Hnsw, Memory};
use crate::access::{Grant, Scope};
use crate::refusal::Refusal;

/// The body of `PATCH /collections/{c}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateCollection {
    vectors: Option<BTreeMap<String, VectorDiff>>,
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    #[serde(default, deserialize_with = "exact::optional_map")]
    metadata: Option<Map<String, Value>>,
    /// Ours: seconds that points live after they were put in; 0: for good.
    #[schemars(range(max = 3_162_240_000_u64))]
    ttl_s: Option<u64>,
    params: Option<ParamsDiff>,
    #[schemars(transform = schema::hints(hints::OPTIMIZERS))]
    optimizers_config: Option<Hints>,
    /// There are none: only an empty object may be sent.
    #[schemars(extend("maxProperties" = 0))]
    sparse_vectors: Option<Map<String, Value>>,
    #[schemars(transform = hints::switched_off)]
    strict_mode_config: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VectorDiff {
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    on_disk: Option<bool>,
    memory: Option<Memory>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ParamsDiff {
    #[schemars(extend("enum" = [1, null]), transform = schema::no_effect)]
    replication_factor: Option<u32>,
    #[schemars(extend("enum" = [1, null]), transform = schema::no_effect)]
    write_consistency_factor: Option<u32>,
    #[serde(rename = "read_fan_out_factor")]
    #[schemars(transform = schema::no_effect)]
    _read_fan_out_factor: Option<u32>,
    #[serde(rename = "read_fan_out_delay_ms")]
    #[schemars(transform = schema::no_effect)]
    _read_fan_out_delay_ms: Option<u64>,
    #[serde(rename = "on_disk_payload")]
    #[schemars(transform = schema::no_effect)]
    _on_disk_payload: Option<bool>,
    #[schemars(transform = schema::hints(hints::MEMORY))]
    payload: Option<Hints>,
    #[schemars(transform = schema::hints(hints::MEMORY))]
    id_tracker: Option<Hints>,
}

impl UpdateCollection {
    /// What changes of a collection that is like this.
    pub(crate) fn change(self, spec: &CollectionSpec) -> Result<CollectionChange, Refusal> {
        if let Some(params) = &self.params {
            hints::one_copy(&[
                ("params.replication_factor", params.replication_factor),
                (
                    "params.write_consistency_factor",
                    params.write_consistency_factor,
                ),
            ])?;
            Hints::memory(params.payload.as_ref(), "params.payload")?;
            Hints::memory(params.id_tracker.as_ref(), "params.id_tracker")?;
        }
        hints::own_metadata(self.metadata.as_ref())?;
        hints::no_sparse(self.sparse_vectors.as_ref())?;
        hints::strict_mode(self.strict_mode_config.as_ref())?;
        Hints::optimizers(self.optimizers_config.as_ref())?;
        let mut ef_construct = BTreeMap::new();
        for (name, vector) in &spec.vectors {
            let of_all = VectorDiff {
                hnsw_config: self.hnsw_config.clone(),
                quantization_config: self.quantization_config.clone(),
                on_disk: None,
                memory: None,
            };
            if let Some(ef) = of_all.ef_construct(name, vector)? {
                ef_construct.insert(name.clone(), ef);
            }
        }
        for (name, diff) in self.vectors.unwrap_or_default() {
            let Some(vector) = spec.vectors.get(&name) else {
                let name: String = name.chars().take(80).collect();
                return Err(Refusal::wrong(format!(
                    "`vectors`: the collection has no vector `{name}`"
                )));
            };
            if let Some(ef) = diff.ef_construct(&name, vector)? {
                ef_construct.insert(name, ef);
            }
        }
        let mut metadata = self.metadata;
        if let Some(ttl_s) = hints::ttl(self.ttl_s)? {
            if !ttl_s.is_null() {
                Grant::demand(Scope::Delete, "`ttl_s` has points expire")?;
            }
            let metadata = metadata.get_or_insert_default();
            metadata.insert(engine::TTL_S.to_owned(), ttl_s);
        }
        Ok(CollectionChange {
            metadata,
            ef_construct,
        })
    }
}

impl VectorDiff {
    /// The only setting that can change, if it is given; others may be said as they are.
    fn ef_construct(self, name: &str, vector: &VectorSpec) -> Result<Option<usize>, Refusal> {
        let fixed = |what: &str| {
            let of = match name {
                "" => String::new(),
                name => format!(" of vector `{name}`"),
            };
            Err(Refusal::wrong(format!(
                "`{what}`{of} is built into the index and cannot change here: have the index built \
                 anew (POST /admin/collections/.../reindex)"
            )))
        };
        let on_disk = self.memory.map(|memory| memory == Memory::Cold);
        if on_disk
            .or(self.on_disk)
            .is_some_and(|on| on != vector.on_disk)
        {
            return fixed("on_disk");
        }
        if let Some(config) = self.quantization_config
            && Quantization::try_from(config)? != vector.quantization
        {
            return fixed("quantization_config");
        }
        let Some(hnsw) = self.hnsw_config else {
            return Ok(None);
        };
        if hnsw.m.is_some_and(|m| m != vector.m) {
            return fixed("hnsw_config.m");
        }
        Ok(hnsw.ef_construct)
    }
}

#[cfg(test)]
mod tests {
    use engine::Metric;
    use serde_json::json;

    use super::*;

    fn change(body: Value) -> Result<CollectionChange, String> {
        let spec = CollectionSpec::named([
            ("a", VectorSpec::new(4, Metric::Dot)),
            ("b", VectorSpec::new(128, Metric::Dot)),
        ]);
        let body: UpdateCollection =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        body.change(&spec).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_can_change_does_and_a_vectors_own_setting_wins() {
        let change = change(json!({
            "hnsw_config": {"ef_construct": 50, "m": 16, "full_scan_threshold": 10},
            "vectors": {"b": {"hnsw_config": {"ef_construct": 70}, "on_disk": true}},
            "optimizers_config": {"indexing_threshold": 10},
            "params": {"replication_factor": 1, "on_disk_payload": true},
            "metadata": {"owner": null},
        }));
        let change = change.unwrap();
        let expected = [("a".to_owned(), 50), ("b".to_owned(), 70)];
        assert_eq!(change.ef_construct, BTreeMap::from(expected));
        assert_eq!(change.metadata.unwrap()["owner"], Value::Null);
    }

    #[test]
    fn what_cannot_change_is_refused_by_name() {
        let cases = [
            (json!({"hnsw_config": {"m": 32}}), "hnsw_config.m"),
            (
                json!({"quantization_config": "Disabled"}),
                "quantization_config",
            ),
            (json!({"vectors": {"a": {"on_disk": false}}}), "on_disk"),
            (json!({"vectors": {"c": {}}}), "`c`"),
            (
                json!({"params": {"replication_factor": 2}}),
                "params.replication_factor",
            ),
            (
                json!({"strict_mode_config": {"enabled": true}}),
                "strict_mode_config",
            ),
            (json!({"sparse_vectors": {"a": {}}}), "sparse_vectors"),
            (json!({"colour": 1}), "colour"),
        ];
        for (body, word) in cases {
            let error = change(body.clone()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
    }
}
