//! The settings of one vector: in a new collection, or added to one.

use engine::{EmbedderRef, Metric, Quantization, VectorSpec};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::schema;
use super::super::unsupported::{self, Absent};
use super::quantization::QuantizationConfig;
use crate::refusal::Refusal;

/// Finds the model that `embedder` names, with the size of its vectors.
pub(crate) type Model<'a> = dyn Fn(&str) -> Result<(EmbedderRef, usize), Refusal> + 'a;

/// A vector's settings. Size and metric may go without saying where a model makes the vectors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = size_or_model)]
pub(super) struct VectorParams {
    #[schemars(range(min = 1, max = engine::limits::MAX_DIM))]
    size: Option<usize>,
    distance: Option<Distance>,
    /// Ours: the model that makes these vectors out of photos.
    pub(super) embedder: Option<String>,
    on_disk: Option<bool>,
    memory: Option<Memory>,
    pub(super) hnsw_config: Option<Hnsw>,
    pub(super) quantization_config: Option<QuantizationConfig>,
    #[serde(rename = "datatype")]
    #[schemars(transform = schema::no_effect)]
    _datatype: Option<Datatype>,
    multivector_config: Absent,
}

/// Without a model both size and metric have to be said.
fn size_or_model(schema: &mut Schema) {
    let said = |names: &[&str]| {
        let properties = names.iter().map(|name| {
            let said = json!({"not": {"type": "null"}});
            ((*name).to_owned(), said)
        });
        let properties: Map<String, Value> = properties.collect();
        json!({"required": names, "properties": properties})
    };
    let either = json!([said(&["size", "distance"]), said(&["embedder"])]);
    schema.insert("anyOf".to_owned(), either);
}

/// The body of `PUT /collections/{c}/vectors/{v}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVector {
    dense: VectorParams,
    sparse: Absent,
}

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum Distance {
    Cosine,
    Dot,
    Euclid,
    Manhattan,
}

/// `float32` is the only one; the field is there so that clients may say so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Datatype {
    Float32,
}

/// Where something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Memory {
    Cold,
    Cached,
    Pinned,
}

/// An index's settings; all but the first two are hints.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hnsw {
    #[schemars(range(min = 2, max = engine::limits::MAX_M))]
    pub(super) m: Option<usize>,
    #[schemars(range(min = 1, max = engine::limits::MAX_EF_CONSTRUCT))]
    pub(super) ef_construct: Option<usize>,
    #[serde(rename = "full_scan_threshold")]
    #[schemars(transform = schema::no_effect)]
    _full_scan_threshold: Option<u64>,
    #[serde(rename = "max_indexing_threads")]
    #[schemars(transform = schema::no_effect)]
    _max_indexing_threads: Option<u64>,
    #[serde(rename = "on_disk")]
    #[schemars(transform = schema::no_effect)]
    _on_disk: Option<bool>,
    #[serde(rename = "memory")]
    #[schemars(transform = schema::no_effect)]
    _memory: Option<Memory>,
    #[serde(rename = "inline_storage")]
    #[schemars(transform = schema::no_effect)]
    _inline_storage: Option<bool>,
    #[serde(rename = "payload_m")]
    #[schemars(transform = schema::no_effect)]
    _payload_m: Option<u64>,
}

/// What the collection says for vectors that say nothing of their own.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) hnsw: Option<Hnsw>,
    pub(super) quantization: Option<QuantizationConfig>,
}

impl VectorParams {
    /// Of a collection that says only which model makes its vectors.
    pub(super) fn of_model(embedder: String) -> Self {
        Self {
            size: None,
            distance: None,
            embedder: Some(embedder),
            on_disk: None,
            memory: None,
            hnsw_config: None,
            quantization_config: None,
            _datatype: None,
            multivector_config: None,
        }
    }

    /// The engine's settings.
    pub(super) fn spec(
        self,
        defaults: &Defaults,
        model: &Model<'_>,
    ) -> Result<VectorSpec, Refusal> {
        unsupported::refuse(&[("multivector_config", &self.multivector_config)])?;
        let mut spec = self.basis(model)?;
        spec.on_disk = match (self.memory, self.on_disk) {
            (Some(memory), _) => memory == Memory::Cold,
            (None, on_disk) => on_disk.unwrap_or(spec.on_disk),
        };
        // The vector's own words come last.
        for hnsw in [&defaults.hnsw, &self.hnsw_config].into_iter().flatten() {
            spec.m = hnsw.m.unwrap_or(spec.m);
            spec.ef_construct = hnsw.ef_construct.unwrap_or(spec.ef_construct);
        }
        let quantization = self.quantization_config;
        if let Some(quantization) = quantization.or_else(|| defaults.quantization.clone()) {
            spec.quantization = Quantization::try_from(quantization)?;
        }
        Ok(spec)
    }

    /// Size and metric, from the model if there is one; both may be named only when they agree.
    fn basis(&self, model: &Model<'_>) -> Result<VectorSpec, Refusal> {
        let Some(embedder) = &self.embedder else {
            let (Some(size), Some(distance)) = (self.size, self.distance) else {
                return Err(Refusal::wrong(
                    "a vector needs `size` and `distance`, or an `embedder`",
                ));
            };
            return Ok(VectorSpec::new(size, distance.into()));
        };
        let (embedder, dim) = model(embedder)?;
        let size = self.size.unwrap_or(dim);
        let distance = self.distance.unwrap_or(Distance::Cosine);
        if size != dim || distance != Distance::Cosine {
            return Err(Refusal::wrong(format!(
                "`size` or `distance` does not fit `embedder`: {} makes {dim} numbers, compared by \
                 Cosine",
                embedder.name
            )));
        }
        Ok(VectorSpec {
            embedder: Some(embedder),
            ..VectorSpec::new(dim, Metric::Cosine)
        })
    }
}

impl NewVector {
    /// The engine's settings.
    pub(crate) fn spec(self, model: &Model<'_>) -> Result<VectorSpec, Refusal> {
        unsupported::refuse(&[("sparse", &self.sparse)])?;
        self.dense.spec(&Defaults::default(), model)
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
