//! What is imported: a folder, CelebA, or a list of photos. It can be gone through as often as need be,
//! from the beginning and in the same order, and is never held whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use super::celeba::{self, Lists};
use super::manifest;
use super::mistakes::Mistakes;
use super::photo::Found;
use super::report::Absent;
use super::walk::Walk;

/// The files that a source names, one after the other. Whoever meets a mistake goes no further.
pub(super) type Entries = Box<dyn Iterator<Item = Result<Found>> + Send>;

/// Where photos come from.
pub(super) enum Source {
    Folder(PathBuf),
    Celeba(Arc<Lists>),
    List(PathBuf),
}

impl Source {
    /// Says what a path is; `names` are those of CelebA's identities.
    pub(super) fn open(path: &Path, names: Option<&Path>) -> Result<Self> {
        if path.is_dir() && celeba::is_here(path) {
            return Ok(Self::Celeba(Arc::new(Lists::read(path, names)?)));
        }
        if names.is_some() {
            bail!("--names is for CelebA, which {} is not", path.display());
        }
        if !path.is_file() {
            return Ok(Self::Folder(path.to_owned()));
        }
        match path.extension().and_then(|end| end.to_str()) {
            Some("csv" | "jsonl") => Ok(Self::List(path.to_owned())),
            _ => bail!(
                "{} is no folder, and no .csv, .jsonl, .npy, .fvecs or .parquet file",
                path.display()
            ),
        }
    }

    /// What is wrong with its lists and was passed over.
    pub(super) fn mistakes(&self) -> Mistakes {
        match self {
            Self::Celeba(lists) => lists.mistakes.clone(),
            Self::Folder(_) | Self::List(_) => Mistakes::default(),
        }
    }

    /// The photos that its lists name and that are not there.
    pub(super) fn absent(&self) -> Absent {
        match self {
            Self::Celeba(lists) => lists.absent.clone(),
            Self::Folder(_) | Self::List(_) => Absent::default(),
        }
    }

    /// Whether it says of each photo whom it shows.
    pub(super) fn names_people(&self) -> bool {
        matches!(self, Self::Celeba(lists) if lists.name_people())
    }

    /// All that it names, from the beginning.
    pub(super) fn entries(&self) -> Result<Entries> {
        match self {
            Self::Folder(path) => Ok(Box::new(Walk::of(path))),
            Self::Celeba(lists) => Ok(lists.photos()),
            Self::List(path) => manifest::photos(path),
        }
    }
}
