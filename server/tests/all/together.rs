//! Photos that come at once: looked at together, answered each for itself.

use crate::common;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{Server, made, photo};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Waiting, Want};

/// Says how many photos it was given together, once it may.
struct Counting {
    told: mpsc::Sender<usize>,
    go: Arc<Mutex<mpsc::Receiver<()>>>,
    then: FakeEmbedder,
}

impl FaceEmbedder for Counting {
    fn model(&self) -> &ModelInfo {
        self.then.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        self.told.send(photos.len()).expect("the test listens");
        let go = self.go.lock().expect("no other worker has panicked");
        go.recv().expect("the test says when");
        drop(go);
        assert!(photos.iter().all(|(image, _)| *image != b"poison"));
        self.then.analyze_all(photos)
    }
}

#[test]
fn photos_that_wait_go_through_the_model_together_and_a_bad_one_costs_only_its_own_answer() {
    let (told, counts) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        Box::new(Counting {
            told: told.clone(),
            go: wait.clone(),
            then: FakeEmbedder::new(),
        })
    });
    let settings = [("embedding.workers", "1"), ("embedding.batch", "3")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let add = |image: &[u8]| server.form("/collections/f/faces", &[("image", image)]);
    thread::scope(|scope| {
        let first = scope.spawn(|| add(&photo(4)));
        assert_eq!(counts.recv().unwrap(), 1);
        let poison = scope.spawn(|| add(b"poison"));
        let good = [8, 12].map(|columns| scope.spawn(move || add(&photo(columns))));
        while !server
            .get("/metrics")
            .text()
            .contains("doppel_pipeline_queue_length 3")
        {
            thread::yield_now();
        }
        (0..5).for_each(|_| go.send(()).expect("it goes on"));
        first.join().unwrap().ok();
        poison.join().unwrap().refused(500);
        for one in good {
            one.join().unwrap().ok();
        }
    });
    let counts: Vec<_> = counts.try_iter().collect();
    assert_eq!(counts, [3, 1, 1, 1], "together, and then each alone");
}

/// Tells that it has a photo that takes long, and waits; with others it leaves such a photo for later.
struct Patient {
    began: mpsc::Sender<Vec<u8>>,
    go: Arc<Mutex<mpsc::Receiver<()>>>,
    long: Vec<Vec<u8>>,
    then: FakeEmbedder,
}

impl FaceEmbedder for Patient {
    fn model(&self) -> &ModelInfo {
        self.then.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        for (image, _) in photos {
            if self.long.iter().any(|long| long == image) {
                self.began.send(image.to_vec()).expect("the test listens");
                let go = self.go.lock().expect("no other worker has panicked");
                go.recv().expect("the test says when");
            }
        }
        self.then.analyze_all(photos)
    }

    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, embedder::Error>),
    ) {
        for (at, photo) in photos.iter().enumerate() {
            let is_long = self.long.iter().any(|long| long == photo.0);
            let outcome = match waiting(at) {
                Waiting::Over => Err(embedder::Error::NotAwaited),
                Waiting::WithOthers if is_long => Err(embedder::Error::TakesLong),
                Waiting::WithOthers | Waiting::Alone => self.analyze(photo.0, photo.1),
            };
            tell(at, outcome);
        }
    }
}

#[test]
fn a_portrait_that_comes_with_group_photos_is_answered_before_they_are() {
    // Taken together or one by one.
    ["8", "1"]
        .into_iter()
        .for_each(a_portrait_comes_with_group_photos);
}

fn a_portrait_comes_with_group_photos(batch: &str) {
    let (began, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let long: Vec<_> = [4, 8, 12].map(photo).into();
    let (first, groups) = (long[0].clone(), [long[1].clone(), long[2].clone()]);
    let embedding = made(move || {
        Box::new(Patient {
            began: began.clone(),
            go: wait.clone(),
            long: long.clone(),
            then: FakeEmbedder::new(),
        })
    });
    let settings = [("embedding.workers", "1"), ("embedding.batch", batch)];
    let server = Server::start_with(&settings, embedding);
    let (told, answers) = mpsc::channel();
    let queued = |length: usize| {
        let line = format!("doppel_pipeline_queue_length {length}\n");
        common::until(|| server.get("/metrics").text().contains(&line));
    };
    thread::scope(|scope| {
        let ask = |name: &'static str, image: Vec<u8>| {
            let (server, told) = (&server, told.clone());
            scope.spawn(move || {
                server.form("/faces/detect", &[("image", &image)]).ok();
                told.send(name).expect("the test listens");
            });
        };
        // Who is asked when something is wrong ends, and with it the test.
        let go = go;
        let minute = Duration::from_secs(60);
        let two_answered = || {
            let mut two = [(); 2].map(|()| answers.recv_timeout(minute).unwrap_or("nobody"));
            two.sort_unstable();
            two
        };
        ask("first", first);
        begun.recv_timeout(minute).expect("it is begun");
        for (at, image) in groups.iter().enumerate() {
            ask("group", image.clone());
            queued(at + 1);
        }
        ask("portrait", photo(16));
        queued(3);
        // Those that take long are put off for it.
        go.send(()).expect("it goes on");
        assert_eq!(two_answered(), ["first", "portrait"]);
        // One of the groups is looked at now; a portrait that comes waits for no other.
        assert_eq!(begun.recv_timeout(minute).expect("it is begun"), groups[0]);
        ask("late", photo(20));
        queued(2);
        go.send(()).expect("it goes on");
        assert_eq!(two_answered(), ["group", "late"]);
        go.send(()).expect("it goes on");
        assert_eq!(answers.recv_timeout(minute), Ok("group"));
    });
}
