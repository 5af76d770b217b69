//! Connections that come to nothing are given up: those that say nothing or nothing but pings, send
//! the head of a request too slowly, the first or a later one, or do not take their answer. Whoever
//! holds many such connections cannot keep others out for long; and where all places are taken, one that has
//! asked nothing yet may have to leave before (see `connections`).
//!
//! A client that ends its side while it waits for an answer has gone, so that nobody works on for it. Whether
//! it has closed the connection or only says that it has no more to say, and still reads (`nc -N`), its
//! packet does not tell: hyper and Go take both for gone, as nginx does before a server behind it; actix,
//! Node and Apache take both for waiting. But who has no more to say ends its side right after its last
//! byte, who gives up does so after a while of waiting: that is told by `limits::LAST_WORD`.
//!
//! Bodies have limits of their own (`http::body`), and so has the time for which a request may be at
//! work: while one is, this waits.

mod begin;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::Protocol;
use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::at_work::{AtWork, State};
use crate::connections::{Admitted, Leaving};
use crate::limits;
pub(crate) use begin::HTTP2;
use begin::{Io, begin};

/// A connection with a clock.
pub(crate) struct Connection {
    io: Io,
    /// What was read to tell the protocol and is still to be given.
    first: Vec<u8>,
    at_work: AtWork,
    admitted: Admitted,
    leaving: Leaving,
    /// Whether something was read that nobody has looked at yet.
    has_read: bool,
    /// When something was read last.
    heard: Instant,
    /// Since when nothing of what is to be written is taken.
    stalled: Option<Instant>,
    /// Whether no more could be written at the last attempt.
    full: bool,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    /// Waits for the first bytes, within a time, and looks which protocol they are of. With TLS its
    /// handshake is waited for within the same time, and says which it is.
    pub(crate) async fn accept(
        io: TcpStream,
        tls: Option<TlsAcceptor>,
        admitted: Admitted,
    ) -> io::Result<(Self, Protocol, Option<SocketAddr>)> {
        io.set_nodelay(true)?;
        let peer = io.peer_addr().ok();
        let mut leaving = admitted.leaving();
        let begun = tokio::select! {
            biased;
            begun = timeout(limits::HEAD_TIMEOUT, begin(io, tls)) => begun,
            () = poll_fn(|context| leaving.poll(context)) => return Err(ErrorKind::ConnectionAborted.into()),
        };
        let (io, first, protocol) = begun.map_err(|_| ErrorKind::TimedOut)??;
        let connection = Self {
            io,
            first,
            at_work: AtWork::new(),
            admitted,
            leaving,
            has_read: false,
            heard: Instant::now(),
            stalled: None,
            full: false,
            timer: Box::pin(sleep_until(Instant::now() + limits::HEAD_TIMEOUT)),
        };
        Ok((connection, protocol, peer))
    }

    pub(crate) fn at_work(&self) -> AtWork {
        self.at_work.clone()
    }

    pub(crate) fn admitted(&self) -> Admitted {
        self.admitted.clone()
    }

    /// Whether a client whose side has just ended waits for no answer any more.
    fn has_gone(&self) -> bool {
        let working = matches!(self.at_work.state(), State::Working);
        working && self.heard.elapsed() > limits::LAST_WORD
    }

    /// An error if a time is over; if not, whoever polls is woken when it is.
    fn check(
        &mut self,
        since: Instant,
        limit: Duration,
        context: &mut Context<'_>,
    ) -> Poll<ErrorKind> {
        let end = since + limit;
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        self.timer
            .as_mut()
            .poll(context)
            .map(|()| ErrorKind::TimedOut)
    }

    /// What has come of trying to write. What TLS takes into a buffer that was not full says nothing of
    /// the client.
    fn took(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let buffered = matches!(self.io, Io::Tls(_)) && !self.full;
        if written.is_ready() && buffered {
            return written;
        }
        self.full = written.is_pending();
        self.wrote(written, context)
    }

    /// What has come of trying to write or to flush.
    fn wrote<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        let over = self.check(since, limits::ANSWER_TIMEOUT, context);
        over.map(|kind| Err(kind.into()))
    }
}

/// Does the same with either.
macro_rules! either {
    ($io:expr, $to:ident($($with:expr),*)) => {
        match $io {
            Io::Plain(io) => Pin::new(io).$to($($with),*),
            Io::Tls(io) => Pin::new(io).$to($($with),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let bytes = self.first.len().min(buffer.remaining());
            let given: Vec<u8> = self.first.drain(..bytes).collect();
            buffer.put_slice(&given);
            self.has_read = true;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = either!(&mut self.io, poll_read(context, buffer));
        if matches!(read, Poll::Ready(Ok(()))) {
            if buffer.filled().len() > before {
                self.heard = Instant::now();
                self.has_read = true;
            } else if buffer.remaining() > 0 && self.has_gone() {
                return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
            }
        }
        if read.is_ready() || self.stalled.is_some() {
            return read;
        }
        if std::mem::take(&mut self.has_read) && self.leaving.is_possible() {
            // It may be a request: that is looked at before anybody has to leave.
            context.waker().wake_by_ref();
        } else if self.leaving.poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        let (since, limit) = match self.at_work.state() {
            State::Working => return read,
            State::Answering(since) => (since, limits::ANSWER_TIMEOUT),
            State::Quiet(since) => (since, limits::QUIET_TIMEOUT),
        };
        let over = self.check(since, limit, context);
        over.map(|kind| Err(kind.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = either!(&mut self.io, poll_write(context, bytes));
        self.took(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = either!(&mut self.io, poll_write_vectored(context, slices));
        self.took(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = either!(&mut self.io, poll_flush(context));
        match &self.io {
            // The system takes all, or nothing is written: `poll_write` has told.
            Io::Plain(_) => flushed,
            // What TLS has taken is still to be sent, and may be the end of an answer.
            Io::Tls(_) => self.wrote(flushed, context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.io, poll_shutdown(context))
    }
}
