//! Every bound of the client commands in one place: how much is read, sent and waited for.

use std::time::Duration;

/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long one request may take, its answer included.
pub(crate) const REQUEST: Duration = Duration::from_secs(600);
/// How long the transfer of a backup may take.
pub(crate) const TRANSFER: Duration = Duration::from_secs(24 * 3_600);
/// How long a busy server is asked again before giving up.
pub(crate) const BUSY_PATIENCE: Duration = Duration::from_secs(600);
/// How long a busy server is waited for without a word.
pub(crate) const BUSY_SILENCE: Duration = Duration::from_secs(3);
/// The longest single wait that a server's `Retry-After` can ask for.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Bytes of an answer.
pub(crate) const ANSWER_BYTES: u64 = 256 << 20;

/// Photos in one request of an import.
pub(crate) const BATCH_PHOTOS: usize = 8;
/// Bytes of photos in one request of an import; a larger photo travels alone.
pub(crate) const BATCH_BYTES: u64 = 16 << 20;
/// Requests of an import at work at once, unless told otherwise.
pub(crate) const IN_FLIGHT: u16 = 4;
/// Vectors in one request of an import, and points in one of an export.
pub(crate) const BATCH_POINTS: usize = 500;
/// Points that are written together into a Parquet file, and so are in memory at once.
pub(crate) const ROWS_OF_A_GROUP: usize = 1_000;
/// Columns of a table that are named where its titles are wrong.
pub(crate) const COLUMNS_TOLD: usize = 10;
/// Numbers of a vector.
pub(crate) const VECTOR_NUMBERS: u32 = 65_536;
/// Ids asked for at once.
pub(crate) const KNOWN_IDS: usize = 1_000;
/// Bytes of one photo; a larger file is not read.
pub(crate) const PHOTO_BYTES: u64 = 256 << 20;
/// Bytes from the beginning of a photo by which its kind is told.
pub(crate) const KIND_BYTES: u64 = 512;
/// How long a job is left alone before it is looked at again.
pub(crate) const JOB_LOOK: Duration = Duration::from_millis(200);
/// People asked for at once.
pub(crate) const PEOPLE_PAGE: usize = 1_000;
/// Names of a folder held at once: of one with more, the folder is read again for the others.
pub(crate) const NAMES_HELD: usize = 16_384;
/// People of an import who are counted; that there are more is told.
pub(crate) const PEOPLE_COUNTED: usize = 1 << 18;
/// Ids of an import that are held, to find those that come again; one further away is not found. Half a
/// million fill a table of hashes.
pub(crate) const IDS_HELD: usize = (1 << 19) / 8 * 7;
/// Rows that are told to people by their numbers.
pub(crate) const ROWS_TOLD: usize = 5;
/// Faces without a new vector that are shown by their ids.
pub(crate) const MISSING_SHOWN: usize = 20;
/// Different reasons that a report counts.
pub(crate) const REASONS: usize = 1_000;
/// Bytes of a line, or of a row of a table, in a list of photos or a file of vectors.
pub(crate) const LINE_BYTES: usize = 16 << 20;
/// Folders within folders.
pub(crate) const FOLDER_DEPTH: usize = 64;
