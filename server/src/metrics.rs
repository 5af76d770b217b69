//! What Prometheus is told. One registry; labels are bounded: routes are templates, collections
//! are at most [`limits::METRIC_COLLECTIONS`] and an `_other`, nothing names a point or a person.

use std::sync::Arc;
use std::time::Duration;

use embedder::Analysis;
use engine::{CollectionInfo, Event, Status};
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, TextEncoder,
};

use crate::limits;
use crate::refusal::Refusal;

const HTTP_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const SEARCH_S: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
const FSYNC_S: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];
const WRITE_S: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
const CHECKPOINT_S: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];
const STAGE_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The metrics of a server; clones are the same metrics.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    auth_failures: IntCounterVec,
    panics: IntCounter,
    search_seconds: HistogramVec,
    writes: IntCounterVec,
    write_seconds: HistogramVec,
    fsync_seconds: Histogram,
    log_written_bytes: IntCounter,
    checkpoint_seconds: Histogram,
    stage_seconds: HistogramVec,
    photos: IntCounterVec,
    queue_wait_seconds: Histogram,
    /// Read from the engine and the pool when somebody looks.
    states: Mutex<States>,
}

struct States {
    engine: [Gauge; ENGINE.len()],
    points: GaugeVec,
    index_bytes: GaugeVec,
    queue_length: Gauge,
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
        let build = GaugeVec::new(
            Opts::new("doppel_build_info", "Which doppel this is; always 1."),
            &["version"],
        );
        let build = add(&registry, build.expect(CONSTANT));
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let r = &registry;
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
            in_flight: add(
                r,
                IntGauge::new("doppel_http_requests_in_flight", "Requests at work.")
                    .expect(CONSTANT),
            ),
            auth_failures: counters(
                r,
                "doppel_auth_failures_total",
                "Requests without the right API key.",
                &["reason"],
            ),
            panics: counter(r, "doppel_panics_total", "Panics that were caught."),
            search_seconds: histograms(
                r,
                "doppel_search_duration_seconds",
                "Searches in the engine.",
                &["mode"],
                SEARCH_S,
            ),
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
            stage_seconds: histograms(
                r,
                "doppel_pipeline_stage_duration_seconds",
                "From a photo to its faces' vectors.",
                &["stage"],
                STAGE_S,
            ),
            photos: counters(
                r,
                "doppel_pipeline_images_total",
                "Photos looked at.",
                &["outcome"],
            ),
            queue_wait_seconds: histogram(
                r,
                "doppel_pipeline_queue_wait_seconds",
                "How long photos waited for a worker.",
                STAGE_S,
            ),
            states: Mutex::new(States::new(r)),
            registry,
        }))
        .with_known_labels()
    }

    /// Series that are known beforehand start at zero, so that their first event is a rise.
    fn with_known_labels(self) -> Self {
        for reason in ["missing", "wrong"] {
            self.0.auth_failures.with_label_values(&[reason]);
        }
        for stage in ["decode", "detect", "embed"] {
            self.0.stage_seconds.with_label_values(&[stage]);
        }
        for outcome in ["ok", "no_face", "refused", "failed"] {
            self.0.photos.with_label_values(&[outcome]);
        }
        for op in ["upsert", "delete"] {
            for outcome in ["ok", "refused", "failed"] {
                self.0.writes.with_label_values(&[op, outcome]);
            }
        }
        for mode in ["hnsw", "exact"] {
            self.0.search_seconds.with_label_values(&[mode]);
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

    pub(crate) fn searched(&self, exact: bool, took: Duration) {
        let mode = if exact { "exact" } else { "hnsw" };
        let seconds = self.0.search_seconds.with_label_values(&[mode]);
        seconds.observe(took.as_secs_f64());
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
        self.0.queue_wait_seconds.observe(waited.as_secs_f64());
    }

    pub(crate) fn photo_done(&self, outcome: &Result<Analysis, Refusal>) {
        let word = match outcome {
            Ok(analysis) if analysis.faces.is_empty() => "no_face",
            Ok(_) => "ok",
            Err(refusal) if refusal.status().is_client_error() => "refused",
            Err(_) => "failed",
        };
        self.0.photos.with_label_values(&[word]).inc();
        let Ok(analysis) = outcome else { return };
        let timings = &analysis.timings;
        let stages = [
            ("decode", timings.decode),
            ("detect", timings.detect),
            ("embed", timings.embed),
        ];
        for (stage, took) in stages {
            let seconds = self.0.stage_seconds.with_label_values(&[stage]);
            seconds.observe(took.as_secs_f64());
        }
    }

    /// What the engine's threads have just done.
    pub(crate) fn engine_event(&self, event: Event) {
        let stages = &self.0.write_seconds;
        match event {
            Event::Commit { bytes, sync, .. } => {
                self.0.log_written_bytes.inc_by(bytes);
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
            }
            _ => {}
        }
    }

    /// Everything as text. `engine` is absent until it is open.
    pub(crate) fn text(
        &self,
        engine: Option<(&Status, &[CollectionInfo])>,
        photos_waiting: usize,
    ) -> Result<String, Refusal> {
        let states = self.0.states.lock();
        states.queue_length.set(whole(photos_waiting as u64));
        if let Some((status, collections)) = engine {
            states.set_status(status);
            states.set_collections(collections);
        }
        let text = TextEncoder::new().encode_to_string(&self.0.registry.gather());
        text.map_err(|error| Refusal::internal(error.to_string()))
    }
}

/// A gauge of the engine: name, help, and where its value is read.
type EngineGauge = (&'static str, &'static str, fn(&Status) -> f64);

const ENGINE: [EngineGauge; 10] = [
    (
        "doppel_log_durable_lsn",
        "The last record that is on disk.",
        |status| whole(status.durable_lsn.0),
    ),
    (
        "doppel_log_applied_lsn",
        "The last record that searches see.",
        |status| whole(status.applied_lsn.0),
    ),
    (
        "doppel_checkpoint_lsn",
        "All up to here is safe without the log.",
        |status| whole(status.checkpoint_lsn.0),
    ),
    ("doppel_log_bytes", "Size of the log.", |status| {
        whole(status.log_bytes)
    }),
    (
        "doppel_log_queued_bytes",
        "Records that are accepted but not applied.",
        |status| whole(status.queued_bytes),
    ),
    (
        "doppel_read_only",
        "1: a disk error has stopped all writing.",
        |status| flag(status.read_only.is_some()),
    ),
    (
        "doppel_collections_quarantined",
        "Collections that are not served because their data is damaged.",
        |status| whole(status.quarantined as u64),
    ),
    (
        "doppel_tables_rebuilt",
        "1: the tables were built anew at this start.",
        |status| flag(status.tables_rebuilt.is_some()),
    ),
    (
        "doppel_recovery_duration_seconds",
        "How long recovery took at this start.",
        |status| status.recovery_seconds,
    ),
    (
        "doppel_recovery_replayed_records",
        "Records that recovery replayed at this start.",
        |status| whole(status.replayed_records),
    ),
];

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

impl States {
    fn new(registry: &Registry) -> Self {
        let per_collection = |name: &str, help: &str| {
            let gauges = GaugeVec::new(Opts::new(name, help), &["collection"]);
            add(registry, gauges.expect(CONSTANT))
        };
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help);
            add(registry, gauge.expect(CONSTANT))
        };
        Self {
            engine: ENGINE.map(|(name, help, _)| gauge(name, help)),
            points: per_collection("doppel_points", "Points of a collection."),
            index_bytes: per_collection("doppel_index_bytes", "Memory of a collection's index."),
            queue_length: gauge(
                "doppel_pipeline_queue_length",
                "Photos that wait for a worker.",
            ),
        }
    }

    fn set_status(&self, status: &Status) {
        for (gauge, (_, _, value)) in self.engine.iter().zip(ENGINE) {
            gauge.set(value(status));
        }
    }

    /// The largest collections have a series of their own.
    fn set_collections(&self, collections: &[CollectionInfo]) {
        self.points.reset();
        self.index_bytes.reset();
        let mut collections: Vec<_> = collections.iter().collect();
        collections.sort_by_key(|info| std::cmp::Reverse(info.points));
        for (rank, info) in collections.into_iter().enumerate() {
            let own = rank < limits::METRIC_COLLECTIONS;
            let name = if own { info.name.as_str() } else { "_other" };
            let (points, bytes) = (info.points as u64, info.memory_bytes as u64);
            self.points.with_label_values(&[name]).add(whole(points));
            let index_bytes = self.index_bytes.with_label_values(&[name]);
            index_bytes.add(whole(bytes));
        }
    }
}

const CONSTANT: &str = "names and labels are constants and each is used once";

/// Prometheus counts in `f64`; above 2^53 the last digits are lost.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge need not be exact there"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry
        .register(Box::new(collector.clone()))
        .expect(CONSTANT);
    collector
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    add(registry, IntCounter::new(name, help).expect(CONSTANT))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), labels);
    add(registry, counters.expect(CONSTANT))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    add(registry, Histogram::with_opts(options).expect(CONSTANT))
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    add(
        registry,
        HistogramVec::new(options, labels).expect(CONSTANT),
    )
}
