//! Memory for photos while they are decoded. Most are done in a moment, so whoever finds that others have what
//! is missing waits for it; nobody holds a thread that may block meanwhile, but a worker its own.

use std::thread;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Memory, Promise, Wanted, What};
use crate::refusal::Refusal;

/// How long a photo waits for what others have, and how often it looks: most are done within that.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

impl Memory {
    /// Until when photos that are looked at together now wait for what others have.
    pub(crate) fn patience() -> Instant {
        Instant::now() + PATIENCE
    }

    /// Room for a photo that takes so many bytes while it is looked at, whose request has so many for its body,
    /// after others that have had as much as was promised before. It stays no longer than a search, and has room
    /// where that has. This is for threads that may block.
    pub(crate) fn promise_photo(
        &self,
        sizes: (u64, u64),
        before: &mut Option<Promise>,
        until: Instant,
    ) -> Result<(), Refusal> {
        loop {
            match self.try_photo(sizes, before) {
                Err(refusal) if refusal.is_busy() && Instant::now() < until => thread::sleep(LOOK),
                outcome => return self.told(outcome),
            }
        }
    }

    /// The same for one that is looked at by itself, without a thread.
    pub(crate) async fn room_for_photo(
        &self,
        sizes: (u64, u64),
    ) -> Result<Option<Promise>, Refusal> {
        let (until, mut room) = (Self::patience(), None);
        loop {
            match self.try_photo(sizes, &mut room) {
                Err(refusal) if refusal.is_busy() && Instant::now() < until => sleep(LOOK).await,
                outcome => return self.told(outcome).map(|()| room),
            }
        }
    }

    fn try_photo(
        &self,
        (bytes, own): (u64, u64),
        before: &mut Option<Promise>,
    ) -> Result<(), Refusal> {
        if before.as_ref().map_or(0, Promise::bytes) >= bytes {
            return Ok(());
        }
        let wanted = Wanted {
            bytes,
            beyond: self.reserve(),
            own,
            what: What::Photo,
        };
        self.promise_instead(wanted, before)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    use tokio::task::yield_now;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_photo_waits_a_moment_for_what_others_have_and_then_comes_back() {
        let mut memory = Memory::new(1, &Metrics::new());
        memory.limit = Some(Memory::used_bytes() + (1 << 40));
        let other = memory.hold(1 << 40);
        let mut room = None;
        let until = || Memory::patience();
        let refused = memory
            .promise_photo((1 << 39, 0), &mut room, until())
            .unwrap_err();
        assert!(refused.is_busy() && room.is_none(), "{refused}");
        thread::scope(|scope| {
            scope.spawn(|| drop(other));
            memory
                .promise_photo((1 << 39, 0), &mut room, until())
                .unwrap();
        });
        // One after the other they take what the largest of them does.
        memory
            .promise_photo((1 << 30, 0), &mut room, until())
            .unwrap();
        assert_eq!(memory.promised_bytes(), 1 << 39);
        let most = memory
            .promise_photo((1 << 41, 0), &mut room, until())
            .unwrap_err();
        assert_eq!(
            (most.status().as_u16(), memory.promised_bytes()),
            (413, 1 << 39)
        );
    }

    #[test]
    fn a_photo_does_not_come_back_for_what_its_own_request_has() {
        let mut memory = Memory::new(1, &Metrics::new());
        memory.limit = Some(Memory::used_bytes() + (1 << 40));
        let body = memory.hold(3 << 38);
        let asked = |own| {
            let until = Instant::now();
            let refused = memory.promise_photo((1 << 39, own), &mut None, until);
            refused.unwrap_err().status().as_u16()
        };
        assert_eq!(asked(0), 503);
        assert_eq!(asked(body.whole()), 413);
    }

    #[tokio::test]
    async fn who_waits_for_memory_holds_no_thread() {
        let mut memory = Memory::new(1, &Metrics::new());
        memory.limit = Some(Memory::used_bytes() + (1 << 40));
        let other = memory.hold(1 << 40);
        // On the only thread that there is.
        let frees = async {
            yield_now().await;
            drop(other);
        };
        let (room, ()) = join(memory.room_for_photo((1 << 39, 0)), frees).await;
        assert_eq!(room.unwrap().unwrap().bytes(), 1 << 39);
    }
}
