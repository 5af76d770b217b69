//! Points that go by themselves, so long after they were put in.
//!
//! A collection's time to live stands in its metadata, and when a point was put in stands in its
//! payload, so both are in the log, in backups and in exports, and need no file of their own. What has
//! expired is decided here, while no other write of the collection can come between, and goes by its
//! ids: whoever replays the log looks at no clock.
//!
//! A point without a time that can be one gets the time of the sweep that meets it: one that was there
//! before the setting, one whose payload was replaced since, one that a wrong clock wrote down. So it
//! lives on for a whole time to live, and never for ever.

use serde_json::Value;
use storage::{PointId, Record};

use crate::collection::Collection;
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
/// How far the clock of whoever put a point in may be ahead of this one.
const AHEAD_S: u64 = 86_400;

/// What one sweep has done.
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

/// A time that may be one.
fn within(from_s: u64, to_s: u64) -> Condition {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of the next million years are whole in it"
    )]
    let bounds = Bounds {
        gte: Some(from_s as f64),
        lte: Some(to_s as f64),
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
        for point in points {
            let known = point.payload.get(INSERTED_AT_S).and_then(Value::as_u64);
            if known.is_none_or(|at_s| !(EARLIEST_S..=now_s + AHEAD_S).contains(&at_s)) {
                let now = Value::from(now_s);
                point.payload.insert(INSERTED_AT_S.to_owned(), now);
            }
        }
    }

    /// The collections whose points do not stay for good.
    pub fn retained(&self) -> Vec<String> {
        let all = self.shared().catalog.all();
        let all = all.iter().filter(|it| it.ttl_s().is_some());
        all.map(|it| it.name.clone()).collect()
    }

    /// Takes up to so many points out whose time is over at `now_s` (seconds since 1970), and gives up to
    /// so many a time that have none. Nothing is left to do when it has done nothing.
    ///
    /// # Errors
    /// There is no such collection, or writing has stopped.
    pub fn sweep_expired(&self, name: &str, now_s: u64, most: usize) -> Result<Swept, Error> {
        let target = self.collection(name)?;
        let Some(ttl_s) = target.ttl_s() else {
            return Ok(Swept::default());
        };
        self.index_times(&target)?;
        let _deciding = target.deciding.write();
        let over_s = now_s.saturating_sub(ttl_s);
        let expired = Filter::must(within(EARLIEST_S, over_s));
        let expired = self.first_of(&target, &expired, most)?;
        let removed = expired.len();
        if removed > 0 {
            let record = Record::Delete {
                collection: target.id,
                ids: expired,
            };
            self.write(record, Ack::Applied)?;
        }
        let undated = Filter {
            must_not: vec![within(EARLIEST_S, now_s + AHEAD_S)],
            ..Filter::default()
        };
        let undated = self.first_of(&target, &undated, most)?;
        let dated = undated.len();
        if dated > 0 {
            let time = (INSERTED_AT_S.to_owned(), Value::from(now_s));
            self.set_on(&target, undated, Payload::from_iter([time]), Ack::Applied)?;
        }
        Ok(Swept { dated, removed })
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

    fn first_of(
        &self,
        target: &Collection,
        filter: &Filter,
        most: usize,
    ) -> Result<Vec<PointId>, Error> {
        self.shared().wait_applied()?;
        let mut ids = self.let_through(target, &target.resolve(filter))?;
        if ids.len() > most {
            ids.select_nth_unstable(most);
            ids.truncate(most);
        }
        ids.sort_unstable();
        Ok(ids)
    }
}
