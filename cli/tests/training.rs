//! Networks of one's own: learned from a table of vectors, from folders of pictures, measured, and used by a
//! server like any other model.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use common::{code, complaint, doppel, text};
use config::{Config, Flag, Sources};
use embedder::{FaceEmbedder, FakeEmbedder, Manifest, OnnxEmbedder, models};
use image::RgbImage;
use serde_json::{Value, json};
use server::{Embedding, Factory, Running};
use train::{HeadShape, Model, Shape};

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn complains(output: &Output, of: &str) {
    assert!(complaint(output).contains(of), "{}", complaint(output));
}

/// A folder of models with all that is installed, to which others can be added; or why there is none.
fn installed(folder: &Path) -> Result<PathBuf, String> {
    let from = std::env::var_os("DOPPEL_MODELS_DIR").ok_or("DOPPEL_MODELS_DIR is not set")?;
    let models = folder.join("models");
    std::fs::create_dir_all(&models).unwrap();
    for entry in std::fs::read_dir(from).map_err(|error| error.to_string())? {
        let entry = entry.unwrap();
        let path = std::path::absolute(entry.path()).unwrap();
        std::os::unix::fs::symlink(path, models.join(entry.file_name())).unwrap();
    }
    Ok(models)
}

/// A table of vectors as NumPy writes it, a row for each photo of made-up people, and whose they are.
fn table_of_people(folder: &std::path::Path) {
    let (mut numbers, mut names, mut state) = (Vec::<u8>::new(), String::new(), 1_u64);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f32::from(i16::from_be_bytes([
            state.to_be_bytes()[0],
            state.to_be_bytes()[1],
        ])) / 32_768.0
    };
    for person in 0..60 {
        let own: Vec<f32> = (0..128).map(|_| next()).collect();
        for _ in 0..3 {
            let row: Vec<f32> = own.iter().map(|x| x + 0.5 * next()).collect();
            numbers.extend(row.iter().flat_map(|x| x.to_le_bytes()));
            names += &format!("Person {person}\n");
        }
    }
    let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (180, 128), }";
    let header = format!("{dict:<117}\n");
    let mut table = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    table.extend(header.as_bytes());
    table.extend(numbers);
    std::fs::write(folder.join("v.npy"), table).unwrap();
    std::fs::write(folder.join("people.txt"), names).unwrap();
}

#[test]
fn a_head_is_learned_from_a_table_and_is_a_model_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    table_of_people(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let models = path("models");
    let with = |name: &str, labels: &str| {
        let (vectors, labels) = (path("v.npy"), path(labels));
        let source = ["--vectors", &vectors, "--labels", &labels];
        let quick = ["--models-dir", &models, "--epochs", "1", "--size", "16"];
        doppel(
            &[],
            &[&["train", "head", name][..], &source, &quick].concat(),
        )
    };
    let output = with("short", "people.txt");
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let list = text(&doppel(&[], &["models", "list", "--models-dir", &models]));
    let told = "short  16 numbers a face, licence as its base, facenet-128: MIT (";
    assert!(list.contains(told), "{list}");
    assert!(
        list.contains("short.head.onnx  on the vectors of facenet-128"),
        "{list}"
    );
    let first = std::fs::read(path("models/short.head.onnx")).unwrap();
    let models_there = std::fs::read_dir(&models).unwrap();
    assert_eq!(models_there.count(), 2);
    // Bit for bit; the name is not in the file.
    assert_eq!(code(&with("again", "people.txt")), 0);
    let again = std::fs::read(path("models/again.head.onnx")).unwrap();
    assert!(first == again);

    std::fs::write(path("few.txt"), "Ada\n").unwrap();
    std::fs::write(path("one.txt"), "Ada\n".repeat(180)).unwrap();
    std::fs::write(path("nobody.txt"), "\n".repeat(180)).unwrap();
    for (name, labels, word) in [
        ("x", "one.txt", "of 1 people"),
        ("x", "nobody.txt", "no vector with a person's name"),
        ("short", "people.txt", "already"),
        ("facenet-128", "people.txt", "already"),
        ("../x", "people.txt", "`name`"),
        ("x", "few.txt", "180 rows"),
    ] {
        let output = with(name, labels);
        assert_eq!(code(&output), 1);
        complains(&output, word);
    }
    let held = std::fs::File::create(path("models/x.training.lock")).unwrap();
    held.lock().unwrap();
    let refused = with("x", "people.txt");
    assert_eq!(code(&refused), 1);
    complains(&refused, "a model x is being trained");
    drop(held);
    let table = std::fs::read(path("v.npy")).unwrap();
    let start = table.len() - 180 * 128 * 4;
    let of_first = |number: f32| {
        let mut other = table.clone();
        let row = other[start..start + 128 * 4].as_chunks_mut::<4>().0;
        row.iter_mut().for_each(|it| *it = number.to_le_bytes());
        std::fs::write(path("v.npy"), other).unwrap();
    };
    of_first(f32::NAN);
    let refused = with("x", "people.txt");
    assert_eq!(code(&refused), 1);
    complains(
        &refused,
        "v.npy: row 0 (from 0) has a number that is not finite",
    );
    of_first(0.0);
    let without = with("x", "people.txt");
    assert_eq!(code(&without), 0, "{}", complaint(&without));
    complains(&without, "1 vectors of length 0");
}

