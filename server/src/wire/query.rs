//! Searches, scrolls and counts as they travel, in both of the dialect's generations: `query` of
//! today, and the `search` and `recommend` that older clients send.

use engine::{Filter, Order};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::WireFilter;
use super::id::Id;
use super::input::{Input, InputOr};
use super::kind::{QueryKind, Target};
use super::list::OneOrMore;
use super::options::{self, Groups, Params, SearchOptions};
use super::order::OrderBy;
use super::point::{Record, Scored};
use super::prefetch::{self, Prefetch};
use super::schema;
use super::select::{View, WithPayload, WithVector};
use super::unsupported::{self, Absent};
use super::vector::VectorToFind;
use crate::limits;
use crate::refusal::Refusal;

/// A search, ready for the engine but for the vectors of points that it names.
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
    /// By what hits are grouped, if they are.
    pub(crate) groups: Option<Groups>,
    /// Searches whose hits are merged, or among whose hits this one looks.
    pub(crate) prefetch: Vec<Search>,
}

/// The body of `points/query`; with `group_by`, of `points/query/groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::with_vectors_too)]
pub(crate) struct QueryBody {
    /// What to look for; without it points come in the order of their ids.
    query: Option<InputOr<QueryKind>>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    #[schemars(range(min = 1, max = limits::HITS))]
    limit: Option<usize>,
    offset: Option<usize>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    /// The payload key whose values make groups (`points/query/groups`).
    group_by: Option<String>,
    /// Hits in a group, 3 by default.
    #[schemars(range(min = 1, max = limits::GROUP_SIZE))]
    group_size: Option<usize>,
    using: Option<String>,
    /// Searches that come first.
    prefetch: Option<OneOrMore<Prefetch>>,
    filter: Option<WireFilter>,
    lookup_from: Absent,
    with_lookup: Absent,
    shard_key: Absent,
}

/// The body of `points/search`; with `group_by`, of `points/search/groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::with_vectors_too)]
pub(crate) struct SearchBody {
    vector: VectorToFind,
    /// 10 by default.
    #[schemars(range(min = 1, max = limits::HITS))]
    limit: Option<usize>,
    offset: Option<usize>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    /// The payload key whose values make groups (`points/search/groups`).
    group_by: Option<String>,
    /// Hits in a group, 3 by default.
    #[schemars(range(min = 1, max = limits::GROUP_SIZE))]
    group_size: Option<usize>,
    filter: Option<WireFilter>,
    with_lookup: Absent,
    shard_key: Absent,
}

impl TryFrom<QueryBody> for Search {
    type Error = Refusal;

    fn try_from(body: QueryBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("lookup_from", &body.lookup_from),
            ("with_lookup", &body.with_lookup),
            ("shard_key", &body.shard_key),
        ])?;
        let target = Target::of(body.query)?;
        let groups = Groups::new(body.group_by, body.group_size)?;
        let search = Self {
            target,
            using: body.using.unwrap_or_default(),
            limit: options::limit(body.limit, body.offset, groups.as_ref())?,
            offset: body.offset.unwrap_or(0),
            options: options::options(body.params, body.score_threshold)?,
            filter: body.filter.map(|filter| filter.0),
            view: View::new(body.with_payload, groups.is_some(), body.with_vector)?,
            groups,
            prefetch: prefetch::searches(body.prefetch, 1)?,
        };
        prefetch::few(&search)?;
        search.makes_sense()
    }
}

impl TryFrom<SearchBody> for Search {
    type Error = Refusal;

