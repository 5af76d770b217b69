//! What a connection is at: how many of its requests are at work, how many of its answers are on
//! their way, and when something of either last moved.
//!
//! What a protocol says for itself, such as a ping, is no movement: a client that only answers pings
//! is idle, and one that asks and then lets no byte of the answer through is stalled.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::time::Instant;

use crate::limits;

/// The work of one connection.
#[derive(Clone)]
pub(crate) struct AtWork(Rc<Work>);

struct Work {
    requests: Cell<usize>,
    answers: Cell<usize>,
    moved: Cell<Instant>,
}

/// Which limit of time a connection is under.
pub(crate) enum State {
    /// A request is at work, which has a limit of its own.
    Working,
    /// An answer is on its way; its last piece was fetched then.
    Answering(Instant),
    /// Nothing is to be done, since then.
    Quiet(Instant),
}

impl AtWork {
    /// A connection that was just made.
    pub(crate) fn new() -> Self {
        Self(Rc::new(Work {
            requests: Cell::new(0),
            answers: Cell::new(0),
            moved: Cell::new(Instant::now()),
        }))
    }

    /// Begins a request.
    pub(crate) fn enter(&self) -> Working {
        self.0.requests.set(self.0.requests.get() + 1);
        Working(self.clone())
    }

    pub(crate) fn state(&self) -> State {
        let moved = self.0.moved.get();
        match (self.0.requests.get(), self.0.answers.get()) {
            (0, 0) => State::Quiet(moved),
            (0, _) => State::Answering(moved),
            _ => State::Working,
        }
    }

    fn moved(&self) {
        self.0.moved.set(Instant::now());
    }
}

/// A request at work, until it is dropped.
pub(crate) struct Working(AtWork);

impl Working {
    /// The request is answered with this; its connection is at it until it is dropped.
    pub(crate) fn answered(&self, body: BoxBody) -> Answer {
        let work = &self.0.0;
        work.answers.set(work.answers.get() + 1);
        Answer {
            body,
            piece: Bytes::new(),
            work: self.0.clone(),
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let left = self.0.0.requests.get().saturating_sub(1);
        self.0.0.requests.set(left);
        self.0.moved();
    }
}

/// The body of an answer. It is given in pieces of [`limits::ANSWER_PIECE_BYTES`] at most, so that
/// each that is fetched tells of the client's taking it.
pub(crate) struct Answer {
    body: BoxBody,
    piece: Bytes,
    work: AtWork,
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.work.moved();
        if self.piece.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(piece)) => self.piece = piece,
                other => return Poll::Ready(other),
            }
        }
        let bytes = self.piece.len().min(limits::ANSWER_PIECE_BYTES);
        Poll::Ready(Some(Ok(self.piece.split_to(bytes))))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let left = self.work.0.answers.get().saturating_sub(1);
        self.work.0.answers.set(left);
        self.work.moved();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_given_in_small_pieces_and_is_whole() {
        let at_work = AtWork::new();
        let working = at_work.enter();
        let whole: Vec<u8> = (0..=250).cycle().take(300_000).collect();
        let mut answer = working.answered(BoxBody::new(whole.clone()));
        drop(working);
        assert!(matches!(answer.size(), BodySize::Sized(300_000)));
        let mut given = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut answer).poll_next(context)).await {
            assert!(matches!(at_work.state(), State::Answering(_)));
            let piece = piece.unwrap();
            assert!((1..=limits::ANSWER_PIECE_BYTES).contains(&piece.len()));
            given.extend_from_slice(&piece);
        }
        assert!(given == whole);
        drop(answer);
        assert!(matches!(at_work.state(), State::Quiet(_)));
    }
}
