//! One request to one node, and its answer. It goes out on a thread that may block. What has been sent is
//! not taken back when nobody waits for it any more: it has a place until it has ended. Reads and writes have
//! places apart, and so have the reads of each node. A node that does not say that it is there when it is asked
//! gets no answer's time any more: all reads that wait for it end at once, and their places are free.
//!
//! An answer is read into memory that was promised for it before.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::OwnedSemaphorePermit;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

use super::reads::Readers;
use super::resolve;
use crate::error::Error;
use crate::gate::Gate;
use crate::memory::{Memory, Promise};
use crate::refusal::Refusal;
use crate::{http, limits, tls};

/// How long a node may take to take a connection.
const CONNECTING: Duration = Duration::from_millis(800);
/// How long connections are kept for the next request; servers keep them longer.
const KEPT: Duration = Duration::from_secs(2);
/// Reads, and writes, that wait for nodes, at most: each has a thread.
const CALLS: usize = 2_048;
/// How long a node may take to say that it is there.
pub(super) const THERE: Duration = Duration::from_secs(1);
/// Nodes that are asked at once whether they are there.
const LOOKS: usize = 16;
/// Reads of a shard that go on at once, at most: one that is late has a rival.
const RIVALS: usize = 2;
/// Bytes of an answer that are read at once.
const PIECE: usize = 16 << 10;
/// Bytes of an answer.
const ANSWER_BYTES: u64 = 512 << 20;

/// The way to other nodes.
pub(super) struct Peers {
    /// For writes, and for asking nodes whether they are there.
    agent: Agent,
    key: String,
    reads: Gate,
    writes: Gate,
    readers: Arc<Readers>,
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
    /// This node has no place for it, and it was not sent.
    NoPlace(Refusal),
    /// It was answered, and this node has no memory for the answer.
    NoRoom(Refusal),
}

impl Call {
    /// Whether the node of a shard is there.
    pub(super) fn is_there(shard: u32) -> Self {
        Self {
            method: "GET",
            path: format!("/shards/{shard}/livez"),
            body: None,
            room: None,
            lsn: None,
            patience: THERE,
        }
    }
}

/// So many searches, and writes, over so many shards that each call of theirs finds a place.
pub(super) fn at_once((searches, writes): (usize, usize), shards: u32) -> (usize, usize) {
    let fit = |wanted: usize, calls: usize| (CALLS / calls.max(1)).clamp(1, wanted.max(1));
    let shards = shards as usize;
    (
        fit(searches, shards.saturating_mul(RIVALS)),
        fit(writes, shards),
    )
}

impl Peers {
    /// For so many searches and writes at once. A node whose server asks clients for a certificate shows its
    /// own to the others.
    pub(super) fn new(
        settings: &config::Shards,
        own: Option<&config::Tls>,
        (searches, writes): (usize, usize),
        memory: Memory,
    ) -> Result<Self, Error> {
        let calls = |at_once: usize| at_once.saturating_mul(settings.count as usize);
        let (at_one, writes) = (calls(searches), calls(writes));
        let reads = at_one.saturating_mul(RIVALS);
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
            .max_blocking_threads(most + LOOKS)
            .thread_name("shards")
            .build();
        Ok(Self {
            agent: resolve::agent(agent.clone()),
            readers: Arc::new(Readers::new(agent, at_one)),
            key: format!("Bearer {}", settings.key.as_str()),
            reads: Gate::new("reads of shards", reads),
            writes: Gate::new("writes to shards", writes),
            memory,
            threads: Some(threads.map_err(Error::system("start a runtime"))?),
        })
    }

    /// Asks one node.
    pub(super) async fn ask(&self, url: &str, call: Arc<Call>, kind: Kind) -> Result<Said, Lost> {
        match kind {
            Kind::Write => {
                let place = self.writes.enter().map_err(Lost::NoPlace)?;
                self.send(url, call, (self.agent.clone(), vec![place]))
                    .await
            }
            Kind::Read => {
                let place = self.reads.enter().map_err(Lost::NoPlace)?;
                let reader = self.readers.of(url);
                let own = reader.enter().map_err(Lost::NotSent)?;
                let through = (reader.agent().clone(), vec![place, own]);
                let answer = self.send(url, call, through).await;
                match answer {
                    Err(Lost::Unknown(_)) if reader.has_ended() => Err(Lost::Unknown(
                        "it has not answered, nor said that it is there".to_owned(),
                    )),
                    answer => answer,
                }
            }
        }
    }

