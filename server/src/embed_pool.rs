//! The threads that turn photos into faces. A fixed number of workers, each with an embedder of its
//! own, behind a bounded queue; never a thread that answers requests. A request for many photos
//! holds no more places than there are workers, so that it cannot keep others out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use embedder::{Analysis, FaceEmbedder, ModelInfo, Want};
use futures_util::stream::{self, StreamExt};
use tokio::sync::oneshot;

use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// Makes an embedder for a worker.
pub type Factory = dyn Fn() -> Result<Box<dyn FaceEmbedder>, embedder::Error> + Send + Sync;

/// A photo that has been looked at, and how long it waited for a worker.
pub(crate) struct Seen {
    pub(crate) analysis: Analysis,
    pub(crate) queued: Duration,
}

/// The pool; dropping it ends its workers once their queue is empty.
pub(crate) struct Pool {
    jobs: Sender<Job>,
    places: Gate,
    workers: usize,
    model: ModelInfo,
}

struct Job {
    image: Bytes,
    want: Want,
    queued: Instant,
    answer: oneshot::Sender<Result<Seen, Refusal>>,
}

impl Pool {
    /// Starts the workers. Returns when the first embedder is loaded; an embedder that cannot be
    /// loaded is told here and not by the first request.
    pub(crate) fn start(
        workers: usize,
        queue: usize,
        factory: &Arc<Factory>,
        metrics: &Metrics,
    ) -> Result<Self, embedder::Error> {
        let embedders = (0..workers).map(|_| factory());
        let embedders = embedders.collect::<Result<Vec<_>, _>>()?;
        let model = match embedders.first() {
            Some(embedder) => embedder.model().clone(),
            None => factory()?.model().clone(),
        };
        let places = workers + queue;
        let (jobs, receiver) = bounded(places);
        for (number, embedder) in embedders.into_iter().enumerate() {
            let worker = Worker {
                embedder,
                jobs: receiver.clone(),
                factory: Arc::clone(factory),
                metrics: metrics.clone(),
            };
            let thread = thread::Builder::new().name(format!("embed-{number}"));
            thread
                .spawn(move || worker.run())
                .expect("a system that cannot start a thread cannot serve");
        }
        Ok(Self {
            jobs,
            places: Gate::new("photos", places),
            workers,
            model,
        })
    }

    /// The model whose vectors come out.
    pub(crate) fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// Photos that wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Looks at one photo.
    pub(crate) async fn analyze(&self, image: Bytes, want: Want) -> Result<Seen, Refusal> {
        let _place = self.places.enter()?;
        self.work(image, want).await
    }

    /// Looks at many photos; each has its own outcome, in their order.
    pub(crate) async fn analyze_all(
        &self,
        images: Vec<Bytes>,
        want: Want,
    ) -> Result<Vec<Result<Seen, Refusal>>, Refusal> {
        let width = images.len().clamp(1, self.workers);
        let places = u32::try_from(width).expect("workers are few");
        let _places = self.places.enter_many(places)?;
        let outcomes = stream::iter(images).map(|image| self.work(image, want));
        Ok(outcomes.buffered(width).collect().await)
    }

    /// Whoever holds a place finds room in the queue, unless jobs of clients who have gone still
    /// stand in it.
    async fn work(&self, image: Bytes, want: Want) -> Result<Seen, Refusal> {
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            image,
            want,
            queued: Instant::now(),
            answer,
        };
        let sent = self.jobs.try_send(job);
        sent.map_err(|_| Refusal::busy("too many photos are waiting, try again"))?;
        let outcome = outcome.await;
        outcome.unwrap_or_else(|_| Err(Refusal::internal("the embedding worker is gone")))
    }
}

struct Worker {
    embedder: Box<dyn FaceEmbedder>,
    jobs: Receiver<Job>,
    factory: Arc<Factory>,
    metrics: Metrics,
}

impl Worker {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            if job.answer.is_closed() {
                continue;
            }
            let queued = job.queued.elapsed();
            self.metrics.photo_waited(queued);
            let outcome = self.look(&job.image, job.want);
            self.metrics.photo_done(&outcome);
            // A client that has gone away needs no answer.
            drop(
                job.answer
                    .send(outcome.map(|analysis| Seen { analysis, queued })),
            );
        }
    }

    /// A photo that makes the models' code panic costs one answer, not a worker.
    fn look(&mut self, image: &[u8], want: Want) -> Result<Analysis, Refusal> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.embedder.analyze(image, want)));
        match outcome {
            Ok(outcome) => outcome.map_err(Refusal::from),
            Err(_) => {
                self.metrics.panicked();
                match (self.factory)() {
                    Ok(embedder) => self.embedder = embedder,
                    Err(error) => tracing::error!(%error, "the embedder cannot be loaded anew"),
                }
                Err(Refusal::internal("the photo broke the embedder"))
            }
        }
    }
}
