//! What Prometheus is told. One registry; labels are bounded: routes are templates, collections
//! are at most [`METRIC_COLLECTIONS`](crate::limits::METRIC_COLLECTIONS) and an `_other`, nothing names a point or a person.

mod made;
mod photos;
mod searches;
mod shards;
mod states;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use embedder::Analysis;
use engine::{CollectionInfo, Event, SearchTimes, Status};
use parking_lot::Mutex;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, Registry, TextEncoder,
};

use crate::refusal::Refusal;
use made::{CONSTANT, counter, counters, gauge, gauges, histogram, histograms};
use photos::Photos;
use searches::Searches;
use shards::Shards;
pub(crate) use states::Work;
use states::{States, flag, whole};

const HTTP_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const FSYNC_S: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
const WRITE_S: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
const GROUP: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
const CHECKPOINT_S: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// The metrics of a server; clones are the same metrics.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: Gauge,
    auth_failures: IntCounterVec,
    panics: IntCounter,
    audit_failures: IntCounter,
    memory_refusals: IntCounter,
    expired: IntCounter,
    retention_waits: Gauge,
    /// Whether nodes differ, and where they were compared last.
    replicas: [Gauge; 2],
    shards: Shards,
    searches: Searches,
    writes: IntCounterVec,
    write_seconds: HistogramVec,
    fsync_seconds: Histogram,
    group_records: Histogram,
    log_written_bytes: IntCounter,
    checkpoint_seconds: Histogram,
    checkpoint_time: Gauge,
    photos: Photos,
    /// Read from the engine and the pool when somebody looks.
    states: Mutex<States>,
}

/// Where a request went.
pub(crate) struct Route<'a> {
    pub(crate) template: &'a str,
    pub(crate) method: &'a str,
}

