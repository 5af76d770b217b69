//! Connections that come to nothing are given up: those that say nothing or nothing but pings, send
//! the head of a request too slowly, the first or a later one, or do not take their answer. Whoever
//! holds many such connections cannot keep others out for long.
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

use std::future::Future;
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
use crate::connections::Admitted;
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
        let begun = timeout(limits::HEAD_TIMEOUT, begin(io, tls)).await;
        let (io, first, protocol) = begun.map_err(|_| ErrorKind::TimedOut)??;
        let connection = Self {
            io,
            first,
            at_work: AtWork::new(),
            admitted,
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
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = either!(&mut self.io, poll_read(context, buffer));
        if matches!(read, Poll::Ready(Ok(()))) {
            if buffer.filled().len() > before {
                self.heard = Instant::now();
            } else if buffer.remaining() > 0 && self.has_gone() {
                return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
            }
        }
        if read.is_ready() || self.stalled.is_some() {
            return read;
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use actix_web::body::BoxBody;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    use super::begin::PREFACE;
    use super::*;
    use crate::connections::Connections;

    fn admitted() -> Admitted {
        Connections::new(1).enter()
    }

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    async fn connected(first: &[u8]) -> (TcpStream, Connection, Protocol) {
        let (mut client, server) = pair().await;
        client.write_all(first).await.unwrap();
        let (connection, protocol, _) = Connection::accept(server, None, admitted()).await.unwrap();
        (client, connection, protocol)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_given_up() {
        let (_client, server) = pair().await;
        let refused = Connection::accept(server, None, admitted())
            .await
            .err()
            .unwrap();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_tell_the_protocol() {
        let (_client, _, protocol) = connected(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert_eq!(protocol, Protocol::Http2);
        let (_client, _, protocol) = connected(b"GET / HTTP/1.1\r\n").await;
        assert_eq!(protocol, Protocol::Http1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_drop_by_drop_is_given_up_but_a_request_at_work_is_waited_for() {
        let (mut client, mut connection, _) = connected(b"G").await;
        let working = connection.at_work().enter();
        let mut byte = [0];
        connection.read_exact(&mut byte).await.unwrap();
        let waited = timeout(Duration::from_secs(3600), connection.read_exact(&mut byte)).await;
        assert!(waited.is_err(), "a request may take its time");
        drop(working);
        connection.write_all(b"answered").await.unwrap();
        let dripping = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let started = Instant::now();
        let reading = async {
            loop {
                if let Err(error) = connection.read_exact(&mut byte).await {
                    return error.kind();
                }
            }
        };
        let kind = tokio::select! {
            () = dripping => panic!("the client was not given up"),
            kind = reading => kind,
        };
        assert_eq!(kind, ErrorKind::TimedOut);
        assert!(started.elapsed() < limits::QUIET_TIMEOUT + Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_ends_its_side_while_it_waits_for_an_answer_has_gone() {
        for (waited, gone) in [(Duration::ZERO, false), (2 * limits::LAST_WORD, true)] {
            let (mut client, mut connection, _) = connected(b"G").await;
            client.write_all(b"ET").await.unwrap();
            let mut bytes = [0; 3];
            connection.read_exact(&mut bytes).await.unwrap();
            let working = connection.at_work().enter();
            tokio::time::advance(waited).await;
            client.shutdown().await.unwrap();
            let read = connection.read(&mut bytes).await;
            let due = match gone {
                true => Err(ErrorKind::ConnectionAborted),
                false => Ok(0),
            };
            assert_eq!(read.map_err(|error| error.kind()), due, "{waited:?}");
            drop(working);
            assert_eq!(connection.read(&mut bytes).await.unwrap(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
        let (_client, mut connection, _) = connected(b"G").await;
        let started = Instant::now();
        let refused = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
        assert!(started.elapsed() >= limits::ANSWER_TIMEOUT);
    }

    /// Both ends of a connection with TLS.
    async fn encrypted() -> (tokio_rustls::client::TlsStream<TcpStream>, Connection) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let served = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key);
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let trusting = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, server) = pair().await;
        let acceptor = TlsAcceptor::from(Arc::new(served.unwrap()));
        let connector = TlsConnector::from(Arc::new(trusting));
        let name = ServerName::try_from("localhost").unwrap();
        let accepting = Connection::accept(server, Some(acceptor), admitted());
        let (client, accepted) = tokio::join!(connector.connect(name, client), accepting);
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_an_answer_that_tls_has_taken_is_waited_for_as_all_of_it_is() {
        let (mut client, mut connection) = encrypted().await;
        let piece = vec![7; 16 << 10];
        let (mut given, mut taken) = (0, 0);
        // All that is written is taken, until the system takes no more of it from TLS.
        loop {
            given += connection.write(&piece).await.unwrap();
            if timeout(Duration::ZERO, connection.flush()).await.is_err() {
                break;
            }
        }
        let mut bytes = vec![0; 256 << 10];
        let serving = poll_fn(|context| {
            let mut connection = Pin::new(&mut connection);
            if let Poll::Ready(flushed) = connection.as_mut().poll_flush(context) {
                return Poll::Ready(flushed);
            }
            let mut byte = [0];
            let read = connection.poll_read(context, &mut ReadBuf::new(&mut byte));
            read.map(|read| Err(read.err().unwrap_or(ErrorKind::Other.into())))
        });
        let reading = async {
            tokio::time::sleep(2 * limits::QUIET_TIMEOUT).await;
            while taken < given {
                taken += client.read(&mut bytes).await?;
            }
            Ok(())
        };
        tokio::try_join!(serving, reading).unwrap();
        assert_eq!(taken, given);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_tls_hold_answers_to_its_pings_and_reads_none_is_given_up() {
        let (_client, mut connection) = encrypted().await;
        let piece = vec![7; 16 << 10];
        loop {
            connection.write_all(&piece).await.unwrap();
            if timeout(Duration::ZERO, connection.flush()).await.is_err() {
                break;
            }
        }
        let started = Instant::now();
        let error = loop {
            connection.write_all(b"pong").await.unwrap();
            let second = timeout(Duration::from_secs(1), connection.flush());
            if let Ok(Err(error)) = second.await {
                break error;
            }
            assert!(started.elapsed() < 2 * limits::ANSWER_TIMEOUT);
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_protocol_is_told_however_many_pieces_the_first_bytes_come_in() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
        let post = b"POST / HTTP/1.1\r\n".as_slice();
        for (bytes, expected) in [(preface, Protocol::Http2), (post, Protocol::Http1)] {
            for cut in 1..PREFACE.len() {
                let (mut client, server) = pair().await;
                client.set_nodelay(true).unwrap();
                let accepting = Connection::accept(server, None, admitted());
                let sending = async {
                    client.write_all(&bytes[..cut]).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    client.write_all(&bytes[cut..]).await.unwrap();
                };
                let (accepted, ()) = tokio::join!(accepting, sending);
                let (mut connection, protocol, _) = accepted.unwrap();
                assert_eq!(protocol, expected, "cut after {cut} bytes");
                let mut read = vec![0; bytes.len()];
                connection.read_exact(&mut read).await.unwrap();
                assert_eq!(read, bytes, "cut after {cut} bytes");
            }
        }
    }

    /// Reads, as a protocol would that sends a ping each second and always gets an answer.
    async fn pinged(client: &mut TcpStream, connection: &mut Connection) -> (ErrorKind, Duration) {
        let started = Instant::now();
        let mut bytes = [0; 4];
        let answering = async {
            let mut bytes = [0; 4];
            while client.read_exact(&mut bytes).await.is_ok() {
                if client.write_all(b"pong").await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let pinging = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                connection.write_all(b"ping").await.unwrap();
                if let Err(error) = connection.read_exact(&mut bytes).await {
                    return error.kind();
                }
                let nothing = timeout(Duration::ZERO, connection.read_exact(&mut bytes));
                if let Ok(Err(error)) = nothing.await {
                    return error.kind();
                }
                assert!(started.elapsed() < Duration::from_secs(3600));
            }
        };
        tokio::select! {
            () = answering => unreachable!("it waits for ever"),
            kind = pinging => (kind, started.elapsed()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_only_answers_pings_is_given_up() {
        let (mut client, mut connection, _) = connected(b"ping").await;
        let mut byte = [0; 4];
        connection.read_exact(&mut byte).await.unwrap();
        let (kind, after) = pinged(&mut client, &mut connection).await;
        assert_eq!(kind, ErrorKind::TimedOut);
        assert!(after < limits::QUIET_TIMEOUT + Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_pings_but_lets_no_byte_of_its_answer_through_is_given_up() {
        let (mut client, mut connection, _) = connected(b"ping").await;
        let mut byte = [0; 4];
        connection.read_exact(&mut byte).await.unwrap();
        let working = connection.at_work().enter();
        let answer = working.answered(BoxBody::new("the answer"));
        drop(working);
        let (kind, after) = pinged(&mut client, &mut connection).await;
        assert_eq!(kind, ErrorKind::TimedOut);
        let limit = limits::ANSWER_TIMEOUT;
        assert!((limit..limit + Duration::from_secs(2)).contains(&after));
        drop(answer);
    }
}
