//! A collection moved to another model: a vector of the new model beside the old one, filled from
//! the photos and crops that are kept, while searches go by the old one and new photos get both; at
//! the end the old one goes. A head makes its vectors of its base's: a move to it from there needs no
//! pictures.
//!
//! That a move is under way stands in the collection's metadata, so it is in the log, and what is
//! done is seen by which points have the new vector: after a restart it goes on where it was.

mod beside;
mod elsewhere;
mod work;

use std::sync::Arc;

use actix_web::web::Bytes;
use embedder::Mapper;
use engine::{CollectionChange, CollectionInfo, Engine, Lacking, Retired, VectorSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::embed_pool::Pool;
use crate::jobs::{Halt, Job};
use crate::memory::Promise;
use crate::refusal::Refusal;

pub(crate) use beside::note_heads;
pub(crate) use elsewhere::Elsewhere;

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
    /// Whether the new vector was there before: then giving up takes nothing away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_there: bool,
    /// Which one of its name the new model is; not in what an older version has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    pub(crate) state: State,
}

/// Whether it goes on by itself after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Stopped,
    /// It is over, and both vectors stay, as was asked for.
    Kept,
}

impl Move {
    /// The move that a collection is in the middle of.
    pub(crate) fn of(info: &CollectionInfo) -> Option<Self> {
        noted(info).filter(|told| info.spec.vectors.contains_key(&told.from))
    }

    /// Writes down how it stands.
    fn note(
        &self,
        engine: &Engine,
        info: &CollectionInfo,
        state: State,
    ) -> Result<(), engine::Error> {
        let told = Self {
            state,
            ..self.clone()
        };
        let told = serde_json::to_value(told).expect("names and flags are JSON");
        set(engine, info, told)
    }
}

/// A null takes it away. Of another collection that has come to its name nothing is changed.
fn set(engine: &Engine, info: &CollectionInfo, told: Value) -> Result<(), engine::Error> {
    let metadata = [(KEY.to_owned(), told)].into_iter().collect();
    let change = CollectionChange {
        metadata: Some(metadata),
        ..CollectionChange::default()
    };
    engine.update_collection(info, change).map(drop)
}

