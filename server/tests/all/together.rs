//! Photos that come at once: looked at together, answered each for itself.

use crate::common;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{Server, made, photo};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Want};

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
        (0..5).for_each(|_| go.send(()).unwrap());
        first.join().unwrap().ok();
        poison.join().unwrap().refused(500);
        for one in good {
            one.join().unwrap().ok();
        }
    });
    let counts: Vec<_> = counts.try_iter().collect();
    assert_eq!(counts, [3, 1, 1, 1], "together, and then each alone");
}
