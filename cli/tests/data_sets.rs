//! Whole data sets through the real binary: CelebA as it is distributed and lists of photos, against
//! a stand-in for a server; and, where the models and real photos are, an import of a CelebA-shaped
//! folder and an evaluation from end to end.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use common::{FakeServer, State, doppel, folder_with};
use config::{Config, Flag, Sources};
use embedder::FakeEmbedder;
use serde_json::{Value, json};
use server::{Embedding, Factory};

fn report(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{complaint}"))
}

/// A folder as CelebA is distributed, of these photos and whom they show: every second smiles.
fn celeba(photos: &[(Vec<u8>, u32)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut identities, mut attributes, mut parts) = (String::new(), String::new(), String::new());
    let images = folder.path().join("Img/img_align_celeba");
    for place in ["Img/img_align_celeba", "Anno", "Eval"] {
        fs::create_dir_all(folder.path().join(place)).unwrap();
    }
    for (number, (bytes, identity)) in photos.iter().enumerate() {
        let file = format!("{:06}.jpg", number + 1);
        fs::write(images.join(&file), bytes).unwrap();
        identities += &format!("{file} {identity}\n");
        let smiles = if number % 2 == 0 { " 1" } else { "-1" };
        attributes += &format!("{file} -1 {smiles}\n");
        parts += &format!("{file} {}\n", number % 3);
    }
    let write = |file: &str, text: String| fs::write(folder.path().join(file), text).unwrap();
    write("Anno/identity_CelebA.txt", identities);
    let titles = format!("{}\nBald Smiling \n", photos.len());
    write("Anno/list_attr_celeba.txt", titles + &attributes);
    write("Eval/list_eval_partition.txt", parts);
    folder
}

#[test]
fn celeba_comes_in_with_identities_attributes_and_parts() {
    let server = FakeServer::start(State::default());
    let photos = [
        (b"a".to_vec(), 2880),
        (b"b".to_vec(), 2937),
        (b"c".to_vec(), 2880),
    ];
    let folder = celeba(&photos);
    let path = folder.path().to_str().unwrap();
    let names = folder.path().join("names.csv");
    fs::write(&names, "2880,Ada Lovelace\n").unwrap();
    let arguments = ["import", path, "--collection", "stars", "--json"];
    let named = [&arguments[..], &["--names", names.to_str().unwrap()]].concat();
    let told = report(&server.doppel(&named));
    assert_eq!((&told["imported"], &told["people"]), (&json!(3), &json!(2)));
    let state = server.state();
    let second = state
        .images
        .values()
        .find(|image| image["name"] == "000002.jpg")
        .unwrap();
    assert_eq!(second["person"], "CelebA #2937");
    let payload = json!({
        "bald": false, "smiling": false, "identity": 2937, "partition": "valid",
        "file": "000002.jpg",
    });
    assert_eq!(second["payload"], payload);
    let first = state
        .images
        .values()
        .find(|image| image["name"] == "000001.jpg")
        .unwrap();
    assert_eq!(
        (&first["person"], &first["payload"]["smiling"]),
        (&json!("Ada Lovelace"), &json!(true))
    );
    drop(state);
    let again = report(&server.doppel(&named));
    assert_eq!(
        (&again["imported"], &again["already_there"]),
        (&json!(0), &json!(3))
    );
}

