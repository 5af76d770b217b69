//! One operation: a method of a path, its handler, and what a client has to know about it.

use actix_web::Route;
use actix_web::http::Method;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::{SchemaOf, schema_of};

/// An operation of the API.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) beside_a_name: bool,
    /// Makes the route anew for each worker.
    pub(crate) route: fn() -> Route,
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    pub(crate) params: Option<SchemaOf>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) answer: Answer,
    /// Whether it answers 201.
    pub(crate) created: bool,
    /// Whether the answer has an ETag, and is 304 for a client that has it.
    pub(crate) tagged: bool,
    /// Statuses of refusals beside those that follow from path and method.
    pub(crate) refusals: Vec<u16>,
}

/// One of the forms in which a request's body may come.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) media_type: &'static str,
    pub(crate) schema: SchemaOf,
    pub(crate) example: Option<Value>,
    /// Whether the example is one: read as the handler reads it.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests read the examples"))]
    pub(crate) read: fn(&str) -> Result<(), String>,
}

/// What a success looks like.
#[derive(Clone)]
pub(crate) enum Answer {
    /// JSON in the frame of the dialect.
    Framed(SchemaOf, Value),
    /// JSON without a frame, and the types of what else may come instead.
    Bare(Value, &'static [&'static str]),
    /// Anything else, by content type.
    Plain(&'static [&'static str]),
}

impl Operation {
    fn new(method: Method, path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self {
            method,
            path,
            beside_a_name: false,
            route,
            id,
            about: "",
            params: None,
            bodies: Vec::new(),
            answer: Answer::Plain(&["text/plain"]),
            created: false,
            tagged: false,
            refusals: Vec::new(),
        }
    }

    /// An endpoint that only says why it is not served; it is in no document.
    pub(crate) fn refused(method: Method, path: &'static str, route: fn() -> Route) -> Self {
        Self::new(method, path, "", route)
    }

    pub(crate) fn get(path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::GET, path, id, route)
    }

    pub(crate) fn put(path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::PUT, path, id, route)
    }

    pub(crate) fn patch(path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::PATCH, path, id, route)
    }

    pub(crate) fn post(path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::POST, path, id, route)
    }

    pub(crate) fn delete(path: &'static str, id: &'static str, route: fn() -> Route) -> Self {
        Self::new(Method::DELETE, path, id, route)
    }

    /// The path's last part may be a name as well: other methods of it are those of that name.
    pub(crate) fn beside_a_name(mut self) -> Self {
        self.beside_a_name = true;
        self
    }

    /// What it does, in a sentence or two.
    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// What may stand in the URL behind the question mark.
    pub(crate) fn params<T: JsonSchema>(mut self) -> Self {
        self.params = Some(schema_of::<T>);
        self
    }

    /// A body of JSON, with an example; MessagePack of the same shape is taken too.
    pub(crate) fn takes<T: JsonSchema + DeserializeOwned>(mut self, example: Value) -> Self {
        self.bodies.push(Body {
            media_type: "application/json",
            schema: schema_of::<T>,
            example: Some(example),
            read: |text| match serde_json::from_str::<T>(text) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        });
        self
    }

    /// A body in another form, `T` naming its fields.
    pub(crate) fn takes_form<T: JsonSchema>(mut self, media_type: &'static str) -> Self {
        self.bodies.push(Body {
            media_type,
            schema: schema_of::<T>,
            example: None,
            read: |_| Ok(()),
        });
        self
    }

    /// A framed answer, with an example of what is in the frame.
    pub(crate) fn answers<T: JsonSchema>(mut self, example: Value) -> Self {
        self.answer = Answer::Framed(schema_of::<T>, example);
        self
    }

    /// A JSON answer without a frame.
    pub(crate) fn answers_bare(mut self, example: Value) -> Self {
        self.answer = Answer::Bare(example, &[]);
        self
    }

    /// The same, or something of other types if the client would rather have that.
    pub(crate) fn answers_bare_or(
        mut self,
        example: Value,
        types: &'static [&'static str],
    ) -> Self {
        self.answer = Answer::Bare(example, types);
        self
    }

    /// An answer of other types.
    pub(crate) fn answers_plain(mut self, types: &'static [&'static str]) -> Self {
        self.answer = Answer::Plain(types);
        self
    }

    /// It answers 201.
    pub(crate) fn created(mut self) -> Self {
        self.created = true;
        self
    }

    /// The answer has an ETag, and is 304 for a client that has it.
    pub(crate) fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// Further statuses that it refuses with.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }
}
