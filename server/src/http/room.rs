//! Memory for the bodies of requests: what is read, and what it becomes, is promised before it is
//! taken. Small bodies are not asked about; there are never more of them at work than the gates let in.

use std::cell::RefCell;
use std::future::Future;

use super::parts::Parts;
use crate::limits;
use crate::memory::{Memory, Promise};
use crate::refusal::Refusal;

tokio::task_local! {
    static ROOM: Room;
}

/// What the request at work has of memory for its body.
pub(crate) struct Room {
    memory: Memory,
    /// Whether it may leave more in memory than there was.
    adds: bool,
    held: RefCell<Option<Promise>>,
}

impl Room {
    /// Runs a request.
    pub(crate) async fn scope<F: Future>(memory: Memory, adds: bool, work: F) -> F::Output {
        let room = Self {
            memory,
            adds,
            held: RefCell::default(),
        };
        ROOM.scope(room, work).await
    }

    /// What was promised for the body: what has become of it lies in memory now, and whoever makes something
    /// else of it asks anew.
    pub(crate) fn release() -> Option<Promise> {
        ROOM.try_with(|room| room.held.take()).ok().flatten()
    }

    /// Bytes that were promised for the body of the request at work, and are held for it.
    pub(crate) fn held_bytes() -> u64 {
        let held = ROOM.try_with(|room| room.held.borrow().as_ref().map_or(0, Promise::whole));
        held.unwrap_or_default()
    }

    /// Keeps it until it is released or the request is answered.
    pub(super) fn hold(promise: Option<Promise>) {
        let _ = ROOM.try_with(|room| room.held.replace(promise));
    }
}

/// A body while it is read.
#[derive(Default)]
pub(super) struct Reading {
    /// And whether the request may leave more in it.
    memory: Option<(Memory, bool)>,
    read: usize,
    promise: Option<Promise>,
}

impl Reading {
    /// Of the request at work.
    pub(super) fn new() -> Self {
        Self {
            memory: ROOM.try_with(|room| (room.memory.clone(), room.adds)).ok(),
            ..Self::default()
        }
    }

    /// So many bytes are to come. There is room for as much again as there is, so that whoever sends
    /// little holds little, whatever it says that it will send.
    pub(super) fn takes(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.read += bytes;
        let promised = self.promise.as_ref().map_or(0, Promise::bytes);
        if self.read > limits::INLINE_PARSE_BYTES && self.read as u64 > promised {
            self.promise(self.read as u64 * 2)?;
        }
        Ok(())
    }

    /// What the bytes become is promised in the place of what reading them took.
    pub(super) fn becomes(&mut self, parts: &Parts, bytes: usize) -> Result<(), Refusal> {
        if bytes > limits::INLINE_PARSE_BYTES {
            self.promise(parts.memory_bytes(bytes))?;
        }
        Ok(())
    }

    /// It has been read: what it has become lies in memory now. What is made of that takes no more than
    /// the other half.
    pub(super) fn hold(self) {
        if let Some(promise) = &self.promise {
            promise.keep(promise.bytes() / 2);
        }
        Room::hold(self.promise);
    }

    fn promise(&mut self, bytes: u64) -> Result<(), Refusal> {
        let Some((memory, adds)) = &self.memory else {
            return Ok(());
        };
        memory.promise_body(bytes, *adds, &mut self.promise)
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::Format;
    use super::super::parts::Place;
    use super::*;

    #[test]
    fn whoever_sends_little_has_little_promised_and_a_body_that_would_become_too_much_is_refused() {
        let memory = Memory::new(0, &crate::metrics::Metrics::new());
        let mut reading = Reading {
            memory: Some((memory.clone(), true)),
            ..Reading::default()
        };
        reading.takes(limits::INLINE_PARSE_BYTES).unwrap();
        assert_eq!(memory.promised_bytes(), 0);
        reading.takes(1).unwrap();
        let first = memory.promised_bytes();
        assert_eq!(first, 2 * (limits::INLINE_PARSE_BYTES as u64 + 1));
        reading.takes(1_000).unwrap();
        assert_eq!(memory.promised_bytes(), first, "not for each piece anew");
        let objects = b"{".repeat(100_000);
        let parts = Parts::of(Format::Json, &objects, Place::Outside);
        let becomes = parts.memory_bytes(objects.len());
        assert!(becomes > 100_000 * 700, "{becomes}");
        reading.becomes(&parts, objects.len()).unwrap();
        assert_eq!(memory.promised_bytes(), becomes);
        drop(reading);
        assert_eq!(memory.promised_bytes(), 0);
        let mut reading = Reading {
            memory: Some((Memory::new(1, &crate::metrics::Metrics::new()), true)),
            ..Reading::default()
        };
        let refused = reading.becomes(&parts, objects.len()).unwrap_err();
        assert_eq!(refused.status(), 507);
        assert!(
            refused.message().contains("smaller parts"),
            "{}",
            refused.message()
        );
    }
}
