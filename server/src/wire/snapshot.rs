//! Backups in the dialect, which calls them snapshots.

use engine::{BackupFile, Checksum, Lsn, RestoreReport};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::schema;
use super::unsupported::Absent;
use crate::refusal::Refusal;

/// A backup that lies on the server.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Snapshot {
    name: String,
    /// `2026-11-25T06:55:40`, in UTC; absent if the file's header is damaged.
    creation_time: Option<String>,
    size: u64,
    /// SHA-256, in hexadecimal.
    checksum: Option<String>,
    /// The LSN that it holds everything up to.
    lsn: Option<u64>,
}

impl From<BackupFile> for Snapshot {
    fn from(file: BackupFile) -> Self {
        Self {
            name: file.name,
            creation_time: file.made_s.map(utc),
            size: file.bytes,
            checksum: file.sha256,
            lsn: file.lsn.map(|lsn| lsn.0),
        }
    }
}

/// A moment in seconds since 1970 as date and time in UTC.
pub(super) fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, so that leap days come last: a year of March to February.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Parameters of whatever makes, removes or restores a backup. All of them answer when they are
/// done, whether or not they are told to wait; there is one node, so every priority is the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotParams {
    #[serde(rename = "wait")]
    #[schemars(transform = schema::no_effect)]
    _wait: Option<bool>,
    #[serde(rename = "priority")]
    #[schemars(transform = schema::no_effect)]
    _priority: Option<Priority>,
    pub(crate) checksum: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Priority {
    NoSync,
    Snapshot,
    Replica,
}

/// Which backup of its own the server is to restore.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recover {
    pub(crate) location: String,
    #[serde(rename = "priority")]
    #[schemars(transform = schema::no_effect)]
    _priority: Option<Priority>,
    pub(crate) checksum: Option<String>,
    api_key: Absent,
}

/// A form that brings a backup, as the document tells it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "forms are read piece by piece")]
pub(crate) struct SnapshotForm {
    snapshot: BackupBytes,
}

/// The bytes of a backup.
#[derive(JsonSchema)]
#[schemars(extend("contentMediaType" = "application/octet-stream"))]
pub(crate) struct BackupBytes(#[expect(dead_code, reason = "only its schema is used")] String);

impl Recover {
    /// A key would be for a server that the backup is fetched from.
    pub(crate) fn checked(self) -> Result<Self, Refusal> {
        match self.api_key {
            Some(_) => Err(Refusal::wrong(
                "`api_key` is not supported: this server fetches nothing from others",
            )),
            None => Ok(self),
        }
    }
}

/// What a restore of everything has brought.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RestoredAll {
    lsn: u64,
    collections: Vec<RestoredOne>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RestoredOne {
    name: String,
    points: usize,
}

impl From<RestoreReport> for RestoredAll {
    fn from(report: RestoreReport) -> Self {
        let collections = report.collections.into_iter();
        Self {
            lsn: report.lsn.0,
            collections: collections
                .map(|(name, points)| RestoredOne { name, points })
                .collect(),
        }
    }
}

/// A checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checkpointed {
    lsn: u64,
}

impl From<Lsn> for Checkpointed {
    fn from(lsn: Lsn) -> Self {
        Self { lsn: lsn.0 }
    }
}

/// Of what checksums are wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChecksumParams {
    /// Of the collection as it was there; as it is if not said.
    #[serde(default, deserialize_with = "position")]
    pub(crate) lsn: Option<u64>,
}

/// A position in the log, as it stands in a URL.
fn position<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let wrong = "`lsn` must be a whole number, as an answer has it in `x-doppel-lsn`";
    let parsed = String::deserialize(from)?.parse();
    parsed.map(Some).map_err(|_| D::Error::custom(wrong))
}

/// The checksums of a collection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checksums {
    /// All up to here is in it.
    lsn: u64,
    /// The last record that changed it: it is the same at every position from there to `lsn`.
    changed: u64,
    points: usize,
    content: String,
    graph: String,
}

impl From<Checksum> for Checksums {
    fn from(checksum: Checksum) -> Self {
        Self {
            lsn: checksum.lsn.0,
            changed: checksum.changed.0,
            points: checksum.points,
            content: checksum.content,
            graph: checksum.graph,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_calendars_do() {
        let known = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ];
        for (seconds, text) in known {
            assert_eq!(utc(seconds), text);
        }
    }
}
