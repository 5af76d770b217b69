//! The typed tree of settings. Each key is named once, here, with its default and its bounds;
//! doppel.example.toml explains them to users and is held to this file by a test.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::available_parallelism;

use crate::compreface::CompreFace;
use crate::embedding::Embedding;
use crate::error::Error;
use crate::hosts::Hosts;
use crate::layers::Sources;
use crate::limits;
use crate::nats::Nats;
use crate::origins::Origins;
use crate::reader::Reader;
use crate::retention::Retention;

/// All settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder that holds every byte of the database.
    pub data_dir: PathBuf,
    /// Where requests are answered; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// What a request must show; absent: nothing.
    pub api_key: Option<ApiKey>,
    /// The operator means it: other machines may connect though there is no key.
    pub insecure: bool,
    /// The folder of the face models and of ONNX Runtime.
    pub models_dir: PathBuf,
    /// MiB of memory above which writes are refused; 0 is most of what the system gives.
    pub memory_limit_mib: u64,
    /// How models are obtained.
    pub models: Models,
    /// Certificates; absent: HTTP without TLS.
    pub tls: Option<Tls>,
    /// The HTTP server.
    pub server: Server,
    /// The pool that turns photos into faces.
    pub embedding: Embedding,
    /// When checkpoints are taken.
    pub checkpoint: Checkpoint,
    /// The log of the database.
    pub log: Log,
    /// The log that several nodes share; absent: the data folder has its own.
    pub nats: Option<Nats>,
    /// How points expire.
    pub retention: Retention,
    /// What the process writes about itself.
    pub log_output: LogOutput,
    /// What it writes about those who change something.
    pub audit: Audit,
    /// The REST API of CompreFace; absent: it is not spoken.
    pub compreface: Option<CompreFace>,
}

/// The trail of writes and of operators' work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its folder; absent: there is none.
    pub dir: Option<PathBuf>,
    /// MiB after which it goes on in a new file.
    pub file_mib: u64,
    /// Files that are kept beside the one that is written.
    pub files: usize,
}

/// How models are obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Models {
    /// Whether a start without models goes and gets them.
    pub install_on_start: bool,
    /// The model of requests that name none, and the one that a start gets.
    pub default: String,
}

/// Files in PEM that make it HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate and those between it and its authority.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities one of which must have signed a client's certificate; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Threads that parse and answer.
    pub workers: usize,
    /// Largest request body in MiB.
    pub max_body_mib: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// Searches at work at once; one more is answered 503.
    pub concurrent_searches: usize,
    /// Writes at work at once; one more is answered 503.
    pub concurrent_writes: usize,
    /// Seconds from a request's head to its answer; one that takes longer is answered 504.
    pub request_timeout_s: u64,
    /// Web pages that may ask through a visitor's browser, beside our own.
    pub cors_origins: Origins,
    /// Names that it may be asked under while it has no API key.
    pub hosts: Hosts,
    /// Seconds that a stop waits for requests at work.
    pub shutdown_s: u64,
    /// Requests a second with one API key; one more is answered 429. 0 is any.
    pub requests_per_key_s: u32,
    /// Requests a second from one address; one more is answered 429. 0 is any.
    pub requests_per_address_s: u32,
}

/// When checkpoints are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// After this many MiB of log at the latest.
    pub log_mib: u64,
    /// After this many seconds, if something was written.
    pub interval_s: u64,
}

/// The log of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// MiB after which it goes on in a new file.
    pub segment_mib: u64,
}

/// What the process writes about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOutput {
    /// The least important lines still written.
    pub level: Level,
    /// How a line looks.
    pub format: LogFormat,
    /// Milliseconds from which on a search, or the look at a photo, is told; all are from 0 on.
    pub slow_ms: u64,
}

/// Importance of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
    /// Everything.
    Trace,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A secret that a request must show. Its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    pub(crate) fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ApiKey(not shown)")
    }
}

