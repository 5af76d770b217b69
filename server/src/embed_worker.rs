//! One thread of the pool: takes photos, several where several wait, and has its embedder look at
//! them together. Work is shared out evenly first: a worker leaves the others what is theirs. Each is answered once it
//! is done; one that takes long is put off as long as others wait, and then looked at alone.

use std::cell::RefCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use embedder::{Analysis, FaceEmbedder, Mapper, Waiting, Want};
use tokio::sync::oneshot;
use tracing::Span;

use crate::embed_pool::{Factory, Seen};
use crate::embed_queue::{Awaited, Next, Queue};
use crate::memory::{Memory, Promise};
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::slow::Slow;

/// A photo that waits.
pub(crate) struct Job {
    pub(crate) image: Bytes,
    pub(crate) want: Want,
    /// What makes other vectors of the model's.
    pub(crate) head: Option<Mapper>,
    pub(crate) queued: Instant,
    /// What its request was promised for its body.
    pub(crate) body_bytes: u64,
    /// The request that it came with, for the log.
    pub(crate) request: Span,
    pub(crate) answer: oneshot::Sender<Result<Seen, Refusal>>,
}

impl Job {
    /// The vectors that were asked for, where they are not the model's own.
    fn through_head(&self, mut analysis: Analysis) -> Result<Analysis, Refusal> {
        let Some(head) = self.head.as_ref().filter(|_| self.want.vectors) else {
            return Ok(analysis);
        };
        let started = Instant::now();
        let faces = &mut analysis.faces;
        let vectors: Vec<_> = faces
            .iter_mut()
            .map(|it| mem::take(&mut it.vector))
            .collect();
        if !vectors.is_empty() {
            for (face, vector) in faces.iter_mut().zip(head.map(&vectors)?) {
                face.vector = vector;
            }
        }
        analysis.timings.embed += started.elapsed();
        Ok(analysis)
    }
}

impl Awaited for Job {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }
}

/// A photo, and how long it waited.
type Waited = (Job, Duration);

/// How photos are put together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// Photos that one worker looks at together at most.
    pub(crate) photos: usize,
    /// How long it waits for more of them where no other worker is free.
    pub(crate) wait: Duration,
    /// Workers that share what waits.
    pub(crate) workers: usize,
}

impl Batching {
    /// A worker's part of what waits.
    fn share(&self, waiting: usize) -> usize {
        waiting
            .div_ceil(self.workers.max(1))
            .clamp(1, self.photos.max(1))
    }
}

/// A thread's own things.
pub(crate) struct Worker {
    pub(crate) embedder: Box<dyn FaceEmbedder>,
    pub(crate) desk: Desk,
    pub(crate) batching: Batching,
    /// How many workers have photos.
    pub(crate) busy: Arc<AtomicUsize>,
    pub(crate) factory: Arc<Factory>,
    pub(crate) memory: Memory,
}

/// Where photos come from, and what came of them goes.
pub(crate) struct Desk {
    pub(crate) jobs: Arc<Queue<Job>>,
    pub(crate) metrics: Metrics,
    pub(crate) slow: Slow,
}

