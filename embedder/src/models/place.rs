//! How what was obtained becomes an installation: by one process at a time, and as a whole.
//!
//! Everything is obtained in a folder of its own. When all files are complete and on the disk, the
//! record of what will be there is put beside them; then they get their names, one by one, and the
//! record gets its name last. Whoever finds a record in that folder, under the lock, finishes what was
//! broken off; what lies there without one was never complete and is obtained anew.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::files::sha256;
use super::record::{self, Record};

/// The name of a file, and what has made it, if it was translated.
pub(super) type Obtained = (String, Option<String>);

/// Held by the one process that changes a folder of models.
pub(super) struct Lock(File);

impl Lock {
    /// Waits for it; `busy` is called if another has it.
    pub(super) fn wait(dir: &Path, busy: impl FnOnce()) -> Result<Self, InstallError> {
        if let Some(lock) = Self::take(dir)? {
            return Ok(lock);
        }
        busy();
        let path = path(dir);
        let file = open(&path)?;
        file.lock().map_err(InstallError::io(&path))?;
        Ok(Self(file))
    }

    /// Takes it if nobody has it.
    fn take(dir: &Path) -> Result<Option<Self>, InstallError> {
        let path = path(dir);
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(InstallError::io(&path)(error)),
        }
    }
}

/// Given back by name and not by closing: a process that another thread is just starting has the
/// file open too.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("install.lock")
}

fn open(path: &Path) -> Result<File, InstallError> {
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(path);
    file.map_err(InstallError::io(path))
}

/// Where everything is obtained.
pub(super) fn work(dir: &Path) -> PathBuf {
    dir.join("installing")
}

/// Finishes an installation that was broken off while its files got their names; does nothing where
/// there is none, or another process is at it.
///
/// # Errors
/// The folder cannot be changed.
pub fn finish(dir: &Path) -> Result<(), InstallError> {
    if !is_promised(dir) {
        return Ok(());
    }
    match Lock::take(dir)? {
        Some(lock) => finish_alone(dir, &lock),
        None => Ok(()),
    }
}

/// The same, of one who has the lock.
pub(super) fn finish_alone(dir: &Path, _: &Lock) -> Result<(), InstallError> {
    if !is_promised(dir) {
        return Ok(());
    }
    let work = work(dir);
    give_names(dir, &work)?;
    fs::remove_dir_all(&work).map_err(InstallError::io(&work))
}

/// Whether files that are complete still wait for their names.
pub(super) fn is_promised(dir: &Path) -> bool {
    work(dir).join(record::FILE).is_file()
}

/// Has files of `work`, which are complete, stand in the folder with a record of them.
pub(super) fn place(
    dir: &Path,
    work: &Path,
    (model, files): (&str, &[Obtained]),
) -> Result<(), InstallError> {
    promise(dir, work, (model, files))?;
    give_names(dir, work)
}

/// From here on they will be there, whatever happens.
fn promise(
    dir: &Path,
    work: &Path,
    (model, files): (&str, &[Obtained]),
) -> Result<(), InstallError> {
    let mut record = Record::read(dir).unwrap_or_default();
    for (name, made_by) in files {
        let file = work.join(name);
        record.note(name, sha256(&file)?, made_by.clone());
        sync(&file)?;
    }
    record.note_model(model);
    record.write(work)?;
    sync(work)
}

fn give_names(dir: &Path, work: &Path) -> Result<(), InstallError> {
    let names = Record::read(work)?;
    let names = names.names().map(str::to_owned).collect::<Vec<_>>();
    for name in names.iter().map(String::as_str).chain([record::FILE]) {
        let (from, to) = (work.join(name), dir.join(name));
        // Else it has its name already, or has been there before.
        if from.is_file() {
            if name == record::FILE {
                sync(dir)?;
            }
            fs::rename(&from, &to).map_err(InstallError::io(&to))?;
        }
    }
    sync(dir)
}

fn sync(path: &Path) -> Result<(), InstallError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(InstallError::io(path))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn obtained(work: &Path, text: &str) -> Vec<Obtained> {
        fs::create_dir_all(work).unwrap();
        let names = ["a", "b"].map(str::to_owned);
        for name in &names {
            fs::write(work.join(name), format!("{text} {name}")).unwrap();
        }
        names.map(|name| (name, None)).into()
    }

    fn there(dir: &Path) -> Vec<String> {
        let read = |name| fs::read_to_string(dir.join(name)).unwrap();
        let record = Record::read(dir).unwrap();
        for name in ["a", "b"] {
            let sha256 = sha256(&dir.join(name)).unwrap();
            assert_eq!(record.sha256_of(name), Some(sha256.as_str()), "{name}");
        }
        vec![read("a"), read("b")]
    }

    #[test]
    fn an_installation_that_breaks_off_between_two_files_is_finished_by_the_next_start() {
        for named in 0..=2 {
            let folder = tempfile::tempdir().unwrap();
            let (dir, work) = (folder.path(), work(folder.path()));
            let files = obtained(&work, "old");
            place(dir, &work, ("one", &files)).unwrap();
            let files = obtained(&work, "new");
            promise(dir, &work, ("two", &files)).unwrap();
            for (name, _) in files.iter().take(named) {
                fs::rename(work.join(name), dir.join(name)).unwrap();
            }
            finish(dir).unwrap();
            assert_eq!(there(dir), ["new a", "new b"], "{named} had their names");
            let record = Record::read(dir).unwrap();
            for model in ["one", "two"] {
                record.expect_model(model, dir).unwrap();
            }
            assert!(!work.exists());
        }
    }

    #[test]
    fn what_was_not_complete_when_an_installation_broke_off_leaves_the_one_before_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, work) = (folder.path(), work(folder.path()));
        let files = obtained(&work, "old");
        place(dir, &work, ("one", &files)).unwrap();
        obtained(&work, "new");
        finish(dir).unwrap();
        assert_eq!(there(dir), ["old a", "old b"]);
    }

    #[test]
    fn of_two_installations_the_second_says_that_it_waits_and_then_has_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let first = Lock::wait(dir, || panic!("nobody has it")).unwrap();
        let (waits, told) = mpsc::channel();
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let lock = Lock::wait(dir, || waits.send("waits").unwrap());
                waits.send("has it").unwrap();
                lock.map(drop)
            });
            assert_eq!(told.recv().unwrap(), "waits");
            // One that is at work is not meddled with.
            fs::create_dir(work(dir)).unwrap();
            fs::write(work(dir).join(record::FILE), "{").unwrap();
            finish(dir).unwrap();
            drop(first);
            assert_eq!(told.recv().unwrap(), "has it");
            second.join().unwrap().unwrap();
        });
    }
}
