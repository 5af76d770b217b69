//! The body that has an index built anew.

use engine::{IndexChange, Quantization};
use schemars::JsonSchema;
use serde::Deserialize;

use super::quantization::QuantizationConfig;
use super::vector::Hnsw;
use crate::refusal::Refusal;

/// The body of `POST /admin/collections/{c}/reindex`. What is not said stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReindexBody {
    /// The vector whose index it is; the only one by default.
    pub(crate) using: Option<String>,
    hnsw_config: Option<Hnsw>,
    quantization_config: Option<QuantizationConfig>,
    /// Whether the `f32` vectors lie in a file that the system pages in and out.
    on_disk: Option<bool>,
}

impl ReindexBody {
    /// What is to be different.
    pub(crate) fn change(self) -> Result<IndexChange, Refusal> {
        let quantization = self.quantization_config.map(Quantization::try_from);
        let hnsw = self.hnsw_config.as_ref();
        Ok(IndexChange {
            m: hnsw.and_then(|hnsw| hnsw.m),
            ef_construct: hnsw.and_then(|hnsw| hnsw.ef_construct),
            quantization: quantization.transpose()?,
            on_disk: self.on_disk,
        })
    }
}
