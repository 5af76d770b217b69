//! Bodies of requests on their way in: read within the limits of size and time, and told apart by
//! content type. What they mean is the business of `wire`.

mod body;
mod encoding;
mod form;
mod parts;
mod path;
mod room;
mod upload;

pub(crate) use body::{
    Either, MESSAGE_PACK, files_or_json, json, multipart_or_json, query, values,
};
pub(crate) use form::{Fields, Form};
pub(crate) use parts::json_bytes;
pub(crate) use path::plain;
pub(crate) use room::Room;
pub(crate) use upload::backup;