impl Worker {
    pub(crate) fn run(mut self) {
        while let Some(next) = self.desk.jobs.next() {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let (batch, is_long) = match next {
                Next::Quick(first) => (self.batch(first), false),
                Next::Long(job) => (vec![job], true),
            };
            let waited: Vec<_> = batch.iter().map(|job| job.queued.elapsed()).collect();
            let jobs = batch.into_iter().zip(waited).collect();
            let (_room, jobs) = self.with_room(jobs);
            if !jobs.is_empty() {
                self.desk.metrics.photos_together(jobs.len());
                self.look(jobs, is_long);
            }
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Those that there is memory for to decode them, one after the other; the others are told. They wait for it
    /// together.
    fn with_room(&self, jobs: Vec<Waited>) -> (Option<Promise>, Vec<Waited>) {
        let (mut room, until) = (None, Memory::patience());
        let mut with_room = Vec::new();
        for (job, waited) in jobs {
            // What cannot be read, or breaks its decoder, is told when it is looked at.
            let bytes = catch_unwind(AssertUnwindSafe(|| self.embedder.memory_bytes(&job.image)));
            let bytes = bytes.map_or(0, |bytes| bytes.unwrap_or(0));
            let sizes = (bytes, job.body_bytes);
            match self.memory.promise_photo(sizes, &mut room, until) {
                Ok(()) => with_room.push((job, waited)),
                Err(refusal) => self.desk.answer((job, waited), Err(refusal)),
            }
        }
        (room, with_room)
    }

    /// A photo, and of those that wait this worker's share. Where no other worker is free for
    /// those that come next, a moment is given to them.
    fn batch(&self, first: Job) -> Vec<Job> {
        let mut batch = vec![first];
        while batch.len() < self.batching.share(batch.len() + self.desk.jobs.quick()) {
            match self.desk.jobs.next_now() {
                Some(job) => batch.push(job),
                None => break,
            }
        }
        if self.busy.load(Ordering::Relaxed) < self.batching.workers {
            return batch;
        }
        let until = Instant::now() + self.batching.wait;
        while batch.len() < self.batching.photos {
            match self.desk.jobs.next_until(until) {
                Some(job) => batch.push(job),
                None => break,
            }
        }
        batch
    }

    /// Has the embedder look at photos; each is answered as soon as it has been. One that takes long waits anew where
    /// others wait, once. Photos that make the models' code panic cost their own answers, not a worker: of several each that was
    /// not answered yet is then looked at alone.
    fn look(&mut self, jobs: Vec<Waited>, is_long: bool) {
        let are_several = jobs.len() > 1;
        let mut left = self.look_at(jobs, is_long);
        if are_several {
            let alone = left
                .into_iter()
                .flat_map(|job| self.look_at(vec![job], is_long));
            left = alone.collect();
        }
        for job in left {
            let outcome = Err(Refusal::internal("the photo broke the embedder"));
            self.desk.answer(job, outcome);
        }
    }

    /// Those that are left without an answer as the embedder broke down; it is loaded anew then.
    fn look_at(&mut self, jobs: Vec<Waited>, is_long: bool) -> Vec<Waited> {
        // All are kept, of a batch that is small, until the last is looked at; `_room` of `run` is held as long.
        let images: Vec<_> = jobs.iter().map(|(job, _)| job.image.clone()).collect();
        let photos = images.iter().zip(&jobs);
        let photos: Vec<(&[u8], Want)> = photos.map(|(it, (job, _))| (&**it, job.want)).collect();
        let jobs: Vec<_> = jobs.into_iter().map(Some).collect();
        let jobs = RefCell::new(jobs);
        let desk = &self.desk;
        let waiting = |at: usize| {
            let jobs = jobs.borrow();
            let is_awaited = |job: &&Waited| job.0.is_awaited();
            let job = jobs.get(at).and_then(Option::as_ref);
            if job.filter(is_awaited).is_none() {
                return Waiting::Over;
            }
            let awaited = jobs.iter().flatten().filter(is_awaited);
            match !is_long && (awaited.count() > 1 || desk.jobs.quick() > 0) {
                true => Waiting::WithOthers,
                false => Waiting::Alone,
            }
        };
        let (all, mut put_off) = (photos.len(), 0);
        let mut tell = |at: usize, outcome: Result<Analysis, embedder::Error>| {
            let job = jobs.borrow_mut().get_mut(at).and_then(Option::take);
            put_off += usize::from(matches!(outcome, Err(embedder::Error::TakesLong)));
            if let Some(job) = job {
                desk.take(job, outcome);
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.embedder.analyze_awaited(&photos, &waiting, &mut tell);
        }));
        if put_off == all {
            self.desk.jobs.had_no_turn();
        }
        if outcome.is_ok() {
            return Vec::new();
        }
        self.desk.metrics.panicked();
        match (self.factory)() {
            Ok(embedder) => self.embedder = embedder,
            Err(error) => tracing::error!(%error, "the embedder cannot be loaded anew"),
        }
        jobs.into_inner().into_iter().flatten().collect()
    }
}

impl Desk {
    /// What has come of a photo is its answer, unless its client has gone or it is to be looked at later.
    fn take(&self, (job, queued): Waited, outcome: Result<Analysis, embedder::Error>) {
        match outcome {
            Err(embedder::Error::NotAwaited) => {}
            Err(embedder::Error::TakesLong) => self.jobs.put_off(job),
            outcome => {
                let outcome = outcome.map_err(Refusal::from);
                let outcome = outcome.and_then(|analysis| self.through_head(&job, analysis));
                self.answer((job, queued), outcome);
            }
        }
    }

