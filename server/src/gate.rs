//! How much may be at work at once. A request that finds a gate closed is told to come back; it
//! never waits in a line that nobody sees.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// A number of places for one kind of work.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// What is at work, for the message: `searches`.
    what: &'static str,
}

impl Gate {
    pub(crate) fn new(what: &'static str, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            what,
        }
    }

    /// One place, held until the permit is dropped.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.enter_many(1)
    }

    /// Several places, or none.
    pub(crate) fn enter_many(&self, places: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.places).try_acquire_many_owned(places);
        permit.map_err(|_| Refusal::busy(format!("too many {} at work, try again", self.what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_refuses_and_opens_again_when_someone_leaves() {
        let gate = Gate::new("searches", 2);
        let one = gate.enter().unwrap();
        assert!(gate.enter_many(2).unwrap_err().is_busy());
        let other = gate.enter().unwrap();
        assert!(gate.enter().is_err());
        drop((one, other));
        assert!(gate.enter_many(2).is_ok());
    }
}
