//! The log of a data folder: its own files, or one that several nodes follow.
//!
//! A folder stays with the log it began with: what its snapshots and tables hold came from there, and
//! positions of another log mean something else. A file in it, `FOLLOWS`, names the shared log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{DataFolder, FileLog, Log, read_whole, replace_whole};

use crate::error::Error;
use crate::options::Options;

pub(crate) fn open_log(options: &Options, folder: &DataFolder) -> Result<Box<dyn Log>, Error> {
    match &options.shared_log {
        Some(open) => {
            let followed = followed(folder.dir())?;
            if followed.is_none() {
                refuse_own(folder)?;
            }
            let log = open()?;
            let number = log.shared().unwrap_or_default();
            match followed {
                Some(known) if known == number => {}
                Some(_) => {
                    return Err(Error::BadRequest(format!(
                        "{}: the data folder follows another shared log than the one it was given: \
                         give it that one, or start with an empty folder",
                        folder.dir().display()
                    )));
                }
                None => replace_whole(&mark(folder.dir()), &number.to_le_bytes())?,
            }
            Ok(log)
        }
        None => {
            refuse_followed(folder.dir())?;
            own(options, folder)
        }
    }
}

/// Where there is only a folder, one that follows a shared log is of no use.
pub(crate) fn refuse_followed(dir: &Path) -> Result<(), Error> {
    match followed(dir)? {
        None => Ok(()),
        Some(_) => Err(Error::BadRequest(format!(
            "{}: the data folder follows a log that several nodes share, which was not given: start \
             `doppel serve` with its address (`--log`)",
            dir.display()
        ))),
    }
}

fn own(options: &Options, folder: &DataFolder) -> Result<Box<dyn Log>, Error> {
    let disk = Arc::clone(&options.disk);
    let (log, cut) = FileLog::open(disk, &folder.log(), folder.store(), options.segment_bytes)?;
    if let Some(cut) = cut {
        tracing::warn!(file = %cut.path.display(), cut.offset, cut.bytes, "a torn tail of the log was cut");
    }
    Ok(Box::new(log))
}

fn mark(dir: &Path) -> PathBuf {
    dir.join("FOLLOWS")
}

/// The number of the log that the folder follows, if that is a shared one.
fn followed(dir: &Path) -> Result<Option<u128>, Error> {
    let path = mark(dir);
    let Some(content) = read_whole(&path)? else {
        return Ok(None);
    };
    let number = <[u8; 16]>::try_from(content.as_slice());
    let number =
        number.map_err(|_| Error::Corrupt(format!("{}: it is no number", path.display())))?;
    Ok(Some(u128::from_le_bytes(number)))
}

/// What a folder has of its own would be lost to a log that does not have it.
fn refuse_own(folder: &DataFolder) -> Result<(), Error> {
    for dir in [folder.log(), folder.snapshots()] {
        let names = folder.disk().list(&dir);
        let names = names.map_err(|error| Error::Corrupt(format!("{}: {error}", dir.display())))?;
        if !names.is_empty() {
            return Err(Error::BadRequest(format!(
                "{}: the data folder has a log of its own: start with an empty one, and bring the \
                 collections in with `doppel export` and `doppel import`",
                folder.dir().display()
            )));
        }
    }
    Ok(())
}
