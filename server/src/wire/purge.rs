//! Erasure: what is asked, and the report that an operator can file.

use engine::{OldBackups, PurgeReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::snapshot::utc;
use crate::access::Grant;
use crate::refusal::Refusal;

/// Parameters of a purge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PurgeParams {
    #[serde(default)]
    backups: Backups,
}

/// What becomes of backups on the server that were made before.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Backups {
    #[default]
    Keep,
    Delete,
}

impl PurgeParams {
    /// Backups of everything are among those that go, so it takes a key that is for everything.
    pub(crate) fn backups(&self) -> Result<OldBackups, Refusal> {
        match self.backups {
            Backups::Keep => Ok(OldBackups::Keep),
            Backups::Delete => {
                Grant::demand_all("`backups: delete` also removes backups of all collections")?;
                Ok(OldBackups::Delete)
            }
        }
    }
}

/// The report. Paths are those in the data folder.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Purged {
    collection: String,
    /// All that was deleted or replaced up to this LSN is in no file but those named below.
    lsn: u64,
    finished: String,
    seconds: f64,
    files_removed: Vec<String>,
    files_written: Vec<String>,
    backups_not_included: Vec<String>,
}

impl From<PurgeReport> for Purged {
    fn from(report: PurgeReport) -> Self {
        Self {
            collection: report.collection,
            lsn: report.lsn.0,
            finished: utc(report.at_s),
            seconds: report.seconds,
            files_removed: report.removed,
            files_written: report.written,
            backups_not_included: report.backups_kept,
        }
    }
}