#[test]
fn a_list_of_photos_comes_in_with_its_columns_under_its_ids() {
    let server = FakeServer::start(State::default());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jpg"), "a").unwrap();
    let list = folder.path().join("list.csv");
    let id = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";
    let rows = format!("path,person,id,year\na.jpg,Ada,{id},1843\nb.jpg,Bob,8,\n");
    fs::write(&list, rows).unwrap();
    let path = list.to_str().unwrap();
    let told = report(&server.doppel(&["import", path, "--collection", "stars", "--json"]));
    assert_eq!(
        (&told["imported"], &told["skipped"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(told["skipped_files"][0]["file"], "b.jpg");
    let state = server.state();
    let image = state.images.values().next().unwrap();
    assert_eq!(
        (&image["id"], &image["person"], &image["payload"]["year"]),
        (&json!(id), &json!("Ada"), &json!(1843))
    );
}

#[test]
fn what_is_neither_a_folder_nor_a_list_is_refused() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["photos.zip"]);
    let file = folder.path().join("photos.zip");
    let output = server.doppel(&["import", file.to_str().unwrap(), "--collection", "stars"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(".jsonl"));
}

/// The models and some real photos by person, or why there are none.
fn real() -> Result<(PathBuf, Vec<(String, PathBuf)>), String> {
    let models = std::env::var_os("DOPPEL_MODELS_DIR").ok_or("DOPPEL_MODELS_DIR is not set")?;
    let shared = std::env::var_os("DOPPEL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let people = shared.join("data/lfw-dev/images");
    let mut photos = Vec::new();
    let folders =
        fs::read_dir(&people).map_err(|error| format!("{}: {error}", people.display()))?;
    for folder in folders {
        let folder = folder.unwrap();
        let files = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path());
        let person = folder.file_name().into_string().unwrap();
        photos.extend(files.map(|file| (person.clone(), file)));
    }
    photos.sort();
    Ok((models.into(), photos))
}

#[test]
fn a_celeba_shaped_folder_of_real_photos_comes_in_and_a_picture_that_is_there_twice_is_told() {
    let (models, photos) = match real() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let mut files: Vec<(Vec<u8>, u32)> = photos
        .iter()
        .take(12)
        .zip(1..)
        .map(|((_, path), number)| (fs::read(path).unwrap(), number))
        .collect();
    files.push((files[0].0.clone(), 99));
    let folder = celeba(&files);
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "import",
        folder.path().to_str().unwrap(),
        "--collection",
        "stars",
        "--json",
        "--in-flight",
        "1",
        "--data-dir",
        data.path().to_str().unwrap(),
        "--models-dir",
        models.to_str().unwrap(),
    ];
    let told = report(&doppel(&[], &arguments));
    assert_eq!(
        (&told["imported"], &told["refused"]),
        (&json!(13), &json!(0)),
        "{told}"
    );
    assert_eq!(told["duplicates"], 1, "{told}");
    assert_eq!(told["duplicate_photos"][0]["file"], "000013.jpg");
}

#[test]
fn an_evaluation_tells_accuracy_rank_missed_faces_and_times() {
    let (models, photos) = match real() {
        Ok(both) => both,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    let several = photos
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|photos| photos.len() > 1)
        .take(6);
    let people: Vec<_> = several.map(|photos| &photos[..2]).collect();
    for (person, path) in people.iter().copied().flatten() {
        let target = folder.path().join("lfw").join(person);
        fs::create_dir_all(&target).unwrap();
        fs::copy(path, target.join(path.file_name().unwrap())).unwrap();
    }
    let number = |path: &Path| {
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .rsplit_once('_')
            .unwrap()
            .1
            .to_owned()
    };
    let next = people.iter().cycle().skip(1);
    for (own, other) in people.iter().zip(next) {
        let (a, b, c) = (number(&own[0].1), number(&own[1].1), number(&other[0].1));
        pairs.push(format!(
            "{}\t{a}\t{b}\n{}\t{a}\t{}\t{c}\n",
            own[0].0, own[0].0, other[0].0
        ));
    }
    fs::write(
        folder.path().join("pairs.txt"),
        format!("2\t3\n{}", pairs.concat()),
    )
    .unwrap();
    let plot = folder.path().join("roc.svg");
    let arguments = [
        "eval",
        "lfw",
        folder.path().to_str().unwrap(),
        "--models-dir",
        models.to_str().unwrap(),
        "--plot",
        plot.to_str().unwrap(),
        "--json",
    ];
    let told = report(&doppel(&[], &arguments));
    assert_eq!(
        (&told["photos"], &told["people"], &told["missed"]),
        (&json!(12), &json!(6), &json!([]))
    );
    assert_eq!(
        (
            &told["verification"]["pairs"],
            &told["verification"]["folds"]
        ),
        (&json!(12), &json!(2))
    );
    assert!(told["rank_1"].as_f64().unwrap() > 0.8, "{told}");
    assert!(told["milliseconds"]["embed"][0].as_f64().unwrap() > 0.0);
    assert!(fs::read_to_string(plot).unwrap().ends_with("</svg>\n"));
}

/// A server of this process, with the stand-in for the models.
fn real_server(dir: &Path) -> server::Running {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let flags = vec![
        Flag::new("test", "data_dir", at("data")),
        Flag::new("test", "models_dir", at("models")),
        Flag::new("test", "models.install_on_start", "false"),
        Flag::new("test", "listen", "127.0.0.1:0"),
    ];
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let factory: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new())));
    let config = Config::load(&sources).unwrap();
    let running = server::start_with(config, Embedding::Made(vec![factory])).unwrap();
    running.wait_ready().unwrap();
    running
}

