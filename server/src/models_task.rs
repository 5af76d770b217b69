//! Bringing the face models up: load them when they are there, obtain them in the background when
//! they are not and the settings allow it. Whatever goes wrong is logged and told to clients that
//! send photos; it never stops the server.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use config::Config;
use embedder::{FaceEmbedder, Manifest, OnnxEmbedder, models};

use crate::app::App;
use crate::embed_pool::{Factory, Pool};
use crate::embed_worker::Batching;
use crate::faces::Faces;
use crate::metrics::Metrics;

/// Where embedders come from.
#[derive(Clone)]
pub enum Embedding {
    /// From the models folder of the settings.
    Models,
    /// From a function, for tests; it is called once a worker.
    Made(Arc<Factory>),
}

/// What a thread needs that brings models up; not the engine, which may be gone before it ends.
struct Task {
    faces: Arc<Faces>,
    config: Config,
    metrics: Metrics,
}

/// Loads models that are there, and returns when that is done; obtains others in the background.
pub(crate) fn load(app: &App, embedding: Embedding) {
    let task = Task {
        faces: Arc::clone(&app.faces),
        config: app.config.clone(),
        metrics: app.metrics.clone(),
    };
    match embedding {
        Embedding::Made(factory) => task.start_pool(&factory),
        // Read to the end: a runtime that is cut short would take the process with it.
        Embedding::Models => match models::verify(&app.config.models_dir) {
            Ok(_) => task.start_pool(&task.onnx()),
            Err(reason) if app.config.models.install_on_start => {
                tracing::info!(%reason, "the face models are not in place, installing them");
                task.install_in_background();
            }
            Err(reason) => {
                tracing::warn!(%reason, "photos cannot be taken");
                task.faces.absent(task.advice(&reason.to_string()));
            }
        },
    }
}

impl Task {
    /// One embedder a worker, over the same files.
    fn onnx(&self) -> Arc<Factory> {
        let dir = self.config.models_dir.clone();
        let threads = self.config.embedding.intra_threads;
        let mut manifest = Manifest::builtin();
        manifest.embedder.use_rounded = self.config.embedding.rounded;
        Arc::new(move || {
            let embedder = OnnxEmbedder::load_as(&dir, threads, manifest.clone())?;
            Ok(Box::new(embedder) as Box<dyn FaceEmbedder>)
        })
    }

    fn start_pool(&self, factory: &Arc<Factory>) {
        let settings = &self.config.embedding;
        let batching = Batching {
            photos: settings.batch,
            wait: Duration::from_millis(settings.batch_wait_ms),
            workers: settings.workers,
        };
        match Pool::start(batching, settings.queue, factory, &self.metrics) {
            Ok(pool) => {
                let model = pool.model();
                tracing::info!(
                    model = model.name,
                    workers = settings.workers,
                    "photos are taken"
                );
                self.faces.ready(pool);
            }
            Err(error) => {
                tracing::error!(%error, "the face models cannot be loaded");
                self.faces.absent(self.advice(&error.to_string()));
            }
        }
    }

    fn install_in_background(self) {
        self.faces.installing("starting".to_owned());
        let faces = Arc::clone(&self.faces);
        let thread = thread::Builder::new().name("models".to_owned());
        if let Err(error) = thread.spawn(move || self.install()) {
            faces.absent(format!(
                "cannot start a thread to install the models: {error}"
            ));
        }
    }

    fn install(&self) {
        let dir = &self.config.models_dir;
        let installed = models::install(dir, &mut |step| {
            tracing::info!(%step, "installing the face models");
            self.faces.installing(step.to_string());
        });
        match installed {
            Ok(_) => self.start_pool(&self.onnx()),
            Err(error) => {
                tracing::error!(%error, "the face models could not be installed");
                self.faces.absent(self.advice(&error.to_string()));
            }
        }
    }

    /// What is wrong and how to have photos taken.
    fn advice(&self, reason: &str) -> String {
        let dir: &Path = &self.config.models_dir;
        let command = format!("doppel models install --models-dir {}", dir.display());
        format!(
            "this server takes no photos, because its face models are not in place: {reason}. \
             Run `{command}` and start the server again"
        )
    }
}
