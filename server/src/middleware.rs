//! What happens around every request: its id, its clock, its span, its metrics, and that a panic
//! becomes an answer; then whether it may be served at all.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use crate::access::{Asked, Denied, Grant, Service};
use crate::app::App;
use crate::at_work::AtWork;
use crate::compreface::{self, Fault};
use crate::connections::Admitted;
use crate::cors::Origin;
use crate::metrics::{Metrics, Route};
use crate::refusal::Refusal;
use crate::{access, clock, cors, hosts, http, limits, routes, seen, shards};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What the templates of the routes are told as when none matched.
const NO_ROUTE: &str = "-";

/// The id that the answer will carry, for the inner layer.
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.0.as_bytes()).into_owned()
    }
}

/// The path with names in braces, for the inner layer; nothing where nothing is.
pub(crate) struct Template(pub(crate) Option<String>);

/// The outermost layer.
pub(crate) async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let metrics = app(&request).metrics.clone();
    // Before anybody looks at it: routes are found without escapes, and what is judged must be what is found.
    if let Some(plain) = http::plain(request.uri()) {
        request.match_info_mut().get_mut().update(&plain);
        request.head_mut().uri = plain;
    }
    let route = request.match_pattern();
    request.extensions_mut().insert(Template(route.clone()));
    // Whoever asks by methods that a path does not have makes no series for each path.
    let answered = route.filter(|it| routes::is_answered(request.method(), it));
    let route = answered.unwrap_or_else(|| NO_ROUTE.to_owned());
    let method = method_label(&request);
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id = ?id, method, route);
    let _in_flight = InFlight::new(&metrics);
    let working = request.conn_data::<AtWork>().map(AtWork::enter);
    let work = AssertUnwindSafe(next.call(request)).catch_unwind();
    let outcome = clock::timed(started, work).instrument(span.clone()).await;
    let _entered = span.enter();
    let outcome = outcome.unwrap_or_else(|_| {
        metrics.panicked();
        Err(Refusal::internal("the server broke down over this request").into())
    });
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let template = route.as_str();
    let took = started.elapsed();
    metrics.answered(&Route { template, method }, status.as_u16(), took);
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), ?took, "answered");
    } else {
        tracing::debug!(status = status.as_u16(), ?took, "answered");
    }
    match outcome {
        Ok(response) => {
            let mut response = response.map_into_boxed_body();
            mark(response.headers_mut(), id);
            Ok(match working {
                Some(working) => response.map_body(|_, body| BoxBody::new(working.answered(body))),
                None => response,
            })
        }
        Err(error) => {
            let mut response = error.error_response();
            mark(response.headers_mut(), id);
            Err(InternalError::from_response(error, response).into())
        }
    }
}

