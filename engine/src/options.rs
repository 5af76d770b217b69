//! How an engine is opened, and what it tells about itself while it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::payload::IndexInfo;
use crate::seed::FetchSeed;
use crate::spec::CollectionSpec;
use storage::{CopyState, Disk, Log, Lsn, OsDisk};

/// Settings of an engine.
#[derive(Clone)]
pub struct Options {
    /// The data folder; made if it is not there.
    pub dir: PathBuf,
    /// A checkpoint is taken when the log has grown by this much since the last one, or by a quarter of
    /// what that one holds, if this is less (but then not before 8 MiB).
    pub checkpoint_log_bytes: u64,
    /// A checkpoint is taken when this has passed since the last one and something was written.
    pub checkpoint_interval: Duration,
    /// Size at which the log goes on in a new file.
    pub segment_bytes: u64,
    /// An index with so many bytes of vectors is used where its snapshot has it when a start ends, and copied
    /// afterwards; a smaller one is copied at once.
    pub lend_bytes: u64,
    /// What the data folder lies on.
    pub disk: Arc<dyn Disk>,
    /// Where on the operating system's disk the lock, the tables and the scratch file lie; in the
    /// data folder if not said. None of them is part of the truth.
    pub beside: Option<PathBuf>,
    /// Opens a log that other nodes follow too; the data folder has its own if not said.
    pub shared_log: Option<OpenLog>,
    /// Fetches what a node begins with that is not in that log any more; the whole of it if not said.
    pub seed: Option<FetchSeed>,
    /// Whether a folder that follows a shared log is read as far as its last checkpoint goes, where that log is
    /// not given or cannot be reached; it takes no writes then. Such a folder is refused if not said.
    pub without_log: bool,
    /// Whether a start is refused as busy where the shared log begins behind all that the folder has and no seed goes up
    /// to there: one may come. What the folder has is served if not said, and nothing is written.
    pub waits_for_seed: bool,
    /// Whether what is there at a mark is kept until somebody asks for it.
    pub compares: bool,
    /// Called from the engine's threads with what they have just done; must be quick.
    pub observer: Option<Arc<dyn Fn(Event) + Send + Sync>>,
}

impl Options {
    /// The defaults for a data folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            checkpoint_log_bytes: 256 << 20,
            checkpoint_interval: Duration::from_secs(300),
            segment_bytes: 64 << 20,
            lend_bytes: 16 << 20,
            disk: Arc::new(OsDisk),
            beside: None,
            shared_log: None,
            seed: None,
            without_log: false,
            waits_for_seed: false,
            compares: false,
            observer: None,
        }
    }

    pub(crate) fn observe(&self, event: Event) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

/// Opens a log that is not in the data folder. Given the number of the one that the folder has followed, none is
/// made where that is not there any more: [`storage::Error::Gone`].
pub type OpenLog = Arc<dyn Fn(Option<u128>) -> Result<Box<dyn Log>, storage::Error> + Send + Sync>;

/// Told by work that takes a while how much of it is done, and of how much; says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Something a background thread has finished.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event {
    /// Recovery is under way.
    Recovering {
        /// What it is at.
        step: RecoveryStep,
        /// How much of this step is done.
        done: u64,
        /// Of how much.
        of: u64,
    },
    /// A group of records has become durable.
    Commit {
        /// Records in the group.
        records: usize,
        /// Their bytes.
        bytes: u64,
        /// How long the write and its sync took.
        sync: Duration,
    },
    /// A group has been applied to tables and indexes.
    Apply {
        /// Records in the group.
        records: usize,
        /// How long it took.
        duration: Duration,
    },
    /// A checkpoint is complete.
    Checkpoint {
        /// All up to here is safe without the log.
        lsn: Lsn,
        /// How long it took.
        duration: Duration,
        /// Bytes of the snapshots it wrote.
        bytes: u64,
    },
}

/// What recovery does, in this order; where the tables are rebuilt it loads and replays once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryStep {
    /// Snapshots are checked, counted one by one.
    Verify,
    /// Collections are loaded, counted one by one.
    Load,
    /// The log is replayed, counted in records.
    Replay,
}

/// A collection as it stands.
#[derive(Debug, Clone)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its number, which no other gets, also of the same name.
    pub number: u64,
    /// Its settings.
    pub spec: CollectionSpec,
    /// Live points.
    pub points: usize,
    /// Their vectors, all of which are in an index.
    pub vectors: usize,
    /// The keys of payloads that have an index.
    pub indexes: Vec<IndexInfo>,
    /// Bytes of its indexes in memory.
    pub memory_bytes: usize,
    /// Places of its indexes that points have left; the next ones take them.
    pub free_slots: usize,
}

/// Where the engine stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// The last record that is on disk.
    pub durable_lsn: Lsn,
    /// The last record that searches see.
    pub applied_lsn: Lsn,
    /// The last checkpoint.
    pub checkpoint_lsn: Lsn,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Why nothing can be written to it for now, if that is so: it was purged, and what came before is not known here.
    pub log_waits: Option<String>,
    /// How this node's copy of a shared log is.
    pub copy: CopyState,
    /// Bytes of records that are accepted but not applied.
    pub queued_bytes: u64,
    /// Why writing has stopped, if it has.
    pub read_only: Option<Error>,
    /// Why no checkpoint can be taken, if vectors that are used where a snapshot has them since the start cannot be
    /// copied: they have rotted there, and a restart goes by the checkpoint before; or there is no room.
    pub no_checkpoint: Option<Error>,
    /// Collections that are not served because their data is damaged.
    pub quarantined: usize,
    /// Why the tables were built anew at this start, if they were.
    pub tables_rebuilt: Option<String>,
    /// How long recovery took at this start.
    pub recovery_seconds: f64,
    /// Records that recovery replayed.
    pub replayed_records: u64,
    /// Batches of vectors among them that went in without a search, because it was known what one had found.
    pub recalled_batches: u64,
}
