//! Every limit of the engine in one place. At a limit a caller gets a clear refusal, never an
//! endless wait and never half of an effect.

use std::time::Duration;

pub use hnsw::limits::{MAX_DIM, MAX_EF_CONSTRUCT, MAX_M};

/// Points in one upsert.
pub const MAX_POINTS_PER_UPSERT: usize = 10_000;
/// Ids in one delete or one get.
pub const MAX_IDS_PER_REQUEST: usize = 100_000;
/// Bytes of one point's payload, as MessagePack.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// Bytes of one record in the log; a larger upsert is refused and asks for smaller batches.
pub const MAX_RECORD_BYTES: usize = 128 << 20;
/// Characters of a collection's name.
pub const MAX_NAME_LEN: usize = 255;
/// Hits a search may skip and return together.
pub const MAX_HITS: usize = 10_000;
/// Largest `ef` of a search.
pub const MAX_EF: usize = 100_000;
/// Points in one page of a scroll.
pub const MAX_PAGE: usize = 10_000;
/// Collections in one data folder.
pub const MAX_COLLECTIONS: usize = 10_000;
/// Vectors that the points of one collection may have.
pub const MAX_VECTORS: usize = 64;
/// Characters of a vector's name.
pub const MAX_VECTOR_NAME_LEN: usize = 255;
/// Bytes of one collection's metadata, as MessagePack.
pub const MAX_METADATA_BYTES: usize = 64 << 10;
/// Seconds that points may be kept for where they are not kept for good: 100 years.
pub const MAX_TTL_S: u64 = 100 * 366 * 86_400;
/// Aliases in one data folder.
pub const MAX_ALIASES: usize = 10_000;
/// Changes of aliases that are done as one.
pub const MAX_ALIAS_CHANGES: usize = 1_000;

/// Recalls that a collection remembers how far to walk for.
pub(crate) const TUNINGS: usize = 64;
/// Writes that may wait for the log; one more is refused as busy.
pub(crate) const QUEUED_WRITES: usize = 1_024;
/// Bytes of records accepted but not applied yet; more are refused as busy.
pub(crate) const QUEUED_BYTES: u64 = 512 << 20;
/// Bytes of records that share one frame of the log.
pub(crate) const GROUP_BYTES: usize = 16 << 20;
/// Bytes of what inserts have worked out since the last checkpoint: of some 1.6 million points at M 16. A replay
/// searches for all beyond.
pub(crate) const PLANS_BYTES: u64 = 1 << 30;
/// Groups that may be durable but not applied; the committer then waits for the applier.
pub(crate) const UNAPPLIED_GROUPS: usize = 4;
/// How often something is decided before it is refused as busy, because other nodes change every time
/// what it depends on.
pub(crate) const DECISIONS: usize = 32;
/// How often a log that other nodes share is looked into for what they have appended.
pub(crate) const FOLLOW_EVERY: Duration = Duration::from_millis(5);
/// How long it is waited at most for what other nodes have appended first.
pub(crate) const FOLLOW_PATIENCE: Duration = Duration::from_secs(1);
/// How often that is waited before writers are told that the log cannot be reached.
pub(crate) const FOLLOW_TRIES: usize = 10;
/// How often a group is tried anew that other nodes' records were put before.
pub(crate) const OVERTAKEN_TRIES: usize = 1_000;
/// Seeds that a start tries, one after the other, where they cannot be read.
pub(crate) const SEEDS_TRIED: usize = 4;
/// Points that are planned on the same frozen graph. Part of what makes a graph reproducible:
/// another number gives another (equally good) graph.
pub(crate) const INSERT_BATCH: usize = 64;
/// A batch is at most this fraction (1/n) of the live points, so that a young graph grows point
/// by point.
pub(crate) const INSERT_BATCH_FRACTION: usize = 64;
/// How long a search stays awake for a change of a collection to end: several times what one takes.
pub(crate) const READER_PATIENCE: Duration = Duration::from_micros(100);
/// How long a change stays awake for searches to end: several times what one takes.
pub(crate) const WRITER_PATIENCE: Duration = Duration::from_micros(500);
/// Steps of a commit or of a removal (a list copied, a point placed) under one lock against searches.
pub(crate) const COMMIT_STEPS: usize = 16;
/// Points that are copied into an index being rebuilt by one record.
pub const MAX_COPIED: usize = 10_000;
/// Points that are looked at under one lock for those it lacks.
pub(crate) const SCANNED: usize = 10_000;
/// Points in a batch from which on it is planned on several threads.
pub const PARALLEL_PLANS: usize = 8;
/// Bytes of a path into a payload.
pub const MAX_KEY_LEN: usize = 1_024;
/// Steps of a path into a payload after its first key.
pub const MAX_KEY_STEPS: usize = 32;
/// Payload indexes of a collection.
pub const MAX_PAYLOAD_INDEXES: usize = 64;
/// Points that one write by filter may be about.
pub const MAX_POINTS_PER_FILTER: usize = 5_000_000;
/// Bytes of all payloads that one change makes anew.
pub const MAX_CHANGED_BYTES: usize = 1 << 30;
/// Values of a facet.
pub const MAX_FACETS: usize = 10_000;
/// Faces of a person among which the best is looked for.
pub(crate) const PERSON_SAMPLE: usize = 16;
/// Hits of an unfiltered search that are looked through for those a filter without an index lets
/// through, before all payloads are.
pub(crate) const PROBED_HITS: usize = 1_000;
/// Payloads that stay within this may be changed by writers side by side, of which none knows what
/// the others are about to add; those that may grow larger are changed one by one.
pub(crate) const LITTLE_PAYLOAD_BYTES: usize = MAX_PAYLOAD_BYTES / 16;
/// What a search that only measures may take: everybody else waits as long where a writer is waiting too.
pub(crate) const LONG_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// Slots of a part of a scan that only measures: with 512 numbers some 50 us, for which a search that
/// wants the same core has to wait.
pub(crate) const SCAN_PART: u32 = 2_048;
/// So many longer ones, and the collection is too large to be measured unasked.
pub(crate) const LONG_PAUSES: usize = 3;
/// One in so many points may come or go while an index is measured: a quarter of the hits that may
/// be missed.
pub(crate) const USUAL_CHANGES: u64 = 400;