/// Whether the collection is there still, and not another one of its name.
fn is_there(engine: &Engine, info: &CollectionInfo) -> Result<(), Halt> {
    match engine.describe(&info.name) {
        Ok(now) if now.number == info.number => Ok(()),
        Ok(_) | Err(engine::Error::NoCollection(_)) => Err(Halt::Failed(format!(
            "collection `{}` has been dropped meanwhile",
            info.name
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Begins a move that was asked for: that it is under way is in the log before anybody is told.
/// Whoever calls this holds `beginning`.
pub(crate) fn begin(
    app: &App,
    engine: &Arc<Engine>,
    info: CollectionInfo,
    wanted: Move,
) -> Result<Arc<Job>, Refusal> {
    let pool = app.faces.pool(Some(&wanted.model))?;
    vector_of(&info, &wanted, &pool)?;
    none_at_it(app, &info)?;
    app.elsewhere.take(app, engine, &info.name)?;
    // The new vectors are there beside the old ones.
    let room = app.memory.promise(bytes_of(engine, &info, &wanted)?)?;
    let before = info.spec.metadata.get(KEY).cloned().unwrap_or_default();
    let unfinished = noted(&info).filter(|it| it.to == wanted.to && it.state != State::Kept);
    let there = || info.spec.vectors.contains_key(&wanted.to);
    let was_there = unfinished.map_or_else(there, |it| it.was_there);
    let wanted = Move {
        was_there,
        sha256: Some(pool.model().sha256.clone()),
        ..wanted
    };
    wanted.note(engine, &info, State::Running)?;
    start(app, engine, info.clone(), (wanted, room)).inspect_err(|_| {
        if let Err(error) = set(engine, &info, before) {
            tracing::error!(collection = info.name, %error, "a move that did not begin stays noted");
        }
    })
}

/// About as much as the old vectors take, which may be longer or shorter than the new ones.
fn bytes_of(engine: &Engine, info: &CollectionInfo, wanted: &Move) -> Result<u64, engine::Error> {
    Ok(engine.index_bytes(&info.name, &wanted.from)? as u64)
}

/// The job that is moving a collection.
fn at_it(app: &App, info: &CollectionInfo) -> Option<Arc<Job>> {
    let same = |job: &Arc<Job>| job.is(KIND, &info.name) && job.is_at_work();
    app.jobs.list().into_iter().find(same)
}

fn none_at_it(app: &App, info: &CollectionInfo) -> Result<(), Refusal> {
    match at_it(app, info) {
        Some(job) => Err(Refusal::conflict(format!(
            "collection `{}` is being moved to another model already: job {}",
            info.name, job.id
        ))),
        None => Ok(()),
    }
}

/// Gives up a move that does not go on: the new vector goes, the old one stays, as it was. Says which move
/// that was, and how many points were left without a vector. Whoever calls this holds `beginning`.
pub(crate) fn give_up(
    app: &App,
    engine: &Engine,
    info: &CollectionInfo,
    lacking: Lacking<'_>,
) -> Result<(Move, usize), Refusal> {
    let name = &info.name;
    if let Some(job) = at_it(app, info) {
        return Err(Refusal::conflict(format!(
            "job {id} is moving collection `{name}` to another model: cancel it first (`DELETE \
             /admin/jobs/{id}`, `doppel admin cancel {id}`)",
            id = job.id
        )));
    }
    app.elsewhere.refuse(app, engine, name)?;
    let told = noted(info).ok_or_else(|| {
        Refusal::conflict(format!(
            "collection `{name}` is not being moved to another model: there is nothing to give up"
        ))
    })?;
    let (from, to) = (told.from.as_str(), told.to.as_str());
    let both = [from, to].map(|it| info.spec.vectors.contains_key(it)) == [true; 2];
    if both && told.state == State::Kept {
        return Err(Refusal::conflict(format!(
            "the move of collection `{name}` to {} is over, and both vectors were to stay: remove the one \
             that is to go, `{from}` or `{to}` (`DELETE /collections/{name}/vectors/NAME`)",
            told.model
        )));
    }
    if both && told.was_there {
        return Err(Refusal::conflict(format!(
            "both vectors of collection `{name}` were there before the move to {} began: go on with it, or \
             remove the one that is to go, `{from}` or `{to}` (`DELETE /collections/{name}/vectors/NAME`)",
            told.model
        )));
    }
    let mut without = 0;
    if both {
        let retired = engine.retire_vector(info, (to, from), lacking)?;
        without = retired.lacking;
        if !retired.is_gone {
            return Err(Refusal::conflict(format!(
                "{without} points of collection `{name}` have the new vector `{to}` and not the old one, \
                 `{from}`, and would be found no more: go on with the move, or say `accept_missing`"
            )));
        }
    }
    set(engine, info, Value::Null)?;
    Ok((told, without))
}

/// Has a move that waits to go on after a restart not do so: it stays as it is until the same is asked for, or it
/// is given up. Whoever calls this holds `beginning`.
pub(crate) fn stop(app: &App, engine: &Engine, collection: &str) -> Result<(), Refusal> {
    app.elsewhere.refuse(app, engine, collection)?;
    let info = engine.describe(collection)?;
    if let Some(told) = noted(&info).filter(|told| told.state == State::Running) {
        told.note(engine, &info, State::Stopped)?;
    }
    Ok(())
}

/// Begins a move, or goes on with one.
fn start(
    app: &App,
    engine: &Arc<Engine>,
    info: CollectionInfo,
    (wanted, room): (Move, Promise),
) -> Result<Arc<Job>, Refusal> {
    let pool = app.faces.pool(Some(&wanted.model))?;
    let vector = vector_of(&info, &wanted, &pool)?;
    let old = info.spec.vectors.get(&wanted.from);
    let old = old.and_then(|vector| vector.embedder.as_ref());
    let is_mapped = old.is_some_and(|old| pool.is_head_on(old));
    let unmapped = (is_mapped && pool.head().is_none()).then(|| {
        let (head, base) = (&wanted.model, old.map_or("", |old| &old.name));
        let why = app.faces.why_idle(head);
        format!("{head} is a head on {base}, but does not run on this server: {why}")
    });
    if let Some(why) = &unmapped {
        tracing::warn!(collection = info.name, why, "a move goes by pictures");
    }
    let head = pool.head().filter(|_| is_mapped).cloned();
    let engine = Arc::clone(engine);
    let faces = Arc::clone(&app.faces);
    app.jobs.start(KIND, info.name.clone(), move |job| {
        let of = (&info, &wanted, vector);
        let mut outcome = run(&engine, (&pool, head), of, (job, &room));
        // Not before all have the base: putting that of a point takes the head's of it away.
        if outcome
            .as_ref()
            .is_ok_and(|told| told["without_new_vector"] == 0)
        {
            note_heads(&faces, &engine, &info.name)?;
        }
        if let (Ok(result), Some(why)) = (&mut outcome, unmapped) {
            result["by_pictures_because"] = why.into();
        }
        if let Err(halt) = &outcome
            && !matches!(halt, Halt::Stopped)
            && let Err(error) = wanted.note(&engine, &info, State::Stopped)
            && !matches!(error, engine::Error::NoCollection(_))
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
        let (name, to) = (&info.name, &wanted.to);
        return Err(Refusal::conflict(match &other.embedder {
            Some(of) if of.name == model.name => format!(
                "the vectors `{to}` of collection `{name}` are of another {of} ({before}) than the one here \
                 ({now}): remove them (`DELETE /collections/{name}/vectors/{to}`), or say another name with \
                 `vector`",
                of = of.name,
                before = of.sha256,
                now = model.sha256
            ),
            of => format!(
                "collection `{name}` has a vector `{to}` already, made by {}: say another name with `vector`",
                of.as_ref().map_or("no model", |of| &of.name)
            ),
        }));
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
    makers: (&Pool, Option<Mapper>),
    (info, wanted, vector): (&CollectionInfo, &Move, VectorSpec),
    (job, room): (&Job, &Promise),
) -> Result<Value, Halt> {
    let collection = info.name.as_str();
    is_there(engine, info)?;
    wanted.note(engine, info, State::Running)?;
    let before = engine.describe(collection)?.spec;
    let from_model = before
        .vectors
        .get(&wanted.from)
        .and_then(|it| it.embedder.as_ref());
    let from_model = from_model.map(|it| &it.name);
    let names = (wanted.from.as_str(), wanted.to.as_str());
    // Both vectors as they are meant: what comes to their names later is neither filled nor taken away.
    let mut meant = info.clone();
    let vectors = &mut meant.spec.vectors;
    vectors.insert(wanted.to.clone(), vector.clone());
    match makers.1 {
        // What changes of the old vectors meanwhile is seen by what it takes away of the new ones.
        Some(_) => engine.add_vector_made_of(info, names, vector)?,
        None => engine.add_vector(info, names.1, vector)?,
    };
    let mut work = work::Work::new(engine, makers, (&meant, wanted), (job, room))?;
    let Retired {
        lacking,
        is_gone: removed,
    } = work.fill_and(|given_up| {
        is_there(engine, info)?;
        let lacking = match (wanted.keep_old, wanted.accept_missing) {
            (true, _) => {
                let lacking = engine.count_lacking(&meant, names)?;
                return Ok(Retired {
                    lacking,
                    is_gone: false,
                });
            }
            (false, true) => Lacking::AcceptOf(given_up),
            (false, false) => Lacking::Keep,
        };
        Ok(engine.retire_vector(&meant, names, lacking)?)
    })?;
    let filled = work.filled();
    let is_over = removed || (wanted.keep_old && (lacking == 0 || wanted.accept_missing));
    match (is_over, removed) {
        (_, true) => set(engine, info, Value::Null)?,
        (true, false) => wanted.note(engine, info, State::Kept)?,
        // Searches go by the old vector until somebody decides about those without a new one.
        (false, false) => wanted.note(engine, info, State::Stopped)?,
    }
    Ok(json!({
        "model": wanted.model,
        "vector": wanted.to,
        "from": wanted.from,
        "from_model": from_model,
        "embedded": filled.embedded(),
        "of_vectors": filled.of_vectors,
        "of_photos": filled.of_photos,
        "of_crops": filled.of_crops,
        "missing": filled.missing_told(),
        "without_new_vector": lacking,
        "old_vector": if removed { "removed" } else { "kept" },
    }))
}

/// Whether a restart has interrupted a collection's move.
pub(crate) fn is_interrupted(info: &CollectionInfo) -> bool {
    noted(info).is_some_and(|told| told.state == State::Running)
}

fn noted(info: &CollectionInfo) -> Option<Move> {
    let told = info.spec.metadata.get(KEY)?.clone();
    serde_json::from_value(told).ok()
}

/// Goes on with a move that a restart has interrupted, if it is still to go on.
///
/// # Errors
/// 503 when there is no place among the jobs, the model is not there yet, or another node goes on with it; 409 when
/// there is another model of its name now.
pub(crate) fn go_on(app: &App, engine: &Arc<Engine>, collection: &str) -> Result<(), Refusal> {
    let _one = app.beginning.lock();
    let info = engine.describe(collection)?;
    let Some(told) = noted(&info).filter(|told| told.state == State::Running) else {
        return Ok(());
    };
    if !info.spec.vectors.contains_key(&told.from) {
        // It was over but for this.
        return Ok(set(engine, &info, Value::Null)?);
    }
    none_at_it(app, &info)?;
    // Whatever keeps the model away, it may come; and another node that goes on may end.
    let busy = |refusal: Refusal| Refusal::busy(refusal.to_string());
    let pool = app.faces.pool(Some(&told.model)).map_err(busy)?;
    let now = &pool.model().sha256;
    if told.sha256.as_ref().is_some_and(|then| then != now) {
        told.note(engine, &info, State::Stopped)?;
        return Err(Refusal::conflict(format!(
            "the move was to another {} than the one here ({now}), and does not go on: ask for it again, or give it up",
            told.model
        )));
    }
    let taken = app.elsewhere.take(app, engine, collection);
    taken.map_err(busy)?;
    // It was let in once, and part of it is there: it is counted, and not refused.
    let room = app.memory.hold(bytes_of(engine, &info, &told)?);
    let job = start(app, engine, info, (told, room))?;
    tracing::info!(collection, job = job.id, "a move to another model goes on");
    Ok(())
}

/// A picture of a face that is to be looked at.
pub(crate) struct Picture {
    pub(crate) id: engine::PointId,
    pub(crate) face: engine::Face,
    pub(crate) put: engine::Lsn,
    pub(crate) bytes: Bytes,
}