    async fn send(
        &self,
        url: &str,
        call: Arc<Call>,
        (agent, places): (Agent, Vec<OwnedSemaphorePermit>),
    ) -> Result<Said, Lost> {
        let (key, url, memory) = (self.key.clone(), url.to_owned(), self.memory.clone());
        let asked = self.threads().spawn_blocking(move || {
            let _places = places;
            asked(&agent, &key, (&url, &call), &memory)
        });
        let broke = |_| Err(Lost::Unknown("a thread broke down".to_owned()));
        asked.await.unwrap_or_else(broke)
    }

    fn threads(&self) -> &Runtime {
        let threads = self.threads.as_ref();
        threads.expect("they are there until this is dropped")
    }

    /// Asks a node that is late whether it is there, unless somebody has a moment ago. If it does not say so, all
    /// reads that wait for it end.
    pub(super) fn look(&self, url: &str, shard: u32) {
        let Some(reader) = self.readers.to_be_looked_at(url) else {
            return;
        };
        let (agent, key, memory) = (self.agent.clone(), self.key.clone(), self.memory.clone());
        let (url, readers) = (url.to_owned(), Arc::clone(&self.readers));
        self.threads().spawn_blocking(move || {
            let answer = asked(&agent, &key, (&url, &Call::is_there(shard)), &memory);
            let hangs = answer.is_err();
            if readers.is_news(&url, hangs) {
                tracing::warn!(
                    url,
                    hangs,
                    "a node is late: nothing is read there while it hangs"
                );
            }
            if hangs {
                reader.end();
            }
        });
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
pub(super) fn read(mut answer: impl Read, memory: &Memory) -> Result<(Value, Room), Lost> {
    let (mut bytes, mut piece, mut room) = (Vec::new(), vec![0; PIECE], None::<Promise>);
    let promise = |bytes: u64, room: &mut Option<Promise>| {
        let promised = memory.promise_body(bytes, false, room);
        promised.map_err(Lost::NoRoom)
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
        let Lost::NoPlace(refusal) = full else {
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
                Lost::NoPlace(_) => tokio::task::yield_now().await,
                Lost::NotSent(_) => break,
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn reads_of_a_node_that_hangs_end_and_their_places_are_free() {
        let hung = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", hung.local_addr().unwrap());
        let peers = peers();
        let (first, second) = (call("/"), call("/"));
        let mut read = Box::pin(peers.ask(&url, first, Kind::Read));
        assert!(read.as_mut().now_or_never().is_none());
        // One search, one shard: one node has no more.
        let full = peers.ask(&url, second, Kind::Read).await.unwrap_err();
        let Lost::NotSent(why) = full else {
            panic!("{full:?}")
        };
        assert!(why.contains("wait for it already"), "{why}");
        peers.look(&url, 0);
        let Lost::Unknown(why) = read.await.unwrap_err() else {
            panic!("nothing was answered")
        };
        assert!(why.contains("nor said that it is there"), "{why}");
        let again = Box::pin(peers.ask(&url, call("/"), Kind::Read));
        assert!(again.now_or_never().is_none(), "it has a place");
    }

    #[test]
    fn searches_over_many_shards_are_so_few_that_each_finds_its_places() {
        assert_eq!(at_once((256, 64), 3), (256, 64));
        assert_eq!(at_once((256, 64), 8), (128, 64));
        assert_eq!(at_once((256, 64), 64), (16, 32));
        assert_eq!(at_once((256, 64), 10_000), (1, 1));
    }

    #[test]
    fn an_answer_that_there_is_no_memory_for_is_refused_and_a_small_one_never() {
        let mut memory = Memory::new(1, &Metrics::new());
        let answer = |objects: usize| json!(vec![json!({"id": 1}); objects]).to_string();
        let (small, large) = (answer(10), answer(100_000));
        let (body, room) = read(small.as_bytes(), &memory).unwrap();
        assert!(body.is_array() && room.is_none());
        let Lost::NoRoom(refusal) = read(large.as_bytes(), &memory).unwrap_err() else {
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
