//! Collections that are not served, because both their snapshots are damaged and the log does not
//! reach back far enough to do without them.
//!
//! The others are served. Nothing of a quarantined collection is changed but its rows in the
//! tables, which go on following the log; there are no checkpoints meanwhile, so that nothing it
//! may still be rebuilt from is left behind. If only a reading had failed, the next start finds it
//! whole.

use storage::CollectionEntry;

use crate::error::Error;

/// A collection that is not served.
#[derive(Debug)]
pub(crate) struct Quarantined {
    pub(crate) entry: CollectionEntry,
    /// What is damaged.
    pub(crate) reason: String,
}

impl Quarantined {
    pub(crate) fn name(&self) -> &str {
        &self.entry.config.name
    }

    /// What a client of it is told.
    pub(crate) fn refusal(&self) -> Error {
        Error::Quarantined {
            name: self.name().to_owned(),
            reason: self.reason.clone(),
        }
    }
}
