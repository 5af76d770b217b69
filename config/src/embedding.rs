//! Who looks at photos: the pool of this server, or another one.

use std::path::PathBuf;

use crate::error::Error;
use crate::limits;
use crate::reader::Reader;
use crate::shards;
use crate::tree::{ApiKey, file, threads};

/// The pool that turns photos into faces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedding {
    /// Photos at work at once.
    pub workers: usize,
    /// Photos that may wait; one more is answered 503.
    pub queue: usize,
    /// Threads that share the work on one photo.
    pub intra_threads: usize,
    /// Photos that one worker takes at once where several wait.
    pub batch: usize,
    /// Milliseconds that a worker waits for more photos where no other is free.
    pub batch_wait_ms: u64,
    /// Whether the model runs with numbers of 8 bits, where the processor adds them up exactly.
    pub rounded: bool,
    /// Pixels of the smallest faces that large photos are looked through for.
    pub smallest_face: u32,
    /// Percent of quality that a face must have to be kept.
    pub min_quality_percent: u8,
    /// Another server that looks at the photos; absent: this one does.
    pub remote: Option<Remote>,
}

/// A server that looks at the photos of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where it answers: `http://host:6333`.
    pub url: String,
    /// Its API key, if it wants one.
    pub key: Option<ApiKey>,
    /// Authorities to trust, in PEM; absent: the public ones.
    pub ca: Option<PathBuf>,
    /// A certificate and its private key to show it, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Seconds that it may take for a photo.
    pub timeout_s: u64,
}

impl Embedding {
    pub(crate) fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            workers: threads(r, "embedding.workers")?,
            queue: r.number("embedding.queue", 64, limits::QUEUE)?,
            intra_threads: r.number("embedding.intra_threads", 1, limits::INTRA_THREADS)?,
            batch: r.number("embedding.batch", 4, limits::BATCH)?,
            batch_wait_ms: r.number("embedding.batch_wait_ms", 0, limits::BATCH_WAIT_MS)?,
            rounded: r.boolean("embedding.rounded", true)?,
            smallest_face: r.number("embedding.smallest_face", 40, limits::FACE_PIXELS)?,
            min_quality_percent: r.number("embedding.min_quality_percent", 0, limits::PERCENT)?,
            remote: Remote::read(r)?,
        })
    }
}

impl Remote {
    fn read(r: &mut Reader) -> Result<Option<Self>, Error> {
        let expected = "where another doppel answers, such as http://10.0.0.2:6333";
        let url = r.text("embedding.remote_url", "", expected, shards::url)?;
        let key = r.secret("embedding.remote_key", limits::API_KEY_CHARS)?;
        let ca = file(r, "embedding.remote_ca")?;
        const CERT: [&str; 2] = ["embedding.remote_cert", "embedding.remote_cert_key"];
        let certificate = match (file(r, CERT[0])?, file(r, CERT[1])?) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => return Err(r.half(CERT[0], CERT[1])),
            (None, Some(_)) => return Err(r.half(CERT[1], CERT[0])),
        };
        let timeout_s = r.number("embedding.remote_timeout_s", 30, limits::REQUEST_S)?;
        Ok((!url.is_empty()).then(|| Self {
            url,
            key: key.map(ApiKey::new),
            ca,
            certificate,
            timeout_s,
        }))
    }
}
