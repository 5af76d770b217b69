//! A collection moved to another model: a vector of the new model beside the old one, filled from
//! the photos and crops that are kept, while searches go by the old one and new photos get both; at
//! the end the old one goes.
//!
//! That a move is under way stands in the collection's metadata, so it is in the log, and what is
//! done is seen by which points have the new vector: after a restart it goes on where it was.

mod work;

use std::sync::Arc;

use actix_web::web::Bytes;
use engine::{CollectionChange, CollectionInfo, Engine, VectorSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::embed_pool::Pool;
use crate::jobs::{Halt, Job};
use crate::refusal::Refusal;

/// What a job of this kind is called.
pub(crate) const KIND: &str = "reembed";
/// The key of a collection's metadata that says that it is being moved.
pub(crate) const KEY: &str = "reembedding";

/// A collection's move to another model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    /// The new model.
    pub(crate) model: String,
    /// The vector that it takes the place of.
    pub(crate) from: String,
    /// The vector that it makes.
    pub(crate) to: String,
    /// Whether the old vector stays in the end.
    pub(crate) keep_old: bool,
    /// Whether the old vector goes though some faces have no new one.
    pub(crate) accept_missing: bool,
    pub(crate) state: State,
}

/// Whether it goes on by itself after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Stopped,
}

impl Move {
    /// The move that a collection is in the middle of.
    pub(crate) fn of(info: &CollectionInfo) -> Option<Self> {
        let told = info.spec.metadata.get(KEY)?.clone();
        let told: Self = serde_json::from_value(told).ok()?;
        let there = info.spec.vectors.contains_key(&told.from);
        there.then_some(told)
    }

    /// Writes down how it stands.
    fn note(&self, engine: &Engine, collection: &str, state: State) -> Result<(), engine::Error> {
        let told = Self {
            state,
            ..self.clone()
        };
        let told = serde_json::to_value(told).expect("names and flags are JSON");
        set(engine, collection, told)
    }
}

/// A null takes it away.
fn set(engine: &Engine, collection: &str, told: Value) -> Result<(), engine::Error> {
    let metadata = [(KEY.to_owned(), told)].into_iter().collect();
    let change = CollectionChange {
        metadata: Some(metadata),
        ..CollectionChange::default()
    };
    engine.update_collection(collection, change).map(drop)
}

/// Begins a move that was asked for: that it is under way is in the log before anybody is told.
pub(crate) async fn begin(
    app: &App,
    info: CollectionInfo,
    wanted: Move,
) -> Result<Arc<Job>, Refusal> {
    let _one = app.beginning.lock().await;
    // As it is now that nobody else begins one.
    let info = app.describe(&info.name).await?;
    check(app, &info, &wanted)?;
    let before = info.spec.metadata.get(KEY).cloned().unwrap_or_default();
    let (collection, noted) = (info.name.clone(), wanted.clone());
    app.write(move |engine| noted.note(engine, &collection, State::Running))
        .await?;
    let collection = info.name.clone();
    match start(app, info, wanted) {
        Ok(job) => Ok(job),
        Err(refusal) => {
            app.write(move |engine| set(engine, &collection, before))
                .await?;
            Err(refusal)
        }
    }
}

/// Whether it can be begun.
fn check(app: &App, info: &CollectionInfo, wanted: &Move) -> Result<(), Refusal> {
    let pool = app.faces.pool(Some(&wanted.model))?;
    vector_of(info, wanted, &pool)?;
    none_at_it(app, info)
}

fn none_at_it(app: &App, info: &CollectionInfo) -> Result<(), Refusal> {
    let same = |job: &Arc<Job>| job.is(KIND, &info.name) && job.end().is_none();
    match app.jobs.list().into_iter().find(same) {
        Some(job) => Err(Refusal::conflict(format!(
            "collection `{}` is being moved to another model already: job {}",
            info.name, job.id
        ))),
        None => Ok(()),
    }
}

/// Begins a move, or goes on with one.
fn start(app: &App, info: CollectionInfo, wanted: Move) -> Result<Arc<Job>, Refusal> {
    let pool = app.faces.pool(Some(&wanted.model))?;
    let vector = vector_of(&info, &wanted, &pool)?;
    let engine = app.recovered()?;
    // The new vectors are there beside the old ones; whether there is room is seen once, here.
    drop(app.promise_memory(info.memory_bytes as u64)?);
    // Nobody begins the same in between.
    let _starting = app.moves.lock();
    none_at_it(app, &info)?;
    let collection = info.name.clone();
    app.jobs.start(KIND, info.name, move |job| {
        let outcome = run(&engine, &pool, (&collection, &wanted, vector), job);
        if let Err(halt) = &outcome
            && !matches!(halt, Halt::Stopped)
            && let Err(error) = wanted.note(&engine, &collection, State::Stopped)
        {
            tracing::error!(
                ?halt,
                ?error,
                "a move has ended, and that cannot be written down"
            );
        }
        outcome
    })
}

