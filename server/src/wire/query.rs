//! Searches, scrolls and counts as they travel, in both of the dialect's generations: `query` of
//! today and `search` that older clients send.

use engine::{Filter, Order};
use serde::{Deserialize, Serialize};

use super::filter::WireFilter;
use super::id::Id;
use super::order::OrderBy;
use super::point::{Record, Scored};
use super::select::{View, WithPayload, WithVector};
use super::unsupported::{self, Absent};
use super::vector::VectorToFind;
use crate::limits;
use crate::refusal::Refusal;

/// What to look for.
#[derive(Debug)]
pub(crate) enum Target {
    Vector(Vec<f32>),
    /// What is like this point, which is left out itself.
    Point(Id),
}

/// A search, ready for the engine but for the vector of a [`Target::Point`].
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) target: Target,
    /// The vectors that are compared; "" for those without a name.
    pub(crate) using: String,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) options: SearchOptions,
    pub(crate) filter: Option<Filter>,
    pub(crate) view: View,
}

/// How a search is done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SearchOptions {
    pub(crate) ef: Option<usize>,
    pub(crate) exact: bool,
    pub(crate) score_threshold: Option<f32>,
}

/// The body of `POST /collections/{c}/points/query`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryBody {
    query: Option<QueryTarget>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    limit: Option<usize>,
    offset: Option<usize>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    using: Option<String>,
    prefetch: Absent,
    filter: Option<WireFilter>,
    lookup_from: Absent,
    shard_key: Absent,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`query` must be a list of numbers, the id of a point, or {\"nearest\": either}"
)]
enum QueryTarget {
    Vector(Vec<f32>),
    Point(Id),
    Nearest(Nearest),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nearest {
    nearest: VectorOrId,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`nearest` must be a list of numbers or the id of a point"
)]
enum VectorOrId {
    Vector(Vec<f32>),
    Point(Id),
}

/// The body of `POST /collections/{c}/points/search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    vector: VectorToFind,
    limit: usize,
    offset: Option<usize>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    filter: Option<WireFilter>,
    shard_key: Absent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    /// Everything is indexed at once, so both values mean the same.
    #[serde(rename = "indexed_only")]
    _indexed_only: Option<bool>,
    quantization: Absent,
    acorn: Absent,
}

impl TryFrom<QueryBody> for Search {
    type Error = Refusal;

    fn try_from(body: QueryBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("prefetch", &body.prefetch),
            ("lookup_from", &body.lookup_from),
            ("shard_key", &body.shard_key),
        ])?;
        let target = match body.query {
            Some(QueryTarget::Vector(vector)) => Target::Vector(vector),
            Some(QueryTarget::Point(id)) => Target::Point(id),
            Some(QueryTarget::Nearest(Nearest { nearest })) => match nearest {
                VectorOrId::Vector(vector) => Target::Vector(vector),
                VectorOrId::Point(id) => Target::Point(id),
            },
            None => return Err(Refusal::wrong("`query` is missing: what to look for")),
        };
        let limit = body.limit.unwrap_or(limits::DEFAULT_LIMIT);
        Ok(Self {
            target,
            using: body.using.unwrap_or_default(),
            limit: checked_limit(limit, body.offset)?,
            offset: body.offset.unwrap_or(0),
            options: options(body.params, body.score_threshold)?,
            filter: body.filter.map(|filter| filter.0),
            view: View::new(body.with_payload, false, body.with_vector)?,
        })
    }
}

impl TryFrom<SearchBody> for Search {
    type Error = Refusal;

    fn try_from(body: SearchBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[("shard_key", &body.shard_key)])?;
        Ok(Self {
            target: Target::Vector(body.vector.vector),
            using: body.vector.name,
            limit: checked_limit(body.limit, body.offset)?,
            offset: body.offset.unwrap_or(0),
            options: options(body.params, body.score_threshold)?,
            filter: body.filter.map(|filter| filter.0),
            view: View::new(body.with_payload, false, body.with_vector)?,
        })
    }
}

fn options(params: Option<Params>, score_threshold: Option<f32>) -> Result<SearchOptions, Refusal> {
    let params = params.unwrap_or_default();
    unsupported::refuse(&[
        ("params.quantization", &params.quantization),
        ("params.acorn", &params.acorn),
    ])?;
    SearchOptions::new(params.hnsw_ef, params.exact, score_threshold)
}

impl SearchOptions {
    pub(crate) fn new(
        ef: Option<usize>,
        exact: Option<bool>,
        score_threshold: Option<f32>,
    ) -> Result<Self, Refusal> {
        if ef == Some(0) {
            return Err(Refusal::wrong("`hnsw_ef` must be at least 1"));
        }
        if score_threshold.is_some_and(|score| !score.is_finite()) {
            return Err(Refusal::wrong("`score_threshold` must be a finite number"));
        }
        Ok(Self {
            ef,
            exact: exact.unwrap_or(false),
            score_threshold,
        })
    }
}

