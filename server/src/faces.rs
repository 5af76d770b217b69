//! Whether photos can be turned into faces at the moment, by which models, and if not, what to tell
//! a client. The server serves vectors in every one of these states.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use embedder::{Manifest, ModelInfo, models};
use engine::EmbedderRef;
use parking_lot::RwLock;

use crate::embed_pool::Pool;
use crate::refusal::Refusal;

/// The face pipeline as it stands.
pub(crate) struct Faces {
    state: RwLock<State>,
    /// Models that collections can be made for before they are there.
    known: Vec<ModelInfo>,
    /// The model of requests that name none.
    default: String,
    models_dir: PathBuf,
}

struct State {
    phase: Phase,
    /// One for each model that is loaded.
    pools: Vec<Arc<Pool>>,
    /// Models that do not run here though their files are there, and why.
    idle: BTreeMap<String, String>,
    closed: bool,
}

enum Phase {
    /// Nobody has looked for models yet, or they are being loaded.
    Loading,
    /// The default is being obtained; the text says how far that is.
    Installing(String),
    /// The server that looks at the photos cannot be reached, or this one stops; the text says which and why.
    Away(String),
    /// The default is not there; the text says why and what to do.
    Absent(String),
    /// Photos are taken.
    Ready,
}

/// A model as users are told of it.
pub(crate) struct KnownModel {
    pub(crate) info: ModelInfo,
    pub(crate) is_loaded: bool,
    pub(crate) is_default: bool,
}

impl Faces {
    pub(crate) fn new(models_dir: &Path, default: &str) -> Self {
        let manifests = models::list(models_dir).unwrap_or_else(|error| {
            tracing::error!(%error, "a manifest cannot be read, those in the folder do not count");
            Manifest::builtins()
        });
        Self {
            state: RwLock::new(State {
                phase: Phase::Loading,
                pools: Vec::new(),
                idle: BTreeMap::new(),
                closed: false,
            }),
            known: manifests.iter().map(Manifest::info).collect(),
            default: default.to_owned(),
            models_dir: models_dir.to_owned(),
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(self.state.read().phase, Phase::Loading)
    }

    pub(crate) fn installing(&self, step: String) {
        self.state.write().phase = Phase::Installing(step);
    }

    pub(crate) fn away(&self, why: String) {
        self.state.write().phase = Phase::Away(why);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.read().closed
    }

    /// Models that collections can be made for before they are there.
    pub(crate) fn known(&self) -> &[ModelInfo] {
        &self.known
    }

    pub(crate) fn absent(&self, why: String) {
        self.state.write().phase = Phase::Absent(why);
    }

    /// One more model takes photos.
    pub(crate) fn add(&self, pool: Pool) {
        self.state.write().pools.push(Arc::new(pool));
    }

    /// What takes photos for a model, by name and checksum.
    pub(crate) fn of(&self, name: &str, sha256: &str) -> Option<Arc<Pool>> {
        let state = self.state.read();
        let same = |pool: &&Arc<Pool>| {
            let model = pool.model();
            (model.name.as_str(), model.sha256.as_str()) == (name, sha256)
        };
        state.pools.iter().find(same).cloned()
    }

    /// A model takes photos, in the place of one of its name; one that stands for all requests which
    /// name none comes before the others.
    pub(crate) fn put(&self, pool: Pool, is_first: bool) {
        let pools = &mut self.state.write().pools;
        let name = &pool.model().name;
        let before = pools.iter().position(|other| other.model().name == *name);
        if let Some(place) = before {
            pools.remove(place);
        }
        let place = if is_first {
            0
        } else {
            before.unwrap_or(pools.len())
        };
        pools.insert(place, Arc::new(pool));
    }

    /// A model does not run here; says whether that is new.
    pub(crate) fn idle(&self, name: &str, why: &str) -> bool {
        let idle = &mut self.state.write().idle;
        idle.insert(name.to_owned(), why.to_owned()).as_deref() != Some(why)
    }

    /// Why a head that another server has does not run here.
    pub(crate) fn why_idle(&self, name: &str) -> String {
        let why = self.state.read().idle.get(name).cloned();
        why.unwrap_or_else(|| {
            let dir = self.models_dir.display();
            format!("its manifest and its file are not in the folder of models, {dir}")
        })
    }

    /// All models that are there have been added.
    pub(crate) fn ready(&self) {
        self.state.write().phase = Phase::Ready;
    }

    /// Ends the workers once nobody uses them any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.write();
        state.pools.clear();
        state.closed = true;
        state.phase = Phase::Away("the server is stopping".to_owned());
    }

