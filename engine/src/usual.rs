//! How far searches walk that name no `ef`: measured beside everything else, by a thread of its own
//! that rests as long as it works. Until an index has been measured, and again when it has twice as
//! many points or half as many, they go by what was known before, first by the index's own default.
//!
//! Nothing is measured while a collection is only written to: who fills one pays once, at its end.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use storage::{CollectionId, Lsn, VectorId};

use crate::background::stand_back;
use crate::collection::Collection;
use crate::error::Error;
use crate::shared::Shared;
use crate::sync::{Receiver, RecvTimeoutError};

/// How often the thread looks whether an index is to be measured.
const TICK: Duration = Duration::from_secs(1);

/// An index that is to be measured.
struct Unsettled {
    vector: VectorId,
    /// The last change of its collection, and its points: a long record changes these before that.
    state: (Lsn, usize),
    /// Over it, so far.
    walks: u64,
}

/// Runs until `stop` is closed.
pub(crate) fn run(shared: &Shared, stop: &Receiver<()>) {
    stand_back();
    let mut before = HashMap::<(CollectionId, VectorId), Unsettled>::new();
    // Those that changed too much while they were measured: not before they are at rest.
    let mut restless = HashSet::new();
    let rests = |time| matches!(stop.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    while rests(TICK) {
        let mut now = HashMap::new();
        for collection in shared.catalog.all() {
            for index in collection.unsettled() {
                let key = (collection.id, index.vector);
                let due = before.get(&key).is_some_and(|before| {
                    let asked = before.walks < index.walks && !restless.contains(&key);
                    before.state == index.state || asked
                });
                if !due {
                    now.insert(key, index);
                    continue;
                }
                let pace = |took| {
                    let there = || shared.catalog.by_id(collection.id).is_some();
                    match rests(took) && there() {
                        true => Ok(()),
                        false => Err(Error::Stopped),
                    }
                };
                match collection.settle_usual(index.vector, pace) {
                    Ok(true) => drop(restless.remove(&key)),
                    Ok(false) => drop(restless.insert(key)),
                    Err(Error::Stopped) => break,
                    Err(error) => {
                        tracing::debug!(collection = collection.name, %error, "nothing was measured");
                    }
                }
            }
        }
        before = now;
    }
}

impl Collection {
    /// The vectors whose searches by default have not been measured lately.
    fn unsettled(&self) -> Vec<Unsettled> {
        let state = self.state.read();
        let spaces = state.spaces.iter();
        let unsettled = spaces.filter(|(_, space)| !space.index.is_settled());
        let unsettled = unsettled.map(|(vector, space)| Unsettled {
            vector: *vector,
            state: (self.changed(), space.index.len()),
            walks: space.index.effort().walks,
        });
        unsettled.collect()
    }
}