impl Config {
    /// Reads all layers and checks the whole.
    ///
    /// # Errors
    /// The first unknown key, bad value, or combination that would be unsafe.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let (config, _) = Self::read(sources.merged()?)?;
        Ok(config)
    }

    fn read(mut reader: Reader) -> Result<(Self, BTreeMap<&'static str, String>), Error> {
        let r = &mut reader;
        let listen = address(r, "listen", "127.0.0.1:6333")?;
        let config = Self {
            data_dir: folder(r, "data_dir", "./data")?,
            listen,
            api_key: r.secret("api_key", limits::API_KEY_CHARS)?.map(ApiKey),
            insecure: r.boolean("insecure", false)?,
            models_dir: folder(r, "models_dir", "./models")?,
            memory_limit_mib: r.number("memory_limit_mib", 0, limits::MEMORY_MIB)?,
            models: Models::read(r)?,
            tls: Tls::read(r)?,
            server: Server::read(r)?,
            embedding: Embedding::read(r)?,
            checkpoint: Checkpoint::read(r)?,
            log: Log::read(r)?,
            nats: Nats::read(r, listen)?,
            retention: Retention::read(r)?,
            log_output: LogOutput::read(r)?,
            audit: Audit::read(r)?,
            compreface: CompreFace::read(r)?,
        };
        let open = !config.listen.ip().is_loopback();
        if open && config.api_key.is_none() && !config.insecure {
            return Err(Error::Exposed {
                listen: config.listen,
                origin: reader.origin("listen"),
            });
        }
        Ok((config, reader.finish()?))
    }
}

impl Models {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            install_on_start: r.boolean("models.install_on_start", true)?,
            default: r.text(
                "models.default",
                "facenet-128",
                "the name of a face model, as `doppel models list` tells it",
                |text| (!text.is_empty()).then(|| text.to_owned()),
            )?,
        })
    }
}

impl Tls {
    fn read(r: &mut Reader) -> Result<Option<Self>, Error> {
        let cert = file(r, "tls.cert")?;
        let key = file(r, "tls.key")?;
        let client_ca = file(r, "tls.client_ca")?;
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(Self {
                cert,
                key,
                client_ca,
            })),
            (None, None) if client_ca.is_none() => Ok(None),
            _ => Err(Error::HalfTls),
        }
    }
}

impl Server {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            workers: threads(r, "server.workers")?,
            max_body_mib: r.number("server.max_body_mib", 64, limits::BODY_MIB)?,
            max_connections: r.number("server.max_connections", 4096, limits::CONNECTIONS)?,
            concurrent_searches: r.number("server.concurrent_searches", 256, limits::CONCURRENT)?,
            concurrent_writes: r.number("server.concurrent_writes", 64, limits::CONCURRENT)?,
            request_timeout_s: r.number("server.request_timeout_s", 300, limits::REQUEST_S)?,
            cors_origins: r.text(
                "server.cors_origins",
                "",
                "origins such as https://example.org, separated by commas, or *",
                Origins::parse,
            )?,
            hosts: r.text(
                "server.hosts",
                "",
                "names such as faces.lan, without ports, separated by commas, or *",
                Hosts::parse,
            )?,
            shutdown_s: r.number("server.shutdown_s", 30, limits::SHUTDOWN_S)?,
            requests_per_key_s: r.number("server.requests_per_key_s", 0, limits::RATE)?,
            requests_per_address_s: r.number("server.requests_per_address_s", 0, limits::RATE)?,
        })
    }
}

impl Checkpoint {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            log_mib: r.number("checkpoint.log_mib", 256, limits::CHECKPOINT_LOG_MIB)?,
            interval_s: r.number("checkpoint.interval_s", 300, limits::CHECKPOINT_INTERVAL_S)?,
        })
    }
}

impl Log {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            segment_mib: r.number("log.segment_mib", 64, limits::SEGMENT_MIB)?,
        })
    }
}

