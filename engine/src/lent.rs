//! Vectors that are used where snapshots have them, copied: in the background from the start on, and at once before
//! a checkpoint, which must not be written from a file that has rotted meanwhile. What has rotted is not taken
//! over: no checkpoint can be taken then until a restart, which goes by the one before.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::shared::Shared;
use crate::sync::Mutex;

/// When it is tried again to copy vectors, after that has failed.
const AGAIN: Duration = Duration::from_secs(60);

/// Why vectors cannot be copied, if they cannot.
#[derive(Default)]
pub(crate) struct Uncopied(Mutex<Option<Error>>);

impl Uncopied {
    pub(crate) fn why(&self) -> Option<Error> {
        self.0.lock().clone()
    }

    /// Tells the log where it is otherwise than before.
    fn is(&self, why: Option<&Error>) {
        let text = |error: &Error| error.to_string();
        let mut before = self.0.lock();
        if before.as_ref().map(text) == why.map(text) {
            return;
        }
        match why {
            Some(error) => tracing::error!(%error, "no checkpoint can be taken"),
            None => tracing::info!("checkpoints can be taken again"),
        }
        *before = why.cloned();
    }
}

impl Shared {
    /// Copies vectors for as long as `go_on` says so. When to go on, if there are more.
    pub(crate) fn own_some(&self, go_on: &mut dyn FnMut() -> bool) -> Option<Instant> {
        let (mut then, mut failed) = (None, None);
        for collection in self.catalog.all() {
            let later = match collection.own_vectors(go_on) {
                Ok(true) => continue,
                Ok(false) => Duration::ZERO,
                Err(error) => {
                    failed.get_or_insert(error);
                    AGAIN
                }
            };
            then = then.max(Some(Instant::now() + later));
        }
        if failed.is_some() || then.is_none() {
            self.uncopied.is(failed.as_ref());
        }
        then
    }

    /// Copies all of them, as far as they can be.
    ///
    /// # Errors
    /// Some cannot.
    pub(crate) fn own_all(&self) -> Result<(), Error> {
        let mut owned = Ok(());
        for collection in self.catalog.all() {
            // Those that can be are, though one cannot.
            owned = owned.and(collection.own_vectors(&mut || true).map(drop));
        }
        self.uncopied.is(owned.as_ref().err());
        owned
    }
}
