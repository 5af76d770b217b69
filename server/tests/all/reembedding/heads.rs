//! What is said where a server has another head than the one that a collection knows, or none.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

fn base_and(heads: Vec<embedder::Mapper>) -> Embedding {
    let base: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    Embedding::MadeWithHeads(vec![base], heads)
}

/// A photo that got the base's vector alone was found by nobody who searches by the head.
#[test]
fn photos_of_a_collection_on_a_head_that_was_learned_anew_are_refused_until_somebody_decides() {
    let mut server = Server::start_with(&[], fake_and_head());
    fill(&server);
    reembed(&server, &json!({"model": "fake-64", "keep_old": true}));
    let told = server.get("/faces/models").ok();
    assert!(told["without_model"].is_null(), "{told}");
    let image = photo(20);
    for (heads, status, words) in [
        (vec![FakeEmbedder::head_learned_anew()], 409, "two models"),
        (vec![], 409, "fake-64"),
    ] {
        server.restart_as(base_and(heads));
        let told = server.form(FACES, &[("image", &image)]).refused(status);
        for words in [
            words,
            "fake-64",
            "`using`",
            "/collections/f/vectors/fake-64",
        ] {
            assert!(told.contains(words), "{told}");
        }
        let models = server.get("/faces/models").ok();
        let without = &models["without_model"][0];
        assert_eq!(
            (&without["collection"], &without["vector"]),
            (&json!("f"), &json!("fake-64"))
        );
        assert!(without["why"].as_str().unwrap().contains(words), "{models}");
        // Searches go by the base's vectors as before.
        assert_eq!(best(&server, 9), (json!(9), "fake-128".into()));
    }
    // Whoever says so gets the one alone, and its vector is told to be missing.
    let alone = json!({"image": BASE64_STANDARD.encode(&image), "id": 20, "using": ""});
    server.post(FACES, &alone).ok();
    assert_eq!(vectors(&server, 20), [""]);
    server.restart_as(base_and(vec![FakeEmbedder::head_learned_anew()]));
    let body = json!({"model": "fake-64", "keep_old": true});
    let told = server.post(REEMBED, &body).refused(409);
    for words in [
        "another fake-64",
        &"2".repeat(64),
        &"5".repeat(64),
        "remove them",
    ] {
        assert!(told.contains(words), "{told}");
    }
    server.delete("/collections/f/vectors/fake-64").ok();
    let result = reembed(&server, &body);
    assert_eq!(result["of_vectors"], 4, "{result}");
    add(&server, 25, &[]);
    assert_eq!(vectors(&server, 25), ["", "fake-64"]);
}

/// Nothing would make its vectors.
#[test]
fn no_collection_is_made_on_a_head_whose_file_is_missing_or_damaged() {
    for damage in [None, Some("other")] {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        std::fs::create_dir(&models).unwrap();
        let mut manifest = serde_json::to_value(embedder::Manifest::builtin()).unwrap();
        manifest["name"] = json!("small");
        manifest["head"] = json!({
            "base": "facenet-128", "input": 128, "file": "small.head.onnx", "sha256": "0".repeat(64),
        });
        manifest["dim"] = json!(64);
        std::fs::write(models.join("small.manifest.json"), manifest.to_string()).unwrap();
        if let Some(bytes) = damage {
            std::fs::write(models.join("small.head.onnx"), bytes).unwrap();
        }
        let server = Server::start_in(folder, &[], Embedding::Models);
        let on_head = json!({"embedder": "small"});
        let told = server.put("/collections/f", &on_head).refused(501);
        assert!(told.contains("small.head.onnx"), "{told}");
        // Its base may still be installed.
        let on_base = json!({"embedder": "facenet-128"});
        server.put("/collections/f", &on_base).ok();
        let late = json!({"dense": on_head});
        server.put("/collections/f/vectors/x", &late).refused(501);
    }
}

/// Killed between its answer and the new vector, which would know the head by its checksum.
#[test]
fn a_move_that_was_interrupted_does_not_go_on_to_a_head_that_was_learned_anew() {
    let mut server = Server::start_with(&[], fake_and_head());
    fill(&server);
    let learned_anew = base_and(vec![FakeEmbedder::head_learned_anew()]);
    server.restart_as_after(learned_anew, |data| {
        let first = "2".repeat(64);
        let told = json!({
            "model": "fake-64", "from": "", "to": "fake-64", "keep_old": false,
            "accept_missing": false, "sha256": first, "state": "running",
        });
        note_as(data, told);
    });
    let jobs = server.get("/admin/jobs").ok();
    let why = jobs["jobs"][0]["error"].as_str();
    assert!(
        why.is_some_and(|it| it.contains("another fake-64")),
        "{jobs}"
    );
    let told = server.get("/collections/f").ok();
    assert_eq!(
        told["config"]["metadata"]["reembedding"]["state"],
        "stopped"
    );
    assert_eq!(vectors(&server, 9), [""]);
}
