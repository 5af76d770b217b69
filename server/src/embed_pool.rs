//! The threads that turn photos into faces. A fixed number of workers, each with an embedder of its
//! own, behind a bounded queue; never a thread that answers requests. A request for many photos
//! holds no more than half of the places, so that it cannot keep others out.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use embedder::{Analysis, FaceEmbedder, Mapper, ModelInfo, Want};
use engine::EmbedderRef;
use futures_util::stream::{self, StreamExt};
use tokio::sync::oneshot;
use tracing::Span;

use crate::embed_queue::Queue;
use crate::embed_worker::{Batching, Desk, Job, Worker};
use crate::gate::Gate;
use crate::http::Room;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::slow::Slow;

/// Makes an embedder for a worker.
pub type Factory = dyn Fn() -> Result<Box<dyn FaceEmbedder>, embedder::Error> + Send + Sync;

/// A photo that has been looked at, and how long it waited for a worker.
pub(crate) struct Seen {
    pub(crate) analysis: Analysis,
    pub(crate) queued: Duration,
}

/// What makes vectors of one model. Of a head there are no workers: photos go to its base's, and what
/// comes of them through the head.
pub(crate) struct Pool {
    workers: Arc<Workers>,
    model: ModelInfo,
    head: Option<Mapper>,
}

/// The workers; dropping the last pool of theirs ends them once their queue is empty.
struct Workers {
    jobs: Arc<Queue<Job>>,
    places: Gate,
    /// Photos of one request that are in the queue at once.
    at_once: usize,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

impl Pool {
    /// Starts the workers. Returns when the first embedder is loaded; an embedder that cannot be
    /// loaded is told here and not by the first request.
    pub(crate) fn start(
        batching: Batching,
        queue: usize,
        factory: &Arc<Factory>,
        (metrics, slow, memory): (&Metrics, Slow, &Memory),
    ) -> Result<Self, embedder::Error> {
        let workers = batching.workers;
        let embedders = (0..workers).map(|_| factory());
        let embedders = embedders.collect::<Result<Vec<_>, _>>()?;
        let model = match embedders.first() {
            Some(embedder) => embedder.model().clone(),
            None => factory()?.model().clone(),
        };
        let places = workers + queue;
        let jobs = Arc::new(Queue::new(places));
        let busy = Arc::new(AtomicUsize::new(0));
        for (number, embedder) in embedders.into_iter().enumerate() {
            let worker = Worker {
                embedder,
                desk: Desk {
                    jobs: Arc::clone(&jobs),
                    metrics: metrics.clone(),
                    slow,
                },
                batching,
                busy: Arc::clone(&busy),
                factory: Arc::clone(factory),
                memory: memory.clone(),
            };
            let thread = thread::Builder::new().name(format!("embed-{number}"));
            thread
                .spawn(move || worker.run())
                .expect("a system that cannot start a thread cannot serve");
        }
        let workers = Workers {
            jobs,
            places: Gate::new("photos", places),
            at_once: (workers * batching.photos).clamp(1, places.div_ceil(2)),
        };
        Ok(Self {
            workers: Arc::new(workers),
            model,
            head: None,
        })
    }

    /// What makes the vectors of a head on this model.
    pub(crate) fn with_head(&self, head: Mapper) -> Self {
        Self {
            workers: Arc::clone(&self.workers),
            model: head.model().clone(),
            head: Some(head),
        }
    }

    /// The model whose vectors come out.
    pub(crate) fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// What makes its vectors of its base's, without photos, if it is a head that runs here.
    pub(crate) fn head(&self) -> Option<&Mapper> {
        self.head.as_ref()
    }

    /// Whether it is a head on this model.
    pub(crate) fn is_head_on(&self, base: &EmbedderRef) -> bool {
        let own = self.model.base.as_ref();
        own.is_some_and(|own| (&own.name, &own.sha256) == (&base.name, &base.sha256))
    }

    /// Photos that wait for a worker; those of a head are among its base's.
    pub(crate) fn waiting(&self) -> usize {
        match self.head {
            Some(_) => 0,
            None => self.workers.jobs.len(),
        }
    }

    /// Looks at one photo.
    pub(crate) async fn analyze(&self, image: Bytes, want: Want) -> Result<Seen, Refusal> {
        let _place = self.workers.places.enter()?;
        self.work(image, want).await
    }

    /// Looks at many photos; each has its own outcome, in their order.
    pub(crate) async fn analyze_all(
        &self,
        images: Vec<Bytes>,
        want: Want,
    ) -> Result<Vec<Result<Seen, Refusal>>, Refusal> {
        let width = images.len().clamp(1, self.workers.at_once);
        let places = u32::try_from(width).expect("places are few");
        let _places = self.workers.places.enter_many(places)?;
        let works = stream::iter(images).enumerate();
        let works = works.map(|(at, image)| async move { (at, self.work(image, want).await) });
        // One that is put off keeps no others from coming after it.
        let mut outcomes: Vec<_> = works.buffer_unordered(width).collect().await;
        outcomes.sort_unstable_by_key(|(at, _)| *at);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Whoever holds a place finds room in the queue.
    async fn work(&self, image: Bytes, want: Want) -> Result<Seen, Refusal> {
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            image,
            want,
            head: self.head.clone(),
            queued: Instant::now(),
            body_bytes: Room::held_bytes(),
            request: Span::current(),
            answer,
        };
        let sent = self.workers.jobs.push(job);
        sent.map_err(|_| Refusal::busy("too many photos are waiting, try again"))?;
        let outcome = outcome.await;
        outcome.unwrap_or_else(|_| Err(Refusal::internal("the embedding worker is gone")))
    }
}
