//! Bringing the face models up: load those that are there, obtain the default in the background when
//! it is not and the settings allow it. Whatever goes wrong is logged and told to clients that send
//! photos; it never stops the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use config::Config;
use embedder::models::{InstallError, Step};
use embedder::{FaceEmbedder, Manifest, Mapper, OnnxEmbedder, models};

use crate::app::App;
use crate::embed_pool::{Factory, Pool};
use crate::embed_worker::Batching;
use crate::faces::Faces;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::remote::{Remote, RemoteEmbedder};
use crate::slow::Slow;

/// How long a server that looks at the photos is left alone when it is away.
const REMOTE_AGAIN: Duration = Duration::from_secs(1);
/// How long it is when it has said which models it has.
const REMOTE_LATER: Duration = Duration::from_secs(5);
/// How often whoever asks it looks whether this server stops.
const REMOTE_TICK: Duration = Duration::from_millis(200);

/// Where embedders come from.
#[derive(Clone)]
pub enum Embedding {
    /// From the models folder of the settings.
    Models,
    /// From functions, one for each model, for tests; each is called once a worker.
    Made(Vec<Arc<Factory>>),
    /// The same, and heads on them.
    MadeWithHeads(Vec<Arc<Factory>>, Vec<Mapper>),
}

/// What a thread needs that brings models up; not the engine, which may be gone before it ends.
struct Task {
    faces: Arc<Faces>,
    config: Config,
    metrics: Metrics,
    memory: Memory,
}

/// Loads models that are there, and returns when that is done; obtains the default in the
/// background.
pub(crate) fn load(app: &Arc<App>, embedding: Embedding) {
    let task = Task {
        faces: Arc::clone(&app.faces),
        config: app.config.clone(),
        metrics: app.metrics.clone(),
        memory: app.memory.clone(),
    };
    let remote = app.remote.clone();
    task.guarded(|task| match embedding {
        Embedding::Made(factories) => task.have_made(&factories, Vec::new()),
        Embedding::MadeWithHeads(factories, heads) => task.have_made(&factories, heads),
        Embedding::Models => match remote {
            Some(remote) => task.load_remote(remote),
            None => task.load_installed(),
        },
    });
}

