//! Vectors that clients change while a collection moves to a head that is made of them, or has both.

use super::*;

/// So many points are read and mapped at once.
const PAGE: u64 = 256;

fn vector(of: u64) -> Vec<f32> {
    let number = |at: u64| f32::from(u16::try_from(1 + (of * 31 + at * at) % 97).unwrap());
    let long: Vec<f32> = (0..128).map(number).collect();
    let length = long.iter().map(|x| x * x).sum::<f32>().sqrt();
    long.iter().map(|x| x / length).collect()
}

/// What the head makes of it.
fn mapped(of: u64) -> Vec<f32> {
    FakeEmbedder::head().map(&[vector(of)]).unwrap().remove(0)
}

fn expect_head(server: &Server, id: u64, due: &[f32]) {
    let body = json!({"ids": [id], "with_vector": true});
    let point = server.post("/collections/f/points", &body).ok();
    let kept: Vec<f32> = serde_json::from_value(point[0]["vector"]["fake-64"].clone()).unwrap();
    let length = due.iter().map(|x| x * x).sum::<f32>().sqrt();
    let apart = kept.iter().zip(due).map(|(a, b)| (a - b / length).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-5, "point {id}");
}

fn put_points(server: &Server, ids: std::ops::RangeInclusive<u64>) {
    let points: Vec<Value> = ids
        .map(|id| json!({"id": id, "vector": vector(id)}))
        .collect();
    let body = json!({"points": points});
    server.put("/collections/f/points?wait=true", &body).ok();
}

fn change(server: &Server, id: u64, to: u64) {
    let body = json!({"points": [{"id": id, "vector": vector(to)}]});
    server
        .put("/collections/f/points/vectors?wait=true", &body)
        .ok();
}

/// One whose vector was mapped before, one that is being mapped, and one that comes by a batch: with the
/// old vectors nothing of them is lost.
#[test]
fn a_vector_that_is_changed_while_its_collection_moves_to_a_head_is_mapped_again() {
    let (at, looked) = channel::<()>();
    let (go, wait) = channel::<()>();
    let (at, wait) = (Mutex::new(at), Mutex::new(wait));
    let head = FakeEmbedder::head_after(move || {
        // Nobody looks any more once the test lets it run.
        at.lock().send(()).unwrap_or_default();
        wait.lock().recv().unwrap_or_default();
    });
    let base: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let server = Server::start_with(&[], Embedding::MadeWithHeads(vec![base], vec![head]));
    // Dropped before it, so that it ends also where this fails.
    let go = go;
    server.with_faces("f");
    put_points(&server, 1..=PAGE + 40);
    let body = json!({"model": "fake-64", "keep_old": false});
    let job = server.post(REEMBED, &body).ok();
    looked.recv().unwrap();
    go.send(()).unwrap();
    // The first page is there, the second has been read.
    looked.recv().unwrap();
    assert_eq!(vectors(&server, 1), ["", "fake-64"]);
    change(&server, 1, 1_001);
    assert_eq!(vectors(&server, 1), [""]);
    change(&server, PAGE + 1, 1_002);
    let vector = json!({"id": 3, "vector": vector(1_003)});
    let batch = json!({"operations": [{"update_vectors": {"points": [vector]}}]});
    server
        .post("/collections/f/points/batch?wait=true", &batch)
        .ok();
    drop(go);
    let job = ended(&server, &job["id"]);
    let result = &job["result"];
    assert_eq!(result["old_vector"], "removed", "{job}");
    assert_eq!(result["without_new_vector"], 0, "{job}");
    for (id, of) in [(1, 1_001), (2, 2), (3, 1_003), (PAGE + 1, 1_002)] {
        expect_head(&server, id, &mapped(of));
    }
    assert_eq!(vectors(&server, 1), ["fake-64"]);
}

