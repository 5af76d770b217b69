//! Moves of collections to other models, and the models there are, as they travel.

use embedder::Calibration;
use engine::{CollectionInfo, Lacking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embed_pool::Pool;
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
    /// of the move that was begun before. To a head it is the one that its base makes, where there is one.
    from: Option<String>,
    /// Whether the old vector stays; by default as it was said when the move was begun, else not. To a head
    /// it must be said.
    keep_old: Option<bool>,
    /// Whether the old vector goes though some faces have no new one, which are then found no more;
    /// not by default.
    accept_missing: Option<bool>,
}

impl ReembedBody {
    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// The move of this collection that is meant; `pool` is the model's.
    pub(crate) fn wanted(self, info: &CollectionInfo, pool: &Pool) -> Result<Move, Refusal> {
        // One that is over stands in no other's way.
        let under_way = Move::of(info).filter(|it| it.state != State::Kept);
        let (before, other) = match under_way {
            Some(it) if it.model == self.model => (Some(it), None),
            other => (None, other),
        };
        if let (Some(other), None) = (other, &self.from) {
            return Err(Refusal::conflict(format!(
                "a move of collection `{}` to {} has begun and is not over: go on with it (`\"model\": \
                 \"{}\"`), give it up (`DELETE /admin/collections/{}/reembed`, `doppel reembed \
                 --give-up`), or say with `from` which vector is to be replaced",
                info.name, other.model, other.model, info.name
            )));
        }
        let kept_before = before.as_ref().map(|it| it.keep_old);
        let (from, to) = before.map(|it| (it.from, it.to)).unzip();
        let to = self.vector.or(to).unwrap_or_else(|| self.model.clone());
        let of_base = of_base(info, &to, pool);
        let from = match (self.from.or(from), of_base.as_slice()) {
            // It would be made of pictures, where it can be mapped; one that is not there is told later.
            (Some(from), [base, ..])
                if info.spec.vectors.contains_key(&from) && !of_base.contains(&&from) =>
            {
                return Err(not_of_base(info, &from, (base, pool)));
            }
            (Some(from), _) => from,
            (None, [only]) => (*only).clone(),
            (None, _) => only_made(info, &to)?,
        };
        let keep_old = match self.keep_old.or(kept_before) {
            Some(keep_old) => keep_old,
            None if pool.model().base.is_some() => return Err(irreversible(info, &from, pool)),
            None => false,
        };
        Ok(Move {
            model: self.model,
            from,
            to,
            keep_old,
            accept_missing: self.accept_missing.unwrap_or(false),
            was_there: false,
            sha256: None,
            state: State::Running,
        })
    }
}

/// Whether a vector is made by what the new model is a head on.
fn is_of_base(info: &CollectionInfo, name: &str, pool: &Pool) -> bool {
    let vector = info.spec.vectors.get(name);
    let made_by = vector.and_then(|vector| vector.embedder.as_ref());
    made_by.is_some_and(|made_by| pool.is_head_on(made_by))
}

/// The vectors that the new one can be made of without pictures.
fn of_base<'a>(info: &'a CollectionInfo, to: &str, pool: &Pool) -> Vec<&'a String> {
    let names = info.spec.vectors.keys();
    let names = names.filter(|name| *name != to && is_of_base(info, name, pool));
    names.collect()
}

/// How the model of a vector and the vector are told.
fn told(info: &CollectionInfo, name: &str) -> String {
    let vector = info.spec.vectors.get(name);
    let model = vector.and_then(|vector| vector.embedder.as_ref());
    let model = model.map_or("no model", |model| &model.name);
    match name {
        "" => format!("the vectors without a name, of {model}"),
        name => format!("the vectors `{name}`, of {model}"),
    }
}

fn base_of<'a>(pool: &'a Pool, or: &'a str) -> &'a str {
    let base = pool.model().base.as_ref();
    base.map_or(or, |base| &base.name)
}

/// A head makes its vectors of its base's, whatever else there is.
fn not_of_base(info: &CollectionInfo, from: &str, (base, pool): (&str, &Pool)) -> Refusal {
    let (head, model) = (&pool.model().name, base_of(pool, base));
    Refusal::wrong(format!(
        "`from` names {}, but {head} is a head on {model} and makes its vectors of {}: leave `from` out",
        told(info, from),
        told(info, base)
    ))
}

/// What a head makes cannot be made into what it was made of: that is not lost by not saying.
fn irreversible(info: &CollectionInfo, from: &str, pool: &Pool) -> Refusal {
    let head = &pool.model().name;
    let base = base_of(pool, from);
    if !is_of_base(info, from, pool) {
        return Refusal::wrong(format!(
            "say `keep_old`: {head} is a head on {base}, whose vectors collection `{name}` does not have, so \
             that its own are made of the photos and crops that are kept. With true (`--keep-old`) {old}, \
             stay beside them, with false (`--drop-old`) they go",
            name = info.name,
            old = told(info, from)
        ));
    }
    Refusal::wrong(format!(
        "say `keep_old`: {head} is a head on {base}. With true (`--keep-old`) the vectors of {base} stay \
         beside the new ones, and later heads can be learned on them and made of them. With false \
         (`--drop-old`) they go, which saves their memory; after that collection `{}` gets other vectors \
         only from the photos and crops that are kept of its faces",
        info.name
    ))
}

/// Parameters of giving a move up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GiveUpParams {
    /// Whether the new vector goes though some points have no old one, which are then found no more; not by
    /// default.
    #[serde(default)]
    accept_missing: bool,
}

impl GiveUpParams {
    pub(crate) fn lacking(&self) -> Lacking<'static> {
        match self.accept_missing {
            true => Lacking::Accept,
            false => Lacking::Keep,
        }
    }
}

/// A move that was given up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GivenUp {
    /// The model that it went to.
    model: String,
    /// The vector that has gone.
    vector: String,
    /// Points that have no vector now.
    without_vector: usize,
}

impl From<(Move, usize)> for GivenUp {
    fn from((told, without_vector): (Move, usize)) -> Self {
        Self {
            model: told.model,
            vector: told.to,
            without_vector,
        }
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
    /// Vectors of collections whose model does not run here: photos are not taken for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) without_model: Vec<WithoutModel>,
}

/// A vector of a collection whose model does not run here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WithoutModel {
    pub(crate) collection: String,
    /// The vector's name, empty if it has none.
    pub(crate) vector: String,
    /// Why its model does not run here.
    pub(crate) why: String,
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