    fn try_from(body: SearchBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("with_lookup", &body.with_lookup),
            ("shard_key", &body.shard_key),
        ])?;
        let groups = Groups::new(body.group_by, body.group_size)?;
        Ok(Self {
            target: Target::Nearest(Input::Vector(body.vector.vector)),
            using: body.vector.name,
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

/// The answer to a query; a search is answered by the list alone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hits {
    pub(crate) points: Vec<Scored>,
}

/// Searches that are done together and answered in their order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
#[schemars(bound = "T: JsonSchema", rename = "Batch_of_{T}")]
pub(crate) struct BatchBody<T> {
    #[serde(deserialize_with = "super::list::numbered")]
    #[schemars(length(max = limits::SEARCHES_PER_BATCH))]
    searches: Vec<T>,
}

impl<T> BatchBody<T>
where
    Search: TryFrom<T, Error = Refusal>,
{
    /// Each of them, none grouped.
    pub(crate) fn searches(self) -> Result<Vec<Search>, Refusal> {
        let most = limits::SEARCHES_PER_BATCH;
        if self.searches.len() > most {
            return Err(Refusal::too_large(format!(
                "at most {most} searches a batch"
            )));
        }
        let searches = self.searches.into_iter().enumerate().map(|(index, body)| {
            let search = Search::try_from(body).and_then(Search::ungrouped);
            search.map_err(|refusal| refusal.at(&format!("item {index}")))
        });
        searches.collect()
    }
}

impl Search {
    /// Refuses what would be passed over because of what is looked for.
    pub(super) fn makes_sense(self) -> Result<Self, Refusal> {
        let (few, ordered) = (self.prefetch.is_empty(), self.target.has_no_score());
        if ordered && self.options.score_threshold.is_some() {
            return Err(Refusal::wrong(
                "`score_threshold` goes with a query that has scores",
            ));
        }
        match &self.target {
            Target::Fused(_) if few => Err(Refusal::wrong(
                "`query.fusion` merges hits: give the searches whose hits they are as `prefetch`",
            )),
            Target::Everything if !few => Err(Refusal::wrong(
                "`prefetch` needs a `query` that says what is done with its hits",
            )),
            Target::InOrder(_) if self.groups.is_some() => Err(Refusal::wrong(
                "`query.order_by` does not go with `group_by`",
            )),
            _ => Ok(self),
        }
    }

    /// Refuses groups where there are none.
    pub(crate) fn ungrouped(self) -> Result<Self, Refusal> {
        match self.groups {
            None => Ok(self),
            Some(_) => Err(Refusal::wrong(
                "`group_by` belongs to the path that ends in `/groups`",
            )),
        }
    }
}

/// The body of `POST /collections/{c}/points/scroll`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::with_vectors_too)]
pub(crate) struct ScrollBody {
    /// 10 by default.
    #[schemars(range(min = 1, max = limits::PAGE))]
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
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ScrollPage {
    pub(crate) points: Vec<Record>,
    pub(crate) next_page_offset: Option<Id>,
}

/// The body of `POST /collections/{c}/points/count`; every count is exact.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountBody {
    #[serde(rename = "exact")]
    #[schemars(transform = schema::no_effect)]
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
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Count")]
pub(crate) struct Counted {
    pub(crate) count: usize,
}

#[cfg(test)]
mod tests {
    use engine::PointId;
    use serde_json::{Value, json};

    use super::*;

    fn query(body: Value) -> Result<Search, String> {
        let body: QueryBody =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        Search::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_query_takes_a_vector_or_an_id_in_each_form() {
        for body in [json!([1, 2]), json!({"nearest": [1, 2]})] {
            let search = query(json!({"query": body})).unwrap();
            let Target::Nearest(Input::Vector(vector)) = search.target else {
                panic!("{body}");
            };
            assert_eq!((vector, search.limit), (vec![1.0, 2.0], 10));
        }
        for body in [json!(7), json!({"nearest": 7})] {
            let search = query(json!({"query": body})).unwrap();
            let Target::Nearest(Input::Point(id)) = search.target else {
                panic!("{body}");
            };
            assert_eq!(id, Id(PointId::Num(7)));
        }
        let everything = query(json!({"query": null, "using": ""})).unwrap();
        assert!(matches!(everything.target, Target::Everything));
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        let cases = [
            ("filter", json!({"musst": []})),
            ("prefetch", json!({"colour": 1})),
            ("prefetch", json!([{"limit": 0}])),
            ("lookup_from", json!({})),
            ("params", json!({"quantization": {}})),
            ("hnsw_ef", json!({})),
            ("limit", json!(0)),
            ("limit", json!(10_001)),
            ("params", json!({"hnsw_ef": 0})),
            ("query", json!({"discover": {}})),
            ("query", json!({"order_by": "a..b"})),
            ("query", json!({"fusion": "rrf"})),
            ("query", json!({})),
            ("query", json!({"nearest": {}})),
            ("query", json!({"recommend": {}})),
            ("group_size", json!(2)),
        ];
        for (name, value) in cases {
            let mut body = json!({"query": [1]});
            body[name] = value;
            let error = query(body).unwrap_err();
            let named = [
                name,
                "hnsw_ef",
                "a list of numbers",
                "positive",
                "colour",
                "order_by",
            ]
            .iter()
            .any(|word| error.contains(word));
            assert!(named, "{name}: {error}");
        }
        assert!(query(json!({"query": 1, "filter": null})).is_ok());
    }
}
