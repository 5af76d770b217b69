//! What stands as it is at the moment: read from the engine and the pool when somebody looks.

use engine::{CollectionInfo, Error, Status};
use prometheus::{Gauge, GaugeVec, Registry};

use super::made::{gauge, gauges};
use crate::limits;

/// What is read when somebody looks.
pub(super) struct States {
    engine: [Gauge; ENGINE.len()],
    points: GaugeVec,
    index_bytes: GaugeVec,
    free_slots: GaugeVec,
    pub(super) queue_length: Gauge,
    pub(super) ready: Gauge,
    pub(super) jobs: Gauge,
    pub(super) memory_used: Gauge,
    pub(super) memory_limit: Gauge,
    pub(super) memory_promised: Gauge,
    pub(super) tables_bytes: Gauge,
    /// What all indexes together had compared at the last look.
    pub(super) compared: u64,
}

/// What is under way at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    /// What `/readyz` says.
    pub(crate) is_ready: bool,
    pub(crate) photos_waiting: usize,
    pub(crate) jobs: usize,
    /// Bytes.
    pub(crate) memory_used: u64,
    /// Bytes; 0 where there is none.
    pub(crate) memory_limit: u64,
    /// Bytes.
    pub(crate) memory_promised: u64,
    /// Points that the indexes there are have compared with queries so far.
    pub(crate) compared: u64,
    /// Bytes.
    pub(crate) tables_bytes: u64,
}

/// A gauge of the engine: name, help, and where its value is read.
type EngineGauge = (&'static str, &'static str, fn(&Status) -> f64);

const ENGINE: [EngineGauge; 13] = [
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
        "doppel_log_copy_bytes",
        "Size of what this node keeps of the shared log since its checkpoints.",
        |status| whole(status.copy.bytes),
    ),
    (
        "doppel_log_waits",
        "1: the shared log was purged, and this node takes no writes before another has written.",
        |status| flag(status.log_waits.is_some()),
    ),
    (
        "doppel_log_queued_bytes",
        "Records that are accepted but not applied.",
        |status| whole(status.queued_bytes),
    ),
    (
        "doppel_read_only",
        "1: a disk error, or the shared log, has stopped all writing.",
        |status| flag(status.read_only.is_some()),
    ),
    (
        "doppel_log_broken",
        "1: nothing more can be read of the shared log, and all writing has stopped.",
        |status| flag(matches!(status.read_only, Some(Error::LogBroken(_)))),
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

pub(super) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

impl States {
    pub(super) fn new(registry: &Registry) -> Self {
        let per_collection = |name, help| gauges(registry, name, help, &["collection"]);
        let gauge = |name, help| gauge(registry, name, help);
        Self {
            engine: ENGINE.map(|(name, help, _)| gauge(name, help)),
            points: per_collection("doppel_points", "Points of a collection."),
            index_bytes: per_collection("doppel_index_bytes", "Memory of a collection's index."),
            free_slots: per_collection(
                "doppel_index_free_slots",
                "Places in a collection's indexes that points have left; the next ones take them.",
            ),
            queue_length: gauge(
                "doppel_pipeline_queue_length",
                "Photos that wait for a worker.",
            ),
            ready: gauge(
                "doppel_ready",
                "1: everything is recovered, models are loaded and writes are taken (/readyz).",
            ),
            jobs: gauge("doppel_jobs_running", "Jobs at work."),
            memory_used: gauge(
                "doppel_memory_used_bytes",
                "Memory that is taken and of no file.",
            ),
            memory_limit: gauge(
                "doppel_memory_limit_bytes",
                "What it must stay below for writes to be taken; 0: no limit is known.",
            ),
            memory_promised: gauge(
                "doppel_memory_promised_bytes",
                "What writes and jobs at work still want of memory.",
            ),
            tables_bytes: gauge("doppel_tables_bytes", "Size of the tables' files."),
            compared: 0,
        }
    }

    pub(super) fn set_status(&self, status: &Status) {
        for (gauge, (_, _, value)) in self.engine.iter().zip(ENGINE) {
            gauge.set(value(status));
        }
    }

    /// The largest collections have a series of their own.
    pub(super) fn set_collections(&self, collections: &[CollectionInfo]) {
        self.points.reset();
        self.index_bytes.reset();
        self.free_slots.reset();
        let mut collections: Vec<_> = collections.iter().collect();
        collections.sort_by_key(|info| std::cmp::Reverse(info.points));
        for (rank, info) in collections.into_iter().enumerate() {
            let own = rank < limits::METRIC_COLLECTIONS;
            let name = if own { info.name.as_str() } else { "_other" };
            let (points, bytes) = (info.points as u64, info.memory_bytes as u64);
            self.points.with_label_values(&[name]).add(whole(points));
            let index_bytes = self.index_bytes.with_label_values(&[name]);
            index_bytes.add(whole(bytes));
            let free_slots = self.free_slots.with_label_values(&[name]);
            free_slots.add(whole(info.free_slots as u64));
        }
    }
}

/// Prometheus counts in `f64`; above 2^53 the last digits are lost.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge need not be exact there"
)]
pub(super) fn whole(number: u64) -> f64 {
    number as f64
}
