//! Connections by themselves, on a clock that the tests set.

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

#[tokio::test]
async fn what_was_read_is_looked_at_before_its_connection_has_to_leave_for_another() {
    for asks in [false, true] {
        let connections = Connections::new(1);
        let admitted = connections.enter();
        let (mut client, server) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let accepted = Connection::accept(server, None, admitted.clone()).await;
        let (mut connection, ..) = accepted.unwrap();
        // So many that the oldest has to leave.
        let _others: Vec<_> = (0..64).map(|_| connections.enter()).collect();
        let mut bytes = [0; 64];
        let mut poll = |context: &mut Context<'_>| {
            let mut buffer = ReadBuf::new(&mut bytes);
            Pin::new(&mut connection).poll_read(context, &mut buffer)
        };
        let mut reads = 0;
        while let Poll::Ready(read) = poll_fn(|context| Poll::Ready(poll(context))).await {
            assert!(read.is_ok(), "{read:?}");
            reads += 1;
        }
        assert!(reads > 0);
        if asks {
            admitted.has_asked();
        }
        let next = poll_fn(|context| Poll::Ready(poll(context))).await;
        assert_eq!(next.is_ready(), !asks, "{next:?}");
    }
}
