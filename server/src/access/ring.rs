//! All keys of a server: that of the settings, and those in the data folder, which come and go
//! while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::{Key, Limits, hash};
use super::service::Service;
use crate::limits;

/// Where they are kept, in the data folder.
const FILE: &str = "KEYS";

/// The keys that requests may show.
pub(crate) struct Ring {
    root: Option<Arc<Key>>,
    path: Option<PathBuf>,
    keys: RwLock<Arc<Vec<Arc<Key>>>>,
    /// Held while the file is replaced, so that one change follows the other.
    changing: Mutex<()>,
}

/// Why a change of the keys was not made.
#[derive(Debug)]
pub(crate) enum NotMade {
    /// There are as many as there may be.
    TooMany,
    /// The file could not be replaced; the keys are as before.
    Disk(storage::Error),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    keys: Vec<Key>,
}

impl Ring {
    /// The keys of a data folder, and that of the settings; or what is wrong with the file.
    pub(crate) fn open(root: Option<&str>, dir: &Path) -> Result<Self, String> {
        let path = dir.join(FILE);
        let bytes = storage::read_whole(&path).map_err(|error| error.to_string())?;
        let kept = match bytes {
            Some(bytes) => {
                let kept = serde_json::from_slice(&bytes);
                kept.map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Kept { keys: Vec::new() },
        };
        let ring = Self::of_settings(root, Some(path));
        *ring.keys.write() = Arc::new(kept.keys.into_iter().map(Arc::new).collect());
        Ok(ring)
    }

    /// No keys: whoever asks has been judged elsewhere.
    pub(crate) fn of_nobody() -> Self {
        Self::of_settings(None, None)
    }

    /// Only the key of the settings.
    pub(super) fn of_settings(root: Option<&str>, path: Option<PathBuf>) -> Self {
        let names = || ("settings".to_owned(), "api_key of the settings".to_owned());
        let root = root.map(|it| Key::of(it.as_bytes(), names(), Limits::everything()));
        Self {
            root: root.map(Arc::new),
            path,
            keys: RwLock::default(),
            changing: Mutex::default(),
        }
    }

    /// Whether no key is asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.root.is_none() && self.keys.read().is_empty()
    }

    /// Whether the settings have a key.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// The key of a secret. Looks at all of them, so that how long it takes tells nothing.
    pub(super) fn find(&self, secret: &[u8]) -> Option<Arc<Key>> {
        let hash = hash(secret);
        let keys = self.keys.read().clone();
        let all = self.root.iter().chain(keys.iter());
        all.fold(None, |found, key| match key.is(&hash) {
            true => Some(Arc::clone(key)),
            false => found,
        })
    }

    /// Those that were made, oldest first.
    pub(crate) fn list(&self) -> Arc<Vec<Arc<Key>>> {
        self.keys.read().clone()
    }

    /// Makes a key, durably, as the key of this id; returns its secret, which nobody can be told again.
    pub(crate) fn add(
        &self,
        name: &str,
        limits: Limits,
        service: Option<Service>,
        made_by: Option<String>,
    ) -> Result<(String, Arc<Key>), NotMade> {
        let (secret, mut key) = made(name, limits, service);
        key.made_by = made_by;
        let key = Arc::new(key);
        let added = Arc::clone(&key);
        self.change(|keys| keys.push(added))?;
        Ok((secret, key))
    }

    /// Revokes a key, durably; whether there was one.
    pub(crate) fn remove(&self, id: &str) -> Result<bool, NotMade> {
        let mut found = false;
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|key| key.id != id);
            found = keys.len() < before;
        })?;
        Ok(found)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Key>>)) -> Result<(), NotMade> {
        let _changing = self.changing.lock();
        let mut keys = self.list().to_vec();
        change(&mut keys);
        if keys.len() > limits::KEYS {
            return Err(NotMade::TooMany);
        }
        if let Some(path) = &self.path {
            let keys = keys.iter().map(|key| Key::clone(key)).collect();
            let kept = Kept { keys };
            let bytes = serde_json::to_vec(&kept).expect("keys are JSON");
            storage::replace_whole(path, &bytes).map_err(NotMade::Disk)?;
        }
        *self.keys.write() = Arc::new(keys);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn add_in_memory(&self, name: &str, limits: Limits) -> (String, Arc<Key>) {
        self.add(name, limits, None, None)
            .expect("there is no file")
    }
}

/// A new key with a random secret, and that secret: a UUID where clients of CompreFace show it.
fn made(name: &str, limits: Limits, service: Option<Service>) -> (String, Key) {
    let secret = match service {
        Some(_) => Uuid::new_v4().to_string(),
        None => {
            let random = [Uuid::new_v4(), Uuid::new_v4()];
            let random = random.map(|it| it.into_bytes()).concat();
            format!("dpl_{}", BASE64_URL_SAFE_NO_PAD.encode(random))
        }
    };
    let id = Uuid::new_v4().simple().to_string()[..12].to_owned();
    let mut key = Key::of(secret.as_bytes(), (id, name.to_owned()), limits);
    key.service = service;
    (secret, key)
}