/// The new vector's settings; those of the index are the old one's.
fn vector_of(info: &CollectionInfo, wanted: &Move, pool: &Pool) -> Result<VectorSpec, Refusal> {
    let old = info.spec.vectors.get(&wanted.from).ok_or_else(|| {
        Refusal::wrong(format!(
            "collection `{}` has no vector `{}` for `from`",
            info.name, wanted.from
        ))
    })?;
    let model = pool.model();
    let embedder = engine::EmbedderRef {
        name: model.name.clone(),
        sha256: model.sha256.clone(),
    };
    let made_by = old.embedder.as_ref().ok_or_else(|| {
        Refusal::conflict(format!(
            "the vectors of collection `{}` were not made by a model out of photos: there is \
             nothing to make others of",
            info.name
        ))
    })?;
    if *made_by == embedder {
        return Err(Refusal::conflict(format!(
            "the vectors of collection `{}` are of {} already",
            info.name, model.name
        )));
    }
    if wanted.to == wanted.from {
        return Err(Refusal::wrong(format!(
            "the new vector cannot be called `{}`, as the old one is: say another name with \
             `vector`",
            wanted.to
        )));
    }
    let there = info.spec.vectors.get(&wanted.to);
    if let Some(other) = there.filter(|it| it.embedder.as_ref() != Some(&embedder)) {
        let of = other.embedder.as_ref().map_or("no model", |it| &it.name);
        return Err(Refusal::conflict(format!(
            "collection `{}` has a vector `{}` already, made by {of}: say another name with \
             `vector`",
            info.name, wanted.to
        )));
    }
    let new = VectorSpec {
        m: old.m,
        ef_construct: old.ef_construct,
        on_disk: old.on_disk,
        embedder: Some(embedder),
        ..VectorSpec::new(model.dim, engine::Metric::Cosine)
    };
    Ok(there.cloned().unwrap_or(new))
}

fn run(
    engine: &Engine,
    pool: &Pool,
    (collection, wanted, vector): (&str, &Move, VectorSpec),
    job: &Job,
) -> Result<Value, Halt> {
    wanted.note(engine, collection, State::Running)?;
    engine.add_vector(collection, &wanted.to, vector)?;
    let filled = work::fill(engine, pool, (collection, wanted), job)?;
    let lacking = match wanted.keep_old {
        true => engine.count_lacking(collection, (&wanted.from, &wanted.to))?,
        false => {
            let lacking = match wanted.accept_missing {
                true => engine::Lacking::Accept,
                false => engine::Lacking::Keep,
            };
            engine.retire_vector(collection, (&wanted.from, &wanted.to), lacking)?
        }
    };
    let removed = !wanted.keep_old && (lacking == 0 || wanted.accept_missing);
    match removed {
        true => set(engine, collection, Value::Null)?,
        // Searches go by the old vector until somebody decides about those without a new one.
        false => wanted.note(engine, collection, State::Stopped)?,
    }
    Ok(json!({
        "model": wanted.model,
        "vector": wanted.to,
        "embedded": filled.embedded(),
        "of_photos": filled.of_photos,
        "of_crops": filled.of_crops,
        "missing": filled.missing_told(),
        "without_new_vector": lacking,
        "old_vector": if removed { "removed" } else { "kept" },
    }))
}

/// Goes on with what a restart has interrupted; what cannot go on is logged.
pub(crate) fn resume(app: &Arc<App>) {
    let Some(engine) = app.engine() else { return };
    for info in engine.collections() {
        let told = info.spec.metadata.get(KEY).cloned();
        let Some(told) = told.and_then(|told| serde_json::from_value::<Move>(told).ok()) else {
            continue;
        };
        if told.state == State::Stopped {
            continue;
        }
        let collection = info.name.clone();
        if !info.spec.vectors.contains_key(&told.from) {
            // It was over but for this.
            if let Err(error) = set(engine, &collection, Value::Null) {
                tracing::error!(collection, ?error, "a move that is over stays noted");
            }
            continue;
        }
        match start(app, info, told) {
            Ok(job) => tracing::info!(collection, job = job.id, "a move to another model goes on"),
            Err(refusal) => {
                tracing::error!(collection, %refusal, "a move to another model cannot go on");
            }
        }
    }
}

/// A picture of a face that is to be looked at.
pub(crate) struct Picture {
    pub(crate) id: engine::PointId,
    pub(crate) face: engine::Face,
    pub(crate) put: engine::Lsn,
    pub(crate) bytes: Bytes,
}
