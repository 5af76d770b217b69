//! The same picture more than once: told and refused as one after the other, however close together
//! its copies come.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::collections::HashSet;
use std::io::{Cursor, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Answer, Before, Server, group, made, photo, until};
use embedder::FakeEmbedder;
use image::ImageFormat;
use serde_json::{Value, json};

const FACES: &str = "/collections/f/faces";

fn add(server: &Server, image: &[u8], duplicates: &str) -> Answer {
    let parts: [(&str, &[u8]); 2] = [("image", image), ("duplicates", duplicates.as_bytes())];
    server.form(FACES, &parts)
}

fn count(server: &Server) -> Value {
    let count = server.post("/collections/f/points/count", &json!({}));
    count.ok()["count"].take()
}

fn take_out(server: &Server, id: &Value) {
    let body = json!({"points": [id]});
    server.post(&format!("{FACES}/delete"), &body).ok();
}

/// A server that goes on with a photo only once so many have come.
fn together(photos: usize) -> Server {
    let all = Arc::new(Barrier::new(photos));
    let embedding = made(move || {
        let all = Arc::clone(&all);
        let act = move |_: &[u8]| {
            all.wait();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let workers = photos.to_string();
    let settings = [("embedding.workers", &*workers), ("embedding.batch", "1")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    server
}

/// The same photo so many times at once.
fn at_once(server: &Server, times: usize, duplicates: &str) -> Vec<Answer> {
    let image = photo(9);
    thread::scope(|scope| {
        let all: Vec<_> = (0..times)
            .map(|_| scope.spawn(|| add(server, &image, duplicates)))
            .collect();
        let all = all.into_iter();
        all.map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn of_a_photo_that_comes_six_times_at_once_one_is_kept_where_duplicates_are_refused() {
    let server = together(6);
    // Which of them come how close together is up to the machine.
    for round in 0..12 {
        let (kept, refused): (Vec<_>, Vec<_>) = at_once(&server, 6, "refuse")
            .into_iter()
            .partition(|it| it.status == 200);
        assert_eq!((kept.len(), count(&server)), (1, json!(1)), "{round}");
        let kept = kept.into_iter().next().unwrap().ok();
        let id = &kept["faces"][0]["id"];
        for one in refused {
            let message = one.refused(409);
            assert!(message.contains(id.as_str().unwrap()), "{message}");
        }
        take_out(&server, id);
    }
}

#[test]
fn of_a_photo_that_comes_six_times_at_once_five_are_told_as_duplicates() {
    let server = together(6);
    let mut told = at_once(&server, 6, "report").into_iter().map(Answer::ok);
    let faces: Vec<_> = told.by_ref().map(|it| it["faces"][0].clone()).collect();
    let ids: HashSet<_> = faces.iter().map(|it| it["id"].to_string()).collect();
    let twins = faces.iter().map(|it| &it["duplicate_of"]);
    let twins: Vec<_> = twins.filter(|it| !it.is_null()).collect();
    assert_eq!((ids.len(), twins.len()), (6, 5), "{faces:?}");
    assert!(
        twins.iter().all(|it| ids.contains(&it["id"].to_string())),
        "{faces:?}"
    );
}

#[test]
fn a_photo_that_is_sent_again_by_a_client_that_gave_up_is_kept_once() {
    let (began, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let (began, wait) = (began.clone(), wait.clone());
        let act = move |_: &[u8]| {
            let _ = began.send(());
            // Nobody is waited for once the test has let all of them go on.
            let _ = wait.lock().unwrap().recv();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let settings = [("embedding.workers", "2"), ("embedding.batch", "1")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let image = photo(9);
    let body = json!({"image": BASE64_STANDARD.encode(&image), "duplicates": "refuse"}).to_string();
    let head = format!(
        "POST {FACES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = TcpStream::connect(server.addr()).unwrap();
    client.write_all((head + &body).as_bytes()).unwrap();
    begun.recv().unwrap();
    drop(client);
    thread::scope(|scope| {
        let again = scope.spawn(|| add(&server, &image, "refuse").status);
        begun.recv().unwrap();
        drop(go);
        // Whoever of the two is looked at first is kept.
        assert!([200, 409].contains(&again.join().unwrap()));
    });
    let quiet = "doppel_http_requests_in_flight 1\n";
    until(|| server.get("/metrics").text().contains(quiet));
    assert_eq!(count(&server), 1);
}

#[test]
fn a_picture_in_other_formats_is_told_within_a_request_and_two_faces_of_one_photo_are_not() {
    let server = Server::start();
    server.with_faces("f");
    let png = photo(9);
    let picture = image::load_from_memory(&png).unwrap();
    let written = |format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        json!({"image": BASE64_STANDARD.encode(bytes.into_inner())})
    };
    let images = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp].map(written);
    let body = json!({"images": images, "duplicates": "refuse"});
    let told = server.post(FACES, &body).ok();
    assert_eq!(told["faces"].as_array().unwrap().len(), 1, "{told}");
    let errors = told["errors"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .map(|it| (it["image_index"].clone(), it["status"].clone()))
        .collect();
    assert_eq!(
        errors,
        [(json!(1), json!(409)), (json!(2), json!(409))],
        "{told}"
    );
    let twice = BASE64_STANDARD.encode(group(&[24, 24]));
    let body = json!({"image": twice, "faces": "all", "duplicates": "refuse"});
    let told = server.post(FACES, &body).ok();
    assert_eq!(told["faces"].as_array().unwrap().len(), 2, "{told}");
    // The second photo is of the first's two faces, and its faces are told one by one.
    let crowd = BASE64_STANDARD.encode(group(&[3, 16]));
    let body = json!({"images": [{"image": crowd}, {"image": crowd}], "faces": "all"});
    let told = server.post(FACES, &body).ok();
    let faces = &told["faces"];
    assert_eq!(faces[0]["duplicate_of"], Value::Null, "{told}");
    for (first, second) in [(0, 2), (1, 3)] {
        assert_eq!(faces[second]["duplicate_of"]["id"], faces[first]["id"]);
    }
}

#[test]
fn a_photo_that_searches_do_not_see_yet_counts_as_well() {
    let server = Server::start();
    server.with_faces("f");
    server.with_vectors("before", 128, "Cosine");
    let image = photo(9);
    // Searches see it after all of these, which are applied before it.
    let vector = |n: u32| (0..128).map(move |at| f64::from(n * 128 + at).sin());
    let points = (0..3_000).map(|n| json!({"id": n, "vector": vector(n).collect::<Vec<_>>()}));
    let points = json!({"points": points.collect::<Vec<_>>()});
    let path = "/collections/before/points?wait=false";
    server.put(path, &points).ok();
    let one: [(&str, &[u8]); 1] = [("image", &image)];
    server.form(&format!("{FACES}?wait=false"), &one).ok();
    let mut again = add(&server, &image, "refuse");
    while again.status == 503 {
        again = add(&server, &image, "refuse");
    }
    again.refused(409);
}
