//! From a parsed search to its hits: vectors of points that it names are fetched, examples become
//! a vector or an order, hits become groups. The one place where an engine's query is made.

mod fuse;
mod groups;
mod prefetch;
mod recommend;

use std::collections::HashMap;

use engine::{PointId, Query, ScoredPoint, Select, StoredPoint, Which};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use groups::find_groups;

use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::input::Input;
use crate::wire::kind::Target;
use crate::wire::point::Scored;
use crate::wire::query::Search;
use crate::wire::recommend::Strategy;

/// The hits of a search as they are told.
pub(crate) async fn find(app: &App, name: &str, search: Search) -> Result<Vec<Scored>, Refusal> {
    match search.prefetch.len() {
        0 => found(app, name, search).await,
        before => app.reading(before, found(app, name, search)).await,
    }
}

async fn found(app: &App, name: &str, search: Search) -> Result<Vec<Scored>, Refusal> {
    let prepared = Prepared::new(app, name, search).await?;
    let (limit, offset) = (prepared.search.limit, prepared.search.offset);
    if let Order::By(order) = &prepared.order {
        let points = prepared.placed(app, order, limit.saturating_add(offset));
        let points = points.await?.into_iter().skip(offset);
        let view = &prepared.search.view;
        return Ok(points
            .map(|(point, value)| Scored::placed(point, value, view))
            .collect());
    }
    let hits = prepared.hits(app, limit, offset).await?;
    let view = &prepared.search.view;
    Ok(hits.into_iter().map(|hit| Scored::new(hit, view)).collect())
}

/// The hits of many searches, a few of which are at work at once.
pub(crate) async fn find_all(
    app: &App,
    name: &str,
    searches: Vec<Search>,
) -> Result<Vec<Vec<Scored>>, Refusal> {
    let count = searches.len();
    let searches = stream::iter(searches).map(|search| find(app, name, search));
    let all = searches.buffered(limits::BATCH_WIDTH).try_collect();
    app.reading(count, all).await
}

/// A search that has all vectors it goes by.
struct Prepared {
    name: String,
    search: Search,
    order: Order,
    /// Points that the search names: nobody looks for what he has.
    named: Vec<PointId>,
}

/// How points are ordered.
enum Order {
    ById,
    By(engine::Order),
    ByChance,
    /// In the order that they have; nothing but ids and scores.
    Merged(Vec<ScoredPoint>),
    Nearest(Vec<f32>),
    BestScore(recommend::Likes),
}

impl Prepared {
    async fn new(app: &App, name: &str, mut search: Search) -> Result<Self, Refusal> {
        let target = std::mem::replace(&mut search.target, Target::Everything);
        let before = std::mem::take(&mut search.prefetch);
        let before = prefetch::lists(app, name, before, search.filter.as_ref()).await?;
        if !matches!(target, Target::Fused(_)) {
            search.filter = prefetch::among(search.filter.take(), before.as_deref());
        }
        let using = search.using.clone();
        let mut named = Vec::new();
        let order = match target {
            Target::Everything => Order::ById,
            Target::InOrder(order) => Order::By(order),
            Target::Sample => Order::ByChance,
            Target::Fused(fusion) => {
                Order::Merged(fuse::merged(fusion, before.unwrap_or_default()))
            }
            Target::Nearest(input) => {
                let mut vectors = vectors(app, name, &using, vec![input], &mut named).await?;
                Order::Nearest(vectors.pop().unwrap_or_default())
            }
            Target::Recommend(examples, strategy) => {
                let positive = vectors(app, name, &using, examples.positive, &mut named).await?;
                let negative = vectors(app, name, &using, examples.negative, &mut named).await?;
                let likes = recommend::Likes { positive, negative };
                match strategy {
                    Strategy::AverageVector => Order::Nearest(likes.average()?),
                    Strategy::BestScore => Order::BestScore(likes),
                }
            }
        };
        Ok(Self {
            name: name.to_owned(),
            search,
            order,
            named,
        })
    }

