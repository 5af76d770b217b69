//! What a client of CompreFace is told when its request is not served: a status, CompreFace's number
//! for the mistake, and a sentence. The numbers are what clients go by: 28 is "no face".

use std::fmt;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use crate::access::{Denied, Service};
use crate::limits;
use crate::refusal::Refusal;

/// CompreFace's numbers.
mod code {
    pub(super) const UNDEFINED: u16 = 0;
    pub(super) const EMPTY_FIELD: u16 = 5;
    pub(super) const NO_SUCH_KEY: u16 = 10;
    pub(super) const MISSING_HEADER: u16 = 20;
    pub(super) const BAD_FILE: u16 = 21;
    pub(super) const CONSTRAINT: u16 = 26;
    pub(super) const NO_FACE: u16 = 28;
    pub(super) const TOO_MANY_FACES: u16 = 31;
    pub(super) const MISSING_PARAMETER: u16 = 33;
    pub(super) const MISSING_PART: u16 = 34;
    pub(super) const BAD_ARGUMENT: u16 = 36;
    pub(super) const FACES_SERVICE: u16 = 41;
    pub(super) const NO_SUBJECT: u16 = 42;
    pub(super) const SUBJECT_EXISTS: u16 = 43;
    pub(super) const NO_EXAMPLE: u16 = 44;
}

/// Characters of what a client sent that are told back.
pub(super) const ECHO: usize = 80;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    code: u16,
    message: String,
    retry: bool,
}

impl Fault {
    fn new(status: StatusCode, code: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry: false,
        }
    }

    fn bad(code: u16, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A field of a JSON body that must say something.
    pub(super) fn empty(field: &str) -> Self {
        Self::bad(code::EMPTY_FIELD, format!("Field {field} cannot be empty"))
    }

    /// The name of a file says that it is no picture.
    pub(super) fn extension(name: &str) -> Self {
        let name: String = name.chars().take(ECHO).collect();
        let message = format!("File [{name}] has an unavailable extension");
        Self::bad(code::BAD_FILE, message)
    }

    pub(super) fn base64() -> Self {
        Self::bad(code::BAD_FILE, "Provided value is not Base64")
    }

    /// A value that may not be.
    pub(super) fn constraint(message: impl Into<String>) -> Self {
        Self::bad(code::CONSTRAINT, message)
    }

    pub(super) fn no_face() -> Self {
        Self::bad(code::NO_FACE, "No face is found in the given image")
    }

    pub(super) fn too_many_faces() -> Self {
        let message = "More than one face in the source image";
        Self::bad(code::TOO_MANY_FACES, message)
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let message = format!("Required parameter {name} is missing");
        Self::bad(code::MISSING_PARAMETER, message)
    }

    pub(super) fn missing_part(name: &str) -> Self {
        let message = format!("Required part {name} is missing");
        Self::bad(code::MISSING_PART, message)
    }

    /// A value of the wrong kind, or something that is not there.
    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::bad(code::BAD_ARGUMENT, message)
    }

    pub(super) fn no_subject(name: &str) -> Self {
        let name: String = name.chars().take(ECHO).collect();
        let message = format!("Subject {name} not found");
        Self::new(StatusCode::NOT_FOUND, code::NO_SUBJECT, message)
    }

    pub(super) fn subject_exists() -> Self {
        Self::bad(code::SUBJECT_EXISTS, "Subject already exists")
    }

    pub(super) fn no_example(id: impl fmt::Display) -> Self {
        let message = format!("Image {id} not found");
        Self::new(StatusCode::NOT_FOUND, code::NO_EXAMPLE, message)
    }

    /// What nobody may do.
    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code::UNDEFINED, message)
    }

    /// What is off for good.
    pub(super) fn off(message: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, code::UNDEFINED, message)
    }
}

/// Photos that cannot be read, and bodies above a limit, are 400 with them, and models that are not
/// there a failure of the service that looks at faces; what this server alone knows keeps its status.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal.status() {
            StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::UNSUPPORTED_MEDIA_TYPE => (StatusCode::BAD_REQUEST, code::UNDEFINED),
            StatusCode::NOT_IMPLEMENTED => (StatusCode::INTERNAL_SERVER_ERROR, code::FACES_SERVICE),
            other => (other, code::UNDEFINED),
        };
        Self {
            status,
            code,
            message: refusal.message().to_owned(),
            retry: refusal.is_busy(),
        }
    }
}

impl From<engine::Error> for Fault {
    fn from(error: engine::Error) -> Self {
        Refusal::from(error).into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.retry {
            response.insert_header((header::RETRY_AFTER, limits::RETRY_AFTER_S));
        }
        response.json(json!({"message": self.message, "code": self.code}))
    }
}

/// The answer to who shows no good key of a service. A key that is none, is another service's or has
/// expired is not found: clients know no 401. What is of no service takes keys as the rest of this server does.
pub(crate) fn turned_away(denied: &Denied, service: Option<Service>, shown: &str) -> Fault {
    let Some(service) = service else {
        let (status, why) = denied.told();
        return Fault::new(status, code::UNDEFINED, why);
    };
    match denied {
        Denied::Missing => Fault::bad(code::MISSING_HEADER, "Missing header: x-api-key"),
        Denied::NotUuid => Fault::constraint("Service API key should be UUID"),
        Denied::Wrong | Denied::Expired => {
            let (service, shown) = (service.title(), shown.chars().take(ECHO));
            let shown: String = shown.collect();
            let message = format!("{service} service with API Key {shown} not found");
            Fault::new(StatusCode::NOT_FOUND, code::NO_SUCH_KEY, message)
        }
        Denied::Forbidden(why) => Fault::new(StatusCode::FORBIDDEN, code::UNDEFINED, why),
    }
}

/// The answer to a method that a path does not take.
pub(crate) fn no_method(method: &Method) -> Fault {
    let method: String = method.as_str().chars().take(ECHO).collect();
    let message = format!("Request method '{method}' not supported");
    Fault::new(StatusCode::NOT_FOUND, code::UNDEFINED, message)
}

/// What it looks like, for the document of the API.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was not served.",
        "required": ["message", "code"],
        "properties": {
            "message": {"type": "string"},
            "code": {"type": "integer", "minimum": 0, "maximum": u16::MAX},
        },
    })
}
