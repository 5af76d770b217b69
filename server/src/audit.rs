//! The audit trail: a line of JSON for every request that changes something or is an operator's,
//! also where a key was refused it; and for points that have expired. Who shows no key of the server's, or comes too
//! often, is only counted by the metrics, and of what one key is refused only some lines a minute are written: nobody
//! must be able to push the lines of others out. It says who asked for what, when, and what came of it; never a
//! body, so no vector, no photo, no name of a person.
//!
//! A line is in the system's hands before the answer is on its way; it is not synced.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use parking_lot::Mutex;
use serde::Serialize;
use storage::{Trail, now_ms};

use crate::access::{self, Grant, Scope};
use crate::app::App;
use crate::error::Error as StartError;
use crate::limits;
use crate::metrics::Metrics;
use crate::middleware::{RequestId, Template};

/// Characters of a path that are told.
const PATH: usize = 1_024;
/// What the files are called.
const NAME: &str = "audit";

/// Lines of what one key is refused, in a time.
const REFUSED: u64 = 10;
const REFUSED_IN: Duration = Duration::from_secs(60);

/// Where lines go; nowhere if the settings name no folder.
pub(crate) struct Audit(Option<Open>);

struct Open {
    trail: Mutex<Trail>,
    /// What keys were refused, by their ids.
    refusals: Mutex<HashMap<String, Refusals>>,
}

/// What one key was refused since a time.
struct Refusals {
    since: Instant,
    lines: u64,
    untold: u64,
}

/// The key that a request has made or revoked, by id and name, among its extensions.
#[derive(Debug, Clone)]
pub(crate) enum Changed {
    Made(String, String),
    Revoked(String, String),
}

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    time_ms: u64,
    /// As the answer's `x-request-id`; nothing where the server does it by itself.
    request: Option<&'a str>,
    address: Option<String>,
    /// Id and name of the key; nothing where none was shown, or none is needed.
    key: Option<(&'a str, &'a str)>,
    method: &'a str,
    path: &'a str,
    /// Id and name of the key that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<(&'a str, &'a str)>,
    /// Id and name of the key that was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<(&'a str, &'a str)>,
    /// How many have expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<usize>,
    /// How much more this key was refused before, of which there is no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    untold: Option<u64>,
    /// Nothing if the client went away, or the server broke down over it.
    status: Option<u16>,
    /// All that it wrote is at or below this record of the log.
    lsn: Option<u64>,
    seconds: f64,
}

impl Audit {
    /// Opens what the settings name.
    pub(crate) fn open(config: &config::Audit) -> Result<Self, StartError> {
        let Some(dir) = &config.dir else {
            return Ok(Self(None));
        };
        let trail = Trail::open(dir, NAME, config.file_mib << 20, config.files);
        let trail = trail.map_err(StartError::system("open the audit trail"))?;
        Ok(Self(Some(Open {
            trail: Mutex::new(trail),
            refusals: Mutex::default(),
        })))
    }

    fn write(&self, line: &Line<'_>, metrics: &Metrics) {
        let Some(open) = &self.0 else { return };
        let bytes = serde_json::to_vec(line).map_err(std::io::Error::from);
        let written = bytes.and_then(|bytes| open.trail.lock().append(&bytes));
        if let Err(error) = written {
            metrics.audit_failed();
            tracing::error!(%error, "a line of the audit trail is lost");
        }
    }

    /// The server has deleted points whose time was over.
    pub(crate) fn expired(&self, metrics: &Metrics, collection: &str, points: usize, lsn: u64) {
        let line = Line {
            time_ms: now_ms(),
            request: None,
            address: None,
            key: Some(("retention", "ttl_s of the collection")),
            method: "DELETE",
            path: &format!("/collections/{collection}/points"),
            made: None,
            revoked: None,
            points: Some(points),
            untold: None,
            status: Some(200),
            lsn: Some(lsn),
            seconds: 0.0,
        };
        self.write(&line, metrics);
    }

    /// Whether a line is written of what a key is refused; if so, how many were not before it.
    fn refusal(&self, key: &str, now: Instant) -> Option<u64> {
        let mut refusals = self.0.as_ref()?.refusals.lock();
        let is_over = |it: &Refusals| now.duration_since(it.since) >= REFUSED_IN;
        if refusals.len() > limits::KEYS {
            refusals.retain(|_, it| !is_over(it));
        }
        let begun = Refusals {
            since: now,
            lines: 0,
            untold: 0,
        };
        let of_key = refusals.entry(key.to_owned()).or_insert(begun);
        if is_over(of_key) {
            (of_key.since, of_key.lines) = (now, 0);
        }
        if of_key.lines == REFUSED {
            of_key.untold += 1;
            return None;
        }
        of_key.lines += 1;
        Some(std::mem::take(&mut of_key.untold))
    }

