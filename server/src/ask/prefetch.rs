//! Searches that come before another: their hits are merged, or are the only ones that the other one
//! looks among. What the other one filters, they filter too.

use engine::{Condition, Filter, ScoredPoint};
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Prepared;
use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::query::Search;

/// The hits of one search, best first.
type Hits = Vec<ScoredPoint>;

/// The hits of each of these searches, best first; nothing if there are none.
pub(super) fn lists<'a>(
    app: &'a App,
    name: &'a str,
    searches: Vec<Search>,
    filter: Option<&Filter>,
) -> LocalBoxFuture<'a, Result<Option<Vec<Hits>>, Refusal>> {
    let filtered = searches.into_iter().map(|mut search| {
        search.filter = both(search.filter, filter.cloned());
        search
    });
    let filtered: Vec<_> = filtered.collect();
    let lists = async move {
        if filtered.is_empty() {
            return Ok(None);
        }
        let lists = stream::iter(filtered).map(|search| hits(app, name, search));
        let lists = lists.buffered(limits::BATCH_WIDTH).try_collect();
        lists.await.map(Some)
    };
    lists.boxed_local()
}

async fn hits(app: &App, name: &str, search: Search) -> Result<Hits, Refusal> {
    let limit = search.limit;
    let prepared = Prepared::new(app, name, search).await?;
    prepared.hits(app, limit, 0).await
}

/// A filter that lets through only hits of these lists.
pub(super) fn among(filter: Option<Filter>, lists: Option<&[Hits]>) -> Option<Filter> {
    let Some(lists) = lists else {
        return filter;
    };
    let ids = lists.iter().flatten().map(|hit| hit.point.id).collect();
    both(filter, Some(Filter::must(Condition::HasId(ids))))
}

/// What both let through.
fn both(one: Option<Filter>, other: Option<Filter>) -> Option<Filter> {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    Some(Filter {
        must: vec![Condition::Filter(one), Condition::Filter(other)],
        ..Filter::default()
    })
}
