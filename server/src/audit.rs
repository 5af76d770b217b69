//! The audit trail: a line of JSON for every request that changes something or is an operator's,
//! also where a key was refused it. Who shows no good key, or comes too often, is only counted by the
//! metrics: strangers must not be able to push the lines of others out. It says who asked for what, when, and what came of it; never a
//! body, so no vector, no photo, no name of a person.
//!
//! A line is in the system's hands before the answer is on its way; it is not synced.

use std::time::Instant;

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
use crate::middleware::{RequestId, Template};

/// Characters of a path that are told.
const PATH: usize = 1_024;
/// What the files are called.
const NAME: &str = "audit";

/// Where lines go; nowhere if the settings name no folder.
pub(crate) struct Audit(Option<Mutex<Trail>>);

/// The id of a key that a request has made, among its extensions.
pub(crate) struct Made(pub(crate) String);

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    time_ms: u64,
    /// As the answer's `x-request-id`.
    request: &'a str,
    address: Option<String>,
    /// Id and name of the key; nothing where none was shown, or none is needed.
    key: Option<(&'a str, &'a str)>,
    method: &'a str,
    path: &'a str,
    /// The id of the key that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<&'a str>,
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
        Ok(Self(Some(Mutex::new(trail))))
    }

    fn write(&self, line: &Line<'_>) -> std::io::Result<()> {
        let Some(trail) = &self.0 else { return Ok(()) };
        trail.lock().append(&serde_json::to_vec(line)?)
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
            made: None,
            method: method.clone(),
            path: told(request.path(), template).chars().take(PATH).collect(),
            status: None,
            told: true,
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

/// A line that is written when this is dropped, however the request ends.
pub(crate) struct Entry<'a> {
    app: &'a App,
    request: String,
    address: Option<String>,
    key: Option<(String, String)>,
    made: Option<String>,
    method: Method,
    path: String,
    status: Option<u16>,
    told: bool,
    started: Instant,
}

impl Entry<'_> {
    /// Who it turned out to be.
    pub(crate) fn by(&mut self, grant: &Grant) {
        self.key = grant.key();
    }

    /// It is a stranger's, or one of too many: it is not told.
    pub(crate) fn forget(&mut self) {
        self.told = false;
    }

    /// How it was answered.
    pub(crate) fn answered(&mut self, outcome: &Result<ServiceResponse<BoxBody>, Error>) {
        self.status = Some(match outcome {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.as_response_error().status_code().as_u16(),
        });
        let made = outcome.as_ref().ok().and_then(|response| {
            let extensions = response.request().extensions();
            extensions.get::<Made>().map(|it| it.0.clone())
        });
        self.made = made;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if !self.told {
            return;
        }
        let key = self.key.as_ref();
        let line = Line {
            time_ms: now_ms(),
            request: &self.request,
            address: self.address.clone(),
            key: key.map(|(id, name)| (id.as_str(), name.as_str())),
            method: self.method.as_str(),
            path: &self.path,
            made: self.made.as_deref(),
            status: self.status,
            lsn: self.app.engine().map(|engine| engine.durable_lsn().0),
            seconds: self.started.elapsed().as_secs_f64(),
        };
        if let Err(error) = self.app.audit.write(&line) {
            self.app.metrics.audit_failed();
            tracing::error!(%error, "a line of the audit trail is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