#[test]
fn heads_are_measured_beside_what_needs_no_learning() {
    let folder = tempfile::tempdir().unwrap();
    table_of_people(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (vectors, labels) = (path("v.npy"), path("people.txt"));
    let source = ["--vectors", &vectors, "--labels", &labels];
    let quick = ["--epochs", "1", "--size", "16", "--draws", "40", "--json"];
    let output = doppel(&[], &[&["eval", "head"][..], &source, &quick].concat());
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = told["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    let due = [
        "facenet-128",
        "head, quadruplet",
        "head, triplet",
        "head, contrastive",
        "principal directions",
        "random directions",
    ];
    assert_eq!(names, due);
    assert_eq!(rows[0]["figures"]["recall@10"]["value"], 1.0);
    // So few are all looked at: the index finds what is nearest, in less memory where vectors are short.
    let sets = told["index"]["sets"].as_array().unwrap();
    let names: Vec<_> = sets.iter().map(|set| &set["name"]).collect();
    assert_eq!(
        (names, &told["index"]["vectors"]),
        (due.map(Value::from).iter().collect(), &180.into())
    );
    assert_eq!(sets[0]["as_quick"]["recall"]["value"], 1.0);
    assert_eq!(sets[0]["at"][6]["ef"], 64);
    assert!(sets[0]["memory_bytes"].as_u64() > sets[1]["memory_bytes"].as_u64());
    assert_eq!(
        (&rows[0]["size"], &rows[1]["size"]),
        (&128.into(), &16.into())
    );
    let figure = &rows[1]["differences"]["rank-1"];
    assert!(
        figure["low"].as_f64() <= figure["value"].as_f64(),
        "{figure}"
    );
}

#[test]
fn a_table_says_how_often_people_were_drawn_and_which_heads_have_learned_nothing() {
    let folder = tempfile::tempdir().unwrap();
    table_of_people(folder.path());
    let path = |name: &str| at(folder.path(), name);
    let (vectors, labels) = (path("v.npy"), path("people.txt"));
    let eval = |more: &[&str]| {
        let source = ["eval", "head", "--vectors", &vectors, "--labels", &labels];
        let quick = ["--epochs", "1", "--size", "16"];
        doppel(&[], &[&source[..], &quick, more].concat())
    };
    // No step is long enough to change a number.
    let output = eval(&["--draws", "50", "--rate", "1e-12"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let told = text(&output);
    assert!(
        told.contains("the middle 95 % of 50 draws of people"),
        "{told}"
    );
    let nothing = "has learned nothing: head, quadruplet; head, triplet; head, contrastive.";
    assert!(told.contains(nothing), "{told}");
    for (flag, value, word) in [
        (
            "--seed",
            "-1",
            "a seed is a whole number, 0 to 18446744073709551615",
        ),
        ("--seed", "x", "a seed is a whole number"),
        ("--patience", "-1", "a whole number, not below 0"),
        ("--draws", "-1", "40..=100000"),
    ] {
        let output = eval(&[flag, value]);
        assert_eq!(code(&output), 2, "{flag}");
        complains(&output, word);
    }
}

/// Pictures of 16 x 16 pixels: each person has a colour and a slope of light, each picture some noise.
fn pictures_of_people(folder: &Path) {
    let mut state = 7_u32;
    for person in 0..16_u32 {
        let of_person = folder.join(format!("Sitter {person}"));
        std::fs::create_dir_all(&of_person).unwrap();
        for picture in 0..4 {
            let pixels = RgbImage::from_fn(16, 16, |x, y| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let slope = (person % 4) * x * 3 + (person / 4) * y * 3;
                let colour = |plane: u32| {
                    let shade = slope + 40 * ((person >> plane) % 3) + (state >> 28);
                    u8::try_from(shade.min(255)).unwrap()
                };
                image::Rgb([colour(0), colour(1), colour(2)])
            });
            pixels
                .save(of_person.join(format!("{picture}.png")))
                .unwrap();
        }
    }
    std::fs::write(folder.join("Sitter 0/notes.txt"), "no photo by its name").unwrap();
    std::fs::write(folder.join("Sitter 0/bad.jpg"), "no photo").unwrap();
}

const SMALL: [&str; 15] = [
    "--cut-out",
    "--side",
    "16",
    "--narrower",
    "8",
    "--size",
    "8",
    "--people",
    "4",
    "--batches",
    "2",
    "--epochs",
    "1",
    "--draws",
    "40",
];

fn train_network(models: &str, name: &str, photos: &str, more: &[&str]) -> Output {
    let command = ["train", "network", name, photos, "--models-dir", models];
    doppel(&[], &[&command, &SMALL[..], more].concat())
}

#[test]
fn a_network_is_learned_from_a_folder_of_each_persons_pictures_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let people = at(folder.path(), "people");
    pictures_of_people(Path::new(&people));
    let models = at(folder.path(), "models");
    let output = train_network(&models, "mine", &people, &["--json"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let said = complaint(&output);
    assert!(
        said.contains("64 faces; 0 photos without one, 1 that cannot be read"),
        "{said}"
    );
    assert!(
        said.contains("Sitter 0/bad.jpg: this is not an image"),
        "{said}"
    );
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = told["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["the pixels alone", "the network untrained", "mine"]);
    assert_eq!(
        (&rows[0]["size"], &rows[2]["size"]),
        (&768.into(), &8.into())
    );
    assert!(rows[2]["figures"]["rank-1"]["low"].is_number(), "{told}");
    assert!(told["rank_one_by_chance"].as_f64() < Some(0.5), "{told}");
    let list = text(&doppel(&[], &["models", "list", "--models-dir", &models]));
    assert!(list.contains("mine  8 numbers a face"), "{list}");
    assert!(list.contains("mine.onnx  put there by hand"), "{list}");
    let manifest = models::find(Path::new(&models), "mine").unwrap();
    assert_eq!(manifest.embedder.input.side, 16);
    assert!(!Path::new(&models).join("mine.training").exists());
    // Bit for bit.
    let again = train_network(&models, "again", &people, &["--held-out", "0.3"]);
    assert_eq!(code(&again), 0, "{}", complaint(&again));
    assert!(
        text(&again).contains("By chance: rank-1"),
        "{}",
        text(&again)
    );
    let file = |name: &str| std::fs::read(Path::new(&models).join(name)).unwrap();
    assert!(file("mine.onnx") == file("again.onnx"));

    let empty = at(folder.path(), "empty");
    std::fs::create_dir_all(&empty).unwrap();
    for (name, photos, more, word) in [
        ("mine", &people, vec![], "already"),
        ("x/y", &people, vec![], "`name`"),
        ("x", &people, vec!["--side", "24"], "halved 4 times"),
        ("x", &people, vec!["--narrower", "9"], "1 to 8"),
        ("x", &people, vec!["--people", "2"], "people must be 3"),
        ("x", &empty, vec![], "no folders with photos"),
    ] {
        let flags = without(&more);
        let command = ["train", "network", name, photos, "--models-dir", &models];
        let output = doppel(&[], &[&command, &flags[..], &more].concat());
        assert_eq!(code(&output), 1, "{}", complaint(&output));
        complains(&output, word);
    }
}

/// The small network's flags but those that are given otherwise.
fn without(more: &[&str]) -> Vec<&'static str> {
    let mut flags = vec![SMALL[0]];
    for pair in SMALL[1..].chunks(2).filter(|pair| !more.contains(&pair[0])) {
        flags.extend(pair);
    }
    flags
}

#[test]
fn a_network_that_was_learned_runs_as_a_model_and_gives_the_numbers_that_were_learned() {
    let folder = tempfile::tempdir().unwrap();
    let models = match installed(folder.path()) {
        Ok(models) => models,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let people = at(folder.path(), "people");
    pictures_of_people(Path::new(&people));
    let dir = models.to_str().unwrap();
    let output = train_network(dir, "mine", &people, &[]);
    let said = complaint(&output);
    assert_eq!(code(&output), 0, "{said}");
    assert!(said.contains("ONNX Runtime's numbers are within"), "{said}");
    let verified = text(&doppel(&[], &["models", "verify", "--models-dir", dir]));
    assert!(
        verified.contains("every file of mine is as it should be"),
        "{verified}"
    );
    let manifest = models::find(&models, "mine").unwrap();
    let embedder = OnnxEmbedder::load_as(&models, 1, manifest).unwrap();
    assert_eq!((embedder.model().dim, &*embedder.model().name), (8, "mine"));
}

fn serve(dir: &Path, settings: &[(&'static str, &str)], embedding: Embedding) -> Running {
    let own =
        [("data_dir", "data"), ("models_dir", "models")].map(|(key, name)| (key, at(dir, name)));
    let given = settings
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    let flags = own.into_iter().chain(given);
    let fixed = [
        ("listen", "127.0.0.1:0"),
        ("models.install_on_start", "false"),
    ];
    let flags = flags.chain(fixed.map(|(key, value)| (key, value.to_owned())));
    let sources = Sources {
        flags: flags
            .map(|(key, value)| Flag::new("test", key, value))
            .collect(),
        ..Sources::default()
    };
    let running = server::start_with(Config::load(&sources).unwrap(), embedding).unwrap();
    running.wait_ready().unwrap();
    running
}

/// Every number from the other end, so that it can be told from what the base makes.
fn turned_round() -> Vec<u8> {
    let mut weights = vec![0.0; 128 * 64 + 64];
    (0..64).for_each(|n| weights[(127 - n) * 64 + n] = 1.0);
    let shape = Shape::Head(HeadShape {
        input: 128,
        hidden: None,
        output: 64,
    });
    train::onnx(&Model::of(shape, &weights).unwrap(), &[]).unwrap()
}

/// The base runs on another server and was never installed here; the head lies here.
#[test]
fn a_head_at_hand_maps_vectors_that_another_server_makes() {
    let folder = tempfile::tempdir().unwrap();
    let models = match installed(folder.path()) {
        Ok(models) => models,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let onnx = turned_round();
    std::fs::write(models.join("own.head.onnx"), &onnx).unwrap();
    let mut manifest = serde_json::to_value(Manifest::builtin()).unwrap();
    manifest["name"] = "own-64".into();
    manifest["dim"] = 64.into();
    manifest["calibration"] = Value::Null;
    manifest["embedder"]["sha256"] = "0".repeat(64).into();
    let sha256: String = {
        use sha2::Digest;
        sha2::Sha256::digest(&onnx)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    manifest["head"] = json!({
        "base": "fake-128", "input": 128, "file": "own.head.onnx", "sha256": sha256,
    });
    std::fs::write(models.join("own-64.manifest.json"), manifest.to_string()).unwrap();
    let far = tempfile::tempdir().unwrap();
    let factory: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new())));
    let far = serve(far.path(), &[], Embedding::Made(vec![factory]));
    let remote = format!("http://{}", far.addr());
    let here = serve(
        folder.path(),
        &[("embedding.remote_url", &remote)],
        Embedding::Models,
    );
    let url = format!("http://{}", here.addr());
    let ask = |method: &str, path: &str, body: Value| -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"));
        let request = request.header("content-type", "application/json");
        let agent = ureq::Agent::new_with_defaults();
        let answer = agent.run(request.body(body.to_string()).unwrap());
        let text = answer.unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["result"].take()
    };
    // It asks the other server for its models first.
    let loaded = || {
        let models = ask("GET", "/faces/models", Value::Null);
        let models = models["models"].as_array().cloned().unwrap_or_default();
        models
            .iter()
            .any(|it| it["name"] == "own-64" && it["loaded"] == true)
    };
    while !loaded() {
        std::thread::yield_now();
    }
    ask("PUT", "/collections/f", json!({"embedder": "fake-128"}));
    let vector: Vec<f32> = (0..128_u8).map(|n| f32::from(n) / 843.0).collect();
    let points = json!({"points": [{"id": 1, "vector": vector}]});
    ask("PUT", "/collections/f/points?wait=true", points);
    let reembed = |more: &[&str]| {
        let command = [&["reembed", "-c", "f"], more].concat();
        doppel(&[("DOPPEL_URL", &url)], &command)
    };
    let unsaid = reembed(&["--model", "own-64"]);
    assert_eq!(code(&unsaid), 1);
    complains(&unsaid, "`--drop-old`");
    let moved = reembed(&["--model", "own-64", "--drop-old"]);
    assert_eq!(code(&moved), 0, "{}", complaint(&moved));
    let result: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(
        (&result["of_vectors"], &result["old_vector"]),
        (&1.into(), &"removed".into())
    );
    let body = json!({"ids": [1], "with_vector": true});
    let kept = ask("POST", "/collections/f/points", body)[0]["vector"]["own-64"].take();
    let kept: Vec<f32> = serde_json::from_value(kept).unwrap();
    let due: Vec<f32> = vector.iter().rev().take(64).copied().collect();
    let length = due.iter().map(|x| x * x).sum::<f32>().sqrt();
    for (kept, due) in kept.iter().zip(&due) {
        assert!((kept - due / length).abs() < 1e-5, "{kept} {due}");
    }
    // The way back takes a picture, which there is none of: that move is given up.
    let back = reembed(&["--model", "fake-128"]);
    assert_eq!(code(&back), 3);
    complains(&back, "--give-up");
    let given_up = reembed(&["--give-up"]);
    assert_eq!(code(&given_up), 0, "{}", complaint(&given_up));
    let told: Value = serde_json::from_slice(&given_up.stdout).unwrap();
    assert_eq!(told["vector"], "fake-128");
    assert_eq!(code(&reembed(&["--give-up"])), 1);
    assert_eq!(code(&reembed(&[])), 2);
    assert_eq!(code(&reembed(&["--give-up", "--keep-old"])), 2);
}
