//! How a search is done, as it travels: the part that searches of every kind share.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema;
use super::unsupported::{self, Absent};
use crate::limits;
use crate::refusal::Refusal;

/// How a search is done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SearchOptions {
    pub(crate) ef: Option<usize>,
    /// The part of the true hits that is wanted, instead of an `ef`.
    pub(crate) target_recall: Option<f32>,
    pub(crate) exact: bool,
    pub(crate) score_threshold: Option<f32>,
}

/// How hits are grouped: `limit` groups of `size` hits with the same value at `by`.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) by: String,
    pub(crate) size: usize,
}

impl Groups {
    /// `group_by` and `group_size` of a body.
    pub(crate) fn new(by: Option<String>, size: Option<usize>) -> Result<Option<Self>, Refusal> {
        let Some(by) = by else {
            return match size {
                None => Ok(None),
                Some(_) => Err(Refusal::wrong("`group_size` goes with `group_by`")),
            };
        };
        let (size, most) = (
            size.unwrap_or(limits::DEFAULT_GROUP_SIZE),
            limits::GROUP_SIZE,
        );
        if by.is_empty() {
            return Err(Refusal::wrong("`group_by` must name a payload key"));
        }
        if size == 0 || size > most {
            return Err(Refusal::wrong(format!("`group_size` must be 1 to {most}")));
        }
        Ok(Some(Self { by, size }))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "SearchParams")]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// How far a walk goes. By default as far as was measured to take for 0.99 of the ten nearest, 64
    /// at least; all points are looked at where that is less work.
    #[schemars(range(min = 1, max = engine::limits::MAX_EF))]
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    /// Instead of `hnsw_ef`: the part of the true hits that is wanted, 0.5 to 1. What it takes is
    /// measured on the collection's own points (an extension of this server; see `/tune`).
    #[schemars(range(min = 0.5, max = 1.0))]
    target_recall: Option<f32>,
    /// Everything is indexed at once, so both values mean the same.
    #[serde(rename = "indexed_only")]
    #[schemars(transform = schema::no_effect)]
    _indexed_only: Option<bool>,
    quantization: Absent,
    acorn: Absent,
}

/// The number of hits, or of groups.
pub(super) fn limit(
    limit: Option<usize>,
    offset: Option<usize>,
    groups: Option<&Groups>,
) -> Result<usize, Refusal> {
    let limit = limit.unwrap_or(limits::DEFAULT_LIMIT);
    let most = limits::GROUPS;
    match groups {
        None => checked_limit(limit, offset),
        Some(_) if offset.is_some() => Err(Refusal::wrong("`offset` does not go with groups")),
        Some(_) if limit == 0 || limit > most => Err(Refusal::wrong(format!(
            "`limit`, the number of groups, must be 1 to {most}"
        ))),
        Some(_) => Ok(limit),
    }
}

pub(super) fn options(
    params: Option<Params>,
    score_threshold: Option<f32>,
) -> Result<SearchOptions, Refusal> {
    let params = params.unwrap_or_default();
    unsupported::refuse(&[
        ("params.quantization", &params.quantization),
        ("params.acorn", &params.acorn),
    ])?;
    if params.hnsw_ef.is_some() && params.target_recall.is_some() {
        return Err(Refusal::wrong(
            "give either `hnsw_ef` or `target_recall`, from which an `hnsw_ef` follows",
        ));
    }
    let target_recall = params.target_recall.map(checked_recall).transpose()?;
    Ok(SearchOptions {
        target_recall,
        ..SearchOptions::new(params.hnsw_ef, params.exact, score_threshold)?
    })
}

/// Recalls that can be asked for.
const RECALLS: RangeInclusive<f32> = 0.5..=1.0;

/// A part of the true hits that can be asked for.
pub(super) fn checked_recall(recall: f32) -> Result<f32, Refusal> {
    if RECALLS.contains(&recall) {
        return Ok(recall);
    }
    let (least, most) = (RECALLS.start(), RECALLS.end());
    Err(Refusal::wrong(format!(
        "`target_recall` must be {least} to {most}, got {recall}"
    )))
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
            target_recall: None,
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