    /// A head that panics costs the photo its answer and no more: a session of its own is not the worker's.
    fn through_head(&self, job: &Job, analysis: Analysis) -> Result<Analysis, Refusal> {
        let mapped = catch_unwind(AssertUnwindSafe(|| job.through_head(analysis)));
        mapped.unwrap_or_else(|_| {
            self.metrics.panicked();
            Err(Refusal::internal("the photo broke the head"))
        })
    }

    fn answer(&self, (job, queued): Waited, outcome: Result<Analysis, Refusal>) {
        self.metrics.photo_waited(queued);
        self.metrics.photo_done(&outcome);
        if let Ok(analysis) = &outcome {
            let (timings, faces) = (&analysis.timings, analysis.faces.len());
            job.request
                .in_scope(|| self.slow.looked(queued, timings, faces));
        }
        let seen = outcome.map(|analysis| Seen { analysis, queued });
        drop(job.answer.send(seen));
    }
}

#[cfg(test)]
mod tests {
    use embedder::{Choice, Face, FakeEmbedder, Flaws, ModelInfo, Quality, Timings};

    use super::*;

    /// To whom each photo is one of 32 MiB.
    struct Large(FakeEmbedder);

    impl FaceEmbedder for Large {
        fn model(&self) -> &ModelInfo {
            self.0.model()
        }

        fn analyze_all(
            &mut self,
            photos: &[(&[u8], Want)],
        ) -> Vec<Result<Analysis, embedder::Error>> {
            self.0.analyze_all(photos)
        }

        fn memory_bytes(&self, _: &[u8]) -> Result<u64, embedder::Error> {
            Ok(32 << 20)
        }
    }

    fn worker(make: fn() -> Box<dyn FaceEmbedder>, memory: Memory, metrics: &Metrics) -> Worker {
        Worker {
            embedder: make(),
            desk: Desk {
                jobs: Arc::new(Queue::new(9)),
                metrics: metrics.clone(),
                slow: Slow::new(0),
            },
            batching: Batching {
                photos: 8,
                wait: Duration::ZERO,
                workers: 1,
            },
            busy: Arc::default(),
            factory: Arc::new(move || Ok(make())),
            memory,
        }
    }

    type Told = oneshot::Receiver<Result<Seen, Refusal>>;

    fn waited() -> (Waited, Told) {
        let (answer, told) = oneshot::channel();
        let job = Job {
            image: Bytes::new(),
            want: Want {
                faces: Choice::Largest,
                vectors: true,
                crop: false,
                smallest: 0,
            },
            head: None,
            queued: Instant::now(),
            body_bytes: 0,
            request: Span::none(),
            answer,
        };
        ((job, Duration::ZERO), told)
    }

    #[test]
    fn photos_that_are_looked_at_together_wait_for_memory_together() {
        let metrics = Metrics::new();
        let memory = Memory::new((Memory::used_bytes() >> 20) + 256, &metrics);
        let worker = worker(|| Box::new(Large(FakeEmbedder::new())), memory, &metrics);
        let _others = worker.memory.hold(512 << 20);
        let (jobs, answers): (Vec<_>, Vec<_>) = (0..8).map(|_| waited()).unzip();
        let started = Instant::now();
        let (_, with_room) = worker.with_room(jobs);
        // As long as one would.
        assert!(started.elapsed() < Duration::from_secs(6), "{started:?}");
        assert!(with_room.is_empty());
        for mut told in answers {
            let Ok(Err(refusal)) = told.try_recv() else {
                panic!("each is told")
            };
            assert!(refusal.is_busy(), "{refusal}");
        }
    }

    /// Each photo has a face, and is left where others would have to wait for it.
    struct Slowly(FakeEmbedder);

    impl FaceEmbedder for Slowly {
        fn model(&self) -> &ModelInfo {
            self.0.model()
        }

