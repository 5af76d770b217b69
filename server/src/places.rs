//! The places that a request holds for all that it reads. It takes as many as it can use, and as there
//! are, one at least, and is never refused for what it reads itself: it waits for one of its own.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gate::Gate;
use crate::refusal::Refusal;

tokio::task_local! {
    static PLACES: Arc<Places>;
}

/// Places behind a gate, and who of the request has them.
struct Places {
    free: Arc<Semaphore>,
    _held: OwnedSemaphorePermit,
}

/// A place that one read of the request has, also when the request itself has gone.
pub(crate) struct Own {
    _place: OwnedSemaphorePermit,
    _all: Arc<Places>,
}

/// Does work that reads several times, so many of them at once. Where it is part of what has places
/// already, it goes by those.
pub(crate) async fn within<T>(
    gate: &Gate,
    most: usize,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    if PLACES.try_with(|_| ()).is_ok() {
        return work.await;
    }
    let (held, places) = gate.enter_some(most)?;
    let places = Arc::new(Places {
        free: Arc::new(Semaphore::new(places)),
        _held: held,
    });
    PLACES.scope(places, work).await
}

/// A place of the request at work, as soon as one is free, if it holds some.
pub(crate) async fn own() -> Option<Own> {
    let all = PLACES.try_with(Arc::clone).ok()?;
    let place = Arc::clone(&all.free).acquire_owned().await.ok()?;
    Some(Own {
        _place: place,
        _all: all,
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future;

    use super::*;

    #[tokio::test]
    async fn a_request_waits_for_its_own_places_and_holds_them_until_its_reads_have_ended() {
        let gate = Gate::new("searches", 3);
        assert!(own().await.is_none(), "outside of a request");
        let read = within(&gate, 4, async {
            let first = own().await;
            let all = future::join_all([own(), own()]).await;
            assert!(gate.enter().is_err(), "all three are held");
            assert!(own().now_or_never().is_none(), "nobody gives a fourth");
            drop(all);
            // What is part of it takes no more.
            let inner = within(&gate, 4, async { Ok(own().await.is_some()) });
            assert!(inner.await?);
            Ok(first)
        });
        let read = read.await.unwrap();
        assert!(gate.enter().is_err(), "one of its reads goes on");
        drop(read);
        let one = gate.enter().unwrap();
        let rest = within(&gate, 4, async {
            assert!(gate.enter().is_err());
            Ok(future::join_all([own(), own()]).await)
        });
        rest.await.unwrap();
        let other = gate.enter_many(2).unwrap();
        let none = within(&gate, 4, async { Ok(()) });
        assert!(none.await.unwrap_err().is_busy());
        drop((one, other));
    }
}
