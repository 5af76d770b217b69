//! What all requests share, and the way from a thread that answers to one that may block: every
//! call of the engine passes its gate and runs on a blocking thread. A client that goes away does
//! not free its place before its call has ended.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use actix_web::web;
use config::Config;
use engine::{
    Ack, Chosen, CollectionInfo, Engine, OfSeveral, PayloadChange, PointId, Query, ScoredPoint,
    Vectors, Written,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::Span;

use crate::access::{NotMade, Ring};
use crate::audit::Audit;
use crate::duplicates::Underway;
use crate::faces::Faces;
use crate::gate::Gate;
use crate::http;
use crate::jobs::Jobs;
use crate::likeness::Scales;
use crate::limits;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::pause::Pause;
use crate::places;
use crate::recall::Recall;
use crate::recovery::Recovery;
use crate::reembedding::Elsewhere;
use crate::refusal::Refusal;
use crate::remote::Remote;
use crate::retention::Retention;
use crate::seen::Applied;
use crate::shards::Shards;
use crate::slow::Slow;

/// The state of the server.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) keys: Arc<Ring>,
    pub(crate) faces: Arc<Faces>,
    pub(crate) scales: Scales,
    pub(crate) jobs: Jobs,
    engine: OnceLock<Arc<Engine>>,
    shards: OnceLock<Shards>,
    pub(crate) recall: Arc<Recall>,
    pub(crate) retention: Retention,
    pub(crate) applied: Arc<Applied>,
    /// For those who wait in the background.
    pub(crate) stopping: Pause,
    /// Held by the one who begins a job that outlives a restart, so that nobody begins the same.
    pub(crate) beginning: Mutex<()>,
    /// Who moves collections, of the nodes that share a log.
    pub(crate) elsewhere: Elsewhere,
    /// Held by one who decides about a subject by what there is of it.
    pub(crate) subjects: tokio::sync::Mutex<()>,
    pub(crate) audit: Audit,
    /// Faces that are on their way in.
    pub(crate) underway: Underway,
    /// What the log that nodes share lacks, in words; this node has it.
    purged: Mutex<Option<String>>,
    /// The server that looks at this one's photos, if another does.
    pub(crate) remote: Option<Remote>,
    pub(crate) pace: Pace,
    pub(crate) memory: Memory,
    /// Whether a node's folder may be read without the log that it follows.
    pub(crate) without_log: bool,
    slow: Slow,
    recovery: Recovery,
    searches: Gate,
    writes: Gate,
    operators: Gate,
    looks: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(
        config: Config,
        metrics: Metrics,
        keys: Ring,
        audit: Audit,
        remote: Option<Remote>,
    ) -> Self {
        Self {
            remote,
            keys: Arc::new(keys),
            faces: Arc::new(Faces::new(&config.models_dir, &config.models.default)),
            scales: Scales::default(),
            jobs: Jobs::new(&config.data_dir),
            engine: OnceLock::new(),
            shards: OnceLock::new(),
            recall: Arc::default(),
            stopping: Pause::default(),
            applied: Arc::default(),
            retention: Retention::new(config.retention.sweep_s, &config.data_dir),
            beginning: Mutex::default(),
            elsewhere: Elsewhere::default(),
            subjects: tokio::sync::Mutex::default(),
            pace: Pace::new(&config.server),
            memory: Memory::new(config.memory_limit_mib, &metrics),
            without_log: false,
            slow: Slow::new(config.log_output.slow_ms),
            audit,
            underway: Underway::default(),
            recovery: Recovery::default(),
            purged: Mutex::default(),
            searches: Gate::new("searches", config.server.concurrent_searches),
            writes: Gate::new("writes", config.server.concurrent_writes),
            operators: Gate::new("requests of operators", limits::OPERATORS_AT_WORK),
            looks: Arc::new(Semaphore::new(limits::LOOKS_AT_WORK)),
            metrics,
            config,
        }
    }

    /// From now on requests are served.
    pub(crate) fn opened(&self, engine: Engine) -> Arc<Engine> {
        let engine = Arc::new(engine);
        let first = self.engine.set(Arc::clone(&engine)).is_ok();
        assert!(first, "a server opens one engine");
        engine
    }

    /// The engine, once it has recovered.
    pub(crate) fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.get()
    }

    /// What this node serves and knows of shards, where there are any.
    pub(crate) fn shards(&self) -> Option<&Shards> {
        self.shards.get()
    }

    /// From now on it knows of shards.
    pub(crate) fn has_shards(&self, shards: Shards) {
        let first = self.shards.set(shards).is_ok();
        assert!(first, "a server has its shards from the start");
    }

    /// What the log that nodes share lacks, though this node has it.
    pub(crate) fn purged(&self) -> Option<String> {
        self.purged.lock().clone()
    }

    /// Says what it lacks, or that it lacks nothing any more.
    pub(crate) fn is_purged(&self, what: Option<String>) {
        self.metrics.log_is_purged(what.is_some());
        *self.purged.lock() = what;
    }

    pub(crate) fn max_body_bytes(&self) -> usize {
        self.config.server.max_body_mib << 20
    }

    /// How far recovery is, to be told from the thread that is at it.
    pub(crate) fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The engine, or how far its recovery is.
    pub(crate) fn recovered(&self) -> Result<Arc<Engine>, Refusal> {
        let engine = self.engine().cloned();
        engine.ok_or_else(|| match self.recovery.failure() {
            None => Refusal::busy(format!("starting: {}", self.recovery.text())),
            Some(_) => Refusal::damaged(self.recovery.text()),
        })
    }

    /// How many searches and writes there have been, for those who work beside them.
    pub(crate) fn asked(&self) -> impl Fn() -> u64 + use<> {
        let (searches, writes) = (self.searches.clone(), self.writes.clone());
        move || searches.entered() + writes.entered()
    }

    /// Reads from the engine, in a place of the request's own if it holds some.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, engine::Error> + Send + 'static,
    {
        match places::own().await {
            Some(place) => self.in_place(place, work).await,
            None => self.through(&self.searches, work).await,
        }
    }

    /// Does work that reads several times, so many or a few of them at once: it is refused, if at all,
    /// before it begins, and never stands in its own way.
    pub(crate) async fn reading<T>(
        &self,
        at_once: usize,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let most = at_once.clamp(1, limits::BATCH_WIDTH);
        places::within(&self.searches, most, work).await
    }

    /// Does work on the engine that has a place behind a gate until it ends.
    async fn through<T, E, F>(&self, gate: &Gate, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: Into<Refusal> + Send + 'static,
        F: FnOnce(&Engine) -> Result<T, E> + Send + 'static,
    {
        self.recovered()?;
        self.in_place(gate.enter()?, work).await
    }

    async fn in_place<P, T, E, F>(&self, place: P, work: F) -> Result<T, Refusal>
    where
        P: Send + 'static,
        T: Send + 'static,
        E: Into<Refusal> + Send + 'static,
        F: FnOnce(&Engine) -> Result<T, E> + Send + 'static,
    {
        let engine = self.recovered()?;
        blocking(move || {
            let _place = place;
            work(&engine)
        })
        .await
    }

    /// Tells how the engine stands, also where no more searches and writes are let in. It takes so little
    /// that whoever finds no place waits for one, as long as a request may take.
    pub(crate) async fn look<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> T + Send + 'static,
    {
        self.recovered()?;
        let place = Arc::clone(&self.looks).acquire_owned().await;
        self.in_place(place, move |engine| Ok::<_, Refusal>(work(engine)))
            .await
    }

    /// Does what an operator asks for, who has places apart: also where no more searches and writes
    /// are let in.
    pub(crate) async fn operate<T, E, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: Into<Refusal> + Send + 'static,
        F: FnOnce(&Engine) -> Result<T, E> + Send + 'static,
    {
        self.through(&self.operators, work).await
    }

    /// Searches, and tells the metrics how long it took.
    pub(crate) async fn search(
        &self,
        collection: String,
        query: Query,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let metrics = self.metrics.clone();
        self.recall.note(&collection, &query);
        let (started, slow, request) = (Instant::now(), self.slow, Span::current());
        let found = self.read(move |engine| {
            let (hits, times) = engine.search_timed(&collection, &query)?;
            metrics.searched(query.exact, times);
            request.in_scope(|| slow.searched(&collection, &query, started.elapsed(), times));
            Ok(hits)
        });
        found.await
    }

    /// Searches for a part of the true hits, however far a walk has to go for it; looks at all
    /// points where no walk goes far enough.
    pub(crate) async fn search_for(
        &self,
        collection: String,
        mut query: Query,
        recall: f32,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let (name, using) = (collection.clone(), query.using.clone());
        let k = query.limit.saturating_add(query.offset);
        let tuned = self.read(move |engine| engine.tune(&name, &using, k, recall));
        let tuned = tuned.await?;
        query.ef = Some(tuned.ef);
        query.exact |= tuned.exact;
        self.search(collection, query).await
    }

    /// Writes.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: Into<Refusal> + Send + 'static,
        F: FnOnce(&Engine) -> Result<T, E> + Send + 'static,
    {
        self.through(&self.writes, work).await
    }

    /// Writes what takes about so many bytes of memory, if there is as much.
    pub(crate) async fn write_taking<T, F>(&self, bytes: u64, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, engine::Error> + Send + 'static,
    {
        let promise = self.memory.promise_beside(bytes, http::Room::release())?;
        self.write(move |engine| {
            let _promise = promise;
            work(engine)
        })
        .await
    }

    /// Begins a job that outlives a restart, or gives one up: what notes it and what starts it are done
    /// together, or not at all, also where the client no longer waits for the answer.
    pub(crate) async fn begin<T, F>(self: Arc<Self>, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &Arc<Engine>) -> Result<T, Refusal> + Send + 'static,
    {
        let (engine, place) = (self.recovered()?, self.operators.enter()?);
        blocking(move || {
            let (_place, _one) = (place, self.beginning.lock());
            work(&self, &engine)
        })
        .await
    }

    /// An error where writing has stopped: what would only write later is refused as a write is.
    pub(crate) fn takes_writes(&self) -> Result<(), Refusal> {
        let stopped = self.recovered()?.stopped();
        stopped.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Changes the keys, which lie in the data folder: only once that is open.
    pub(crate) async fn change_keys<T, F>(&self, change: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Ring) -> Result<T, NotMade> + Send + 'static,
    {
        self.recovered()?;
        let keys = Arc::clone(&self.keys);
        match web::block(move || change(&keys)).await {
            Ok(outcome) => outcome.map_err(Refusal::from),
            Err(_) => Err(Refusal::internal("a thread of the server broke down")),
        }
    }

    /// Gives points other vectors.
    pub(crate) async fn update_vectors(
        &self,
        collection: String,
        points: Vec<(PointId, Vectors)>,
        ack: Ack,
    ) -> Result<Written, Refusal> {
        let bytes = points.iter().map(|(_, vectors)| vectors.memory_bytes());
        let outcome = self.write_taking(bytes.sum(), move |engine| {
            engine.update_vectors(&collection, points, ack)
        });
        let outcome = outcome.await;
        self.metrics.wrote("update_vectors", &outcome);
        outcome
    }

    /// Takes points out.
    pub(crate) async fn delete(
        &self,
        collection: String,
        ids: Vec<PointId>,
        ack: Ack,
    ) -> Result<Written, Refusal> {
        let outcome = self.write(move |engine| engine.delete(&collection, ids, ack));
        let outcome = outcome.await;
        self.metrics.wrote("delete", &outcome);
        outcome
    }

    /// Takes out the points of a person, and says how many.
    pub(crate) async fn delete_person(
        &self,
        collection: String,
        (person, of_several): (String, OfSeveral),
        ack: Ack,
    ) -> Result<(Written, usize), Refusal> {
        let outcome =
            self.write(move |engine| engine.delete_person(&collection, &person, of_several, ack));
        let (outcome, count) = outcome.await.map_or_else(
            |refusal| (Err(refusal), 0),
            |(written, count)| (Ok(written), count),
        );
        self.metrics.wrote("delete", &outcome);
        Ok((outcome?, count))
    }

    /// Takes points out, and says how many if a filter said which.
    pub(crate) async fn delete_chosen(
        &self,
        collection: String,
        chosen: Chosen,
        ack: Ack,
    ) -> Result<(Written, Option<usize>), Refusal> {
        let filter = match chosen {
            Chosen::Ids(ids) => return Ok((self.delete(collection, ids, ack).await?, None)),
            Chosen::Filter(filter) => filter,
        };
        let outcome = self.write(move |engine| engine.delete_where(&collection, &filter, ack));
        let (outcome, count) = outcome.await.map_or_else(
            |refusal| (Err(refusal), 0),
            |(written, count)| (Ok(written), count),
        );
        self.metrics.wrote("delete", &outcome);
        Ok((outcome?, Some(count)))
    }

    /// Takes vectors away from points.
    pub(crate) async fn delete_vectors(
        &self,
        collection: String,
        chosen: Chosen,
        names: Vec<String>,
        ack: Ack,
    ) -> Result<Written, Refusal> {
        let outcome = self.write(move |engine| match chosen {
            Chosen::Ids(ids) => engine.delete_vectors(&collection, ids, &names, ack),
            Chosen::Filter(filter) => {
                engine.delete_vectors_where(&collection, &filter, &names, ack)
            }
        });
        let outcome = outcome.await;
        self.metrics.wrote("delete_vectors", &outcome);
        outcome
    }

    /// Changes payloads.
    pub(crate) async fn change_payload(
        &self,
        collection: String,
        (chosen, change): (Chosen, PayloadChange),
        ack: Ack,
        what: &'static str,
    ) -> Result<Written, Refusal> {
        let (memory, body) = (self.memory.clone(), http::Room::release());
        let outcome = self.write(move |engine| {
            let bytes = engine.change_bytes(&collection, &chosen, &change)?;
            let _room = memory.promise_beside(bytes, body)?;
            Ok::<_, Refusal>(engine.change_payload(&collection, chosen, &change, ack)?)
        });
        let outcome = outcome.await;
        self.metrics.wrote(what, &outcome);
        outcome
    }

    /// What a collection is made of.
    pub(crate) async fn describe(&self, collection: &str) -> Result<CollectionInfo, Refusal> {
        let name = collection.to_owned();
        Ok(self.look(move |engine| engine.describe(&name)).await??)
    }
}

async fn blocking<T, E, F>(work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    E: Into<Refusal> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    match web::block(work).await {
        Ok(outcome) => outcome.map_err(E::into),
        Err(_) => Err(Refusal::internal("a thread of the server broke down")),
    }
}
