//! The collection of the settings, made when the server starts if it is not there: CompreFace's
//! services are there before the first subject is.

use engine::{Engine, Error};
use serde_json::json;

use crate::app::App;
use crate::refusal::Refusal;
use crate::wire::collection::CreateCollection;

/// Makes the collection; what is wrong is logged, and told to clients as they ask for it.
pub(crate) fn prepare(app: &App, engine: &Engine) {
    let Some(settings) = &app.config.compreface else {
        return;
    };
    let name = &settings.collection;
    match made(app, engine, name) {
        Ok(true) => tracing::info!(collection = name, "made for clients of CompreFace"),
        Ok(false) => {}
        Err(refusal) => tracing::error!(%refusal, collection = name, "cannot be made"),
    }
}

fn made(app: &App, engine: &Engine, name: &str) -> Result<bool, Refusal> {
    match engine.describe(name) {
        Ok(_) => return Ok(false),
        Err(Error::NoCollection(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let loaded = app.faces.pool(None).map(|pool| pool.model().name.clone());
    let model = loaded.unwrap_or_else(|_| app.config.models.default.clone());
    let body = serde_json::from_value::<CreateCollection>(json!({"embedder": model}));
    let body = body.map_err(|error| Refusal::internal(error.to_string()))?;
    let spec = body.spec(&|name| app.faces.model(name))?;
    engine.create_collection(name, spec)?;
    Ok(true)
}
