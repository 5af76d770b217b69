//! Erasure as an operator asks for it: of a person who was renamed, grouped by a job, deleted and
//! purged nothing is in any file, nor ever was in what the server says about itself.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, fake, holding, photo};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const FACES: &str = "/collections/stars/faces";

/// All that is said, at every level.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut said = self.0.lock().unwrap();
        writeln!(said, "{} {value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Said {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Keeps a face with its crop and its photo; gives its vector's bytes and its crop.
fn keep(server: &Server, columns: u32, person: &str) -> [Vec<u8>; 2] {
    let image = BASE64_STANDARD.encode(photo(columns));
    let face = json!({"image": image, "id": columns, "person": person, "keep_photo": true});
    server.post(FACES, &face).ok();
    let crop = server.get(&format!("{FACES}/{columns}/image"));
    assert_eq!(crop.status, 200);
    let point = server.get(&format!("/collections/stars/points/{columns}"));
    let vector = point.ok()["vector"].take();
    let numbers = vector.as_array().unwrap().iter();
    let numbers = numbers.map(|it| it.to_string().parse::<f32>().unwrap());
    [numbers.flat_map(f32::to_le_bytes).collect(), crop.bytes]
}

fn grouped(server: &Server) {
    let start = "/admin/collections/stars/cluster";
    let job = server.post(start, &json!({"threshold": 0.5})).ok();
    loop {
        let job = server.get(&format!("/admin/jobs/{}", job["id"])).ok();
        if job["status"] != "running" {
            let told = job["result"].to_string();
            assert!(told.contains("Ada"), "{told}");
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn of_a_person_who_was_erased_nothing_is_in_any_file_nor_in_the_log() {
    let said = Said::default();
    tracing::subscriber::set_global_default(said.clone()).unwrap();
    let server = Server::start_with(&[("checkpoint.interval_s", "1")], fake());
    server.with_faces("stars");
    let mut gone: Vec<Vec<u8>> = [4, 6]
        .into_iter()
        .flat_map(|columns| keep(&server, columns, "Ada Remembered"))
        .collect();
    let stays = keep(&server, 28, "Bob Staying");
    let renamed = json!({"from": "Ada Remembered", "to": "Ada Otherwise"});
    let renamed = server.post("/collections/stars/people/rename", &renamed);
    assert_eq!(renamed.ok()["changed"], 2);
    grouped(&server);
    let backup = server.post("/collections/stars/snapshots", &json!({})).ok();
    gone.extend([b"Ada Remembered".to_vec(), b"Ada Otherwise".to_vec()]);
    for needle in &gone {
        assert_ne!(holding(&server.data_dir(), needle), [] as [&str; 0]);
    }
    let deleted = server.delete(&format!("{FACES}?person=Ada%20Otherwise"));
    assert_eq!(deleted.ok()["deleted"], 2);
    let purge = "/admin/collections/stars/purge?backups=delete";
    let report = server.post(purge, &Value::Null).ok();
    assert_eq!(report["backups_not_included"], json!([]), "{backup}");
    let check = |dir: &std::path::Path| {
        for needle in &gone {
            assert_eq!(holding(dir, needle), [] as [&str; 0]);
        }
        for needle in &stays {
            assert_ne!(holding(dir, needle), [] as [&str; 0]);
        }
    };
    check(&server.data_dir());
    check(server.stop().path());
    let said = said.0.lock().unwrap();
    assert!(said.contains("a job is done"), "{said}");
    for name in ["Ada", "Bob"] {
        assert!(!said.contains(name), "{said}");
    }
}
