//! The OpenAPI 3.1 document, made from the operations. What follows from a path or a method alone
//! (its names in braces, the refusals it shares with all its like) is worked out here, so that no
//! operation can forget it.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Body, Operation};
use super::schema::Schemas;
use crate::access::{self, Needs};
use crate::compreface;

/// The document about these operations.
pub(crate) fn document(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in operations {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        let method = operation.method.as_str().to_ascii_lowercase();
        entry[method] = described(operation, &mut schemas);
    }
    let mut components = schemas.components();
    components.insert("Refusal".into(), refusal_schema());
    let mut ways = json!({
        "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    });
    if operations.iter().any(|it| compreface::is_of(it.path)) {
        components.insert("Fault".into(), compreface::schema());
        ways["serviceKey"] = json!({"type": "apiKey", "in": "header", "name": "x-api-key"});
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "doppel",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": ABOUT,
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"apiKey": []}, {"bearer": []}],
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": ways,
        },
    })
}

const ABOUT: &str = "An embedded vector database for faces. Answers are framed as \
    `{\"result\", \"status\": \"ok\", \"time\"}`, refusals as `{\"status\": {\"error\"}, \"time\"}`. Bodies \
    may be compressed (`content-encoding: gzip` or `zstd`), answers are when `accept-encoding` says \
    so. Wherever JSON is taken, MessagePack of the same shape is too (`application/msgpack`), and an \
    answer comes in it when `accept` asks for it; refusals are always JSON. Every answer carries \
    `x-request-id`.";

fn tags(operations: &[Operation]) -> Value {
    let tags: BTreeSet<_> = operations.iter().map(tag).collect();
    tags.into_iter().map(|name| json!({"name": name})).collect()
}

/// Operations are grouped by the part of the tree that they are in.
fn tag(operation: &Operation) -> &'static str {
    let path = operation.path;
    let parts: Vec<_> = path.split('/').skip(1).collect();
    match parts[..] {
        ["collections", "{collection}", "points", ..] => "Points",
        ["collections", "{collection}", "faces" | "people", ..] | ["faces", ..] => "Faces",
        ["collections", ..] | ["aliases"] => "Collections",
        ["api", "v1", ..] => "CompreFace",
        _ => "Server",
    }
}

fn described(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut entry = json!({
        "operationId": operation.id,
        "summary": operation.about,
        "tags": [tag(operation)],
        "responses": responses(operation, schemas),
        "security": security(operation),
    });
    let parameters = parameters(operation, schemas);
    if !parameters.is_empty() {
        entry["parameters"] = parameters.into();
    }
    if !operation.bodies.is_empty() {
        let content = operation.bodies.iter().map(|body| content(body, schemas));
        let content: Map<_, _> = content.collect();
        entry["requestBody"] = json!({"required": true, "content": content});
    }
    entry
}

/// No key where anyone may ask; else one with these scopes, or none where the server is open.
fn security(operation: &Operation) -> Value {
    match access::needs(&operation.method, operation.path) {
        Some(Needs::OPEN) => json!([]),
        needs => {
            let scopes = needs.map_or(&[][..], |needs| needs.scopes);
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.word()).collect();
            match compreface::is_of(operation.path) {
                true => json!([{"serviceKey": scopes}]),
                false => json!([{}, {"apiKey": scopes}, {"bearer": scopes}]),
            }
        }
    }
}

fn content(body: &Body, schemas: &mut Schemas) -> (String, Value) {
    let mut media = json!({"schema": schemas.read(body.schema)});
    if let Some(example) = &body.example {
        media["example"] = example.clone();
    }
    (body.media_type.to_owned(), media)
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let names = operation.path.split('{').skip(1);
    let names = names.filter_map(|rest| rest.split('}').next());
    let mut all: Vec<Value> = names.map(of_path).collect();
    let Some(params) = operation.params else {
        return all;
    };
    let schema = schemas.read(params);
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let whole = schemas.definition(reference).unwrap_or(&schema);
    let properties = whole["properties"].as_object().into_iter().flatten();
    let required = |name: &str| {
        let list = whole["required"].as_array();
        list.is_some_and(|list| list.iter().any(|it| it == name))
    };
    all.extend(properties.map(|(name, schema)| {
        json!({
            "name": name,
            "in": "query",
            "required": required(name),
            "schema": without_null(schema.clone()),
        })
    }));
    all
}

/// In a URL there is no null: what may be absent is left out.
fn without_null(mut schema: Value) -> Value {
    let types = schema.get_mut("type").and_then(Value::as_array_mut);
    if let Some(types) = types {
        types.retain(|it| it != "null");
        if let [one] = &types[..] {
            schema["type"] = one.clone();
        }
    }
    let choices = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    if let Some(choices) = choices {
        choices.retain(|it| it["type"] != "null");
    }
    let words = schema.get_mut("enum").and_then(Value::as_array_mut);
    if let Some(words) = words {
        words.retain(|it| !it.is_null());
    }
    schema
}

