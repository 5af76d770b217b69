//! The REST API of CompreFace over the same people, faces and models, for clients that speak it. Off
//! unless the settings name a collection.
//!
//! A subject is a person, an example a point that has a person and a vector; a subject without
//! examples is a point that has nothing but the person. So what comes in on one side is found on the
//! other. Statuses, codes and messages are CompreFace's, also where they are odd; what is off, because
//! it is not safe, says so. What stays this server's: keys and scopes, limits, who is asked for what.

mod detect;
mod examples;
mod fault;
mod images;
mod look;
mod off;
mod params;
mod pictures;
mod recognize;
mod similarity;
mod start;
mod status;
mod subjects;
mod told;
mod vectors;
mod verify;

use config::CompreFace;

use crate::access::Grant;
use crate::api::Operation;
use crate::app::App;
use crate::refusal::Refusal;
use crate::shards;

pub(crate) use fault::{Fault, no_method, schema, turned_away};
pub(crate) use start::prepare;

/// Everything of it that is answered.
pub(crate) fn operations() -> Vec<Operation> {
    let of_files = [
        subjects::operations(),
        examples::operations(),
        images::operations(),
        recognize::operations(),
        detect::operations(),
        verify::operations(),
        vectors::operations(),
        status::operations(),
    ];
    of_files.into_iter().flatten().collect()
}

/// What is there only to say that it is off.
pub(crate) fn refused() -> Vec<Operation> {
    off::operations()
}

/// Whether a path is one of this API's.
pub(crate) fn is_of(path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The settings; without them none of this is mounted.
fn settings(app: &App) -> Result<&CompreFace, Refusal> {
    let settings = app.config.compreface.as_ref();
    settings.ok_or_else(|| Refusal::internal("CompreFace's API is off and was asked"))
}

/// The collection that the key is for, else that of the settings.
fn collection(app: &App) -> Result<String, Refusal> {
    let name = match Grant::current().limits().collections.as_deref() {
        Some([only]) => only.clone(),
        _ => settings(app)?.collection.clone(),
    };
    shards::whole(app, &name, "the API of CompreFace")?;
    Ok(name)
}
