//! Points that go by themselves, so long after they were put in.
//!
//! A collection's time to live stands in its metadata, and when a point was put in stands in its
//! payload, so both are in the log, in backups and in exports, and need no file of their own. What has
//! expired is decided here, while no other write of the collection can come between, and goes by its
//! ids: whoever replays the log looks at no clock.
//!
//! A point without a time gets that of the sweep that meets it: one that was there before the setting,
//! or whose payload was replaced since. So it lives on for a whole time to live, and never for ever. A
//! time that lies ahead stands: a clock that is behind would take it for wrong, and what it wrote
//! instead would be over too early.

use serde_json::Value;
use storage::{PointId, Record};

use crate::collection::Collection;
use crate::decide::Basis;
use crate::engine::Engine;
use crate::error::Error;
use crate::filter::{Bounds, Condition, Filter, KeyPath, Test};
use crate::limits::MAX_TTL_S;
use crate::payload::IndexKind;
use crate::point::{Ack, Payload, Point};
use crate::spec::CollectionSpec;

/// The key of a payload: when the point was put in, in seconds since 1970.
pub const INSERTED_AT_S: &str = "inserted_at_s";
/// The key of a collection's metadata: seconds that its points live.
pub const TTL_S: &str = "ttl_s";

/// Nothing was put in before this existed (November 2023): a clock that says so is wrong.
const EARLIEST_S: u64 = 1_700_000_000;

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Points that were given a time.
    pub dated: usize,
    /// Points that had expired.
    pub removed: usize,
}

impl CollectionSpec {
    /// Seconds that points live after they were put in; nothing if they stay.
    pub fn ttl_s(&self) -> Option<u64> {
        ttl_of(&self.metadata)
    }
}

fn ttl_of(metadata: &Payload) -> Option<u64> {
    let told = metadata.get(TTL_S)?.as_u64();
    told.filter(|seconds| (1..=MAX_TTL_S).contains(seconds))
}

impl Collection {
    fn ttl_s(&self) -> Option<u64> {
        ttl_of(&self.settings().metadata)
    }
}

/// A time, up to so many seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of the next million years are whole in it"
)]
fn dated(upto_s: Option<u64>) -> Condition {
    let bounds = Bounds {
        gte: Some(EARLIEST_S as f64),
        lte: upto_s.map(|upto_s| upto_s as f64),
        ..Bounds::default()
    };
    Condition::Key {
        key: KeyPath::of(INSERTED_AT_S),
        test: Test::Number(bounds),
    }
}

impl Engine {
    /// Points that come into a collection that does not keep them for good are given the time.
    pub(crate) fn date(&self, target: &Collection, points: &mut [Point]) {
        if target.ttl_s().is_none() {
            return;
        }
        let now_s = self.shared().disk.now_s();
        if now_s < EARLIEST_S {
            return;
        }
        for point in points {
            let known = point.payload.get(INSERTED_AT_S).and_then(Value::as_u64);
            if known.is_none_or(|at_s| at_s < EARLIEST_S) {
                let now = Value::from(now_s);
                point.payload.insert(INSERTED_AT_S.to_owned(), now);
            }
        }
    }

    /// The collections whose points do not stay for good.
    pub fn retained(&self) -> Vec<String> {
        let all = self.shared().catalog.all();
        let all = all.iter().filter(|it| !it.is_entry && it.ttl_s().is_some());
        all.map(|it| it.name.clone()).collect()
    }

    /// The points whose time is over at `now_s` (seconds since 1970), or who have none, in no order.
    /// None while the clock says what it cannot be.
    ///
    /// # Errors
    /// There is no such collection, or writing has stopped.
    pub fn due(&self, name: &str, now_s: u64) -> Result<Vec<PointId>, Error> {
        let target = self.holder(name)?;
        let Some(ttl_s) = target.ttl_s().filter(|_| now_s >= EARLIEST_S) else {
            return Ok(Vec::new());
        };
        self.index_times(&target)?;
        self.shared().wait_applied()?;
        let [expired, undated] = kinds(now_s, ttl_s);
        let mut ids = self.let_through(&target, &target.resolve(&expired))?;
        ids.extend(self.let_through(&target, &target.resolve(&undated))?);
        Ok(ids)
    }

