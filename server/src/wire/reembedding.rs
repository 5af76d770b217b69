//! Moves of collections to other models, and the models there are, as they travel.

use embedder::Calibration;
use engine::CollectionInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::faces::KnownModel;
use crate::reembedding::{Move, State};
use crate::refusal::Refusal;

/// The body of `POST /admin/collections/{c}/reembed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReembedBody {
    /// The model that the collection is moved to; it must be installed.
    model: String,
    /// The name of the new vector, the model's by default.
    vector: Option<String>,
    /// The vector that it takes the place of; the only one that a model makes by default, or that
    /// of the move that was begun before.
    from: Option<String>,
    /// Whether the old vector stays; not by default.
    keep_old: Option<bool>,
    /// Whether the old vector goes though some faces have no new one, which are then found no more;
    /// not by default.
    accept_missing: Option<bool>,
}

impl ReembedBody {
    /// The move of this collection that is meant.
    pub(crate) fn wanted(self, info: &CollectionInfo) -> Result<Move, Refusal> {
        let under_way = Move::of(info);
        let other = under_way.as_ref().filter(|it| it.model != self.model);
        if let (Some(other), None) = (other, &self.from) {
            return Err(Refusal::conflict(format!(
                "collection `{}` is being moved to {} already: end that first, or say with `from` \
                 which vector is to be replaced",
                info.name, other.model
            )));
        }
        let before = under_way.filter(|it| it.model == self.model);
        let to = self.vector.or(before.as_ref().map(|it| it.to.clone()));
        let to = to.unwrap_or_else(|| self.model.clone());
        let from = self.from.or(before.map(|it| it.from));
        let from = match from {
            Some(from) => from,
            None => only_made(info, &to)?,
        };
        Ok(Move {
            model: self.model,
            from,
            to,
            keep_old: self.keep_old.unwrap_or(false),
            accept_missing: self.accept_missing.unwrap_or(false),
            state: State::Running,
        })
    }
}

/// The only vector that a model makes, beside the one that is to be made.
fn only_made(info: &CollectionInfo, to: &str) -> Result<String, Refusal> {
    let vectors = info.spec.vectors.iter();
    let made = vectors.filter(|(name, vector)| vector.embedder.is_some() && *name != to);
    let made: Vec<&String> = made.map(|(name, _)| name).collect();
    match made.as_slice() {
        [only] => Ok((*only).clone()),
        // Whatever is wrong with that is told where all else is checked.
        [] if vectors_of_a_model(info, to) => Ok(to.to_owned()),
        [] => Err(Refusal::conflict(format!(
            "collection `{}` has no vector that a model makes out of photos",
            info.name
        ))),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(Refusal::wrong(format!(
                "say with `from` which vector is to be replaced: `{}`",
                names.join("`, `")
            )))
        }
    }
}

fn vectors_of_a_model(info: &CollectionInfo, name: &str) -> bool {
    let vector = info.spec.vectors.get(name);
    vector.is_some_and(|vector| vector.embedder.is_some())
}

/// The face models of a server.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    pub(crate) models: Vec<ModelOut>,
}

/// A face model.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelOut {
    /// What `embedder` of a collection names it by.
    name: String,
    /// Numbers in a vector.
    size: usize,
    /// Hex SHA-256 of the published weights.
    sha256: String,
    /// Whether it takes photos now; if not, it has to be installed.
    loaded: bool,
    /// Whether requests that name no model go to it.
    default: bool,
    /// The model whose vectors it makes its own of, if it is a head.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<BaseOut>,
    /// What its cosines mean; absent where nobody has measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationOut>,
}

/// A model that a head is put on.
#[derive(Debug, Serialize, JsonSchema)]
struct BaseOut {
    name: String,
    sha256: String,
}

/// What a model's cosines mean.
#[derive(Debug, Serialize, JsonSchema)]
struct CalibrationOut {
    /// The cosine at which one person is as likely as two, where half of all pairs are one person.
    threshold: f32,
    /// Its standard error.
    threshold_error: f32,
    /// The slope of the logistic curve.
    slope: f32,
    /// Its standard error.
    slope_error: f32,
    /// The pairs that the curve was fitted to.
    pairs: u32,
    /// Cosines, and the share of different people's pairs that reach each.
    false_match_rates: Vec<[f32; 2]>,
}

impl From<KnownModel> for ModelOut {
    fn from(model: KnownModel) -> Self {
        Self {
            name: model.info.name,
            size: model.info.dim,
            sha256: model.info.sha256,
            loaded: model.is_loaded,
            default: model.is_default,
            base: model.info.base.map(|base| BaseOut {
                name: base.name,
                sha256: base.sha256,
            }),
            calibration: model.info.calibration.map(CalibrationOut::from),
        }
    }
}

impl From<Calibration> for CalibrationOut {
    fn from(calibration: Calibration) -> Self {
        let knots = calibration.strangers.knots().iter();
        Self {
            threshold: calibration.threshold,
            threshold_error: calibration.threshold_error,
            slope: calibration.slope,
            slope_error: calibration.slope_error,
            pairs: calibration.pairs,
            false_match_rates: knots.map(|(cosine, share)| [*cosine, *share]).collect(),
        }
    }
}