impl Task {
    /// What breaks down has brought no models, and is told like anything else that goes wrong.
    fn guarded(self, work: impl FnOnce(Self)) {
        let (faces, metrics) = (Arc::clone(&self.faces), self.metrics.clone());
        let advice =
            self.advice("the thread that brings them up broke down, which is a fault of doppel");
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            metrics.panicked();
            tracing::error!("the thread that brings the face models up broke down");
            faces.absent(advice);
        }
    }

    fn have_made(&self, factories: &[Arc<Factory>], heads: Vec<Mapper>) {
        for factory in factories {
            if let Err(why) = self.start_pool(factory) {
                return self.faces.absent(self.advice(&why));
            }
        }
        for head in heads {
            let base = head.model().base.as_ref();
            let base = base.and_then(|base| self.faces.of(&base.name, &base.sha256));
            if let Some(base) = base {
                self.faces.add(base.with_head(head));
            }
        }
        self.faces.ready();
    }

    /// Until the last of them is there, or is known not to come, whoever sends photos to one that is not yet
    /// is told to try again.
    fn load_installed(self) {
        let dir = &self.config.models_dir;
        if let Err(error) = models::finish(dir) {
            tracing::error!(%error, "an installation of models that broke off cannot be finished");
        }
        let manifests = match models::list(dir) {
            Ok(manifests) => manifests,
            Err(error) => return self.faces.absent(self.advice(&error.to_string())),
        };
        let default = &self.config.models.default;
        let Some(default) = manifests.iter().find(|it| it.name == *default) else {
            let error = models::find(dir, default).err();
            let error = error.map_or_else(String::new, |error| error.to_string());
            return self.faces.absent(self.advice(&error));
        };
        let others = manifests.iter().filter(|it| it.name != default.name);
        let (heads, whole): (Vec<_>, Vec<_>) = others.partition(|it| it.head.is_some());
        for manifest in whole {
            self.start_if_there(manifest);
        }
        // Read to the end: a runtime that is cut short would take the process with it.
        let verified = models::verify(dir, default);
        let started = verified.is_ok().then(|| self.start(default));
        for manifest in heads {
            self.start_if_there(manifest);
        }
        match (verified, started) {
            (Ok(_), Some(Err(why))) => self.faces.absent(self.advice(&why)),
            (Ok(_), _) => {
                self.faces.ready();
                let stale = models::expect_current(dir, default).is_err();
                if stale && self.config.models.install_on_start {
                    let default = default.clone();
                    self.renew_in_background(default);
                }
            }
            (Err(reason), _) if self.config.models.install_on_start => {
                tracing::info!(%reason, "the face models are not in place, installing them");
                let default = default.clone();
                self.install_in_background(default);
            }
            (Err(reason), _) => {
                tracing::warn!(%reason, "photos cannot be taken");
                self.faces.absent(self.advice(&reason.to_string()));
            }
        }
    }

    /// A model that nobody has asked for, unless it is damaged; a head was asked for by its manifest.
    fn start_if_there(&self, manifest: &Manifest) {
        let dir = &self.config.models_dir;
        // First, as its base may not be there: a head that is damaged is none that may come.
        let verified = models::expect_head(dir, manifest);
        let started = match verified.and_then(|()| models::verify(dir, manifest)) {
            Ok(_) => self.start(manifest),
            Err(InstallError::Missing { .. } | InstallError::NotAskedFor { .. }) => Ok(()),
            Err(error) => {
                tracing::error!(model = manifest.name, %error, "a model is damaged");
                Err(error.to_string())
            }
        };
        if let Err(why) = started {
            self.faces.idle(&manifest.name, &why);
        }
    }

    /// Has the model take photos from now on, or says why it does not. A head goes by the workers of its base.
    fn start(&self, manifest: &Manifest) -> Result<(), String> {
        if let Err(stale) = models::expect_current(&self.config.models_dir, manifest) {
            tracing::warn!(model = manifest.name, %stale, "numbers have 32 bits until then");
        }
        let (Some(base), Some(of)) = (manifest.base(), manifest.info().base) else {
            return self.start_pool(&self.onnx(manifest));
        };
        let there = self.faces.of(&of.name, &of.sha256);
        // Where its base is no model of this server's by itself, it is loaded for the head alone.
        let base = there.map_or_else(|| self.pool(&self.onnx(&base)).map(Arc::new), Ok)?;
        match embedder::mapper(&self.config.models_dir, manifest) {
            Ok(head) => {
                tracing::info!(model = manifest.name, base = of.name, "photos are taken");
                self.faces.add(base.with_head(head));
                Ok(())
            }
            Err(error) => {
                tracing::error!(model = manifest.name, %error, "a head cannot be loaded");
                Err(error.to_string())
            }
        }
    }

    /// Asks the other server for its models for as long as this one runs: it may be away at first, and
    /// others may be loaded later.
    fn load_remote(self, remote: Remote) {
        let faces = Arc::clone(&self.faces);
        let thread = thread::Builder::new().name("models".to_owned());
        let ask = move |task: Self| {
            let (mut told, mut next) = (String::new(), Instant::now());
            while !task.faces.is_closed() {
                if Instant::now() >= next {
                    next = Instant::now() + task.have_remote(&remote, &mut told);
                }
                thread::sleep(REMOTE_TICK);
            }
        };
        if let Err(error) = thread.spawn(move || self.guarded(ask)) {
            faces.absent(format!(
                "cannot start a thread to ask the embedder for its models: {error}"
            ));
        }
    }

    /// Has all models take photos that it has by now; says when to ask again. `told` is what was said
    /// last of why it cannot be worked with.
    fn have_remote(&self, remote: &Remote, told: &mut String) -> Duration {
        // Before its models: one that comes in between is not missed.
        let starting = remote.starting();
        let models = match remote.models(self.faces.known()) {
            Ok(models) => models,
            Err(error) => {
                let why = error.to_string();
                if why != *told {
                    tracing::warn!(why, "photos cannot be taken");
                    self.faces.away(why.clone());
                    *told = why;
                }
                return REMOTE_AGAIN;
            }
        };
        told.clear();
        for (model, is_default) in models {
            if self.faces.is_closed() || self.faces.of(&model.name, &model.sha256).is_some() {
                continue;
            }
            let (remote, name) = (remote.clone(), model.name.clone());
            let factory: Arc<Factory> = Arc::new(move || {
                let embedder = RemoteEmbedder::new(remote.clone(), model.clone());
                Ok(Box::new(embedder) as Box<dyn FaceEmbedder>)
            });
            match self.pool(&factory) {
                Ok(pool) => self.faces.put(pool, is_default),
                Err(why) => {
                    self.faces.idle(&name, &why);
                }
            }
        }
        self.have_own_heads();
        match starting {
            _ if self.faces.is_closed() => REMOTE_LATER,
            // What it does not have yet may still come.
            Some(why) => {
                self.faces.away(why);
                REMOTE_AGAIN
            }
            None => {
                self.faces.ready();
                REMOTE_LATER
            }
        }
    }

    /// Heads in this server's own folder go on the other server's models: photos become vectors there and
    /// a head's here, where those of stored points can be mapped too.
    fn have_own_heads(&self) {
        let dir = &self.config.models_dir;
        let manifests = models::list(dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "heads in the folder of models cannot be used");
            Vec::new()
        });
        for manifest in manifests.iter().filter(|_| !self.faces.is_closed()) {
            let own = manifest.info();
            let base = own.base.as_ref();
            let base = base.and_then(|base| self.faces.of(&base.name, &base.sha256));
            let Some(base) = base else {
                continue;
            };
            let there = self.faces.pool(Some(&own.name)).ok();
            if there.as_ref().is_some_and(|it| it.head().is_some()) {
                continue;
            }
            let other = there.filter(|it| it.model().sha256 != own.sha256);
            let head = match other {
                Some(_) => Err("the other server has another model of this name".to_owned()),
                None => embedder::mapper(dir, manifest).map_err(|error| error.to_string()),
            };
            match head {
                Ok(head) => self.faces.put(base.with_head(head), false),
                Err(why) => {
                    if self.faces.idle(&own.name, &why) {
                        tracing::warn!(model = own.name, why, "a head does not run here");
                    }
                }
            }
        }
    }

    /// One embedder a worker, over the same files.
    fn onnx(&self, manifest: &Manifest) -> Arc<Factory> {
        let dir = self.config.models_dir.clone();
        let threads = self.config.embedding.intra_threads;
        let mut manifest = manifest.clone();
        for network in manifest.embedders_mut() {
            network.use_rounded = self.config.embedding.rounded;
        }
        manifest.detector.smallest = self.config.embedding.smallest_face;
        if embedder::models::run_without_library(&dir) {
            tracing::warn!("there is no ONNX Runtime: photos take many times as long without it");
        }
        Arc::new(move || {
            let embedder = OnnxEmbedder::load_as(&dir, threads, manifest.clone())?;
            Ok(Box::new(embedder) as Box<dyn FaceEmbedder>)
        })
    }

    fn start_pool(&self, factory: &Arc<Factory>) -> Result<(), String> {
        self.faces.add(self.pool(factory)?);
        Ok(())
    }

    fn pool(&self, factory: &Arc<Factory>) -> Result<Pool, String> {
        let settings = &self.config.embedding;
        let batching = Batching {
            photos: settings.batch,
            wait: Duration::from_millis(settings.batch_wait_ms),
            workers: settings.workers,
        };
        let slow = Slow::new(self.config.log_output.slow_ms);
        let told = (&self.metrics, slow, &self.memory);
        match Pool::start(batching, settings.queue, factory, told) {
            Ok(pool) => {
                let model = pool.model();
                tracing::info!(
                    model = model.name,
                    workers = settings.workers,
                    "photos are taken"
                );
                Ok(pool)
            }
            Err(error) => {
                tracing::error!(%error, "a face model cannot be loaded");
                Err(error.to_string())
            }
        }
    }

    /// Has what another version has translated made anew, while photos are taken without it.
    fn renew_in_background(self, manifest: Manifest) {
        let renew = move || {
            let say = &mut |step: Step| tracing::info!(%step, "making the face models anew");
            match models::install(&self.config.models_dir, &manifest, say) {
                // A head goes by its base's workers: these are not exchanged under it.
                Ok(_) if self.has_heads(&manifest) => {
                    tracing::info!("the face models are whole, and run so from the next start on");
                }
                Ok(_) => {
                    if let Ok(pool) = self.pool(&self.onnx(&manifest))
                        && !self.faces.is_closed()
                    {
                        self.faces.put(pool, false);
                    }
                }
                Err(error) => tracing::error!(%error, "the face models stay as they are"),
            }
        };
        let thread = thread::Builder::new().name("models".to_owned());
        if let Err(error) = thread.spawn(renew) {
            tracing::error!(%error, "the face models stay as they are");
        }
    }

    /// Whether a model is a head, or there is one on it.
    fn has_heads(&self, manifest: &Manifest) -> bool {
        let own = manifest.info();
        let all = models::list(&self.config.models_dir).unwrap_or_default();
        let bases = all.iter().filter_map(|it| it.info().base);
        own.base.is_some() || bases.into_iter().any(|base| base.name == own.name)
    }

    fn install_in_background(self, manifest: Manifest) {
        self.faces.installing("starting".to_owned());
        let faces = Arc::clone(&self.faces);
        let thread = thread::Builder::new().name("models".to_owned());
        let install = move || self.guarded(|task| task.install(&manifest));
        if let Err(error) = thread.spawn(install) {
            faces.absent(format!(
                "cannot start a thread to install the models: {error}"
            ));
        }
    }

    fn install(&self, manifest: &Manifest) {
        let dir = &self.config.models_dir;
        let installed = models::install(dir, manifest, &mut |step| {
            tracing::info!(%step, "installing the face models");
            self.faces.installing(step.to_string());
        });
        match installed {
            Ok(_) => {
                let started = self.start(manifest);
                for head in models::list(dir).unwrap_or_default() {
                    let base = head.head.as_ref().map(|head| head.base.as_str());
                    if base == Some(manifest.name.as_str()) {
                        self.start_if_there(&head);
                    }
                }
                match started {
                    Ok(()) => self.faces.ready(),
                    Err(why) => self.faces.absent(self.advice(&why)),
                }
            }
            Err(error) => {
                tracing::error!(%error, "the face models could not be installed");
                self.faces.absent(self.advice(&error.to_string()));
            }
        }
    }

    /// What is wrong and how to have photos taken.
    fn advice(&self, reason: &str) -> String {
        let dir: &Path = &self.config.models_dir;
        let model = &self.config.models.default;
        let command = format!(
            "doppel models install --models-dir {} {model}",
            dir.display()
        );
        format!(
            "this server takes no photos, because its face models are not in place: {reason}. \
             Run `{command}` and start the server again"
        )
    }
}
