//! Backups: made while writes go on, kept in the data folder, restored under any name.

mod restore;
mod restores;
mod write;

use std::path::{Path, PathBuf};

use storage::{BackupFile, DiskFile, Incoming, Shelf};

use crate::engine::Engine;
use crate::error::Error;
use crate::options::Progress;
use crate::spec::check_name;

pub(crate) use restore::full_rows;
pub use restore::{RestoreAs, RestoreReport};
pub(crate) use restores::Restores;
pub(crate) use write::write_to;

impl Engine {
    /// Makes a backup of one collection, or of everything. Writes go on meanwhile; the backup holds
    /// what was written up to one LSN, and nothing of what came later.
    pub fn create_backup(&self, collection: Option<&str>) -> Result<BackupFile, Error> {
        self.create_backup_watched(collection, &mut |_, _| true)
    }

    /// The same, telling how far it is. One that is to go no further leaves no file.
    pub fn create_backup_watched(
        &self,
        collection: Option<&str>,
        progress: Progress<'_>,
    ) -> Result<BackupFile, Error> {
        let only = collection.map(|name| self.collection(name)).transpose()?;
        let _moving = self.moving.read();
        let view = self.view(only.as_ref().map(|only| only.id))?;
        let shelf = only
            .as_ref()
            .map_or(Shelf::Full, |only| Shelf::Collection(&only.name));
        let made = write::write(self.shared(), shelf, &view, progress);
        made.map_err(|error| match &only {
            // Its rows go with it.
            Some(only) if self.shared().catalog.by_id(only.id).is_none() => {
                Error::NoCollection(only.name.clone())
            }
            _ => error,
        })
    }

    /// The backups there are of a collection, or of everything. Those of a collection stay when it
    /// is dropped.
    pub fn backups(&self, collection: Option<&str>) -> Result<Vec<BackupFile>, Error> {
        let name = self.shelf_name(collection)?;
        let files = self.shared().backups.list(shelf(&name))?;
        match &name {
            Some(name) if files.is_empty() => self.collection(name).map(|_| files),
            _ => Ok(files),
        }
    }

    /// Where a backup lies, if it is there.
    pub fn backup_file(
        &self,
        collection: Option<&str>,
        name: &str,
    ) -> Result<Option<(PathBuf, BackupFile)>, Error> {
        let of = self.shelf_name(collection)?;
        let backups = &self.shared().backups;
        let Some(path) = backups.path(shelf(&of), name) else {
            return Err(Error::BadRequest(format!(
                "`{}` is no name of a backup",
                name.chars().take(80).collect::<String>()
            )));
        };
        let file = backups.find(shelf(&of), name)?;
        Ok(file.map(|file| (path, file)))
    }

    /// A backup to be read by whoever asked for it.
    pub fn download_backup(&self, of: Option<&str>, name: &str) -> Result<Download, Error> {
        let found = self.backup_file(of, name)?;
        let (path, info) = found.ok_or_else(|| Error::NoBackup(name.into()))?;
        let file = self.shared().disk.open(&path);
        let file = file.map_err(|error| Error::Corrupt(format!("{}: {error}", path.display())))?;
        Ok(Download { info, file })
    }

    /// Removes a backup; `false` if it is not there.
    pub fn delete_backup(&self, collection: Option<&str>, name: &str) -> Result<bool, Error> {
        match self.backup_file(collection, name)? {
            Some(_) => {
                let of = self.shelf_name(collection)?;
                Ok(self.shared().backups.remove(shelf(&of), name)?)
            }
            None => Ok(false),
        }
    }

    /// A place for a backup that comes from elsewhere; it is gone when it is not restored.
    pub fn receive_backup(&self) -> Result<Incoming, Error> {
        let shared = self.shared();
        let disk = std::sync::Arc::clone(&shared.disk);
        Ok(Incoming::create(disk, &shared.folder.restores())?)
    }

    /// Which backup of its own the server is asked for: a name, of this collection, or a `file:`
    /// URL into the folder of backups. Nothing else is ever read.
    pub fn locate_backup(
        &self,
        collection: Option<&str>,
        location: &str,
    ) -> Result<(Option<String>, String), Error> {
        let of = self.shelf_name(collection)?;
        let refused = || {
            Error::BadRequest(
                "`location` must be the name of a backup that lies in this server's own folder; \
                 upload a backup that lies elsewhere"
                    .into(),
            )
        };
        let path = match location.split_once("://") {
            None if !location.contains('/') => return Ok((of, location.to_owned())),
            Some(("file", path)) => path,
            None | Some(_) => return Err(refused()),
        };
        let backups = std::path::absolute(self.shared().folder.backups());
        let backups = backups.map_err(|_| refused())?;
        let within = Path::new(path).strip_prefix(&backups).ok();
        let parts: Option<Vec<&str>> = within
            .ok_or_else(refused)?
            .components()
            .map(|part| part.as_os_str().to_str())
            .collect();
        match parts.unwrap_or_default().as_slice() {
            ["full", file] => Ok((None, (*file).to_owned())),
            ["collections", name, file] => {
                check_name(name)?;
                Ok((Some((*name).to_owned()), (*file).to_owned()))
            }
            _ => Err(refused()),
        }
    }

    /// The name of the collection that a name or an alias stands for; a collection may have gone.
    fn shelf_name(&self, collection: Option<&str>) -> Result<Option<String>, Error> {
        let Some(name) = collection else {
            return Ok(None);
        };
        check_name(name)?;
        let known = self.shared().catalog.by_name(name);
        Ok(Some(known.map_or_else(
            || name.to_owned(),
            |known| known.name.clone(),
        )))
    }
}

/// A backup that is being read; it can be read to its end even if it is removed meanwhile.
pub struct Download {
    /// Which it is.
    pub info: BackupFile,
    file: Box<dyn DiskFile>,
}

impl Download {
    /// Up to so many bytes from an offset on; none at the end.
    pub fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut piece = vec![0; bytes];
        let got = self.file.read_at(&mut piece, offset);
        let got = got.map_err(|error| Error::Corrupt(format!("{}: {error}", self.info.name)))?;
        piece.truncate(got);
        Ok(piece)
    }
}

fn shelf(name: &Option<String>) -> Shelf<'_> {
    name.as_deref().map_or(Shelf::Full, Shelf::Collection)
}
