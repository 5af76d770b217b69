//! Points in the order of a payload value, and values by how often they occur: what the indexes of
//! numbers, dates and words know without reading payloads.

use std::ops::Bound;

use roaring::RoaringBitmap;
use serde_json::Value;
use storage::PointId;

use crate::collection::{Collection, State};
use crate::error::Error;
use crate::filter::KeyPath;
use crate::payload::{FieldIndex, Float, IndexKind, Key};
use crate::point::{Order, OrderFrom};

/// A point and the value that put it in its place.
pub(crate) type Placed = (PointId, Value);

impl Collection {
    /// Points in order, at most so many, those of equal values by id. A point with several values
    /// is in several places.
    pub(crate) fn in_order(
        &self,
        order: &Order,
        among: Option<&[PointId]>,
        limit: usize,
    ) -> Result<Vec<Placed>, Error> {
        let state = self.state.read();
        let field = state.ordered_field(&order.key)?;
        let from = order
            .start_from
            .map(|from| start(field, from, order.descending));
        let from = from.transpose()?;
        let range = match (from, order.descending) {
            (None, _) => (Bound::Unbounded, Bound::Unbounded),
            (Some(from), false) => (Bound::Included(from), Bound::Unbounded),
            (Some(from), true) => (Bound::Unbounded, Bound::Included(from)),
        };
        let among = among.map(|ids| state.numbers_of(ids));
        let mut placed = Vec::new();
        let mut keys = field.postings.in_order(range);
        while placed.len() < limit {
            let next = match order.descending {
                false => keys.next(),
                true => keys.next_back(),
            };
            let Some((key, points)) = next else { break };
            let points = match &among {
                None => points,
                Some(among) => points & among,
            };
            let ids = points.iter().map(crate::numbers::PointNumber);
            let mut ids: Vec<PointId> = ids.filter_map(|number| state.numbers.id(number)).collect();
            ids.sort_unstable();
            let value = key.value();
            let left = limit - placed.len();
            placed.extend(ids.into_iter().take(left).map(|id| (id, value.clone())));
        }
        Ok(placed)
    }

    /// Values at a key with the number of points that have them, the most frequent first.
    pub(crate) fn facet(
        &self,
        key: &KeyPath,
        among: Option<&[PointId]>,
        limit: usize,
    ) -> Result<Vec<(Value, u64)>, Error> {
        let state = self.state.read();
        let field = state.payload.field(key);
        let countable = |field: &&FieldIndex| {
            matches!(
                field.kind,
                IndexKind::Keyword | IndexKind::Integer | IndexKind::Bool | IndexKind::Uuid
            )
        };
        let field = field.filter(countable).ok_or_else(|| {
            Error::BadRequest(format!(
                "values of `{key}` are counted by its index, which must be one of keyword, \
                 integer, bool or uuid: there is none; create it first"
            ))
        })?;
        let among = match among {
            None => state.payload.live().clone(),
            Some(ids) => state.numbers_of(ids),
        };
        let mut counts = field.postings.counts(&among);
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(limit);
        let counts = counts.into_iter();
        Ok(counts.map(|(key, count)| (key.value(), count)).collect())
    }
}

impl State {
    fn numbers_of(&self, ids: &[PointId]) -> RoaringBitmap {
        let numbers = ids.iter().filter_map(|id| self.numbers.number(id));
        numbers.map(|number| number.0).collect()
    }

    fn ordered_field(&self, key: &KeyPath) -> Result<&FieldIndex, Error> {
        let ordered = |field: &&FieldIndex| {
            matches!(
                field.kind,
                IndexKind::Integer | IndexKind::Float | IndexKind::Datetime
            )
        };
        self.payload.field(key).filter(ordered).ok_or_else(|| {
            Error::BadRequest(format!(
                "`order_by` goes by the index of `{key}`, which must be one of integer, float or \
                 datetime: there is none; create it first"
            ))
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a start beyond the last number is the last number"
)]
fn start(field: &FieldIndex, from: OrderFrom, descending: bool) -> Result<Key, Error> {
    match (field.kind, from) {
        (IndexKind::Integer, OrderFrom::Integer(number)) => Ok(Key::Integer(number)),
        (IndexKind::Integer, OrderFrom::Float(number)) => Ok(Key::Integer(match descending {
            false => number.ceil() as i64,
            true => number.floor() as i64,
        })),
        (IndexKind::Float, OrderFrom::Integer(number)) => Ok(Key::Float(Float(number as f64))),
        (IndexKind::Float, OrderFrom::Float(number)) => Ok(Key::Float(Float(number))),
        (IndexKind::Datetime, OrderFrom::Date(micros) | OrderFrom::Integer(micros)) => {
            Ok(Key::Date(micros))
        }
        _ => Err(Error::BadRequest(format!(
            "`start_from` is of another kind than the index of `{}`",
            field.path
        ))),
    }
}