    /// Takes those of these points out whose time is over at `now_s`, and gives it to those who have none;
    /// others, and who has gone meanwhile, are left alone. A payload that has no room for the time goes
    /// without.
    ///
    /// # Errors
    /// There is no such collection, or writing has stopped.
    pub fn sweep(&self, name: &str, now_s: u64, ids: &[PointId]) -> Result<Swept, Error> {
        let target = self.holder(name)?;
        let Some(ttl_s) = target.ttl_s().filter(|_| now_s >= EARLIEST_S) else {
            return Ok(Swept::default());
        };
        self.decided(|| self.sweep_once(&target, (now_s, ttl_s), ids))
    }

    fn sweep_once(
        &self,
        target: &Collection,
        (now_s, ttl_s): (u64, u64),
        ids: &[PointId],
    ) -> Result<Swept, Error> {
        let deciding = self.alone(target);
        self.shared().wait_applied()?;
        let [expired, undated] =
            kinds(now_s, ttl_s).map(|filter| self.those_of(target, &filter, ids));
        let (expired, undated) = (expired?, undated?);
        let removed = expired.len();
        if removed > 0 {
            let record = Record::Delete {
                collection: target.id,
                ids: expired,
            };
            self.write(deciding.basis, record, Ack::Applied)?;
        }
        let dated = self.date_those(deciding.basis, target, undated, now_s)?;
        Ok(Swept { dated, removed })
    }

    /// In one record, unless somebody's payload has no room: how many could be given the time.
    fn date_those(
        &self,
        basis: Basis,
        target: &Collection,
        ids: Vec<PointId>,
        now_s: u64,
    ) -> Result<usize, Error> {
        let time = Payload::from_iter([(INSERTED_AT_S.to_owned(), Value::from(now_s))]);
        match (ids.len(), ids.first()) {
            (count, Some(first)) => {
                match self.set_on(basis, target, (ids.clone(), time), Ack::Applied) {
                    Ok(_) => Ok(count),
                    Err(Error::TooLarge(why)) if count == 1 => {
                        tracing::warn!(%first, why, "a point will not expire");
                        Ok(0)
                    }
                    Err(Error::TooLarge(_)) => {
                        let one_by_one = ids
                            .iter()
                            .map(|id| self.date_those(basis, target, vec![*id], now_s));
                        one_by_one.sum()
                    }
                    Err(error) => Err(error),
                }
            }
            (_, None) => Ok(0),
        }
    }

    /// Those of the points that a filter lets through, by their payloads.
    fn those_of(
        &self,
        target: &Collection,
        filter: &Filter,
        ids: &[PointId],
    ) -> Result<Vec<PointId>, Error> {
        let mut through = Vec::new();
        for id in ids {
            if self.lets_through(target, filter, id)? {
                through.push(*id);
            }
        }
        Ok(through)
    }

    /// Without an index every sweep would read every payload. Where there is no room for one more, it does.
    fn index_times(&self, target: &Collection) -> Result<(), Error> {
        let key = KeyPath::of(INSERTED_AT_S);
        if target.state.read().payload.field(&key).is_some() {
            return Ok(());
        }
        match self.create_index(&target.name, key, IndexKind::Integer, Ack::Applied) {
            Ok(_) | Err(Error::TooLarge(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Those whose time is over, and those who have none.
fn kinds(now_s: u64, ttl_s: u64) -> [Filter; 2] {
    let over = Filter::must(dated(Some(now_s.saturating_sub(ttl_s))));
    let none = Filter {
        must_not: vec![dated(None)],
        ..Filter::default()
    };
    [over, none]
}
