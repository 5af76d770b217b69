//! Bringing a data folder up to the format that this program writes, one step per released version.
//!
//! A step takes a folder of one format to the next and ends by writing the new marker, so that a
//! step that was cut short is simply run again. A step stays for as long as its format may be met,
//! and `fixtures/` keeps a folder of every released format that the tests open. There is one
//! format so far, and therefore no step.

use std::path::{Path, PathBuf};

use storage::{FORMAT_VERSION, read_format};

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
    /// Files cannot be read or written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// A way from one format to the next.
struct Step {
    from: u32,
    run: fn(&Path) -> Result<(), storage::Error>,
}

/// In the order of the formats, without holes.
const STEPS: &[Step] = &[];

/// Looks at a data folder and brings it up to date. Call before it is opened.
///
/// # Errors
/// The folder's format is a newer one, or its files cannot be read or written.
pub fn prepare(dir: &Path) -> Result<Prepared, Error> {
    run(dir, STEPS, FORMAT_VERSION)
}

fn run(dir: &Path, steps: &[Step], known: u32) -> Result<Prepared, Error> {
    let Some((found, _)) = read_format(dir)? else {
        return Ok(Prepared::New);
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
    for step in steps.iter().skip(first) {
        (step.run)(dir)?;
    }
    Ok(Prepared::Migrated { from: found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::DataFolder;

    #[test]
    fn a_new_folder_and_one_of_this_format_need_no_step() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(prepare(dir.path()).unwrap(), Prepared::New);
        drop(DataFolder::open(dir.path()).unwrap());
        assert_eq!(prepare(dir.path()).unwrap(), Prepared::Current);
    }

    #[test]
    fn every_step_from_the_folders_format_on_is_run_in_order() {
        fn note(dir: &Path, name: &str) -> Result<(), storage::Error> {
            let count = std::fs::read_dir(dir).unwrap().count();
            std::fs::write(dir.join(format!("{count}-{name}")), "").unwrap();
            Ok(())
        }
        let steps = [
            Step {
                from: 0,
                run: |_| panic!("this one is behind it"),
            },
            Step {
                from: 1,
                run: |dir| note(dir, "one"),
            },
            Step {
                from: 2,
                run: |dir| note(dir, "two"),
            },
        ];
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::open(dir.path()).unwrap());
        let migrated = run(dir.path(), &steps, 3).unwrap();
        assert_eq!(migrated, Prepared::Migrated { from: 1 });
        assert!(dir.path().join("2-one").exists() && dir.path().join("3-two").exists());
    }

    #[test]
    fn a_newer_and_an_unknown_format_are_refused_with_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::open(dir.path()).unwrap());
        let newer = run(dir.path(), &[], 0).unwrap_err().to_string();
        assert!(newer.contains("in format 1; this one knows formats up to 0"));
        let unknown = run(dir.path(), &[], 2).unwrap_err().to_string();
        assert!(unknown.contains("format 1 was never released"), "{unknown}");
    }
}
