//! Whether a data folder that no one has open is whole, down to the last byte.
//!
//! Files are read and compared with their checksums (see `files`). Then recovery itself is run on a
//! draft of the folder, and what it builds is compared with the tables (see `trial`). The folder
//! stays as it is; `repair` changes it.

mod files;
mod repair;
mod trial;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use storage::{Backups, Draft, FolderLock, Lsn, OsDisk};

use crate::error::Error;
use crate::log_of::is_of_a_node;

pub use repair::{Loss, Step, repair};

/// What is known of a data folder.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Verdict {
    /// The oldest record of the log, and the newest; of a node's folder none.
    pub log: Option<(Lsn, Lsn)>,
    /// Of a node's folder, which follows a log that is not in it: up to where it holds everything by itself,
    /// and how far it had applied that log.
    pub copy: Option<(Lsn, Lsn)>,
    /// The newest checkpoint that can be read.
    pub checkpoint: Option<Lsn>,
    /// The collections, as a start would serve them.
    pub collections: Vec<CheckedCollection>,
    /// Crops and photos that were read.
    pub pictures: u64,
    /// Backups in the data folder that were read.
    pub backups: u64,
    /// What is not as it should be, in the order in which it was found.
    pub findings: Vec<Finding>,
}

/// A collection whose graph, numbers and rows were checked.
#[derive(Debug, Clone)]
pub struct CheckedCollection {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: usize,
}

/// Something that is not as it should be.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What is wrong; the file and, where there is one, the byte.
    pub what: String,
    /// What can be done.
    pub remedy: Remedy,
}

/// What can be done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Nothing is lost; a start mends it, and so does `repair`.
    Start,
    /// Something is gone that would tell whether all is there: a start goes on with what is.
    LookWhatIsThere,
    /// A checkpoint or its snapshot cannot be used. Nothing is lost as long as a start is not
    /// refused and no collection kept from being served: the next checkpoint takes its place.
    Spare,
    /// Nothing is lost, but a start would not see it: `repair` builds the tables anew.
    RebuildTables,
    /// A start is refused. `repair` can go on without what is damaged, if told to accept the loss.
    AcceptLoss,
    /// A collection cannot be served.
    RestoreCollection,
    /// A backup is damaged; the data it was made of is not touched by that.
    MakeBackupAgain,
    /// What says the SHA-256 of a backup is damaged, or was torn by a power cut; the backup is judged by
    /// itself.
    RemoveChecksum,
    /// A picture cannot be read; everything else of its point can.
    PutPictureAgain,
    /// A file that stands for itself is damaged; all else is not touched by that.
    PutFileBack,
    /// A file cannot be read or written at all: it is the disk, the rights or the program.
    MakeReadable,
    /// A start is refused, and no part of the folder can make up for what is damaged.
    RestoreFolder,
    /// The same of a node's folder: other nodes have what was in it.
    BeginAnew,
    /// A node's folder does not hold by itself all that the node had applied.
    FollowLog,
}

impl Remedy {
    /// Whether everything that was acknowledged is still there.
    pub fn loses_nothing(self) -> bool {
        matches!(
            self,
            Remedy::Start | Remedy::Spare | Remedy::RebuildTables | Remedy::RemoveChecksum
        )
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Remedy::Start => {
                "nothing is lost: the next start mends it, and so does `doppel repair`"
            }
            Remedy::LookWhatIsThere => {
                "after a power cut, or a first start that was cut short, it may be so and nothing is lost; else it was \
                 removed: look whether what was written last is there, or restore a backup. A start goes on with \
                 what is there and makes it anew, and so does `doppel repair`"
            }
            Remedy::Spare => {
                "a start does without it where something else has the same; a later checkpoint \
                 takes its place"
            }
            Remedy::RebuildTables => "nothing is lost: `doppel repair` builds the tables anew",
            Remedy::AcceptLoss => {
                "restore the data folder from a backup, or have `doppel repair --accept-loss` go \
                 on without what is damaged and all that was written after it"
            }
            Remedy::RestoreCollection => {
                "restore the collection from a backup, or drop it; the others are served"
            }
            Remedy::MakeBackupAgain => {
                "remove it and make another one, if what it was made of is still there"
            }
            Remedy::RemoveChecksum => {
                "remove it: the backup beside it is listed without a SHA-256, and restored all the same"
            }
            Remedy::PutPictureAgain => {
                "import the photo again; everything else of this point is there"
            }
            Remedy::PutFileBack => {
                "a start is refused: put the file back from a copy, or remove it and make again \
                 what was in it; the collections are not touched by that"
            }
            Remedy::MakeReadable => {
                "see to it that the file can be read and written; whether data is damaged shows then"
            }
            Remedy::RestoreFolder => "restore the data folder from a backup",
            Remedy::FollowLog => {
                "the log has the rest: start the node with it; if it is gone, look whether another node's folder holds \
                 more before a new log begins with this one"
            }
            Remedy::BeginAnew => {
                "empty the folder (keep `KEYS` and `backups/`) and start the node: it begins with the checkpoint \
                 in the store, or with the log that all nodes share"
            }
        })
    }
}

impl Verdict {
    /// Whether nothing was found.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether everything that was acknowledged is there, though some of it twice over no more.
    pub fn loses_nothing(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.remedy.loses_nothing())
    }

    fn find(&mut self, what: impl fmt::Display, remedy: Remedy) {
        let what = what.to_string();
        // Recovery sees again what reading the files has seen.
        if !self.findings.iter().any(|finding| finding.what == what) {
            self.findings.push(Finding { what, remedy });
        }
    }
}

/// Checks a data folder that no one has open; of a node's, what it holds without the log that it follows.
/// Nothing of it is changed; the tables are copied to the system's folder for temporary files.
///
/// # Errors
/// There is no data folder, it is in use or of a format unknown here, or files cannot be read at all.
pub fn verify(dir: &Path) -> Result<Verdict, Error> {
    let lock = FolderLock::take(dir)?;
    let mut verdict = Verdict::default();
    let of_a_node = is_of_a_node(dir)?;
    let seen = files::read(dir, lock.store, of_a_node, &mut verdict)?;
    match trial::recover(dir, &Draft::of(dir)?) {
        Ok(recovered) => trial::compare(dir, recovered, &mut verdict)?,
        Err(error) => {
            let remedy = match of_a_node {
                true => Remedy::BeginAnew,
                false => seen.remedy(&error),
            };
            verdict.find(format!("a start is refused: {error}"), remedy);
        }
    }
    files::read_backups(
        &Backups::new(Arc::new(OsDisk), dir.join("backups")),
        &mut verdict,
        &mut || true,
    )?;
    Ok(verdict)
}

/// What was found in backups.
pub(crate) struct Backed {
    /// How many were read.
    pub(crate) read: u64,
    /// What is wrong with which.
    pub(crate) damaged: Vec<String>,
    /// Whether these are all.
    pub(crate) complete: bool,
}

/// Reads every backup of a folder that is in use, for as long as `go_on` says so. One that is removed
/// meanwhile may be among the damaged.
pub(crate) fn backups(of: &Backups, go_on: &mut dyn FnMut() -> bool) -> Result<Backed, Error> {
    let mut verdict = Verdict::default();
    let complete = match files::read_backups(of, &mut verdict, go_on) {
        Err(Error::Cancelled) => false,
        outcome => outcome.map(|()| true)?,
    };
    let found = verdict.findings.into_iter().map(|finding| finding.what);
    Ok(Backed {
        read: verdict.backups,
        damaged: found.collect(),
        complete,
    })
}
