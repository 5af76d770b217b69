//! Jobs as they travel, and the bodies that begin some of them.

use engine::{Compacted, Examined, OldBackups, Warmed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::purge::PurgeParams;
use super::snapshot::utc;
use crate::jobs::{End, Job};
use crate::refusal::Refusal;

/// The body of `POST /admin/collections/{c}/jobs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Begin {
    /// A backup of the collection, kept on the server.
    Backup(Nothing),
    /// What was deleted from the collection is taken out of every file.
    Purge(PurgeParams),
    /// All vectors and payloads of the collection are read into memory.
    #[serde(rename = "warm_up")]
    WarmUp(Nothing),
}

impl Begin {
    /// What becomes of older backups, where the key that asks is good for it.
    pub(crate) fn backups(&self) -> Result<OldBackups, Refusal> {
        match self {
            Self::Purge(params) => params.backups(),
            Self::Backup(_) | Self::WarmUp(_) => Ok(OldBackups::Keep),
        }
    }

    /// Whether nothing comes of it where writing has stopped.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Purge(_))
    }
}

/// The body of `POST /admin/jobs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum BeginAll {
    /// A backup of everything, kept on the server.
    Backup(Nothing),
    /// Tables are written anew without what is left of rows that have gone, and the log is released.
    Compact(Nothing),
    /// Checkpoints and backups are read and compared with their checksums.
    Verify(Nothing),
}

impl BeginAll {
    /// Whether nothing comes of it where writing has stopped.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Compact(_))
    }
}

/// No settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NoSettings")]
pub(crate) struct Nothing {}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobOut {
    id: u64,
    /// What it does.
    kind: String,
    /// Null if it is about all of them.
    collection: Option<String>,
    status: JobStatus,
    /// How much is done.
    done: u64,
    /// Of how much; 0 while that is not known.
    of: u64,
    started: String,
    /// How long it took, or has taken so far; of one that a restart has interrupted, since then.
    seconds: f64,
    /// Why one that a restart has interrupted does not go on yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<String>,
    /// What came of it, once it is completed; of `verify` also what it had found when it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum JobStatus {
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Before and after.
#[derive(Debug, Serialize)]
struct Bytes {
    before: u64,
    after: u64,
}

impl From<(u64, u64)> for Bytes {
    fn from((before, after): (u64, u64)) -> Self {
        Self { before, after }
    }
}

/// What came of `compact`.
#[derive(Debug, Serialize)]
pub(crate) struct CompactedOut {
    lsn: u64,
    tables_bytes: Bytes,
    log_bytes: Bytes,
}

impl From<Compacted> for CompactedOut {
    fn from(done: Compacted) -> Self {
        Self {
            lsn: done.lsn.0,
            tables_bytes: done.tables_bytes.into(),
            log_bytes: done.log_bytes.into(),
        }
    }
}

/// What came of `verify`.
#[derive(Debug, Serialize)]
pub(crate) struct ExaminedOut {
    snapshots: usize,
    backups: u64,
    /// What is wrong, with the file and the byte.
    damaged: Vec<String>,
    /// Whether nothing is damaged any more: new snapshots stand in the place of those that were.
    mended: bool,
    /// Whether all was read.
    complete: bool,
}

impl From<Examined> for ExaminedOut {
    fn from(done: Examined) -> Self {
        Self {
            snapshots: done.snapshots,
            backups: done.backups,
            damaged: done.damaged,
            mended: done.mended,
            complete: done.complete,
        }
    }
}

/// What came of `warm_up`.
#[derive(Debug, Serialize)]
pub(crate) struct WarmedOut {
    points: usize,
    vectors: usize,
}

impl From<Warmed> for WarmedOut {
    fn from(done: Warmed) -> Self {
        Self {
            points: done.points,
            vectors: done.vectors,
        }
    }
}

/// The jobs that are at work, and the last that have ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<JobOut>,
}

impl From<&Job> for JobOut {
    fn from(job: &Job) -> Self {
        let (done, of) = job.progress();
        let (status, result, error) = match job.end() {
            None => (JobStatus::Running, None, None),
            Some(End::Completed(result)) => (JobStatus::Completed, Some(result.clone()), None),
            Some(End::Failed(why)) => (JobStatus::Failed, None, Some(why.clone())),
            Some(End::Cancelled(result)) => (JobStatus::Cancelled, result.clone(), None),
        };
        Self {
            id: job.id,
            kind: job.kind.clone(),
            collection: Some(job.collection.clone()).filter(|name| !name.is_empty()),
            status,
            done,
            of,
            started: utc(job.started_s),
            seconds: job.duration().as_secs_f64(),
            waits: job.waits(),
            result,
            error,
        }
    }
}