/// What every answer carries.
fn mark(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
    // It has told the compressing layer to leave the body alone, and says nothing to clients.
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|it| it == "identity")
    {
        headers.remove(header::CONTENT_ENCODING);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// The inner layer: who may not be served is answered here, before its body is read, and who takes
/// too long.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = app(&request).clone();
    let connection = request.conn_data::<Admitted>();
    if let Some(connection) = connection {
        connection.has_asked();
    }
    if let Some(connection) = connection.filter(|_| shards::is_of_a_node(&app, &request)) {
        connection.is_of_a_node();
    }
    let is_beyond = connection.is_some_and(Admitted::is_beyond);
    let mut response = match from_where(&app, &request, is_beyond) {
        Err(refusal) => {
            let response = Turned::Back(refusal).response(&request);
            request.into_response(response)
        }
        Ok(origin) => {
            let mut response = match cors::is_preflight(request.method(), request.headers()) {
                true => request.into_response(cors::preflight()),
                false => served(&app, request, next).await?,
            };
            cors::open(origin, response.headers_mut());
            response
        }
    };
    if is_beyond {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Where a request comes from, or why it is served on no such connection, under no such name, or to no
/// such page.
fn from_where(app: &App, request: &ServiceRequest, is_beyond: bool) -> Result<Origin, Refusal> {
    let (uri, headers, settings) = (request.uri(), request.headers(), &app.config.server);
    if is_beyond && !is_at(request, |it| access::is_of_operators(request.method(), it)) {
        return Err(Refusal::busy(
            "as many connections are open as may be (server.max_connections): try again",
        ));
    }
    // Elsewhere a page of another's has nothing to show: no key, no key of a node, no name in a certificate.
    let is_open = app.keys.is_open() && app.config.tls.is_none();
    if is_open && !shards::is_between_nodes(app, request) && !is_probe(request) {
        hosts::check(&settings.hosts, uri, headers)?;
    }
    cors::check(&settings.cors_origins, uri, headers)
}

/// Whether only how the server stands is asked, in a word.
fn is_probe(request: &ServiceRequest) -> bool {
    is_at(request, |it| {
        matches!(it, "/livez" | "/readyz" | "/healthz")
    })
}

/// What is not for everyone is paced, judged and told of in the audit trail.
async fn served(
    app: &App,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut entry = app.audit.begin(app, &request);
    let outcome = match admitted(app, &request) {
        Ok(grant) => {
            if let Some(entry) = &mut entry {
                entry.by(&grant);
            }
            let limit_s = app.config.server.request_timeout_s;
            let adds = !is_at(&request, |it| !access::adds(request.method(), it));
            // A shard has a log of its own, and says itself how far it is.
            if shards::is_between_nodes(app, &request) {
                let work = grant.scope(in_time(request, next, limit_s));
                return http::Room::scope(app.memory.clone(), adds, work).await;
            }
            let mut outcome = match seen::awaited(app, request.headers()).await {
                Ok(()) => {
                    let work = grant.scope(in_time(request, next, limit_s));
                    http::Room::scope(app.memory.clone(), adds, work).await
                }
                Err(refusal) => Err(refusal.into()),
            };
            if let Ok(response) = &mut outcome {
                seen::tell(app, response.headers_mut());
            }
            outcome
        }
        Err(turned) => {
            if let Some(entry) = &mut entry {
                match turned.is_told() {
                    true => entry.refused(access::known(&app.keys, request.headers())),
                    false => entry.forget(),
                }
            }
            let response = turned.response(&request);
            Ok(request.into_response(response))
        }
    };
    if let Some(entry) = &mut entry {
        entry.answered(&outcome);
    }
    outcome
}

/// Why a request is not served.
enum Turned {
    Away(Denied),
    Back(Refusal),
}

impl Turned {
    /// As the clients of the path expect it.
    fn response(self, request: &ServiceRequest) -> HttpResponse {
        let path = of_compreface(request);
        match (self, path) {
            (Self::Away(denied), None) => denied.response(),
            (Self::Away(denied), Some(path)) => {
                let shown = request.headers().get("x-api-key");
                let shown = shown.and_then(|it| it.to_str().ok()).unwrap_or_default();
                compreface::turned_away(&denied, Service::of(path), shown).error_response()
            }
            (Self::Back(refusal), None) => refusal.error_response(),
            (Self::Back(refusal), Some(_)) => Fault::from(refusal).error_response(),
        }
    }

    /// Whether the audit trail tells of it: it is a key of the server's that is not good for this.
    fn is_told(&self) -> bool {
        matches!(self, Self::Away(Denied::Forbidden(_) | Denied::Expired))
    }
}

/// The path, if it is one of CompreFace's API and that is spoken, also where there is nothing at it.
fn of_compreface(request: &ServiceRequest) -> Option<&str> {
    let speaks = app(request).config.compreface.is_some();
    Some(request.path()).filter(|path| speaks && compreface::is_of(path))
}

/// Whether there is something at the path, and it is one of these.
fn is_at(request: &ServiceRequest, one_of: impl FnOnce(&str) -> bool) -> bool {
    let extensions = request.extensions();
    let template = extensions.get::<Template>().and_then(|it| it.0.as_deref());
    template.is_some_and(one_of)
}

/// What a request may do.
fn admitted(app: &App, request: &ServiceRequest) -> Result<Grant, Turned> {
    if shards::is_between_nodes(app, request) {
        return shards::judge(app.shards(), request).map_err(|denied| {
            app.metrics.auth_failed(denied.reason());
            Turned::Away(denied)
        });
    }
    if !is_at(request, |it| access::is_open(request.method(), it)) {
        let address = request.peer_addr().map(|peer| peer.ip());
        app.pace.from(address).map_err(Turned::Back)?;
    }
    let grant = judge(app, request).map_err(|denied| {
        app.metrics.auth_failed(denied.reason());
        Turned::Away(denied)
    })?;
    app.pace.by(&grant).map_err(Turned::Back)?;
    Ok(grant)
}

fn judge(app: &App, request: &ServiceRequest) -> Result<Grant, Denied> {
    let extensions = request.extensions();
    let template = extensions.get::<Template>();
    let template = template.and_then(|it| it.0.as_deref());
    let asked = Asked {
        method: request.method(),
        path: request.path(),
        // Of a service of CompreFace its clients ask with its keys also for what is not there.
        template: template
            .or_else(|| of_compreface(request).filter(|it| Service::of(it).is_some())),
        headers: request.headers(),
    };
    access::judge(&app.keys, &asked)
}

/// A request that takes too long is answered; what it has begun on a blocking thread ends there.
/// Whole collections take as long as they take.
async fn in_time(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    limit_s: u64,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if of_whole_collections(&request) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let limit = Duration::from_secs(limit_s);
    let of_compreface = of_compreface(&request).is_some();
    match tokio::time::timeout(limit, next.call(request)).await {
        Ok(response) => Ok(response?.map_into_boxed_body()),
        Err(_) if of_compreface => Err(Fault::from(Refusal::too_long(limit_s)).into()),
        Err(_) => Err(Refusal::too_long(limit_s).into()),
    }
}

/// Whether the route, not the name of a collection in the path, is one of the snapshots.
fn of_whole_collections(request: &ServiceRequest) -> bool {
    let extensions = request.extensions();
    let template = extensions.get::<Template>().and_then(|it| it.0.as_deref());
    template.is_some_and(|it| it.split('/').any(|part| part == "snapshots"))
}

fn app(request: &ServiceRequest) -> &web::Data<App> {
    let app = request.app_data::<web::Data<App>>();
    app.expect("every worker is started with the state")
}

/// Methods that nobody serves are one label, so that clients cannot invent series.
fn method_label(request: &ServiceRequest) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The client's own id if it is a decent one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        let short = (1..=limits::REQUEST_ID_CHARS).contains(&bytes.len());
        short && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().to_string();
        HeaderValue::try_from(id).expect("a UUID is ASCII")
    })
}

/// Counts a request as at work until it is dropped, however it ends.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.request_began();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
