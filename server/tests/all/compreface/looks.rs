//! Photos and vectors that are recognized, detected and verified.

use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Want};
use serde_json::{Value, json};

use super::{ANY, FACES, RECOGNIZE, done, example, fault, open, photo_to, post, upload};
use crate::common::{Server, faceless, group, made, photo};

#[test]
fn faces_are_recognized_detected_and_verified_with_what_was_asked_of_them() {
    let server = open();
    let empty = done(photo_to(&server, RECOGNIZE, &photo(4)), 200);
    assert_eq!(empty["result"][0]["subjects"], json!([]));
    let (ana, _) = (example(&server, "Ana", 4), example(&server, "Ana", 6));
    example(&server, "Bob", 28);
    let plain = done(photo_to(&server, RECOGNIZE, &group(&[4, 28])), 200);
    let faces = plain["result"].as_array().unwrap();
    assert_eq!(faces.len(), 2, "{plain}");
    let mut keys: Vec<_> = faces[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["box", "subjects"]);
    assert_eq!(
        faces[0]["subjects"],
        json!([{"subject": "Ana", "similarity": 1.0}])
    );
    assert_eq!(
        faces[0]["box"],
        json!({"probability": 0.99, "x_max": 32, "y_max": 32, "x_min": 0, "y_min": 0})
    );
    assert_eq!(plain.as_object().unwrap().len(), 1, "{plain}");
    let query = "&limit=1&det_prob_threshold=0.8&prediction_count=3&\
        face_plugins=age,gender,landmarks,calculator,pose,mask&status=True";
    let full = done(
        photo_to(&server, &format!("{RECOGNIZE}?{query}"), &group(&[4, 28])),
        200,
    );
    let [face] = full["result"].as_array().unwrap().as_slice() else {
        panic!("{full}")
    };
    let subjects = face["subjects"].as_array().unwrap().iter();
    let subjects: Vec<_> = subjects.map(|it| it["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["Ana", "Ana", "Bob"], "the nearest examples");
    assert_eq!(face["landmarks"][0], json!([10, 13]));
    assert_eq!(face["embedding"].as_array().unwrap().len(), 128);
    assert!(face["pose"]["yaw"].is_number() && face["execution_time"]["detector"].is_number());
    assert_eq!(face.get("age"), None);
    assert_eq!(
        full["unsupported_plugins"],
        json!(["age", "gender", "mask"])
    );
    assert_eq!(
        full["plugins_versions"]["calculator"],
        "fake-128.Calculator"
    );
    fault(&photo_to(&server, RECOGNIZE, &faceless()), 400, 28);
    for query in ["limit=-1", "prediction_count=0", "det_prob_threshold=2"] {
        let path = format!("{RECOGNIZE}?{query}");
        fault(&photo_to(&server, &path, &photo(4)), 400, 26);
    }
    for query in ["detect_faces=false", "face_plugins=age,smile"] {
        let path = format!("{RECOGNIZE}?{query}");
        fault(&photo_to(&server, &path, &photo(4)), 400, 36);
    }

    let detect = "/api/v1/detection/detect";
    let detected = done(photo_to(&server, detect, &group(&[4, 28])), 200);
    assert_eq!(detected["result"].as_array().unwrap().len(), 2);
    assert_eq!(detected["result"][0].as_object().unwrap().len(), 1);
    fault(&photo_to(&server, detect, &faceless()), 400, 28);

    let of = |id: &str| format!("{FACES}/{id}/verify?limit=1");
    let alike = done(photo_to(&server, &of(&ana), &photo(4)), 200);
    assert_eq!(alike["result"][0]["subject"], "Ana");
    assert_eq!(alike["result"][0]["similarity"], 1.0);
    let nobody = done(photo_to(&server, &of(ANY), &photo(4)), 200);
    assert_eq!(nobody["result"][0]["subject"], "");
    assert_eq!(nobody["result"][0]["similarity"], 0.0);

    let verify = "/api/v1/verification/verify";
    let pair = |source: &[u8], target: &[u8]| {
        let files = [
            ("source_image", "a.png", source),
            ("target_image", "b.png", target),
        ];
        upload(&server, ANY, verify, &files)
    };
    let compared = done(pair(&photo(4), &group(&[4, 28])), 200);
    let [only] = compared["result"].as_array().unwrap().as_slice() else {
        panic!("{compared}")
    };
    assert!(only["source_image_face"]["box"].is_object());
    assert_eq!(only["face_matches"][0]["similarity"], 1.0);
    assert!(only["face_matches"][1]["similarity"].as_f64().unwrap() < 1.0);
    fault(&pair(&group(&[4, 28]), &photo(4)), 400, 31);
    fault(&pair(&faceless(), &photo(4)), 400, 28);
    fault(&pair(&photo(4), &faceless()), 400, 28);
    let half = upload(
        &server,
        ANY,
        verify,
        &[("source_image", "a.png", &photo(4))],
    );
    assert_eq!(
        fault(&half, 400, 34),
        "Required part target_image is missing"
    );

    the_same_by_vectors(&server, &ana, &face["embedding"]);
}

fn the_same_by_vectors(server: &Server, ana: &str, embedding: &Value) {
    let mut other = vec![0.0; 128];
    other[0] = 3.0;
    let both = json!({"embeddings": [other, embedding]});
    let path = "/api/v1/recognition/embeddings/recognize";
    let counted = format!("{path}?prediction_count=2");
    let found = done(post(server, &counted, &both), 200);
    assert_eq!(found["result"][1]["embedding"], *embedding);
    assert_eq!(
        found["result"][1]["similarities"][0],
        json!({"subject": "Ana", "similarity": 1.0})
    );
    assert_eq!(
        found["result"][1]["similarities"].as_array().unwrap().len(),
        2
    );
    for nothing in [json!({}), json!({"embeddings": []})] {
        let told = fault(&post(server, path, &nothing), 400, 5);
        assert_eq!(told, "Field embeddings cannot be empty");
    }
    fault(
        &post(server, path, &json!({"embeddings": [[1.0]]})),
        400,
        36,
    );
    fault(
        &post(server, path, &json!({"embeddings": [vec![0.0; 128]]})),
        400,
        36,
    );
    let path = format!("/api/v1/recognition/embeddings/faces/{ana}/verify");
    let found = done(post(server, &path, &both), 200);
    assert_eq!(
        found["result"][0]["embedding"], *embedding,
        "most alike first"
    );
    assert_eq!(found["result"][0]["similarity"], 1.0);
    let path = "/api/v1/verification/embeddings/verify";
    let body = json!({"source": embedding, "targets": [other, embedding]});
    let found = done(post(server, path, &body), 200);
    assert_eq!(
        found["result"][0],
        json!({"embedding": embedding, "similarity": 1.0})
    );
    fault(
        &post(server, path, &json!({"source": [], "targets": [other]})),
        400,
        5,
    );
    fault(&post(server, path, &json!({"source": other})), 400, 5);
}

/// Of faces as small as these it finds, where it is not to look closer, only one in three.
struct Far(FakeEmbedder);

impl FaceEmbedder for Far {
    fn model(&self) -> &ModelInfo {
        self.0.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        let mut outcomes = self.0.analyze_all(photos);
        for (outcome, (_, want)) in outcomes.iter_mut().zip(photos) {
            if let (Ok(analysis), u32::MAX) = (outcome, want.smallest) {
                let seen = analysis.faces.len() / 3;
                analysis.faces.truncate(seen);
            }
        }
        outcomes
    }
}

#[test]
fn a_small_face_that_is_recognized_can_be_enrolled_and_one_far_behind_a_person_is_no_second() {
    let settings = [("compreface.collection", "faces")];
    let server = Server::start_with(&settings, made(|| Box::new(Far(FakeEmbedder::new()))));
    example(&server, "Ana", 4);
    let found = done(photo_to(&server, RECOGNIZE, &photo(4)), 200);
    assert_eq!(found["result"][0]["subjects"][0]["subject"], "Ana");
    let path = format!("{FACES}?subject=Bob");
    fault(&photo_to(&server, &path, &group(&[28, 9])), 400, 31);
    fault(&photo_to(&server, &path, &faceless()), 400, 28);
    done(photo_to(&server, &path, &group(&[28, 9, 14])), 201);
    let found = done(photo_to(&server, RECOGNIZE, &photo(28)), 200);
    assert_eq!(found["result"][0]["subjects"][0]["subject"], "Bob");
}

#[test]
fn of_more_faces_than_are_told_it_is_told_how_many_more_there_are() {
    let server = open();
    for path in [RECOGNIZE, "/api/v1/detection/detect"] {
        let told = done(photo_to(&server, path, &group(&[4; 104])), 200);
        assert_eq!(told["result"].as_array().unwrap().len(), 100, "{path}");
        assert_eq!(told["faces_left_out"], 4, "{path}");
    }
    let (own, crowd) = (photo(4), group(&[4; 104]));
    let photos = [
        ("source_image", "a.png", own.as_slice()),
        ("target_image", "b.png", crowd.as_slice()),
    ];
    let told = done(
        upload(&server, ANY, "/api/v1/verification/verify", &photos),
        200,
    );
    let matches = &told["result"][0]["face_matches"];
    assert_eq!(matches.as_array().unwrap().len(), 100);
    assert_eq!(told["faces_left_out"], 4);
}
