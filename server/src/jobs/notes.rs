//! What a data folder holds of jobs, so that a start knows of them: the newest id, so that one from before names no
//! other job after it, and the jobs that have begun and not ended, with what they have counted. Not what came of one:
//! there may be names of people in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Where it stands, in the data folder.
pub(super) const FILE: &str = "JOBS";

/// The notes of a data folder.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    /// As the file was at the first look.
    before: OnceLock<Kept>,
    /// As it is to be; held while it is written.
    now: Mutex<Option<Kept>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    newest: u64,
    jobs: Vec<Noted>,
}

/// A job that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) id: u64,
    pub(super) kind: String,
    /// Empty if it is about all of them.
    pub(super) collection: String,
    /// Seconds since 1970.
    pub(super) started_s: u64,
    /// What it has done so far, for what goes on to tell of all of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) counts: BTreeMap<String, u64>,
}

impl Notes {
    /// Those of a folder, which is not looked at before they are asked for.
    pub(super) fn of(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE),
            before: OnceLock::new(),
            now: Mutex::default(),
        }
    }

    /// The newest id at the first look. Nobody who asks waits for a write.
    pub(super) fn newest(&self) -> u64 {
        self.before().newest
    }

    /// Those that had not ended at the first look.
    pub(super) fn unended(&self) -> Vec<Noted> {
        self.before().jobs.clone()
    }

    /// Notes durably that a job has begun.
    pub(super) fn begun(&self, job: Noted) {
        self.change(|kept| {
            kept.newest = kept.newest.max(job.id);
            kept.jobs.retain(|it| it.id != job.id);
            kept.jobs.push(job);
        });
    }

    /// Notes durably what a job has done so far, if it has begun.
    pub(super) fn counted(&self, id: u64, counts: &BTreeMap<String, u64>) {
        self.change(|kept| {
            for job in kept.jobs.iter_mut().filter(|it| it.id == id) {
                job.counts.clone_from(counts);
            }
        });
    }

    /// Notes durably that a job has ended.
    pub(super) fn ended(&self, id: u64) {
        self.change(|kept| kept.jobs.retain(|it| it.id != id));
    }

    /// Notes durably which jobs there are at all.
    pub(super) fn are(&self, jobs: Vec<Noted>) {
        self.change(|kept| {
            let newest = jobs.iter().map(|it| it.id).max();
            kept.newest = kept.newest.max(newest.unwrap_or_default());
            kept.jobs = jobs;
        });
    }

    fn before(&self) -> &Kept {
        self.before.get_or_init(|| {
            read(&self.path).unwrap_or_else(|why| {
                tracing::warn!(why, "what was noted of jobs cannot be read: ids may repeat");
                Kept::default()
            })
        })
    }

    /// What cannot be written now is written with the next change.
    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut now = self.now.lock();
        let kept = now.get_or_insert_with(|| self.before().clone());
        let before = kept.clone();
        change(kept);
        if *kept == before {
            return;
        }
        let bytes = serde_json::to_vec(kept).expect("numbers and names are JSON");
        if let Err(error) = storage::replace_whole(&self.path, &bytes) {
            tracing::warn!(%error, "jobs cannot be noted: a restart would not know of them");
        }
    }
}

fn read(path: &Path) -> Result<Kept, String> {
    let bytes = storage::read_whole(path).map_err(|error| error.to_string())?;
    let kept = bytes.map(|bytes| serde_json::from_slice(&bytes));
    let kept = kept
        .transpose()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(kept.unwrap_or_default())
}