    /// A request that is to be told of, from before its answer.
    pub(crate) fn begin<'a>(&self, app: &'a App, request: &ServiceRequest) -> Option<Entry<'a>> {
        self.0.as_ref()?;
        let (method, extensions) = (request.method(), request.extensions());
        let template = extensions.get::<Template>()?.0.as_deref()?;
        is_told(method, template).then(|| Entry {
            app,
            request: extensions
                .get::<RequestId>()
                .map_or_else(String::new, RequestId::text),
            address: request.peer_addr().map(|peer| peer.ip().to_string()),
            key: None,
            changed: None,
            method: method.clone(),
            path: told(request.path(), template).chars().take(PATH).collect(),
            status: None,
            told: Told::Always,
            started: Instant::now(),
        })
    }
}

/// A path without the name of a person.
fn told<'a>(path: &'a str, template: &'a str) -> &'a str {
    match template.contains("{subject}") {
        true => template,
        false => path,
    }
}

/// What reads points or answers questions about them is not told.
fn is_told(method: &Method, template: &str) -> bool {
    let needs = access::needs(method, template);
    let told = [Scope::Write, Scope::Delete, Scope::Jobs, Scope::Keys];
    needs.is_some_and(|needs| needs.scopes.iter().any(|scope| told.contains(scope)))
}

/// Whether a line is written.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Always,
    /// Unless its key was refused too much.
    Refused,
    Never,
}

/// A line that is written when this is dropped, however the request ends.
pub(crate) struct Entry<'a> {
    app: &'a App,
    request: String,
    address: Option<String>,
    key: Option<(String, String)>,
    changed: Option<Changed>,
    method: Method,
    path: String,
    status: Option<u16>,
    told: Told,
    started: Instant,
}

impl Entry<'_> {
    /// Who it turned out to be.
    pub(crate) fn by(&mut self, grant: &Grant) {
        self.key = grant.key();
    }

    /// It is a stranger's, or one of too many: it is not told.
    pub(crate) fn forget(&mut self) {
        self.told = Told::Never;
    }

    /// Its key, told by id and name, is not good for it.
    pub(crate) fn refused(&mut self, key: Option<(String, String)>) {
        self.told = match key {
            Some(_) => Told::Refused,
            None => Told::Never,
        };
        self.key = key;
    }

    /// How it was answered.
    pub(crate) fn answered(&mut self, outcome: &Result<ServiceResponse<BoxBody>, Error>) {
        self.status = Some(match outcome {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.as_response_error().status_code().as_u16(),
        });
        self.changed = outcome.as_ref().ok().and_then(|response| {
            let extensions = response.request().extensions();
            extensions.get::<Changed>().cloned()
        });
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let (audit, key) = (&self.app.audit, self.key.as_ref());
        let untold = match (&self.told, key) {
            (Told::Never, _) => return,
            (Told::Refused, Some((id, _))) => match audit.refusal(id, Instant::now()) {
                Some(untold) => untold,
                None => return,
            },
            _ => 0,
        };
        let (made, revoked) = match &self.changed {
            Some(Changed::Made(id, name)) => (Some((&**id, &**name)), None),
            Some(Changed::Revoked(id, name)) => (None, Some((&**id, &**name))),
            None => (None, None),
        };
        let line = Line {
            time_ms: now_ms(),
            request: Some(&self.request),
            address: self.address.clone(),
            key: key.map(|(id, name)| (id.as_str(), name.as_str())),
            method: self.method.as_str(),
            path: &self.path,
            made,
            revoked,
            points: None,
            untold: (untold > 0).then_some(untold),
            status: self.status,
            lsn: self.app.engine().map(|engine| engine.durable_lsn().0),
            seconds: self.started.elapsed().as_secs_f64(),
        };
        audit.write(&line, &self.app.metrics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_one_key_is_refused_some_lines_a_minute_are_written_and_the_others_counted() {
        let dir = tempfile::tempdir().unwrap();
        let config = config::Audit {
            dir: Some(dir.path().to_owned()),
            file_mib: 1,
            files: 1,
        };
        let audit = Audit::open(&config).unwrap();
        let start = Instant::now();
        for _ in 0..REFUSED {
            assert_eq!(audit.refusal("a", start), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(audit.refusal("a", start), None);
        }
        assert_eq!(audit.refusal("b", start), Some(0));
        let later = start + REFUSED_IN;
        assert_eq!(audit.refusal("a", later), Some(3));
        assert_eq!(audit.refusal("a", later), Some(0));
    }

    #[test]
    fn what_changes_something_or_is_an_operators_is_told() {
        let told = |method: &Method, template: &str| is_told(method, template);
        let points = "/collections/{collection}/points";
        assert!(told(&Method::PUT, points));
        assert!(told(&Method::DELETE, "/collections/{collection}"));
        assert!(told(&Method::POST, "/admin/keys"));
        assert!(told(
            &Method::GET,
            "/collections/{collection}/snapshots/{name}"
        ));
        assert!(!told(&Method::POST, points));
        assert!(!told(
            &Method::POST,
            "/collections/{collection}/points/query"
        ));
        assert!(!told(&Method::GET, "/readyz"));
    }
}