impl LogOutput {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        let levels = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ];
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Ok(Self {
            level: r.choice("log_output.level", "info", &levels)?,
            format: r.choice("log_output.format", "text", &formats)?,
            slow_ms: r.number("log_output.slow_ms", 1000, limits::SLOW_MS)?,
        })
    }
}

impl Audit {
    fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            dir: named(r, "audit.dir", "the path of a folder, in UTF-8")?,
            file_mib: r.number("audit.file_mib", 64, limits::AUDIT_MIB)?,
            files: r.number("audit.files", 16, limits::AUDIT_FILES)?,
        })
    }
}

impl Level {
    /// The word that a settings file uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A path with U+FFFD in it was not UTF-8 where it came from, and would name another folder.
fn folder(r: &mut Reader, key: &'static str, default: &str) -> Result<PathBuf, Error> {
    r.text(key, default, "the path of a folder, in UTF-8", path)
}

pub(crate) fn file(r: &mut Reader, key: &'static str) -> Result<Option<PathBuf>, Error> {
    named(r, key, "the path of a file, in UTF-8")
}

/// Nothing by default.
fn named(
    r: &mut Reader,
    key: &'static str,
    expected: &'static str,
) -> Result<Option<PathBuf>, Error> {
    let named = r.text(key, "", expected, |text| {
        path(text).or_else(|| text.is_empty().then(PathBuf::new))
    })?;
    Ok((!named.as_os_str().is_empty()).then_some(named))
}

fn path(text: &str) -> Option<PathBuf> {
    let path = !text.is_empty() && !text.contains(['\0', '\u{fffd}']);
    path.then(|| PathBuf::from(text))
}

/// `localhost` is taken for the loopback address; no other name is looked up.
fn address(r: &mut Reader, key: &'static str, default: &str) -> Result<SocketAddr, Error> {
    let expected = "an IP address and a port, such as 127.0.0.1:6333 or [::1]:6333";
    r.text(key, default, expected, |text| {
        let port = text.strip_prefix("localhost:");
        let local = port.map(|port| format!("127.0.0.1:{port}"));
        local.as_deref().unwrap_or(text).parse().ok()
    })
}

/// 0 stands for one per core.
pub(crate) fn threads(r: &mut Reader, key: &'static str) -> Result<usize, Error> {
    let asked = r.number(key, 0, limits::THREADS)?;
    Ok(match asked {
        0 => available_parallelism().map_or(1, usize::from),
        threads => threads,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file;

    const EXAMPLE: &str = include_str!("../../doppel.example.toml");

    fn uncommented() -> String {
        let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("#") {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn defaults() -> (Config, BTreeMap<&'static str, String>) {
        Config::read(Reader::default()).unwrap()
    }

    #[test]
    fn the_example_file_as_it_is_sets_nothing() {
        let settings = file::parse(Path::new("example"), EXAMPLE).unwrap();
        let sections = settings.iter().all(|(_, s)| s.text.is_empty());
        assert!(sections, "{settings:?}");
        let (config, _) = Config::read(Reader::new(settings)).unwrap();
        assert_eq!(config, defaults().0);
    }

    #[test]
    fn the_example_file_uncommented_says_every_key_and_its_default() {
        let mut settings = file::parse(Path::new("example"), &uncommented()).unwrap();
        let (config, known) = defaults();
        let example: BTreeMap<_, _> = settings
            .iter()
            .map(|(key, s)| match s.kind {
                crate::reader::Kind::Text => (key.as_str(), format!("{:?}", s.text)),
                _ => (key.as_str(), s.text.clone()),
            })
            .collect();
        assert_eq!(example, known);
        // A key cannot be empty: the example's shows how it is written and means "none".
        settings.retain(|(key, _)| !key.ends_with("_key") && !key.ends_with("password"));
        assert_eq!(Config::read(Reader::new(settings)).unwrap().0, config);
    }
}