        fn analyze_all(
            &mut self,
            photos: &[(&[u8], Want)],
        ) -> Vec<Result<Analysis, embedder::Error>> {
            photos.iter().map(|_| Ok(one_face())).collect()
        }

        fn analyze_awaited(
            &mut self,
            photos: &[(&[u8], Want)],
            waiting: &dyn Fn(usize) -> Waiting,
            tell: &mut dyn FnMut(usize, Result<Analysis, embedder::Error>),
        ) {
            for at in 0..photos.len() {
                let outcome = match waiting(at) {
                    Waiting::Over => Err(embedder::Error::NotAwaited),
                    Waiting::WithOthers => Err(embedder::Error::TakesLong),
                    Waiting::Alone => Ok(one_face()),
                };
                tell(at, outcome);
            }
        }
    }

    fn one_face() -> Analysis {
        let quality = Quality {
            score: 1.0,
            sharpness: 1.0,
            yaw: 0.0,
            pitch: 0.0,
            roll: 0.0,
            flaws: Flaws::default(),
        };
        let face = Face {
            bounding_box: [0.0, 0.0, 9.0, 9.0],
            landmarks: [[0.0; 2]; 5],
            confidence: 1.0,
            quality,
            vector: vec![1.0; 128],
            crop_jpeg: Vec::new(),
        };
        Analysis {
            width: 9,
            height: 9,
            faces: vec![face],
            left_out: 0,
            timings: Timings::default(),
        }
    }

    fn slow_worker() -> Worker {
        let metrics = Metrics::new();
        let memory = Memory::new((Memory::used_bytes() >> 20) + 4_096, &metrics);
        worker(|| Box::new(Slowly(FakeEmbedder::new())), memory, &metrics)
    }

    #[test]
    fn what_takes_long_is_put_off_as_long_as_others_wait_and_once() {
        let mut worker = slow_worker();
        let answered = |told: &mut Told| matches!(told.try_recv(), Ok(Ok(_)));
        // Of those that are together the last is looked at, where no other waits.
        let (jobs, mut told): (Vec<_>, Vec<_>) = (0..3).map(|_| waited()).unzip();
        worker.look(jobs, false);
        let answers: Vec<_> = told.iter_mut().map(answered).collect();
        assert_eq!(answers, [false, false, true]);
        assert_eq!((worker.desk.jobs.len(), worker.desk.jobs.quick()), (2, 0));
        // One alone is put off for what waits in the queue, and has no turn by that.
        let (portrait, _told) = waited();
        let pushed = worker.desk.jobs.push(portrait.0);
        pushed.unwrap_or_else(|_| panic!("there is a place"));
        let (group, mut told) = waited();
        worker.look(vec![group], false);
        assert!(!answered(&mut told));
        assert_eq!((worker.desk.jobs.len(), worker.desk.jobs.quick()), (4, 1));
        // One that was put off is looked at, whoever waits.
        let (group, mut told) = waited();
        worker.look(vec![group], true);
        assert!(answered(&mut told));
        // For those who have gone nothing is put off.
        let (gone, told) = waited();
        drop(told);
        let (last, mut told) = waited();
        assert!(worker.desk.jobs.next_now().is_some());
        worker.look(vec![last, gone], false);
        assert!(answered(&mut told));
    }

    #[test]
    fn a_head_that_panics_costs_its_photo_an_answer_and_is_told() {
        let mut worker = slow_worker();
        let ((mut job, waits), mut told) = waited();
        job.head = Some(FakeEmbedder::head_after(|| panic!("as the test wants")));
        worker.look(vec![(job, waits)], false);
        let Ok(Err(refusal)) = told.try_recv() else {
            panic!("it is told")
        };
        assert!(refusal.to_string().contains("broke the head"), "{refusal}");
    }

    #[test]
    fn a_worker_takes_its_share_of_what_waits_and_no_more_than_a_batch() {
        let batching = Batching {
            photos: 8,
            wait: Duration::ZERO,
            workers: 4,
        };
        let shares = [1, 4, 5, 8, 9, 32, 100].map(|waiting| batching.share(waiting));
        assert_eq!(shares, [1, 1, 2, 2, 3, 8, 8]);
    }
}
