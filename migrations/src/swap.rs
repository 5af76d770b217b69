//! Three folders side by side: the data folder `D`, `D.upgrading` in which the new one is made, and
//! `D.format-N`, which the old one is called when the new one has taken its place.
//!
//! `D.upgrading` is synced whole before `D` is renamed to `D.format-N`, and that rename decides.
//! While there is a `D`, `D.upgrading` is worth nothing and made anew; when there is none,
//! `D.upgrading` is whole and only lacks its name. Nothing is removed that is not a copy.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use storage::read_format;

use crate::Error;

/// Hears of everything that is about to be done to a disk; tests stop there.
pub(crate) type Notify<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), Error>;

const OLD: &str = ".format-";

/// The names of the folders.
pub(crate) struct Places {
    dir: PathBuf,
    pub(crate) new: PathBuf,
    parent: PathBuf,
    name: String,
}

fn failed<'a>(path: &'a Path, doing: &'static str) -> impl Fn(io::Error) -> Error + use<'a> {
    move |reason| Error::Upgrade {
        path: path.to_owned(),
        doing,
        reason,
    }
}

impl Places {
    pub(crate) fn of(dir: &Path) -> Result<Self, Error> {
        let whole = match fs::canonicalize(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => std::path::absolute(dir),
            whole => whole,
        };
        let dir = whole.map_err(failed(dir, "find"))?;
        let name = dir.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let parent = dir.parent().unwrap_or(&dir).to_owned();
        Ok(Self {
            new: parent.join(format!("{name}.upgrading")),
            parent,
            name,
            dir,
        })
    }

    fn old(&self, format: u32) -> PathBuf {
        self.parent.join(format!("{}{OLD}{format}", self.name))
    }

    /// What older upgrades have kept.
    fn all_old(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.parent) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&self.parent, "list"))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(&self.parent, "list"))?;
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&self.name));
            let format = rest.and_then(|rest| rest.strip_prefix(OLD));
            if format.is_some_and(|format| format.parse::<u32>().is_ok()) {
                all.push(entry.path());
            }
        }
        Ok(all)
    }

    /// An old folder without the new one that it was kept for.
    pub(crate) fn old_alone(&self) -> Result<Option<PathBuf>, Error> {
        match self.dir.exists() {
            true => Ok(None),
            false => Ok(self.all_old()?.pop()),
        }
    }

    /// Gives the new folder its name, if only that is missing.
    pub(crate) fn finish(&self, known: u32, notify: Notify<'_>) -> Result<(), Error> {
        if self.dir.exists() || !self.new.exists() {
            return Ok(());
        }
        if let Some((found, _)) = read_format(&self.new)?
            && found <= known
        {
            notify("rename the new folder")?;
            fs::rename(&self.new, &self.dir).map_err(failed(&self.new, "rename"))?;
            sync_dir(&self.parent)?;
        }
        Ok(())
    }

    /// Makes the new folder as a copy of the old one.
    pub(crate) fn copy(&self, notify: Notify<'_>) -> Result<(), Error> {
        if self.new.exists() {
            notify("remove what was begun before")?;
            fs::remove_dir_all(&self.new).map_err(failed(&self.new, "remove"))?;
        }
        copy_into(&self.dir, &self.new, notify)
    }

    /// Puts the new folder into the place of the old one.
    pub(crate) fn change_over(&self, format: u32, notify: Notify<'_>) -> Result<(), Error> {
        sync_tree(&self.new, notify)?;
        sync_dir(&self.parent)?;
        let old = self.old(format);
        if old.exists() {
            notify("remove what an older upgrade has kept")?;
            fs::remove_dir_all(&old).map_err(failed(&old, "remove"))?;
        }
        notify("rename the old folder")?;
        fs::rename(&self.dir, &old).map_err(failed(&self.dir, "rename"))?;
        notify("sync the folder above")?;
        sync_dir(&self.parent)?;
        notify("rename the new folder")?;
        fs::rename(&self.new, &self.dir).map_err(failed(&self.new, "rename"))?;
        notify("sync the folder above")?;
        sync_dir(&self.parent)
    }

    /// Removes what upgrades have kept.
    pub(crate) fn remove_old(&self, notify: Notify<'_>) -> Result<(), Error> {
        for old in self.all_old()? {
            notify("remove the old folder")?;
            fs::remove_dir_all(&old).map_err(failed(&old, "remove"))?;
        }
        Ok(())
    }
}

fn copy_into(from: &Path, to: &Path, notify: Notify<'_>) -> Result<(), Error> {
    notify("make a folder")?;
    let made = fs::DirBuilder::new().mode(0o700).create(to);
    made.map_err(failed(to, "make the folder"))?;
    for entry in fs::read_dir(from).map_err(failed(from, "list"))? {
        let path = entry.map_err(failed(from, "list"))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_into(&path, &target, notify)?;
        } else {
            notify("copy a file")?;
            fs::copy(&path, &target).map_err(failed(&path, "copy"))?;
        }
    }
    Ok(())
}

/// Syncs every file of a folder and of those in it, and the folders.
fn sync_tree(dir: &Path, notify: Notify<'_>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(failed(dir, "list"))? {
        let path = entry.map_err(failed(dir, "list"))?.path();
        if path.is_dir() {
            sync_tree(&path, notify)?;
        } else {
            notify("sync a file")?;
            let file = File::open(&path).and_then(|file| file.sync_all());
            file.map_err(failed(&path, "sync"))?;
        }
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|file| file.sync_all());
    synced.map_err(failed(dir, "sync the folder"))
}
