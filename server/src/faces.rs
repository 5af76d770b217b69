//! Whether photos can be turned into faces at the moment, and if not, what to tell a client. The
//! server serves vectors in every one of these states.

use std::sync::Arc;

use embedder::{Manifest, ModelInfo};
use engine::EmbedderRef;
use parking_lot::RwLock;

use crate::embed_pool::Pool;
use crate::refusal::Refusal;

/// The face pipeline as it stands.
pub(crate) struct Faces {
    state: RwLock<State>,
    /// The model that the models folder is for. Collections can be made for it before it is there.
    expected: ModelInfo,
}

enum State {
    /// Nobody has looked for models yet, or they are being loaded.
    Loading,
    /// They are being obtained; the text says how far that is.
    Installing(String),
    /// There are none; the text says why and what to do.
    Absent(String),
    /// Photos are taken.
    Ready(Arc<Pool>),
}

impl Faces {
    pub(crate) fn new() -> Self {
        Self {
            state: RwLock::new(State::Loading),
            expected: Manifest::builtin().info(),
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(*self.state.read(), State::Loading)
    }

    pub(crate) fn installing(&self, step: String) {
        *self.state.write() = State::Installing(step);
    }

    pub(crate) fn absent(&self, why: String) {
        *self.state.write() = State::Absent(why);
    }

    pub(crate) fn ready(&self, pool: Pool) {
        *self.state.write() = State::Ready(Arc::new(pool));
    }

    /// Ends the workers once nobody uses them any more.
    pub(crate) fn close(&self) {
        self.absent("the server is stopping".to_owned());
    }

    /// Photos that wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        match &*self.state.read() {
            State::Ready(pool) => pool.waiting(),
            _ => 0,
        }
    }

    /// The pool, or why there is none.
    pub(crate) fn pool(&self) -> Result<Arc<Pool>, Refusal> {
        match &*self.state.read() {
            State::Ready(pool) => Ok(Arc::clone(pool)),
            State::Loading => Err(Refusal::busy("starting: the face models are being loaded")),
            State::Installing(step) => Err(Refusal::not_set_up(format!(
                "the face models are being installed ({step}); try again in a minute"
            ))),
            State::Absent(why) => Err(Refusal::not_set_up(why.clone())),
        }
    }

    /// The model of this name and the size of its vectors.
    pub(crate) fn model(&self, name: &str) -> Result<(EmbedderRef, usize), Refusal> {
        let loaded = match &*self.state.read() {
            State::Ready(pool) => Some(pool.model().clone()),
            _ => None,
        };
        let model = loaded.unwrap_or_else(|| self.expected.clone());
        if model.name != name {
            let given: String = name.chars().take(80).collect();
            return Err(Refusal::wrong(format!(
                "there is no embedder `{given}`; this server has `{}`",
                model.name
            )));
        }
        let ModelInfo {
            name, dim, sha256, ..
        } = model;
        Ok((EmbedderRef { name, sha256 }, dim))
    }
}
