//! Nodes that follow one log, compared: what each holds at one place in it must be the same.
//!
//! A record that changes nothing marks the place. Whoever applies it keeps a view of everything as it is
//! then, and the checksums of that view are computed while writes go on.

use storage::{Lsn, Record};

use crate::checksum::Checksum;
use crate::decide::Basis;
use crate::engine::Engine;
use crate::error::Error;
use crate::point::Ack;
use crate::shared::Shared;
use crate::view::View;

/// What a node holds at a place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The place.
    pub lsn: Lsn,
    /// Names of all collections that were there and their checksums; none of those that cannot be told:
    /// they were dropped meanwhile, or are damaged and not served.
    pub collections: Vec<(String, Option<Checksum>)>,
}

/// Keeps what is there now, in place of what was kept at an earlier mark. Done by the applier.
pub(crate) fn keep(shared: &Shared) {
    if shared.options.compares {
        *shared.marked.lock() = Some(View::take(shared, None));
    }
}

impl Engine {
    /// Marks a place at which all nodes are compared.
    pub fn mark(&self) -> Result<Lsn, Error> {
        Ok(self.write(Basis::NOTHING, Record::Mark, Ack::Durable)?.lsn)
    }

    /// What was there at the last mark; nothing if it has been asked for, or there was none since the
    /// start.
    pub fn marked(&self) -> Result<Option<Marked>, Error> {
        let _moving = self.moving.read();
        let Some(view) = self.shared().marked.lock().take() else {
            return Ok(None);
        };
        let mut collections = Vec::with_capacity(view.state.collections.len());
        for (collection, _) in &view.state.collections {
            let sum = match self.checksum_in(&view, collection.id) {
                Ok(sum) => Some(sum),
                Err(Error::NoCollection(_)) => None,
                Err(error) => return Err(error),
            };
            collections.push((collection.name.clone(), sum));
        }
        let damaged = self.shared().catalog.quarantined().into_iter();
        collections.extend(damaged.map(|it| (it.name().to_owned(), None)));
        Ok(Some(Marked {
            lsn: view.state.lsn,
            collections,
        }))
    }
}
