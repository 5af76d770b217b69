//! One request to one node, and its answer. It goes out on a thread that may block, of which there are
//! enough for all searches and writes that this server lets in; what has been sent is not taken back when
//! nobody waits for it any more.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

use crate::error::Error;
use crate::tls;

/// How long a node may take to take a connection.
const CONNECTING: Duration = Duration::from_millis(800);
/// How long connections are kept for the next request; servers keep them longer.
const KEPT: Duration = Duration::from_secs(2);
/// Threads that wait for nodes, at most.
const THREADS: usize = 4_096;
/// Bytes of an answer.
const ANSWER_BYTES: u64 = 512 << 20;

/// The way to other nodes.
pub(super) struct Peers {
    agent: Agent,
    key: String,
    /// Given up in `drop` alone.
    threads: Option<Runtime>,
}

/// What a node is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    /// From `/shards` on.
    pub(super) path: String,
    pub(super) body: Option<String>,
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
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// It has not been asked.
    NotSent(String),
    /// It may have done it.
    Unknown(String),
}

impl Peers {
    /// A node whose server asks clients for a certificate shows its own to the others.
    pub(super) fn new(
        settings: &config::Shards,
        own: Option<&config::Tls>,
        at_work: usize,
    ) -> Result<Self, Error> {
        let most = at_work.saturating_mul(settings.count as usize).min(THREADS);
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
            threads: Some(threads.map_err(Error::system("start a runtime"))?),
        })
    }

    /// Asks one node.
    pub(super) async fn ask(&self, url: &str, call: Arc<Call>) -> Result<Said, Lost> {
        let threads = self.threads.as_ref();
        let threads = threads.expect("they are there until this is dropped");
        let (agent, key, url) = (self.agent.clone(), self.key.clone(), url.to_owned());
        let asked = threads.spawn_blocking(move || asked(&agent, &key, &url, &call));
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

fn asked(agent: &Agent, key: &str, url: &str, call: &Call) -> Result<Said, Lost> {
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
            let request = request.body(body.as_str()).map_err(unsent)?;
            let request = agent.configure_request(request);
            agent.run(request.timeout_global(Some(call.patience)).build())
        }
    };
    let mut answer = sent.map_err(lost)?;
    let lsn = answer.headers().get("x-doppel-lsn");
    let lsn = lsn.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES);
    let body = body.read_to_vec().map_err(lost)?;
    let json = serde_json::from_slice(&body);
    let body = json.unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    Ok(Said { status, lsn, body })
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

impl Lost {
    pub(super) fn why(self) -> String {
        match self {
            Self::NotSent(why) | Self::Unknown(why) => why,
        }
    }
}
