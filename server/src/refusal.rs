//! What a client is told when its request is not served: a status, one sentence, and sometimes
//! when to try again. Everything below the routes ends here; no other type becomes an error
//! answer.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::clock;
use crate::limits;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    retry: bool,
    /// Of what there is not enough, for programs, where that is why: smaller parts may do where it is memory.
    short_of: Option<&'static str>,
    /// Of a write that might be done as well: nothing of it is.
    is_unwritten: bool,
}

/// What there may not be enough of.
const SHORT_OF: [&str; 2] = [DISK, MEMORY];
const DISK: &str = "disk";
const MEMORY: &str = "memory";

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry: false,
            short_of: None,
            is_unwritten: false,
        }
    }

    /// 400: the request is wrong in itself.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403: the request comes from where it must not come from.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: what it names is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405: the path is known, the method is not.
    pub(crate) fn method(allowed: &str) -> Self {
        let message = format!("this path takes {allowed}, not this method");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// 408: the body did not arrive.
    pub(crate) fn slow_body() -> Self {
        let seconds = limits::BODY_TIMEOUT.as_secs();
        let message = format!("the body did not arrive within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// 409: it does not fit what is there.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 413: more than a limit allows.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415: a content type that this path does not take, or a kind of image that is not decoded.
    pub(crate) fn content_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 421: it is asked of the wrong server.
    pub(crate) fn elsewhere(message: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, message)
    }

    /// 422: understood, but there is nothing to be made of the photo.
    pub(crate) fn photo(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 500: our fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 501: this server cannot do it as it is set up.
    pub(crate) fn not_set_up(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 501: the dialect has it, this server has not.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 429 with `Retry-After`: more requests a second than may be.
    pub(crate) fn too_many(message: impl Into<String>) -> Self {
        Self {
            retry: true,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// 503 with `Retry-After`: the same request may work a moment later.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self {
            retry: true,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    /// 503: what it names is damaged; the same request will not work before somebody mends it.
    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 504: the answer is not there in time.
    pub(crate) fn too_long(limit_s: u64) -> Self {
        let message = format!(
            "the request took longer than {limit_s} s (server.request_timeout_s); what it has \
             begun to write is written nevertheless"
        );
        Self::new(StatusCode::GATEWAY_TIMEOUT, message)
    }

    /// 507: a disk error has stopped all writing, or there is no room.
    pub(crate) fn read_only(message: impl Into<String>) -> Self {
        Self {
            short_of: Some(DISK),
            ..Self::new(StatusCode::INSUFFICIENT_STORAGE, message)
        }
    }

    /// 507: nothing more can be read of the log that nodes share, so nothing is written to it.
    pub(crate) fn log_broken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, message)
    }

    /// 507: it would take more memory than may be.
    pub(crate) fn no_memory(message: impl Into<String>) -> Self {
        Self {
            short_of: Some(MEMORY),
            ..Self::new(StatusCode::INSUFFICIENT_STORAGE, message)
        }
    }

    /// What another node has told of the same request, and of what it was short.
    pub(crate) fn of_another(
        status: StatusCode,
        message: impl Into<String>,
        short_of: Option<&str>,
    ) -> Self {
        let mut known = SHORT_OF.into_iter();
        Self {
            short_of: known.find(|it| Some(*it) == short_of),
            ..Self::new(status, message)
        }
    }

    /// The same refusal, its sentence led by the place it speaks of.
    pub(crate) fn at(mut self, place: &str) -> Self {
        // Nothing is said of what came before it.
        self.is_unwritten = false;
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same refusal, of a write of which nothing is done.
    fn unwritten(mut self) -> Self {
        self.is_unwritten = true;
        self
    }

    /// With a sentence more.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message = format!("{}. {more}", self.message);
        self
    }

    /// The same refusal in other words.
    pub(crate) fn instead(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same request may work a moment later.
    pub(crate) fn is_busy(&self) -> bool {
        self.retry
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.retry {
            response.insert_header((header::RETRY_AFTER, limits::RETRY_AFTER_S));
        }
        let mut status = json!({"error": self.message});
        if let Some(what) = self.short_of {
            status["short_of"] = what.into();
        }
        if self.is_unwritten {
            status["unwritten"] = true.into();
        }
        response.json(json!({
            "status": status,
            "time": clock::seconds(),
        }))
    }
}

impl From<engine::Error> for Refusal {
    fn from(error: engine::Error) -> Self {
        use engine::Error;
        let message = error.to_string();
        match error {
            error if error.is_disk_full() => Self::read_only(message),
            Error::NoBackup(_)
            | Error::NoCollection(_)
            | Error::NoAlias(_)
            | Error::NoPoint(_)
            | Error::NoPerson(_) => Self::not_found(message),
            Error::Exists(_) | Error::Conflict(_) => Self::conflict(message),
            Error::BadName { .. }
            | Error::BadVector { .. }
            | Error::NoVector { .. }
            | Error::Shared(_)
            | Error::BadRequest(_) => Self::wrong(message),
            Error::TooLarge(_) => Self::too_large(message),
            Error::Busy(_)
            | Error::Overtaken
            | Error::Unreachable(_)
            | Error::Checkpoints(_)
            | Error::Stopped => Self::busy(message),
            Error::ReadOnly(_) => Self::read_only(message),
            Error::Refused { is_full: true, .. } => Self::read_only(message).unwritten(),
            Error::Refused { .. } => Self::busy(message).unwritten(),
            Error::LogBroken(_) => Self::log_broken(message).unwritten(),
            Error::Quarantined { .. } => Self::damaged(message),
            _ => Self::internal(message),
        }
    }
}

impl From<embedder::Error> for Refusal {
    fn from(error: embedder::Error) -> Self {
        use embedder::Error;
        let message = error.to_string();
        match error {
            Error::Unsupported { .. } | Error::UnsupportedForm(_) => Self::content_type(message),
            Error::NotAnImage { .. } | Error::Damaged(_) => Self::photo(message),
            Error::TooLarge { .. }
            | Error::TooLargeWhole { .. }
            | Error::TooMuchMemory(_)
            | Error::TooManyBytes { .. } => Self::too_large(message),
            Error::NotInstalled(_) => Self::not_set_up(message),
            Error::Remote { status: 503, .. } => Self::busy(message),
            Error::Remote { status, .. } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                Self::new(status, message)
            }
            _ => Self::internal(message),
        }
    }
}
