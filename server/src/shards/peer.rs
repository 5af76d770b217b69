//! One request to one node, and its answer. It goes out on a thread that may block. What has been sent is
//! not taken back when nobody waits for it any more: it has a place until it has ended, and reads and writes
//! have places apart, so that those that wait for a node that hangs are only so many, and in nobody else's way.
//!
//! An answer is read into memory that was promised for it before.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

use crate::error::Error;
use crate::gate::Gate;
use crate::memory::{Memory, Promise};
use crate::refusal::Refusal;
use crate::{http, limits, tls};

/// How long a node may take to take a connection.
const CONNECTING: Duration = Duration::from_millis(800);
/// How long connections are kept for the next request; servers keep them longer.
const KEPT: Duration = Duration::from_secs(2);
/// Reads, and writes, that wait for nodes, at most.
const CALLS: usize = 2_048;
/// Reads of a shard that go on at once, at most: one that is late has a rival.
const RIVALS: usize = 2;
/// Bytes of an answer that are read at once.
const PIECE: usize = 16 << 10;
/// Bytes of an answer.
const ANSWER_BYTES: u64 = 512 << 20;

/// The way to other nodes.
pub(super) struct Peers {
    agent: Agent,
    key: String,
    reads: Gate,
    writes: Gate,
    memory: Memory,
    /// Given up in `drop` alone.
    threads: Option<Runtime>,
}

/// What a node is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    /// From `/shards` on.
    pub(super) path: String,
    pub(super) body: Option<Arc<str>>,
    /// What the body takes of memory.
    pub(super) room: Room,
    /// How far it must have applied its log.
    pub(super) lsn: Option<u64>,
    pub(super) patience: Duration,
}

/// What it has said.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) lsn: Option<u64>,
    /// Its JSON; of anything else the text.
    pub(super) body: Value,
    /// What the body takes of memory.
    pub(super) room: Room,
}

/// Memory that was promised for an answer, for as long as it is there; small ones are not asked about.
pub(super) type Room = Option<Arc<Promise>>;

/// What is asked of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// It has not been asked.
    NotSent(String),
    /// It may have done it.
    Unknown(String),
    /// This node has no place or no memory for it: it may have been done, if it was sent.
    Here(Refusal),
}

impl Peers {
    /// For so many searches and writes at work. A node whose server asks clients for a certificate shows its
    /// own to the others.
    pub(super) fn new(
        settings: &config::Shards,
        own: Option<&config::Tls>,
        (searches, writes): (usize, usize),
        memory: Memory,
    ) -> Result<Self, Error> {
        let calls = |at_work: usize| at_work.saturating_mul(settings.count as usize).min(CALLS);
        let (reads, writes) = (calls(searches.saturating_mul(RIVALS)), calls(writes));
        let most = reads + writes;
        let mut tls = TlsConfig::builder();
        if let Some(path) = &settings.ca {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(path)?));
        }
        if let Some(own) = own.filter(|own| own.client_ca.is_some()) {
            let key = PrivateKey::from_pem(&tls::bytes(&own.key)?);
            let key = key.map_err(|error| Error::Tls(format!("{}: {error}", own.key.display())))?;
            let shown = ClientCert::new_with_certs(&certificates(&own.cert)?, key);
            tls = tls.client_cert(Some(shown));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECTING))
            .max_idle_age(KEPT)
            .max_idle_connections(most)
            .max_idle_connections_per_host(most)
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls.build())
            .build();
        let threads = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(most)
            .thread_name("shards")
            .build();
        Ok(Self {
            agent: agent.new_agent(),
            key: format!("Bearer {}", settings.key.as_str()),
            reads: Gate::new("reads of shards", reads),
            writes: Gate::new("writes to shards", writes),
            memory,
            threads: Some(threads.map_err(Error::system("start a runtime"))?),
        })
    }

    /// Asks one node.
    pub(super) async fn ask(&self, url: &str, call: Arc<Call>, kind: Kind) -> Result<Said, Lost> {
        let threads = self.threads.as_ref();
        let threads = threads.expect("they are there until this is dropped");
        let place = match kind {
            Kind::Read => self.reads.enter(),
            Kind::Write => self.writes.enter(),
        };
        let place = place.map_err(Lost::Here)?;
        let (agent, key, url) = (self.agent.clone(), self.key.clone(), url.to_owned());
        let memory = self.memory.clone();
        let asked = threads.spawn_blocking(move || {
            let _place = place;
            asked(&agent, &key, (&url, &call), &memory)
        });
        let broke = |_| Err(Lost::Unknown("a thread broke down".to_owned()));
        asked.await.unwrap_or_else(broke)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

fn asked(
    agent: &Agent,
    key: &str,
    (url, call): (&str, &Call),
    memory: &Memory,
) -> Result<Said, Lost> {
    let mut request = ureq::http::Request::builder()
        .method(call.method)
        .uri(format!("{}{}", url.trim_end_matches('/'), call.path))
        .header("authorization", key);
    if let Some(lsn) = call.lsn {
        request = request.header("x-doppel-lsn", lsn);
    }
    let unsent = |error: ureq::http::Error| Lost::NotSent(error.to_string());
    let sent = match &call.body {
        None => {
            let request = request.body(()).map_err(unsent)?;
            let request = agent.configure_request(request);
            agent.run(request.timeout_global(Some(call.patience)).build())
        }
        Some(body) => {
            let request = request.header("content-type", "application/json");
            let request = request.body(body.as_bytes()).map_err(unsent)?;
            let request = agent.configure_request(request);
            agent.run(request.timeout_global(Some(call.patience)).build())
        }
    };
    let mut answer = sent.map_err(lost)?;
    let lsn = answer.headers().get("x-doppel-lsn");
    let lsn = lsn.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES);
    let (body, room) = read(body.reader(), memory)?;
    Ok(Said {
        status,
        lsn,
        body,
        room,
    })
}

