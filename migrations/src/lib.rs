//! Bringing a data folder up to the format that this program writes, one step per released version.
//!
//! A step changes a copy of the folder from one format to the next. When all are done, one rename
//! decides (see `swap`): whatever happens before it leaves the old folder as it was, whatever
//! happens after it leaves the new one. The old one is kept until the new one has been opened. A
//! step stays for as long as its format may be met, and `fixtures/` keeps a folder of every released
//! format that the tests open. There is one format so far, and therefore no step.

mod swap;

use std::path::{Path, PathBuf};

use storage::{FORMAT_VERSION, FolderLock, read_format, write_format};

use swap::{Notify, Places};

/// What a data folder was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// There is nothing yet.
    New,
    /// It has the format that this program writes.
    Current,
    /// It had an older one.
    Migrated {
        /// Which.
        from: u32,
    },
}

/// Why a data folder cannot be brought up to this program's format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A newer doppel wrote it.
    #[error(
        "{}: a newer doppel wrote it in format {found}; this one knows formats up to {known}: \
         use a newer doppel, the data has not been touched",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that this program knows.
        known: u32,
    },
    /// No released doppel wrote this format.
    #[error("{}: format {found} was never released", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The folder has gone, but what an upgrade made of it has not.
    #[error(
        "there is no {}, but there is {} from an upgrade: give it its name back, or move it away",
        path.display(),
        old.display()
    )]
    OldAlone {
        /// The folder.
        path: PathBuf,
        /// What was kept of it.
        old: PathBuf,
    },
    /// The folders of an upgrade cannot be written.
    #[error(
        "{}: cannot {doing}: {reason}; the upgrade is not done, and begins again at the next start",
        path.display()
    )]
    Upgrade {
        /// The file or folder.
        path: PathBuf,
        /// What could not be done.
        doing: &'static str,
        /// What the system says.
        reason: std::io::Error,
    },
    /// Files cannot be read or written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// A way from one format to the next. It is given a copy that nobody else knows of.
struct Step {
    from: u32,
    run: fn(&Path) -> Result<(), storage::Error>,
}

/// In the order of the formats, without holes.
const STEPS: &[Step] = &[];

/// Looks at a data folder and brings it up to date. Call before it is opened, and [`opened`] after.
///
/// # Errors
/// The folder's format is a newer one, or its files cannot be read or written.
pub fn prepare(dir: &Path) -> Result<Prepared, Error> {
    run(dir, STEPS, FORMAT_VERSION, &mut |_| Ok(()))
}

/// A data folder has been opened and recovered: what an upgrade has kept of it can go.
///
/// # Errors
/// It cannot be removed.
pub fn opened(dir: &Path) -> Result<(), Error> {
    Places::of(dir)?.remove_old(&mut |_| Ok(()))
}

fn run(dir: &Path, steps: &[Step], known: u32, notify: Notify<'_>) -> Result<Prepared, Error> {
    let places = Places::of(dir)?;
    // Its new name may be all that is missing.
    places.finish(known, notify)?;
    let Some((found, store)) = read_format(dir)? else {
        return match places.old_alone()? {
            Some(old) => Err(Error::OldAlone {
                path: dir.to_owned(),
                old,
            }),
            None => Ok(Prepared::New),
        };
    };
    if found == known {
        return Ok(Prepared::Current);
    }
    let path = dir.to_owned();
    if found > known {
        return Err(Error::Newer { path, found, known });
    }
    let Some(first) = steps.iter().position(|step| step.from == found) else {
        return Err(Error::Unknown { path, found });
    };
    let _lock = FolderLock::take_of(dir, found)?;
    places.copy(notify)?;
    for step in steps.iter().skip(first) {
        (step.run)(&places.new)?;
        write_format(&places.new, step.from + 1, store)?;
        notify("take a step")?;
    }
    places.change_over(found, notify)?;
    Ok(Prepared::Migrated { from: found })
}

#[cfg(test)]
mod tests;