    /// Photos that wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.read();
        state.pools.iter().map(|pool| pool.waiting()).sum()
    }

    /// The pool of a model, or of the default, or why there is none.
    pub(crate) fn pool(&self, model: Option<&str>) -> Result<Arc<Pool>, Refusal> {
        let state = self.state.read();
        let mut pools = state.pools.iter();
        let found = match model {
            Some(name) => pools.find(|pool| pool.model().name == name),
            // Tests bring models of their own; another server's default comes first.
            None => pools
                .find(|pool| pool.model().name == self.default)
                .or(state.pools.first().filter(|_| self.is_ready(&state))),
        };
        if let Some(pool) = found {
            return Ok(Arc::clone(pool));
        }
        Err(self.absence(model.unwrap_or(&self.default), &state))
    }

    /// Why there is no pool of a model: it may come by itself, or somebody has to do something.
    fn absence(&self, model: &str, state: &State) -> Refusal {
        match &state.phase {
            Phase::Loading => Refusal::busy("starting: the face models are being loaded"),
            Phase::Installing(step) if self.comes_with_default(model) => Refusal::busy(format!(
                "the face models are being installed ({step}): photos are taken when that is done"
            )),
            Phase::Away(why) => Refusal::busy(why.clone()),
            Phase::Absent(why) if model == self.default => Refusal::not_set_up(why.clone()),
            _ => self.not_loaded(model, state),
        }
    }

    /// The default, and heads that are put on it.
    fn comes_with_default(&self, model: &str) -> bool {
        let known = self.known.iter().find(|known| known.name == model);
        let base = known.and_then(|known| known.base.as_ref());
        model == self.default || base.is_some_and(|base| base.name == self.default)
    }

    fn is_ready(&self, state: &State) -> bool {
        matches!(state.phase, Phase::Ready)
    }

    fn not_loaded(&self, model: &str, state: &State) -> Refusal {
        if !self.known.iter().any(|known| known.name == model) {
            return self.unknown(model, state);
        }
        if let Some(why) = state.idle.get(model) {
            return Refusal::not_set_up(format!("the face model `{model}` does not run: {why}"));
        }
        Refusal::not_set_up(format!(
            "the face model `{model}` is not in place: run `doppel models install --models-dir {} \
             {model}` and start the server again",
            self.models_dir.display()
        ))
    }

    fn unknown(&self, name: &str, state: &State) -> Refusal {
        let given: String = name.chars().take(80).collect();
        let mut names: Vec<&str> = state
            .pools
            .iter()
            .map(|pool| pool.model().name.as_str())
            .collect();
        names.extend(self.known.iter().map(|known| known.name.as_str()));
        names.sort_unstable();
        names.dedup();
        Refusal::wrong(format!(
            "there is no embedder `{given}`; this server has `{}`",
            names.join("`, `")
        ))
    }

    /// The pool that makes the vectors of a collection: of the same model, by name and checksum.
    pub(crate) fn maker(&self, of: &EmbedderRef) -> Result<Arc<Pool>, Refusal> {
        if let Some(pool) = self.of(&of.name, &of.sha256) {
            return Ok(pool);
        }
        let state = self.state.read();
        let namesake = state.pools.iter().find(|it| it.model().name == of.name);
        let known = self.known.iter().find(|known| known.name == of.name);
        let is_known = known.is_some_and(|known| known.sha256 == of.sha256);
        // Whoever waits for the models learns that first.
        if matches!(state.phase, Phase::Loading) || (namesake.is_none() && is_known) {
            return Err(self.absence(&of.name, &state));
        }
        let namesake = namesake.cloned();
        drop(state);
        let pool = namesake.map_or_else(|| self.pool(None), Ok)?;
        let model = pool.model();
        Err(Refusal::conflict(format!(
            "it holds vectors of {} ({}), but this server has the model {} ({}); vectors of two \
             models cannot be compared",
            of.name, of.sha256, model.name, model.sha256
        )))
    }

    /// The model of this name and the size of its vectors. It need not be there yet, but what lies there must
    /// not be damaged.
    pub(crate) fn model(&self, name: &str) -> Result<(EmbedderRef, usize), Refusal> {
        let state = self.state.read();
        let mut loaded = state.pools.iter().map(|pool| pool.model());
        let model = match loaded.find(|model| model.name == name) {
            Some(model) => model,
            None if state.idle.contains_key(name) => return Err(self.not_loaded(name, &state)),
            None => {
                let known = self.known.iter().find(|model| model.name == name);
                known.ok_or_else(|| self.unknown(name, &state))?
            }
        };
        let ModelInfo {
            name, dim, sha256, ..
        } = model.clone();
        Ok((EmbedderRef { name, sha256 }, dim))
    }

    /// The model that a head is put on, if this is a head that is known here.
    pub(crate) fn base_of(&self, of: &EmbedderRef) -> Option<EmbedderRef> {
        let state = self.state.read();
        let loaded = state.pools.iter().map(|pool| pool.model());
        let mut models = loaded.chain(&self.known);
        let same = models.find(|it| (&it.name, &it.sha256) == (&of.name, &of.sha256))?;
        let base = same.base.clone()?;
        Some(EmbedderRef {
            name: base.name,
            sha256: base.sha256,
        })
    }

    /// All models, loaded ones first.
    pub(crate) fn models(&self) -> Vec<KnownModel> {
        let state = self.state.read();
        let loaded = state.pools.iter().map(|pool| (pool.model(), true));
        let is_loaded = |name: &str| state.pools.iter().any(|pool| pool.model().name == name);
        let others = self.known.iter().filter(|known| !is_loaded(&known.name));
        let all = loaded.chain(others.map(|known| (known, false)));
        let models = all.map(|(info, is_loaded)| KnownModel {
            info: info.clone(),
            is_loaded,
            is_default: info.name == self.default,
        });
        models.collect()
    }
}