impl Route<'_> {
    /// Which part of the interface it belongs to.
    fn api(&self) -> &'static str {
        if self.template.contains("/faces") {
            "faces"
        } else if self.template.starts_with("/collections") {
            "points"
        } else {
            "ops"
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let process = registry.register(Box::new(ProcessCollector::for_self()));
        process.expect(CONSTANT);
        let r = &registry;
        let about = "Which doppel this is; always 1.";
        gauges(r, "doppel_build_info", about, &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        Self(Arc::new(Inner {
            requests: counters(
                r,
                "doppel_http_requests_total",
                "Requests answered.",
                &["api", "route", "method", "code"],
            ),
            request_seconds: histograms(
                r,
                "doppel_http_request_duration_seconds",
                "From a request's head to its answer.",
                &["api", "route", "method", "outcome"],
                HTTP_S,
            ),
            in_flight: gauge(r, "doppel_http_requests_in_flight", "Requests at work."),
            auth_failures: counters(
                r,
                "doppel_auth_failures_total",
                "Requests without the right API key.",
                &["reason"],
            ),
            panics: counter(r, "doppel_panics_total", "Panics that were caught."),
            audit_failures: counter(
                r,
                "doppel_audit_failures_total",
                "Lines of the audit trail that could not be written.",
            ),
            memory_refusals: counter(
                r,
                "doppel_memory_refusals_total",
                "Writes that were refused because they would have taken too much memory.",
            ),
            expired: counter(
                r,
                "doppel_points_expired_total",
                "Points that were taken out because their time was over.",
            ),
            replicas: replicas(r),
            shards: Shards::new(r),
            retention_waits: gauge(
                r,
                "doppel_retention_waiting",
                "1: nothing expires, because the clock has jumped.",
            ),
            searches: Searches::new(r),
            writes: counters(
                r,
                "doppel_writes_total",
                "Writes, by what they did and how they ended.",
                &["op", "outcome"],
            ),
            write_seconds: histograms(
                r,
                "doppel_write_duration_seconds",
                "Groups of records: log = written and synced, apply = in tables and indexes.",
                &["stage"],
                WRITE_S,
            ),
            fsync_seconds: histogram(
                r,
                "doppel_log_fsync_duration_seconds",
                "One write and sync of the log.",
                FSYNC_S,
            ),
            group_records: histogram(
                r,
                "doppel_log_group_records",
                "Records that one write and sync of the log made durable together.",
                GROUP,
            ),
            log_written_bytes: counter(
                r,
                "doppel_log_written_bytes_total",
                "Bytes of records written to the log.",
            ),
            checkpoint_seconds: histogram(
                r,
                "doppel_checkpoint_duration_seconds",
                "Checkpoints.",
                CHECKPOINT_S,
            ),
            checkpoint_time: gauge(
                r,
                "doppel_checkpoint_last_timestamp_seconds",
                "When the last checkpoint ended, or this process began; since 1970.",
            ),
            photos: Photos::new(r),
            states: Mutex::new(States::new(r)),
            registry,
        }))
        .with_known_labels()
    }

    /// Series that are known beforehand start at zero, so that their first event is a rise.
    fn with_known_labels(self) -> Self {
        self.0.checkpoint_time.set(now_s());
        for reason in ["missing", "wrong", "expired", "forbidden"] {
            self.0.auth_failures.with_label_values(&[reason]);
        }
        for op in ["upsert", "delete"] {
            for outcome in ["ok", "refused", "failed"] {
                self.0.writes.with_label_values(&[op, outcome]);
            }
        }
        for stage in ["log", "apply"] {
            self.0.write_seconds.with_label_values(&[stage]);
        }
        self
    }

    pub(crate) fn request_began(&self) {
        self.0.in_flight.inc();
    }

    /// A request that has ended without an answer, because its client went away, counts as none.
    pub(crate) fn request_ended(&self) {
        self.0.in_flight.dec();
    }

    pub(crate) fn answered(&self, route: &Route<'_>, status: u16, took: Duration) {
        let (api, code) = (route.api(), status.to_string());
        let labels = [api, route.template, route.method];
        let requests = &self.0.requests;
        requests
            .with_label_values(&[labels[0], labels[1], labels[2], &code])
            .inc();
        let outcome = match status {
            ..400 => "ok",
            400..500 => "client_error",
            _ => "server_error",
        };
        let seconds = &self.0.request_seconds;
        seconds
            .with_label_values(&[labels[0], labels[1], labels[2], outcome])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn auth_failed(&self, reason: &str) {
        self.0.auth_failures.with_label_values(&[reason]).inc();
    }

    pub(crate) fn panicked(&self) {
        self.0.panics.inc();
    }

    pub(crate) fn audit_failed(&self) {
        self.0.audit_failures.inc();
    }

    pub(crate) fn memory_was_short(&self) {
        self.0.memory_refusals.inc();
    }

    pub(crate) fn expired(&self, points: usize) {
        self.0.expired.inc_by(points as u64);
    }

    /// Whether another node held something else when they were compared last.
    pub(crate) fn replicas_differ(&self) -> bool {
        let [differs, _] = &self.0.replicas;
        differs.get() > 0.0
    }

    /// Nodes have been compared.
    pub(crate) fn compared(&self, lsn: u64, differ: bool) {
        let [differs, compared] = &self.0.replicas;
        differs.set(f64::from(u8::from(differ)));
        compared.set(whole(lsn));
    }

    /// Whether nobody could begin with the log that nodes share.
    pub(crate) fn log_is_purged(&self, is_purged: bool) {
        self.0.shards.log_is_purged(is_purged);
    }

    /// Whether the store of checkpoints could not be used.
    pub(crate) fn checkpoint_store_fails(&self, fails: bool) {
        self.0.shards.store_fails(fails);
    }

    /// How many shards nobody serves, by how many messages one that is served here is behind, and how many nodes have
    /// other settings.
    pub(crate) fn shards_seen(&self, unserved: usize, behind: u64, disagreeing: usize) {
        self.0.shards.seen(unserved, behind, disagreeing);
    }

    pub(crate) fn retention_waits(&self, waits: bool) {
        self.0.retention_waits.set(f64::from(u8::from(waits)));
    }

    pub(crate) fn searched(&self, exact: bool, times: SearchTimes) {
        self.0.searches.took(exact, times);
    }

    /// What a collection's searches find of the true hits.
    pub(crate) fn recall_is(&self, collection: &str, ratio: f64) {
        self.0.searches.recall_is(collection, ratio);
    }

    pub(crate) fn recall_unknown(&self, collection: &str) {
        self.0.searches.recall_unknown(collection);
    }

    pub(crate) fn wrote<T>(&self, op: &str, outcome: &Result<T, Refusal>) {
        let outcome = match outcome {
            Ok(_) => "ok",
            Err(refusal) if refusal.status().is_client_error() => "refused",
            Err(_) => "failed",
        };
        self.0.writes.with_label_values(&[op, outcome]).inc();
    }

    pub(crate) fn photo_waited(&self, waited: Duration) {
        self.0.photos.waited(waited);
    }

    pub(crate) fn photos_together(&self, photos: usize) {
        self.0.photos.together(photos);
    }

    pub(crate) fn photo_done(&self, outcome: &Result<Analysis, Refusal>) {
        self.0.photos.done(outcome);
    }

    /// What the engine's threads have just done.
    pub(crate) fn engine_event(&self, event: Event) {
        let stages = &self.0.write_seconds;
        match event {
            Event::Commit {
                records,
                bytes,
                sync,
            } => {
                self.0.log_written_bytes.inc_by(bytes);
                self.0.group_records.observe(whole(records as u64));
                self.0.fsync_seconds.observe(sync.as_secs_f64());
                let log = stages.with_label_values(&["log"]);
                log.observe(sync.as_secs_f64());
            }
            Event::Apply { duration, .. } => {
                let apply = stages.with_label_values(&["apply"]);
                apply.observe(duration.as_secs_f64());
            }
            Event::Checkpoint { duration, .. } => {
                self.0.checkpoint_seconds.observe(duration.as_secs_f64());
                self.0.checkpoint_time.set(now_s());
            }
            _ => {}
        }
    }

    /// Everything as text. `engine` is absent until it is open.
    pub(crate) fn text(
        &self,
        engine: Option<(&Status, &[CollectionInfo])>,
        work: Work,
    ) -> Result<String, Refusal> {
        let mut states = self.0.states.lock();
        states.queue_length.set(whole(work.photos_waiting as u64));
        states.ready.set(flag(work.is_ready));
        states.jobs.set(whole(work.jobs as u64));
        states.memory_used.set(whole(work.memory_used));
        states.memory_limit.set(whole(work.memory_limit));
        states.memory_promised.set(whole(work.memory_promised));
        if let Some((status, collections)) = engine {
            states.set_status(status);
            states.set_collections(collections);
            states.tables_bytes.set(whole(work.tables_bytes));
            // Less than before when an index has gone: what it had compared was counted.
            let more = work.compared.saturating_sub(states.compared);
            states.compared = work.compared;
            self.0.searches.compared.inc_by(more);
        }
        let text = TextEncoder::new().encode_to_string(&self.0.registry.gather());
        text.map_err(|error| Refusal::internal(error.to_string()))
    }
}

fn now_s() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

/// Of nodes that share a log.
fn replicas(r: &Registry) -> [Gauge; 2] {
    [
        (
            "doppel_replicas_differ",
            "1: another node on the same log held something else when they were compared last.",
        ),
        (
            "doppel_replicas_compared_lsn",
            "Where this node was compared with others last.",
        ),
    ]
    .map(|(name, help)| gauge(r, name, help))
}
