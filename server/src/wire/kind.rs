//! What a query looks for: something near, something like examples, points in an order or by
//! chance, or what comes out of other searches.

use engine::Order;
use schemars::JsonSchema;
use serde::Deserialize;

use super::input::{Input, InputOr, Other};
use super::order::OrderBy;
use super::recommend::{Examples, Strategy};
use super::schema;
use super::unsupported::{self, Absent};
use crate::limits;
use crate::refusal::Refusal;

/// What to look for.
#[derive(Debug)]
pub(crate) enum Target {
    /// What is like this; a point that is named is left out itself.
    Nearest(Input),
    /// What is like some and unlike others, which are left out themselves.
    Recommend(Examples, Strategy),
    /// Anything, in the order of a payload value.
    InOrder(Order),
    /// Anything, by chance.
    Sample,
    /// The hits of other searches, merged.
    Fused(Fusion),
    /// Anything, in the order of ids.
    Everything,
}

/// How the hits of several searches become one list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fusion {
    /// By their ranks (reciprocal rank fusion, Cormack, Clarke and Büttcher 2009): the sum of
    /// 1 / (k + rank), the best having rank 0.
    Ranks { k: f32 },
    /// By their scores, each list's brought to 0..1 by its mean and three standard deviations.
    Scores,
}

/// The dialect's k where a query does not say one.
const DEFAULT_K: f32 = 2.0;

/// A query by its name; exactly one is there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(
    &["nearest", "recommend", "order_by", "sample", "fusion", "rrf"]
))]
pub(crate) struct QueryKind {
    nearest: Option<Input>,
    recommend: Option<Recommend>,
    order_by: Option<OrderBy>,
    sample: Option<Sample>,
    fusion: Option<FusionName>,
    rrf: Option<Rrf>,
    mmr: Absent,
    discover: Absent,
    context: Absent,
    formula: Absent,
    relevance_feedback: Absent,
}

impl Other for QueryKind {
    const EXPECTED: &'static str = "`query` as a list of numbers, the id of a point, {\"nearest\": either}, {\"recommend\": {...}}, \
         {\"order_by\": key}, {\"sample\": \"random\"} or {\"fusion\": \"rrf\" or \"dbsf\"}";
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recommend {
    #[schemars(length(min = 1, max = limits::EXAMPLES))]
    positive: Option<Vec<Input>>,
    negative: Option<Vec<Input>>,
    strategy: Option<Strategy>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sample {
    Random,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FusionName {
    Rrf,
    Dbsf,
}

/// Fusion by ranks with a k of one's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rrf {
    #[schemars(range(min = 1))]
    k: Option<u16>,
    weights: Absent,
}

impl Target {
    /// Out of the field `query`.
    pub(super) fn of(query: Option<InputOr<QueryKind>>) -> Result<Self, Refusal> {
        match query {
            None => Ok(Self::Everything),
            Some(InputOr::Input(input)) => Ok(Self::Nearest(input)),
            Some(InputOr::Other(kind)) => kind.try_into(),
        }
    }

    /// Whether its hits have an order that is none of scores.
    pub(super) fn has_no_score(&self) -> bool {
        matches!(self, Self::Everything | Self::InOrder(_) | Self::Sample)
    }
}

impl TryFrom<QueryKind> for Target {
    type Error = Refusal;

    fn try_from(kind: QueryKind) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("query.mmr", &kind.mmr),
            ("query.discover", &kind.discover),
            ("query.context", &kind.context),
            ("query.formula", &kind.formula),
            ("query.relevance_feedback", &kind.relevance_feedback),
        ])?;
        let named = [
            kind.nearest.map(|input| Ok(Self::Nearest(input))),
            kind.recommend.map(Self::try_from),
            kind.order_by.map(|by| by.try_into().map(Self::InOrder)),
            kind.sample.map(|Sample::Random| Ok(Self::Sample)),
            kind.fusion.map(|fusion| Ok(Self::Fused(fusion.into()))),
            kind.rrf.map(|rrf| rrf.try_into().map(Self::Fused)),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(target), None) => target,
            _ => Err(Refusal::wrong(
                "`query` takes one of `nearest`, `recommend`, `order_by`, `sample`, `fusion` and \
                 `rrf`",
            )),
        }
    }
}

impl TryFrom<Recommend> for Target {
    type Error = Refusal;

    fn try_from(recommend: Recommend) -> Result<Self, Refusal> {
        let positive = recommend.positive.unwrap_or_default();
        let strategy = recommend.strategy.unwrap_or_default();
        let negative = recommend.negative.unwrap_or_default();
        let examples = Examples::new(positive, negative, strategy)?;
        Ok(Self::Recommend(examples, strategy))
    }
}

impl From<FusionName> for Fusion {
    fn from(name: FusionName) -> Self {
        match name {
            FusionName::Rrf => Self::Ranks { k: DEFAULT_K },
            FusionName::Dbsf => Self::Scores,
        }
    }
}

impl TryFrom<Rrf> for Fusion {
    type Error = Refusal;

    fn try_from(rrf: Rrf) -> Result<Self, Refusal> {
        unsupported::refuse(&[("query.rrf.weights", &rrf.weights)])?;
        match rrf.k {
            Some(0) => Err(Refusal::wrong("`query.rrf.k` must be at least 1")),
            k => Ok(Self::Ranks {
                k: k.map_or(DEFAULT_K, f32::from),
            }),
        }
    }
}
