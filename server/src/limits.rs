//! Every limit of the server that is no setting, in one place. At a limit a client gets a clear
//! refusal, never an endless wait.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Between two tries of a start that waits for others.
pub(crate) const START_AGAIN: Duration = Duration::from_secs(1);
/// How long a start that is behind where the shared log begins waits for a checkpoint that goes up to there, which one of
/// those that run puts into the store, before it serves what it has: who has it makes one and sends it, however large.
pub(crate) const SEED_PATIENCE: Duration = Duration::from_secs(600);
/// The same where nodes put none there by themselves.
pub(crate) const SEED_HARDLY: Duration = Duration::from_secs(30);
/// Between two looks into the store.
pub(crate) const SEED_AGAIN: Duration = Duration::from_secs(3);
/// Photos in one request.
pub(crate) const IMAGES_PER_REQUEST: usize = 256;
/// Parts of one multipart body.
pub(crate) const MULTIPART_PARTS: usize = IMAGES_PER_REQUEST + 16;
/// Bytes of a multipart field that is no photo.
pub(crate) const FIELD_BYTES: usize = 1 << 20;
/// Characters of a person's name.
pub(crate) const PERSON_CHARS: usize = 1024;
/// People that a search is about, or leaves out.
pub(crate) const PEOPLE: usize = 1_000;
/// People that a collection must have for a scale of likeness of its own.
pub(crate) const SCALE_PEOPLE: usize = 300;
/// People of whom a scale is made at most.
pub(crate) const SCALE_SAMPLE: usize = 1_000;
/// Points that are looked at to find them.
pub(crate) const SCALE_POINTS: usize = 10_000;
/// Scales that are kept.
pub(crate) const SCALES: usize = 1_000;
/// The cosine from which on two faces are of the same picture.
pub(crate) const DUPLICATE_COSINE: f32 = 0.98;
/// How long a face waits for one of the same picture that is on its way in, and how long that one is
/// held for others once it is in the log and not yet seen.
pub(crate) const DUPLICATE_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether nodes are to be compared, and what they say.
pub(crate) const COMPARISON_TICK: Duration = Duration::from_secs(5);
/// After which a store of checkpoints that could not be used is tried again.
pub(crate) const STORE_AGAIN: Duration = Duration::from_secs(60);
/// How often it is looked whether somebody has purged the log.
pub(crate) const PURGED_TICK: Duration = Duration::from_secs(5);
/// How long it is looked at what others say of a place in the log.
pub(crate) const COMPARED_FOR: Duration = Duration::from_secs(600);
/// How long a request waits for the records that it asks to be applied (`x-doppel-lsn`).
pub(crate) const LSN_WAIT: Duration = Duration::from_secs(2);
/// Characters of an `x-request-id` that is taken over from a client.
pub(crate) const REQUEST_ID_CHARS: usize = 128;
/// Hits of one search when the request does not say how many.
pub(crate) const DEFAULT_LIMIT: usize = 10;
/// Hits of one search, skipped ones included.
pub(crate) const HITS: usize = engine::limits::MAX_HITS;
/// Points of one page of a scroll.
pub(crate) const PAGE: usize = engine::limits::MAX_PAGE;
/// How long a client may take to send its first bytes, and the head of its first request.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may have no request at work: idle, or sending the head of a later one.
/// Pings of HTTP/2 are no request.
pub(crate) const QUIET_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that ends its side so long after its last byte, while its request is at work, has gone; one that
/// does so sooner may have no more to say and still read the answer.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);
/// Bytes of an answer that are handed on at once.
pub(crate) const ANSWER_PIECE_BYTES: usize = 64 << 10;
/// How long a client may take nothing of its answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to send its body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// How deep the values of a body may be nested: in MessagePack as deep as `serde_json` reads JSON, so that no
/// thread's stack ends before.
pub(crate) const BODY_DEPTH: usize = 128;
/// Bodies above this are parsed on a blocking thread, so that no other request waits for it.
pub(crate) const INLINE_PARSE_BYTES: usize = 64 << 10;
/// The largest window of a zstd body, as a power of two: what its decoder may keep in memory.
pub(crate) const ZSTD_WINDOW_LOG: u32 = 25;
/// Answers below this are sent as they are: packing them takes longer than sending them.
pub(crate) const COMPRESS_BYTES: usize = 4 << 10;
/// Searches of one batch.
pub(crate) const SEARCHES_PER_BATCH: usize = 1000;
/// Searches of one request that are at work at once.
pub(crate) const BATCH_WIDTH: usize = 4;
/// How deep searches may be that come before others.
pub(crate) const PREFETCH_DEPTH: usize = 8;
/// Searches that come before one, all together.
pub(crate) const PREFETCHES: usize = 64;
/// Groups of one search.
pub(crate) const GROUPS: usize = 1000;
/// Hits in one group when the request does not say how many.
pub(crate) const DEFAULT_GROUP_SIZE: usize = 3;
/// Hits in one group.
pub(crate) const GROUP_SIZE: usize = 1000;
/// Hits that are looked at at least to find groups.
pub(crate) const GROUPS_REACH: usize = 100;
/// Points that a recommendation goes by.
pub(crate) const EXAMPLES: usize = 1000;
/// Pixels of the longer side of a thumbnail when the request does not say how many.
pub(crate) const THUMBNAIL: u32 = 96;
/// Pixels of the longer side of a thumbnail.
pub(crate) const THUMBNAILS: RangeInclusive<u32> = 16..=1024;
/// What a busy answer asks a client to wait.
pub(crate) const RETRY_AFTER_S: u64 = 1;
/// Collections that have a metric of their own; the others are summed up.
pub(crate) const METRIC_COLLECTIONS: usize = 100;
/// How deep filters may be nested.
pub(crate) const FILTER_DEPTH: usize = 16;
/// Conditions of a filter, those of filters within it included.
pub(crate) const FILTER_CONDITIONS: usize = 1_000;
/// Values and ids that a filter lists, all together.
pub(crate) const FILTER_VALUES: usize = 100_000;
/// Corners of a ring of a polygon.
pub(crate) const POLYGON_CORNERS: usize = 10_000;
/// Values of one facet.
pub(crate) const FACETS: usize = engine::limits::MAX_FACETS;
/// Writes in one batch.
pub(crate) const BATCH_OPERATIONS: usize = 1_000;
/// Requests at work at once that ask how the server, or a collection, stands.
pub(crate) const LOOKS_AT_WORK: usize = 64;
/// Connections beyond those of the settings, for probes and operators.
pub(crate) const CONNECTIONS_BEYOND: usize = 64;
/// Connections that may wait to be accepted, if the system lets so many (Linux: `net.core.somaxconn`). Of more at
/// once each has to try again, a second later.
pub(crate) const CONNECTING: i32 = 4_096;
/// Requests of operators at work at once.
pub(crate) const OPERATORS_AT_WORK: usize = 16;
/// Jobs that are at work at once.
pub(crate) const JOBS_AT_WORK: usize = 2;
/// Jobs that are remembered.
pub(crate) const JOBS_KNOWN: usize = 100;
/// Faces that one clustering is about.
pub(crate) const CLUSTER_FACES: usize = 1_000_000;
/// Neighbours of a face that a clustering looks at.
pub(crate) const CLUSTER_NEIGHBOURS: usize = 100;
/// Groups that the result of a clustering tells of, the largest first.
pub(crate) const CLUSTERS_TOLD: usize = 1_000;
/// Faces without a new vector that the result of a move to another model names.
pub(crate) const MISSING_TOLD: usize = 1_000;
/// API keys beside the one of the settings.
pub(crate) const KEYS: usize = 10_000;
/// Characters of a key's name.
pub(crate) const KEY_NAME: usize = 100;
/// Collections that a key is limited to.
pub(crate) const KEY_COLLECTIONS: usize = 1_000;
/// Bytes of a backup that is sent.
pub(crate) const BACKUP_BYTES: u64 = 1 << 40;
/// Bytes of a backup that are read or written at once.
pub(crate) const BACKUP_PIECE_BYTES: usize = 1 << 20;
