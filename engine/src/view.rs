//! Everything as it stands between two groups, for those who read at leisure: frozen indexes, and a
//! watch on the tables.

use std::sync::Arc;

use storage::CollectionId;

use crate::checkpoint::FrozenState;
use crate::commit::Work;
use crate::engine::Engine;
use crate::error::Error;
use crate::shared::Shared;
use crate::sync::bounded;
use crate::watch::Watch;

/// Collections at one LSN.
pub(crate) struct View {
    pub(crate) state: FrozenState,
    pub(crate) watch: Arc<Watch>,
    /// Whether an index is being built that the view leaves out.
    pub(crate) left_out: bool,
}

impl View {
    /// Taken by the applier, so that nothing changes meanwhile.
    pub(crate) fn take(shared: &Shared, only: Option<CollectionId>) -> Self {
        let watch = shared.watches.begin(only);
        let mut state = FrozenState::take(shared, only);
        let mut left_out = false;
        for (_, frozen) in &mut state.collections {
            left_out |= frozen.without_rebuilds();
        }
        Self {
            state,
            watch,
            left_out,
        }
    }
}

impl Engine {
    /// Looks at one collection, or at all, as they are after all that has been accepted before.
    pub(crate) fn view(&self, only: Option<CollectionId>) -> Result<View, Error> {
        let (reply, view) = bounded(1);
        self.work()?
            .send(Work::View(only, reply))
            .map_err(|_| Error::Stopped)?;
        view.recv().map_err(|_| match self.shared().read_only() {
            Some(error) => error,
            None => Error::Stopped,
        })
    }
}
