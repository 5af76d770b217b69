//! How much may be at work at once. A request that finds a gate closed is told to come back; it
//! never waits in a line that nobody sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// A number of places for one kind of work.
#[derive(Clone)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// How often it was entered.
    entered: Arc<AtomicU64>,
    /// What is at work, for the message: `searches`.
    what: &'static str,
}

impl Gate {
    pub(crate) fn new(what: &'static str, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            entered: Arc::default(),
            what,
        }
    }

    /// One place, held until the permit is dropped.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.enter_many(1)
    }

    /// Up to so many places, as many as there are, and how many that is; one at least.
    pub(crate) fn enter_some(&self, most: usize) -> Result<(OwnedSemaphorePermit, usize), Refusal> {
        let mut held = self.enter()?;
        while held.num_permits() < most
            && let Ok(one) = Arc::clone(&self.places).try_acquire_owned()
        {
            held.merge(one);
        }
        let places = held.num_permits();
        Ok((held, places))
    }

    /// Several places, or none.
    pub(crate) fn enter_many(&self, places: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.places).try_acquire_many_owned(places);
        let permit = permit
            .map_err(|_| Refusal::busy(format!("too many {} at work, try again", self.what)))?;
        self.entered.fetch_add(1, Ordering::Relaxed);
        Ok(permit)
    }

    /// How often it was entered: more than before means that somebody is about.
    pub(crate) fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
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
        assert_eq!(gate.entered(), 2);
        drop((one, other));
        assert!(gate.enter_many(2).is_ok());
    }
}