/// Reads an answer, which has room for as much again as there is, and then for what it becomes.
fn read(mut answer: impl Read, memory: &Memory) -> Result<(Value, Room), Lost> {
    let (mut bytes, mut piece, mut room) = (Vec::new(), vec![0; PIECE], None::<Promise>);
    let promise = |bytes: u64, room: &mut Option<Promise>| {
        let promised = memory.promise_body(bytes, false, room);
        promised.map_err(Lost::Here)
    };
    loop {
        let got = match answer.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            got => got.map_err(|error| Lost::Unknown(error.to_string()))?,
        };
        if got == 0 {
            break;
        }
        let wanted = (bytes.len() + got) as u64;
        if wanted > limits::INLINE_PARSE_BYTES as u64
            && room.as_ref().is_none_or(|room| room.bytes() < wanted)
        {
            promise(wanted * 2, &mut room)?;
        }
        bytes.extend_from_slice(piece.get(..got).unwrap_or_default());
    }
    if room.is_some() {
        promise(http::json_bytes(&bytes), &mut room)?;
    }
    let json = serde_json::from_slice(&bytes);
    let body = json.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
    Ok((body, room.map(Arc::new)))
}

fn lost(error: ureq::Error) -> Lost {
    let unsent = match &error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    };
    let error = error.to_string();
    match unsent {
        true => Lost::NotSent(error),
        false => Lost::Unknown(error),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let all = tls::certificates(path)?.into_iter();
    Ok(all
        .map(|it| Certificate::from_der(&it).to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use config::{Config, Flag, Sources};
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;
    use crate::metrics::Metrics;

    fn call(path: &str) -> Arc<Call> {
        Arc::new(Call {
            method: "GET",
            path: path.to_owned(),
            body: None,
            room: None,
            lsn: None,
            patience: Duration::from_secs(60),
        })
    }

    fn peers() -> Peers {
        let flags = [
            ("nats.servers", "nats://127.0.0.1:4222"),
            ("nats.shards", "1"),
            ("nats.node_key", "a-key-between-nodes"),
        ];
        let sources = Sources {
            flags: flags
                .map(|(key, value)| Flag::new("test", key, value))
                .into(),
            ..Sources::default()
        };
        let nats = Config::load(&sources).unwrap().nats.unwrap();
        let settings = nats.shards.unwrap();
        let memory = Memory::new(0, &Metrics::new());
        Peers::new(&settings, None, (1, 1), memory).unwrap()
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_has_its_place_until_it_has_ended() {
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", hung.local_addr().unwrap());
        let peers = peers();
        let mut write = Box::pin(peers.ask(&url, call("/"), Kind::Write));
        assert!(write.as_mut().now_or_never().is_none());
        let (connection, _) = hung.accept().unwrap();
        drop(write);
        let full = peers.ask(&url, call("/"), Kind::Write).await.unwrap_err();
        let Lost::Here(refusal) = full else {
            panic!("{full:?}")
        };
        assert!(refusal.is_busy(), "{refusal}");
        // Reads do not stand behind it.
        let read = Box::pin(peers.ask(&url, call("/"), Kind::Read));
        assert!(read.now_or_never().is_none());
        drop((hung, connection));
        // It has ended, and the next one finds nobody.
        loop {
            match peers.ask(&url, call("/"), Kind::Write).await.unwrap_err() {
                Lost::Here(_) => tokio::task::yield_now().await,
                Lost::NotSent(_) => break,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_that_there_is_no_memory_for_is_refused_and_a_small_one_never() {
        let mut memory = Memory::new(1, &Metrics::new());
        let answer = |objects: usize| json!(vec![json!({"id": 1}); objects]).to_string();
        let (small, large) = (answer(10), answer(100_000));
        let (body, room) = read(small.as_bytes(), &memory).unwrap();
        assert!(body.is_array() && room.is_none());
        let Lost::Here(refusal) = read(large.as_bytes(), &memory).unwrap_err() else {
            panic!("it is refused here")
        };
        assert_eq!(refusal.status(), 507);
        memory = Memory::new(0, &Metrics::new());
        let (_, room) = read(large.as_bytes(), &memory).unwrap();
        let promised = room.unwrap().bytes();
        assert!(promised > 50_000_000, "{promised}");
        assert_eq!(memory.promised_bytes(), 0, "until the answer has gone");
    }
}