#[test]
fn vectors_that_come_in_go_out_again_with_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let url = format!("http://{}", server.addr());
    let run = |arguments: &[&str]| {
        let output = doppel(&[("DOPPEL_URL", &url)], arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    };
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // Vectors of length 1, so that what is kept is what came.
    let lines = "{\"id\": 7, \"vector\": [1.0, 0.0], \"payload\": {\"a\": 1}}\n\
                 {\"id\": 9, \"vector\": [0.0, 1.0]}\n";
    fs::write(at("in.jsonl"), lines).unwrap();
    let told = report(&run(&[
        "import",
        &at("in.jsonl"),
        "--collection",
        "one",
        "--json",
    ]));
    assert_eq!((&told["rows"], &told["imported"]), (&json!(2), &json!(2)));
    let again = report(&run(&[
        "import",
        &at("in.jsonl"),
        "--collection",
        "one",
        "--json",
    ]));
    assert_eq!(
        (&again["imported"], &again["already_there"]),
        (&json!(0), &json!(2))
    );

    run(&["export", &at("out.jsonl"), "--collection", "one"]);
    let out = fs::read_to_string(at("out.jsonl")).unwrap();
    let out: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        out[0],
        json!({"id": 7, "vector": [1.0, 0.0], "payload": {"a": 1}})
    );
    assert_eq!((out.len(), &out[1]["id"]), (2, &json!(9)));

    run(&[
        "export",
        &at("out.npy"),
        "--collection",
        "one",
        "--crops",
        &at("crops"),
    ]);
    assert_eq!(fs::read_to_string(at("out.ids.txt")).unwrap(), "7\n9\n");
    run(&[
        "import",
        &at("out.npy"),
        "--ids",
        &at("out.ids.txt"),
        "--collection",
        "two",
    ]);
    run(&["export", &at("two.npy"), "--collection", "two"]);
    assert_eq!(
        fs::read(at("out.npy")).unwrap(),
        fs::read(at("two.npy")).unwrap()
    );
    run(&["export", &at("out.parquet"), "--collection", "one"]);
    let dry = report(&run(&[
        "import",
        &at("out.parquet"),
        "--collection",
        "three",
        "--json",
        "--dry-run",
    ]));
    assert_eq!((&dry["rows"], &dry["imported"]), (&json!(2), &json!(0)));
    run(&["import", &at("out.parquet"), "--collection", "three"]);
    run(&["export", &at("three.jsonl"), "--collection", "three"]);
    assert_eq!(
        fs::read_to_string(at("three.jsonl")).unwrap(),
        fs::read_to_string(at("out.jsonl")).unwrap()
    );
    let taken = doppel(
        &[("DOPPEL_URL", &url)],
        &["export", &at("two.npy"), "--collection", "two"],
    );
    assert_eq!(taken.status.code(), Some(1));
    server.stop().unwrap();
}

/// What a command that succeeds prints.
fn told(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn faces_are_grouped_named_and_listed_in_a_folder_of_ready_made_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let vectors = folder.path().join("faces.jsonl");
    let lines = [
        r#"{"id": 1, "vector": [1.0, 0.0], "payload": {"person": "Ada"}}"#,
        r#"{"id": 2, "vector": [0.99, 0.1], "payload": {}}"#,
        r#"{"id": 3, "vector": [0.0, 1.0], "payload": {"person": "Bob"}}"#,
        r#"{"id": 4, "vector": [-1.0, 0.0], "payload": {}}"#,
    ];
    fs::write(&vectors, lines.join("\n")).unwrap();
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--collection", "stars", "--data-dir", data]].concat();
        doppel(&[("DOPPEL_MODELS__INSTALL_ON_START", "false")], &arguments)
    };
    told(&run(&["import", vectors.to_str().unwrap()]));
    let grouped = told(&run(&["cluster", "--threshold", "0.9", "--write"]));
    let result: Value = serde_json::from_str(&grouped).unwrap();
    assert_eq!(
        (&result["groups"], &result["written"]),
        (&1.into(), &1.into())
    );
    assert_eq!(result["largest"][0]["person"], "Ada");
    let unlisted = run(&["people", "list"]);
    let why = String::from_utf8_lossy(&unlisted.stderr).into_owned();
    assert!(
        !unlisted.status.success() && why.contains("keyword"),
        "{why}"
    );
    let renamed = told(&run(&["people", "rename", "Ada", "Ada Lovelace"]));
    assert_eq!(renamed, "2 faces are of `Ada Lovelace` now\n");
    let taken = run(&["people", "rename", "Bob", "Ada Lovelace"]);
    assert!(!taken.status.success());
    told(&run(&[
        "people",
        "rename",
        "Bob",
        "Ada Lovelace",
        "--merge",
    ]));
    let set = ["people", "set", "Ada Lovelace", "--ignored", "true"];
    let said = told(&run(&[&set[..], &["--attribute", "born=1815"]].concat()));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["ignored"], &said["attributes"]["born"]),
        (&true.into(), &1815.into())
    );
    assert!(told(&run(&["people", "list"])).contains("Ada Lovelace"));
}