#[test]
fn where_both_are_kept_a_changed_vector_takes_the_heads_away_until_the_same_move_is_asked_for() {
    let server = Server::start_with(&[], fake_and_head());
    server.with_faces("f");
    put_points(&server, 1..=3);
    let keep = json!({"model": "fake-64", "keep_old": true});
    assert_eq!(reembed(&server, &keep)["of_vectors"], 3);
    change(&server, 2, 1_002);
    assert_eq!(vectors(&server, 2), [""]);
    assert_eq!(vectors(&server, 3), ["", "fake-64"]);
    assert_eq!(reembed(&server, &keep)["of_vectors"], 1);
    expect_head(&server, 2, &mapped(1_002));
    // Who brings both keeps both.
    let own = vec![0.125; 64];
    let both = json!({"": vector(1_003), "fake-64": own});
    let body = json!({"points": [{"id": 3, "vector": both}]});
    server
        .put("/collections/f/points/vectors?wait=true", &body)
        .ok();
    expect_head(&server, 3, &own);
}

/// Made with both from the start, or given the head's later: photos get both, and a change of the one is seen
/// as after a move.
#[test]
fn a_vector_of_a_head_that_came_without_a_move_goes_too_when_its_bases_changes() {
    let server = Server::start_with(&[], fake_and_head());
    let base = json!({"embedder": "fake-128"});
    let both = json!({"base": base, "fake-64": {"embedder": "fake-64"}});
    server.put("/collections/f", &json!({"vectors": both})).ok();
    server
        .put("/collections/g", &json!({"vectors": {"base": base}}))
        .ok();
    let late = json!({"dense": {"embedder": "fake-64"}});
    server.put("/collections/g/vectors/fake-64", &late).ok();
    for name in ["f", "g"] {
        let (image, id) = (photo(4), b"4".as_slice());
        let parts = [("image", image.as_slice()), ("id", id)];
        server
            .form(&format!("/collections/{name}/faces"), &parts)
            .ok();
        let names = || {
            let body = json!({"ids": [4], "with_vector": true});
            let point = server
                .post(&format!("/collections/{name}/points"), &body)
                .ok();
            let vectors = point[0]["vector"].as_object().unwrap().clone();
            vectors.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(), ["base", "fake-64"]);
        let body = json!({"points": [{"id": 4, "vector": {"base": vector(7)}}]});
        let path = format!("/collections/{name}/points/vectors?wait=true");
        server.put(&path, &body).ok();
        assert_eq!(names(), ["base"], "{name}");
    }
    let result = reembed(&server, &json!({"model": "fake-64", "keep_old": true}));
    assert_eq!(result["of_vectors"], 1, "{result}");
    expect_head(&server, 4, &mapped(7));
}

#[test]
fn a_head_that_was_there_before_its_base_goes_with_a_change_of_that_too() {
    let server = Server::start_with(&[], fake_and_head());
    server
        .put("/collections/f", &json!({"embedder": "fake-64"}))
        .ok();
    add(&server, 4, &[]);
    let result = reembed(&server, &json!({"model": "fake-128", "keep_old": true}));
    assert_eq!(result["without_new_vector"], 0, "{result}");
    assert_eq!(vectors(&server, 4), ["", "fake-128"]);
    add(&server, 9, &[]);
    let point = json!({"id": 9, "vector": {"fake-128": vector(7)}});
    let path = "/collections/f/points/vectors?wait=true";
    server.put(path, &json!({"points": [point]})).ok();
    assert_eq!(vectors(&server, 9), ["fake-128"]);
    assert_eq!(vectors(&server, 4), ["", "fake-128"]);
}

#[test]
fn a_collection_is_told_to_be_of_the_model_that_searches_go_by() {
    let server = Server::start_with(&[], fake_and_head());
    let named = json!({"vectors": {"zed": {"embedder": "fake-64"}}});
    server.put("/collections/f", &named).ok();
    add(&server, 4, &[]);
    reembed(&server, &json!({"model": "fake-128", "keep_old": true}));
    assert_eq!(best(&server, 4), (json!(4), "fake-64".into()));
    let told = server.get("/collections/f").ok();
    assert_eq!(told["embedder"]["name"], "fake-64", "{told}");
}