    /// The best hits, those that the search names left out.
    async fn hits(
        &self,
        app: &App,
        limit: usize,
        offset: usize,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let wanted = limit.saturating_add(offset);
        let hits = match &self.order {
            Order::ById => self.by_id(app, wanted).await?,
            Order::ByChance => self.by_chance(app, wanted).await?,
            Order::Merged(all) => self.filled(app, all, wanted).await?,
            Order::By(order) => {
                let points = self.placed(app, order, wanted).await?.into_iter();
                points.map(|(point, _)| unscored(point)).collect()
            }
            Order::Nearest(vector) => {
                let more = wanted.saturating_add(self.named.len()).min(limits::HITS);
                self.nearest(app, vector.clone(), more).await?
            }
            Order::BestScore(likes) => likes.best(app, self, wanted).await?,
        };
        let others = hits
            .into_iter()
            .filter(|hit| !self.named.contains(&hit.point.id));
        Ok(others.skip(offset).take(limit).collect())
    }

    async fn nearest(
        &self,
        app: &App,
        vector: Vec<f32>,
        limit: usize,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let query = Query {
            score_threshold: self.search.options.score_threshold,
            ..self.query(vector, limit)
        };
        self.search(app, query).await
    }

    /// Hits of whatever score, with what they are compared by.
    async fn nearest_with_vectors(
        &self,
        app: &App,
        vector: Vec<f32>,
        limit: usize,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let mut query = self.query(vector, limit);
        query.select.vectors = Which::Named(vec![self.search.using.clone()]);
        self.search(app, query).await
    }

    async fn search(&self, app: &App, query: Query) -> Result<Vec<ScoredPoint>, Refusal> {
        match self.search.options.target_recall {
            None => app.search(self.name.clone(), query).await,
            Some(recall) => app.search_for(self.name.clone(), query, recall).await,
        }
    }

    fn query(&self, vector: Vec<f32>, limit: usize) -> Query {
        Query {
            vector,
            using: self.search.using.clone(),
            limit,
            offset: 0,
            ef: self.search.options.ef,
            exact: self.search.options.exact,
            filter: self.search.filter.clone(),
            score_threshold: None,
            select: self.select(),
        }
    }

    async fn by_id(&self, app: &App, limit: usize) -> Result<Vec<ScoredPoint>, Refusal> {
        let (name, select) = (self.name.clone(), self.select());
        let limit = limit.min(limits::PAGE);
        let filter = self.search.filter.clone().unwrap_or_default();
        let page = app.read(move |engine| engine.scroll_where(&name, &filter, None, limit, select));
        let points = page.await?.points.into_iter();
        Ok(points.map(unscored).collect())
    }

    /// The least score that is asked for.
    fn least(&self) -> Option<f32> {
        self.search.options.score_threshold
    }

    /// The best of all points by a score of their vectors, every one looked at.
    async fn best_of_all(
        &self,
        app: &App,
        wanted: usize,
        least: Option<f32>,
        score: impl Fn(&[f32]) -> f32,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let using = &self.search.using;
        let select = Select {
            vectors: Which::Named(vec![using.clone()]),
            ..self.select()
        };
        let (mut best, mut from) = (Vec::new(), None);
        loop {
            let filter = self.search.filter.clone().unwrap_or_default();
            let (name, select) = (self.name.clone(), select.clone());
            let page = app.read(move |engine| {
                engine.scroll_where(&name, &filter, from, limits::PAGE.min(1_000), select)
            });
            let page = page.await?;
            best.extend(page.points.into_iter().filter_map(|point| {
                let score = score(point.vectors.as_ref()?.get(using)?);
                let enough = least.is_none_or(|least| score >= least);
                enough.then_some(ScoredPoint { score, point })
            }));
            best.sort_by(best_first);
            best.truncate(wanted);
            from = page.next;
            if from.is_none() {
                return Ok(best);
            }
        }
    }

