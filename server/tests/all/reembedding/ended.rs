//! Moves that are over, or are given up, and what can follow them.

use std::net::TcpStream;

use super::*;

/// What a head was made of is not lost by not saying so; while it is there, other heads follow.
#[test]
fn a_move_to_a_head_has_to_say_what_becomes_of_the_vectors_beneath_and_another_head_follows_them() {
    let first: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let heads = vec![FakeEmbedder::head(), FakeEmbedder::smaller_head()];
    let server = Server::start_with(&[], Embedding::MadeWithHeads(vec![first], heads));
    fill(&server);
    let unsaid = server
        .post(REEMBED, &json!({"model": "fake-64"}))
        .refused(400);
    assert!(
        unsaid.contains("`keep_old`") && unsaid.contains("fake-128"),
        "{unsaid}"
    );
    assert_eq!(vectors(&server, 9), [""]);
    let result = reembed(&server, &json!({"model": "fake-64", "keep_old": true}));
    assert_eq!(
        (&result["of_vectors"], &result["old_vector"]),
        (&json!(3), &json!("kept"))
    );
    assert_eq!(best(&server, 14), (json!(14), "fake-128".into()));
    // It is over, and stands in no other's way; there is nothing to give up.
    assert!(server.delete(REEMBED).refused(409).contains("is over"));
    // From the first head nothing can be mapped: it is the base's vectors that are.
    let body = json!({"model": "fake-32", "from": "fake-64", "keep_old": true});
    let told = server.post(REEMBED, &body).refused(400);
    for words in [
        "a head on fake-128",
        "`fake-64`",
        "without a name, of fake-128",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let result = reembed(&server, &json!({"model": "fake-32", "keep_old": true}));
    assert_eq!(result["of_vectors"], 3, "{result}");
    assert_eq!(vectors(&server, 14), ["", "fake-32", "fake-64"]);
    let result = reembed(&server, &json!({"model": "fake-32", "keep_old": false}));
    assert_eq!(result["old_vector"], "removed", "{result}");
    assert_eq!(
        (&result["from"], &result["from_model"]),
        (&json!(""), &json!("fake-128"))
    );
    assert_eq!(vectors(&server, 14), ["fake-32", "fake-64"]);
}

/// Where the base is gone, another head's vectors come from pictures alone, and the first head's are not
/// dropped without a word.
#[test]
fn a_move_from_one_head_to_another_has_to_say_what_becomes_of_the_firsts_vectors() {
    let first: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let heads = vec![FakeEmbedder::head(), FakeEmbedder::smaller_head()];
    let server = Server::start_with(&[], Embedding::MadeWithHeads(vec![first], heads));
    fill(&server);
    reembed(&server, &json!({"model": "fake-64", "keep_old": false}));
    let unsaid = server
        .post(REEMBED, &json!({"model": "fake-32"}))
        .refused(400);
    for words in ["`keep_old`", "fake-128", "`fake-64`", "photos and crops"] {
        assert!(unsaid.contains(words), "{unsaid}");
    }
    assert_eq!(vectors(&server, 9), ["fake-64"]);
    let result = reembed(&server, &json!({"model": "fake-32", "keep_old": false}));
    assert_eq!(
        (&result["of_vectors"], &result["embedded"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(result["old_vector"], "kept", "{result}");
    assert_eq!(vectors(&server, 14), ["fake-64"]);
}

#[test]
fn a_move_that_is_given_up_leaves_the_collection_as_it_was_and_another_can_begin() {
    let server = Server::start_with(&[], fakes_and_joint());
    fill(&server);
    assert!(
        server
            .delete(REEMBED)
            .refused(409)
            .contains("nothing to give up")
    );
    let result = reembed(&server, &json!({"model": "fake-72"}));
    assert_eq!(result["without_new_vector"], 1, "{result}");
    let other = server
        .post(REEMBED, &json!({"model": "fake-200"}))
        .refused(409);
    assert!(
        other.contains("fake-72") && other.contains("give it up"),
        "{other}"
    );
    assert!(
        server
            .delete(&format!("{REEMBED}?all=true"))
            .refused(400)
            .contains("all")
    );
    // One that has the new vector alone would be found no more.
    let points = json!({"points": [{"id": 50, "vector": {"fake-72": vec![0.1; 72]}}]});
    server.put("/collections/f/points?wait=true", &points).ok();
    let lost = server.delete(REEMBED).refused(409);
    assert!(
        lost.contains("1 points") && lost.contains("`accept_missing`"),
        "{lost}"
    );
    assert_eq!(vectors(&server, 9), ["", "fake-72"]);
    let told = server
        .delete(&format!("{REEMBED}?accept_missing=true"))
        .ok();
    assert_eq!(
        told,
        json!({"model": "fake-72", "vector": "fake-72", "without_vector": 1})
    );
    for id in [4, 9, 14] {
        assert_eq!(vectors(&server, id), [""]);
        assert_eq!(best(&server, id), (json!(id), "fake-128".into()));
    }
    let told = server.get("/collections/f").ok();
    assert!(told["config"]["metadata"].is_null(), "{told}");
    let result = reembed(
        &server,
        &json!({"model": "fake-200", "accept_missing": true}),
    );
    assert_eq!(result["old_vector"], "removed", "{result}");
}

#[test]
fn a_move_that_is_at_work_is_cancelled_before_it_is_given_up() {
    let (server, seen, go) = one_waiting();
    server.with_faces("f");
    add(&server, 1, &[]);
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    seen.recv().unwrap();
    let told = server.delete(REEMBED).refused(409);
    assert!(told.contains(&format!("job {}", job["id"])), "{told}");
    server.delete(&format!("/admin/jobs/{}", job["id"])).ok();
    drop(go);
    assert_eq!(ended(&server, &job["id"])["status"], "cancelled");
    server.delete(REEMBED).ok();
    assert_eq!(vectors(&server, 1), [""]);
}

/// It waits for a model that is not loaded yet, as the job that it was before the restart.
#[test]
fn a_move_that_waits_to_go_on_keeps_its_id_and_can_be_cancelled() {
    let mut server = Server::start_with(&[], two_fakes());
    server.with_faces("f");
    add(&server, 4, &[]);
    let new = json!({"dense": {"embedder": "fake-72"}});
    server.put("/collections/f/vectors/fake-72", &new).ok();
    let noted = json!({"newest": 7_000, "jobs": [
        {"id": 7_000, "kind": "reembed", "collection": "f", "started_s": 86_400},
    ]});
    let note_both = |data: &Path| {
        note(data, "running");
        storage::replace_whole(&data.join("JOBS"), noted.to_string().as_bytes()).unwrap();
    };
    let (models, go) = new_before_old();
    server.restart_while_loading(models, note_both);
    let job = || server.get("/admin/jobs/7000");
    until(|| job().status == 200);
    let waits = job().ok();
    assert_eq!(waits["status"], "running", "{waits}");
    assert!(waits["waits"].is_string(), "{waits}");
    assert_eq!(
        server.delete("/admin/jobs/7000").ok()["status"],
        "cancelled"
    );
    drop(go);
    until(|| server.get("/readyz").status == 200);
    let told = server.get("/collections/f").ok();
    let state = &told["config"]["metadata"]["reembedding"]["state"];
    assert_eq!(state, "stopped", "{told}");
    let jobs = server.get("/admin/jobs").ok();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs}");
    // It is gone on with when the same is asked for, as another.
    let result = reembed(&server, &json!({"model": "fake-72"}));
    assert_eq!(result["old_vector"], "removed", "{result}");
}

#[test]
fn a_move_that_a_stop_has_interrupted_tells_in_the_end_of_all_that_it_has_done() {
    let (mut server, seen, go) = one_waiting();
    server.with_faces("f");
    for id in 1..=20 {
        add(&server, id, &[]);
    }
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    // One more than are looked at together: the first are written.
    for _ in 0..9 {
        seen.recv().unwrap();
        go.send(()).unwrap();
    }
    let (addr, mut before) = (server.addr(), 0);
    std::thread::scope(|scope| {
        // The next are looked at when the job has been told to stop.
        scope.spawn(move || {
            while TcpStream::connect(addr).is_ok() {
                std::thread::yield_now();
            }
            drop(go);
        });
        server.restart_as_after(two_fakes(), |data| {
            let noted = storage::read_whole(&data.join("JOBS")).unwrap().unwrap();
            let noted: Value = serde_json::from_slice(&noted).unwrap();
            before = noted["jobs"][0]["counts"]["of_crops"].as_u64().unwrap();
        });
    });
    assert!((8..20).contains(&before), "{before}");
    let result = ended(&server, &job["id"])["result"].clone();
    assert_eq!(result["embedded"], 20, "{result}");
    assert_eq!(result["of_crops"], 20, "{result}");
    assert_eq!(result["old_vector"], "removed", "{result}");
}

/// The move is of the collection that there was, not of what is called so later.
#[test]
fn a_move_whose_collection_is_dropped_leaves_the_next_one_of_its_name_alone() {
    let (server, seen, go) = one_waiting();
    server.with_faces("f");
    add(&server, 1, &[]);
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    seen.recv().unwrap();
    server.delete("/collections/f").ok();
    server.with_faces("f");
    drop(go);
    let job = ended(&server, &job["id"]);
    assert_eq!(job["status"], "failed", "{job}");
    assert!(
        job.to_string()
            .contains("collection `f` has been dropped meanwhile"),
        "{job}"
    );
    let told = server.get("/collections/f").ok();
    assert!(told["config"]["metadata"].is_null(), "{told}");
    add(&server, 1, &[]);
    let result = reembed(&server, &json!({"model": "fake-72"}));
    assert_eq!(result["old_vector"], "removed", "{result}");
}

/// What came to the vector's name while photos were looked at is of no model: it gets none of this one's.
#[test]
fn a_move_whose_new_vector_is_replaced_fills_no_other_of_its_name() {
    let (server, seen, go) = one_waiting();
    server.with_faces("f");
    add(&server, 1, &[]);
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    seen.recv().unwrap();
    server.delete("/collections/f/vectors/fake-72").ok();
    let own = json!({"dense": {"size": 72, "distance": "Cosine"}});
    server.put("/collections/f/vectors/fake-72", &own).ok();
    drop(go);
    let job = ended(&server, &job["id"]);
    assert_eq!(job["status"], "failed", "{job}");
    assert!(job.to_string().contains("has been replaced"), "{job}");
    assert_eq!(vectors(&server, 1), [""]);
    assert_eq!(best(&server, 1), (json!(1), "fake-128".into()));
}
