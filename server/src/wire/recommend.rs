//! Recommendations as they travel: examples of what is wanted and of what is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::WireFilter;
use super::input::Input;
use super::kind::Target;
use super::options::{self, Groups, Params};
use super::point::Scored;
use super::query::Search;
use super::schema;
use super::select::{View, WithPayload, WithVector};
use super::unsupported::{self, Absent};
use crate::limits;
use crate::refusal::Refusal;

/// What is wanted and what is not.
#[derive(Debug)]
pub(crate) struct Examples {
    pub(crate) positive: Vec<Input>,
    pub(crate) negative: Vec<Input>,
}

impl Examples {
    pub(crate) fn new(
        positive: Vec<Input>,
        negative: Vec<Input>,
        strategy: Strategy,
    ) -> Result<Self, Refusal> {
        let most = limits::EXAMPLES;
        if positive.is_empty() && (negative.is_empty() || strategy == Strategy::AverageVector) {
            return Err(Refusal::wrong(
                "a recommendation needs a `positive` example; under `best_score` a `negative` one \
                 will do",
            ));
        }
        if positive.len() + negative.len() > most {
            return Err(Refusal::too_large(format!(
                "`positive` and `negative` have together at most {most} examples"
            )));
        }
        Ok(Self { positive, negative })
    }
}

/// How examples become an order of points.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    /// What is nearest to the positive ones' mean, moved away from the negative ones' mean.
    #[default]
    AverageVector,
    /// Each point by its likeness to the positive example it is most like, unless it is more like
    /// a negative one: such points come last.
    BestScore,
}

/// The body of `points/recommend`; with `group_by`, of `points/recommend/groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::with_vectors_too)]
pub(crate) struct RecommendBody {
    /// `best_score` does with `negative` ones alone.
    #[serde(default)]
    #[schemars(length(max = limits::EXAMPLES))]
    positive: Vec<Input>,
    #[serde(default)]
    negative: Vec<Input>,
    strategy: Option<Strategy>,
    /// 10 by default.
    #[schemars(range(min = 1, max = limits::HITS))]
    limit: Option<usize>,
    offset: Option<usize>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    /// The payload key whose values make groups (`points/recommend/groups`).
    group_by: Option<String>,
    /// Hits in a group, 3 by default.
    #[schemars(range(min = 1, max = limits::GROUP_SIZE))]
    group_size: Option<usize>,
    using: Option<String>,
    filter: Option<WireFilter>,
    lookup_from: Absent,
    with_lookup: Absent,
    shard_key: Absent,
}

impl TryFrom<RecommendBody> for Search {
    type Error = Refusal;

    fn try_from(body: RecommendBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("lookup_from", &body.lookup_from),
            ("with_lookup", &body.with_lookup),
            ("shard_key", &body.shard_key),
        ])?;
        let strategy = body.strategy.unwrap_or_default();
        let examples = Examples::new(body.positive, body.negative, strategy)?;
        let groups = Groups::new(body.group_by, body.group_size)?;
        Ok(Self {
            target: Target::Recommend(examples, strategy),
            using: body.using.unwrap_or_default(),
            limit: options::limit(body.limit, body.offset, groups.as_ref())?,
            offset: body.offset.unwrap_or(0),
            options: options::options(body.params, body.score_threshold)?,
            filter: body.filter.map(|filter| filter.0),
            view: View::new(body.with_payload, groups.is_some(), body.with_vector)?,
            groups,
            prefetch: Vec::new(),
        })
    }
}

/// The answer to a grouped search, the group with the best hit first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundGroups {
    pub(crate) groups: Vec<FoundGroup>,
}

/// Hits with the same value at `group_by`, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundGroup {
    pub(crate) id: GroupId,
    pub(crate) hits: Vec<Scored>,
}

/// A value that makes a group: text or a whole number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum GroupId {
    Text(String),
    Number(i64),
}