    async fn by_chance(&self, app: &App, limit: usize) -> Result<Vec<ScoredPoint>, Refusal> {
        let (name, select) = (self.name.clone(), self.select());
        let filter = self.search.filter.clone().unwrap_or_default();
        let seed = Uuid::new_v4().as_u64_pair().0;
        let points = app.read(move |engine| engine.sample(&name, &filter, limit, seed, &select));
        let points = points.await?.into_iter();
        Ok(points.map(unscored).collect())
    }

    /// The first of these, with what is to be seen of them.
    async fn filled(
        &self,
        app: &App,
        all: &[ScoredPoint],
        limit: usize,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let least = self.search.options.score_threshold;
        let all = all
            .iter()
            .filter(|hit| least.is_none_or(|least| hit.score >= least));
        let scores: HashMap<PointId, f32> =
            all.clone().map(|hit| (hit.point.id, hit.score)).collect();
        let ids: Vec<PointId> = all.take(limit).map(|hit| hit.point.id).collect();
        let (name, select) = (self.name.clone(), self.select());
        let points = app.read(move |engine| engine.get(&name, &ids, select));
        let points = points.await?.into_iter();
        let hits = points.filter_map(|point| {
            let score = *scores.get(&point.id)?;
            Some(ScoredPoint { score, point })
        });
        Ok(hits.collect())
    }

    /// Points in the order of a payload value, with that value.
    async fn placed(
        &self,
        app: &App,
        order: &engine::Order,
        limit: usize,
    ) -> Result<Vec<(StoredPoint, Value)>, Refusal> {
        let (name, select, order) = (self.name.clone(), self.select(), order.clone());
        let filter = self.search.filter.clone().unwrap_or_default();
        app.read(move |engine| engine.scroll_by(&name, &filter, &order, limit, &select))
            .await
    }

    /// Groups are made of payloads, whether they are shown or not.
    fn select(&self) -> Select {
        let mut select = self.search.view.select();
        select.payload |= self.search.groups.is_some();
        select
    }
}

/// The order of hits; of equal ones, that of their ids.
fn best_first(a: &ScoredPoint, b: &ScoredPoint) -> std::cmp::Ordering {
    let order = b.score.total_cmp(&a.score);
    order.then_with(|| a.point.id.cmp(&b.point.id))
}

fn unscored(point: StoredPoint) -> ScoredPoint {
    ScoredPoint { score: 0.0, point }
}

/// The vectors of inputs, in their order; points among them are added to `named`.
async fn vectors(
    app: &App,
    name: &str,
    using: &str,
    inputs: Vec<Input>,
    named: &mut Vec<PointId>,
) -> Result<Vec<Vec<f32>>, Refusal> {
    let ids: Vec<PointId> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Point(id) => Some(id.0),
            Input::Vector(_) => None,
        })
        .collect();
    named.extend(&ids);
    let points = if ids.is_empty() {
        Vec::new()
    } else {
        let name = name.to_owned();
        let select = Select {
            payload: false,
            vectors: Which::Named(vec![using.to_owned()]),
        };
        app.read(move |engine| engine.get(&name, &ids, select))
            .await?
    };
    let vector_of = |input: Input| match input {
        Input::Vector(vector) => Ok(vector),
        Input::Point(id) => {
            let point = points.iter().find(|point| point.id == id.0);
            let point =
                point.ok_or_else(|| Refusal::not_found(format!("point {id} does not exist")))?;
            let vector = point.vectors.as_ref().and_then(|all| all.get(using));
            vector.map(<[f32]>::to_vec).ok_or_else(|| {
                Refusal::wrong(match using {
                    "" => format!("point {id} has no vector"),
                    using => format!("point {id} has no vector `{using}`"),
                })
            })
        }
    };
    inputs.into_iter().map(vector_of).collect()
}
