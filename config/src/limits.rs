//! The range each number must lie in. A range is what keeps a slip of the keyboard from becoming
//! an outage; it is no recommendation.

use std::ops::RangeInclusive;

/// Bytes of a configuration file.
pub(crate) const FILE_BYTES: u64 = 1 << 20;
/// Characters of an API key.
pub(crate) const API_KEY_CHARS: RangeInclusive<usize> = 8..=1024;

/// Characters of a collection's name, as the database has it.
pub(crate) const NAME_CHARS: usize = 255;

/// Threads of any pool; 0 stands for one per core.
pub(crate) const THREADS: RangeInclusive<u64> = 0..=1024;
/// MiB of a request body.
pub(crate) const BODY_MIB: RangeInclusive<u64> = 1..=1024;
/// Connections open at once.
pub(crate) const CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;
/// Requests of one kind at work at once.
pub(crate) const CONCURRENT: RangeInclusive<u64> = 1..=100_000;
/// Seconds that a request may take.
pub(crate) const REQUEST_S: RangeInclusive<u64> = 1..=86_400;
/// Seconds that a stop waits for requests at work.
pub(crate) const SHUTDOWN_S: RangeInclusive<u64> = 0..=3600;
/// Photos that wait for an embedding worker.
pub(crate) const QUEUE: RangeInclusive<u64> = 1..=100_000;
/// Threads inside one embedding worker.
pub(crate) const INTRA_THREADS: RangeInclusive<u64> = 1..=64;
/// Photos that one worker takes at once.
pub(crate) const BATCH: RangeInclusive<u64> = 1..=64;
/// Milliseconds that a worker waits for more photos.
pub(crate) const BATCH_WAIT_MS: RangeInclusive<u64> = 0..=1000;
/// Pixels of a face's longer side; no photo that is read has a larger side than the most.
pub(crate) const FACE_PIXELS: RangeInclusive<u64> = 20..=16_384;
/// A part of something.
pub(crate) const PERCENT: RangeInclusive<u64> = 0..=100;
/// MiB of log between two checkpoints.
pub(crate) const CHECKPOINT_LOG_MIB: RangeInclusive<u64> = 1..=1_048_576;
/// Seconds between two checkpoints.
pub(crate) const CHECKPOINT_INTERVAL_S: RangeInclusive<u64> = 1..=86_400;
/// MiB of memory; 0 stands for what the system gives.
pub(crate) const MEMORY_MIB: RangeInclusive<u64> = 0..=1_048_576;
/// Seconds between two looks for points whose time is over.
pub(crate) const SWEEP_S: RangeInclusive<u64> = 1..=86_400;
/// Milliseconds of something slow; 0 stands for never.
pub(crate) const SLOW_MS: RangeInclusive<u64> = 0..=86_400_000;
/// MiB of one file of the log.
pub(crate) const SEGMENT_MIB: RangeInclusive<u64> = 1..=4096;
/// Seconds between two checkpoints in the store of a shared log, or two comparisons of nodes; 0 stands for never.
pub(crate) const STORE_INTERVAL_S: RangeInclusive<u64> = 0..=604_800;
/// Characters of a stream's name.
pub(crate) const STREAM_CHARS: usize = 64;
/// Servers that keep each record.
pub(crate) const REPLICAS: RangeInclusive<u64> = 1..=5;
/// Shards of a cluster; each is a log of its own on every node that serves it.
pub(crate) const SHARDS: RangeInclusive<u64> = 0..=256;
/// Requests a second.
pub(crate) const RATE: RangeInclusive<u64> = 0..=1_000_000;
/// MiB of one file of the audit trail.
pub(crate) const AUDIT_MIB: RangeInclusive<u64> = 1..=4096;
/// Files of the audit trail that are kept.
pub(crate) const AUDIT_FILES: RangeInclusive<u64> = 1..=100_000;