fn of_path(name: &str) -> Value {
    let (about, schema, example) = match name {
        "id" => (
            "A point's id: an unsigned integer or a UUID.",
            json!({"anyOf": [
                {"type": "integer", "minimum": 0, "maximum": u64::MAX},
                {"type": "string", "format": "uuid"},
            ]}),
            json!(1),
        ),
        "collection" => (
            "The name of a collection.",
            json!({
                "type": "string",
                "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
                "maxLength": engine::limits::MAX_NAME_LEN,
            }),
            json!("faces"),
        ),
        "job" => (
            "A job's id.",
            json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            json!(1),
        ),
        "key" => (
            "A key of the payloads; dots reach into objects, `[]` into lists.",
            json!({"type": "string", "minLength": 1, "maxLength": engine::limits::MAX_KEY_LEN}),
            json!("person"),
        ),
        "vector" => (
            "The name of a vector.",
            json!({
                "type": "string", "minLength": 1,
                "maxLength": engine::limits::MAX_VECTOR_NAME_LEN,
            }),
            json!("text"),
        ),
        _ => (
            "A name.",
            json!({"type": "string", "minLength": 1}),
            json!("name"),
        ),
    };
    json!({
        "name": name, "in": "path", "required": true,
        "description": about, "schema": schema, "example": example,
    })
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let of_compreface = compreface::is_of(operation.path);
    let mut responses = Map::new();
    let mut done = success(&operation.answer, schemas);
    if operation.tagged {
        done["headers"] = json!({"etag": {"schema": {"type": "string"}}});
        let known = json!({"description": "It is as `if-none-match` says it was."});
        responses.insert("304".into(), known);
    }
    let good = if operation.created { "201" } else { "200" };
    responses.insert(good.into(), done);
    for status in statuses(operation) {
        let refused = match of_compreface {
            true => fault(status),
            false => refused(status),
        };
        responses.insert(status.to_string(), refused);
    }
    Value::Object(responses)
}

fn success(answer: &Answer, schemas: &mut Schemas) -> Value {
    let content = match answer {
        Answer::Framed(schema, example) => {
            let schema = json!({
                "type": "object",
                "required": ["result", "status", "time"],
                "properties": {
                    "result": schemas.told(*schema),
                    "status": {"const": "ok"},
                    "time": {"type": "number", "description": "Seconds."},
                },
            });
            let example = json!({"result": example, "status": "ok", "time": 0.0012});
            json!({"application/json": {"schema": schema, "example": example}})
        }
        Answer::Bare(example, types) => {
            let mut content = plain(types);
            let kind = if example.is_array() {
                "array"
            } else {
                "object"
            };
            let json = json!({"schema": {"type": kind}, "example": example});
            content.insert("application/json".to_owned(), json);
            content.into()
        }
        Answer::Plain(types) => plain(types).into(),
    };
    json!({"description": "Done.", "content": content})
}

fn plain(types: &[&str]) -> Map<String, Value> {
    let types = types.iter();
    types
        .map(|it| ((*it).to_owned(), json!({"schema": {"type": "string"}})))
        .collect()
}

/// CompreFace's clients are told in another way.
fn fault(status: u16) -> Value {
    let about = match status {
        400 => "The request is wrong in itself, or there is no face, or the key is no UUID.",
        404 => "There is no such key, subject or example.",
        500 => "A fault of the server, or it has no face models.",
        other => {
            return json!({
                "description": refused(other)["description"],
                "content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Fault"},
                }},
            });
        }
    };
    json!({
        "description": about,
        "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Fault"},
            "example": {"message": about, "code": 0},
        }},
    })
}

/// What this operation may refuse with.
fn statuses(operation: &Operation) -> BTreeSet<u16> {
    if compreface::is_of(operation.path) {
        return [400, 403, 404, 429, 500, 503, 504, 507].into();
    }
    let mut all: BTreeSet<u16> = [400, 401, 403, 429, 500, 503, 504].into();
    all.extend(&operation.refusals);
    if operation.path.contains('{') {
        all.insert(404);
    }
    // An entry of a collection that is spread over shards has no points.
    if operation.path.starts_with("/collections/{collection}/") {
        all.insert(409);
    }
    if !operation.bodies.is_empty() {
        all.extend([408, 413, 415]);
    }
    if operation.method != Method::GET {
        all.insert(507);
    }
    all
}

fn refused(status: u16) -> Value {
    let about = match status {
        400 => "The request is wrong in itself; the message says where.",
        401 => "The server wants an API key, or another one.",
        403 => {
            "The key is not good for this, or the request comes from a web page of another origin."
        }
        404 => "There is no such collection, point, face or picture.",
        408 => "The body came in too slowly.",
        409 => "It does not fit what is there.",
        413 => "More than a limit allows.",
        415 => "A content type or encoding that this path does not take.",
        422 => "Nothing can be made of the photo.",
        501 => {
            "This server cannot do it as it is set up: it has no such face model, and none is on its way."
        }
        503 => {
            "Busy, starting, loading face models, or no memory beside others: try again after `Retry-After` seconds."
        }
        429 => "More requests a second than one key or one address may make.",
        504 => "It took longer than a request may take.",
        507 => {
            "A disk error has stopped all writing until a restart, or it would take too much memory."
        }
        _ => "A fault of the server.",
    };
    if status == 401 {
        return json!({
            "description": about,
            "content": {"text/plain": {"schema": {"type": "string"}}},
        });
    }
    let mut refused = json!({
        "description": about,
        "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Refusal"},
            "example": {"status": {"error": about}, "time": 0.0001},
        }},
    });
    if status == 403 {
        // The one of a key, as the dialect has it.
        refused["content"]["text/plain"] = json!({"schema": {"type": "string"}});
    }
    if matches!(status, 429 | 503) {
        refused["headers"] = json!({"retry-after": {"schema": {"type": "string"}}});
    }
    refused
}

fn refusal_schema() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was not served.",
        "required": ["status", "time"],
        "properties": {
            "status": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {"type": "string"},
                    "short_of": {
                        "type": "string",
                        "enum": ["disk", "memory"],
                        "description": "With 507: of what there is not enough. Smaller parts may do where it is memory.",
                    },
                    "unwritten": {
                        "type": "boolean",
                        "description": "With 503 or 507, where several nodes share a log: the write is not done, and nothing comes of it.",
                    },
                },
            },
            "time": {"type": "number"},
        },
    })
}