/// A number of hits that is one, and not too many.
pub(crate) fn checked_limit(limit: usize, offset: Option<usize>) -> Result<usize, Refusal> {
    let most = limits::HITS;
    let sum = limit.saturating_add(offset.unwrap_or(0));
    if limit == 0 || sum > most {
        return Err(Refusal::wrong(format!(
            "`limit` must be 1 or more, and `limit` and `offset` together at most {most}"
        )));
    }
    Ok(limit)
}

/// The answer to a query; a search is answered by the list alone.
#[derive(Debug, Serialize)]
pub(crate) struct Hits {
    pub(crate) points: Vec<Scored>,
}

/// The body of `POST /collections/{c}/points/scroll`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScrollBody {
    limit: Option<usize>,
    offset: Option<Id>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    filter: Option<WireFilter>,
    order_by: Option<OrderBy>,
    shard_key: Absent,
}

/// A scroll, ready for the engine.
#[derive(Debug)]
pub(crate) struct Scroll {
    pub(crate) from: Option<engine::PointId>,
    pub(crate) filter: Filter,
    pub(crate) order: Option<Order>,
    pub(crate) limit: usize,
    pub(crate) view: View,
}

impl TryFrom<ScrollBody> for Scroll {
    type Error = Refusal;

    fn try_from(body: ScrollBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[("shard_key", &body.shard_key)])?;
        let limit = body.limit.unwrap_or(limits::DEFAULT_LIMIT);
        let most = limits::PAGE;
        if limit == 0 || limit > most {
            return Err(Refusal::wrong(format!("`limit` must be 1 to {most}")));
        }
        let order = body.order_by.map(Order::try_from).transpose()?;
        if order.is_some() && body.offset.is_some() {
            return Err(Refusal::wrong(
                "`offset` is an id and does not go with `order_by`: go on with `start_from`, and \
                 leave out the ids you have with `must_not` and `has_id`",
            ));
        }
        Ok(Self {
            from: body.offset.map(|id| id.0),
            filter: body.filter.map(|filter| filter.0).unwrap_or_default(),
            order,
            limit,
            view: View::new(body.with_payload, true, body.with_vector)?,
        })
    }
}

/// The answer to a scroll.
#[derive(Debug, Serialize)]
pub(crate) struct ScrollPage {
    pub(crate) points: Vec<Record>,
    pub(crate) next_page_offset: Option<Id>,
}

/// The body of `POST /collections/{c}/points/count`; every count is exact.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountBody {
    #[serde(rename = "exact")]
    _exact: Option<bool>,
    filter: Option<WireFilter>,
    shard_key: Absent,
}

impl CountBody {
    /// The filter, an empty one if there is none.
    pub(crate) fn filter(self) -> Result<Filter, Refusal> {
        unsupported::refuse(&[("shard_key", &self.shard_key)])?;
        Ok(self.filter.map(|filter| filter.0).unwrap_or_default())
    }
}

/// The answer to a count.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    pub(crate) count: usize,
}

#[cfg(test)]
mod tests {
    use engine::PointId;
    use serde_json::{Value, json};

    use super::*;

    fn query(body: Value) -> Result<Search, String> {
        let body: QueryBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Search::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_query_takes_a_vector_or_an_id_in_each_form() {
        for body in [json!([1, 2]), json!({"nearest": [1, 2]})] {
            let search = query(json!({"query": body})).unwrap();
            assert!(matches!(search.target, Target::Vector(v) if v == [1.0, 2.0]));
            assert_eq!(search.limit, 10);
        }
        for body in [json!(7), json!({"nearest": 7})] {
            let search = query(json!({"query": body})).unwrap();
            assert!(matches!(search.target, Target::Point(Id(PointId::Num(7)))));
        }
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        let cases = [
            ("filter", json!({"musst": []})),
            ("prefetch", json!([])),
            ("lookup_from", json!({})),
            ("params", json!({"quantization": {}})),
            ("hnsw_ef", json!({})),
            ("limit", json!(0)),
            ("limit", json!(10_001)),
            ("params", json!({"hnsw_ef": 0})),
        ];
        for (name, value) in cases {
            let mut body = json!({"query": [1]});
            body[name] = value;
            let error = query(body).unwrap_err();
            let named = error.contains(name) || error.contains("hnsw_ef");
            assert!(named, "{name}: {error}");
        }
        assert!(query(json!({})).unwrap_err().contains("`query`"));
        assert!(query(json!({"query": 1, "filter": null})).is_ok());
    }
}
