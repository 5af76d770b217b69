//! Searches that come before another, as they travel. They may have such searches themselves.

use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::WireFilter;
use super::input::InputOr;
use super::kind::{QueryKind, Target};
use super::list::OneOrMore;
use super::options::{self, Params};
use super::query::Search;
use super::select::View;
use super::unsupported::{self, Absent};
use crate::limits;
use crate::refusal::Refusal;

/// A search whose hits another one merges, or looks among.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefetch {
    prefetch: Option<OneOrMore<Prefetch>>,
    query: Option<InputOr<QueryKind>>,
    using: Option<String>,
    filter: Option<WireFilter>,
    params: Option<Params>,
    score_threshold: Option<f32>,
    /// 10 by default.
    #[schemars(range(min = 1, max = limits::HITS))]
    limit: Option<usize>,
    lookup_from: Absent,
}

/// The searches of a field `prefetch`, which is so deep in its query.
pub(super) fn searches(
    wire: Option<OneOrMore<Prefetch>>,
    depth: usize,
) -> Result<Vec<Search>, Refusal> {
    let wire = wire.map(|wire| wire.0).unwrap_or_default();
    if !wire.is_empty() && depth > limits::PREFETCH_DEPTH {
        return Err(Refusal::wrong(format!(
            "`prefetch` may be nested {} deep at most",
            limits::PREFETCH_DEPTH
        )));
    }
    let searches = wire.into_iter().enumerate().map(|(n, one)| {
        let search = one.search(depth);
        search.map_err(|refusal| refusal.at(&format!("`prefetch[{n}]`")))
    });
    searches.collect()
}

/// Refuses a query with more searches before it than a server bears.
pub(super) fn few(search: &Search) -> Result<(), Refusal> {
    fn count(search: &Search) -> usize {
        let inner = search.prefetch.iter().map(count);
        search.prefetch.len() + inner.sum::<usize>()
    }
    match count(search) > limits::PREFETCHES {
        true => Err(Refusal::too_large(format!(
            "`prefetch` may have at most {} searches, those within them included",
            limits::PREFETCHES
        ))),
        false => Ok(()),
    }
}

impl Prefetch {
    fn search(self, depth: usize) -> Result<Search, Refusal> {
        unsupported::refuse(&[("lookup_from", &self.lookup_from)])?;
        let search = Search {
            target: Target::of(self.query)?,
            using: self.using.unwrap_or_default(),
            limit: options::limit(self.limit, None, None)?,
            offset: 0,
            options: options::options(self.params, self.score_threshold)?,
            filter: self.filter.map(|filter| filter.0),
            view: View::new(None, false, None)?,
            groups: None,
            prefetch: searches(self.prefetch, depth + 1)?,
        };
        search.makes_sense()
    }
}
