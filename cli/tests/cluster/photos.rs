//! Real photos through real models, put in at one node, found at the others, while nodes and a server die.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::Cluster;
use crate::nats::{ALWAYS, Nats};

const FACES: &str = "/collections/people/faces";
/// Photos of different people.
const PHOTOS: usize = 18;

/// A photo of each of some people, or nothing where there are none.
pub(crate) fn photos() -> Option<Vec<PathBuf>> {
    let shared = std::env::var_os("DOPPEL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let people = fs::read_dir(shared.join("data/lfw-dev/images")).ok()?;
    let mut people: Vec<_> = people.map(|person| person.unwrap().path()).collect();
    people.sort();
    let first = people.iter().step_by(11).take(PHOTOS).map(|person| {
        let mut photos: Vec<_> = fs::read_dir(person).unwrap().collect();
        photos.sort_by_key(|photo| photo.as_ref().unwrap().path());
        photos[0].as_ref().unwrap().path()
    });
    Some(first.collect())
}

/// The same photos, as requests have them.
pub(crate) fn images() -> Vec<String> {
    let photos = photos().unwrap_or_default().into_iter();
    let images = photos.map(|photo| BASE64_STANDARD.encode(fs::read(photo).unwrap()));
    images.collect()
}

#[test]
fn photos_put_in_at_any_node_are_found_at_all_when_some_are_killed() {
    let models = std::env::var_os("DOPPEL_MODELS_DIR").map(PathBuf::from);
    let (Some(models), Some(photos)) = (models, photos()) else {
        eprintln!("skipped: needs DOPPEL_MODELS_DIR and the photos of lfw-dev");
        return;
    };
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let mut cluster = Cluster::start_with(nats, 3, &|_, nats| nats.urls(), Some(&models));
    let faces = json!({"embedder": "facenet-128"});
    let made = cluster.ask(0, "PUT", "/collections/people", Some(&faces), None);
    let (status, mut last, said) = made.unwrap();
    assert_eq!(status, 200, "{said}");
    let image = |at: usize| BASE64_STANDARD.encode(fs::read(&photos[at]).unwrap());
    for at in 0..photos.len() {
        if at == PHOTOS / 3 {
            cluster.kill(1);
        }
        if at == PHOTOS / 2 {
            let leader = cluster
                .nats
                .leader("doppel")
                .expect("the stream has a leader");
            cluster.nats.kill(leader);
        }
        let body =
            json!({"image": image(at), "faces": "largest", "id": at, "person": format!("p{at}")});
        let until = Instant::now() + Duration::from_secs(60);
        // A node that is gone does not answer; the log may have no leader for a moment.
        for node in (at % 3..).step_by(2) {
            let answer = cluster.ask(node % 3, "POST", FACES, Some(&body), last);
            match answer {
                Some((200, lsn, _)) => {
                    last = lsn;
                    break;
                }
                Some((503, _, _)) | None => assert!(Instant::now() < until, "photo {at}"),
                Some(other) => panic!("photo {at}: {other:?}"),
            }
        }
    }
    cluster.restart(1);
    for at in 0..photos.len() {
        let body = json!({"image": image(at), "faces": "largest", "limit": 1});
        let path = format!("{FACES}/search");
        let (status, _, found) = cluster
            .ask(at % 3, "POST", &path, Some(&body), last)
            .unwrap();
        assert_eq!(status, 200, "{found}");
        let hit = &found["result"]["faces"][0]["hits"][0];
        assert_eq!(
            (&hit["id"], &hit["person"]),
            (&json!(at), &json!(format!("p{at}"))),
            "{found}"
        );
        let picture = hit["image"].as_str().unwrap();
        assert_eq!(
            cluster
                .ask((at + 1) % 3, "GET", picture, None, None)
                .unwrap()
                .0,
            200
        );
    }
    let sums = (0..3).map(|n| {
        let path = "/admin/collections/people/checksum";
        let (_, _, body) = cluster.ask(n, "GET", path, None, last).unwrap();
        ["points", "content", "graph"].map(|key| body["result"][key].clone())
    });
    let sums: Vec<_> = sums.collect();
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
    assert_eq!(sums[0][0], PHOTOS);
}
