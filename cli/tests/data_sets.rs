//! Whole data sets through the real binary: CelebA as it is distributed and lists of photos, against
//! a stand-in for a server; and, where the models and real photos are, an import of a CelebA-shaped
//! folder and an evaluation from end to end.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{FakeServer, State, doppel, folder_with};
use serde_json::{Value, json};

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
fn mistakes_in_celebas_lists_are_told_with_file_and_line() {
    let server = FakeServer::start(State::default());
    let folder = celeba(&[(b"a".to_vec(), 2880), (b"b".to_vec(), 2937)]);
    let list = folder.path().join("Anno/identity_CelebA.txt");
    fs::write(&list, "000001.jpg 2880\n000001.jpg 2881\n").unwrap();
    let import = [
        "import",
        folder.path().to_str().unwrap(),
        "--collection",
        "stars",
    ];
    let told = report(&server.doppel(&[&import[..], &["--dry-run", "--json"]].concat()));
    let mistake = &told["list_mistakes"]["first"][0];
    assert_eq!(
        (&told["list_mistakes"]["count"], &mistake["line"]),
        (&json!(1), &json!(2))
    );
    assert!(
        mistake["file"]
            .as_str()
            .unwrap()
            .ends_with("identity_CelebA.txt"),
        "{told}"
    );
    assert_eq!(told["unlisted"], 1, "{told}");
    fs::remove_file(folder.path().join("Img/img_align_celeba/000002.jpg")).unwrap();
    let without = report(&server.doppel(&[&import[..], &["--dry-run", "--json"]].concat()));
    let absent = json!({"count": 1, "first": ["000002.jpg"]});
    assert_eq!(
        (&without["absent"], &without["unlisted"]),
        (&absent, &json!(0))
    );
    let text = common::text(&server.doppel(&[&import[..], &["--dry-run"]].concat()));
    assert!(
        text.contains("1  photos that lists name are not there (000002.jpg)"),
        "{text}"
    );
    fs::write(folder.path().join("Img/img_align_celeba/000002.jpg"), "b").unwrap();
    let text = common::text(&server.doppel(&import));
    for words in [
        "1  mistakes in lists",
        "identity_CelebA.txt, line 2: 000001.jpg",
        "1  photos that",
    ] {
        assert!(text.contains(words), "{text}");
    }
    fs::write(&list, "000001.jpg 2880\n000002.jpg x\n").unwrap();
    let why = common::complaint(&server.doppel(&import));
    assert!(why.contains("identity_CelebA.txt, line 2"), "{why}");
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
    let import = ["import", path, "--collection", "stars", "--json"];
    let output = server.doppel(&import);
    // A photo that is named and not there is one that did not come in.
    assert_eq!(common::code(&output), 3);
    let told = report(&output);
    assert_eq!(
        ["photos", "imported", "refused", "skipped"].map(|key| told[key].clone()),
        [2, 1, 1, 0].map(|count| json!(count))
    );
    let missing = &told["refused_photos"][0];
    assert_eq!(
        (&missing["file"], &missing["row"]),
        (&json!("b.jpg"), &json!(3))
    );
    let reason = missing["reason"].as_str().unwrap();
    assert!(
        reason.contains("cannot be read") && told["reasons"][reason] == 1,
        "{told}"
    );
    let dry = server.doppel(&[&import[..4], &["--dry-run"]].concat());
    assert_eq!(common::code(&dry), 3);
    let dry = common::text(&dry);
    assert!(
        dry.contains("0  photos would be imported") && dry.contains("1  refused: cannot be read"),
        "{dry}"
    );
    let state = server.state();
    let image = state.images.values().next().unwrap();
    assert_eq!(
        (&image["id"], &image["person"], &image["payload"]["year"]),
        (&json!(id), &json!("Ada"), &json!(1843))
    );
}

#[test]
fn a_photo_of_a_list_that_the_server_refuses_is_told_with_its_row() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["a.jpg", "faceless.jpg", "b.jpg"]);
    let list = folder.path().join("list.csv");
    fs::write(&list, "path\na.jpg\n\nfaceless.jpg\nb.jpg\n").unwrap();
    let import = ["import", list.to_str().unwrap(), "-c", "stars", "--json"];
    let told = report(&server.doppel(&import));
    let refused = &told["refused_photos"][0];
    assert_eq!(
        ["file", "row", "status"].map(|key| refused[key].clone()),
        [json!("faceless.jpg"), json!(4), json!(422)]
    );
}

#[test]
fn the_report_of_a_source_that_cannot_be_read_says_why() {
    let server = FakeServer::start(State::default());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("list.csv"), "path\na.jpg,b\n").unwrap();
    fs::write(at("list.txt"), "a.jpg\n").unwrap();
    for (source, words) in [("list.csv", "row 2"), ("list.txt", "is no folder")] {
        // Of an import before this one.
        fs::write(at("report.json"), "{}").unwrap();
        let import = ["import", &at(source), "-c", "stars"];
        let failed = server.doppel(&[&import[..], &["--report", &at("report.json")]].concat());
        let why = common::complaint(&failed);
        assert!(common::code(&failed) == 1 && why.contains(words), "{why}");
        let told: Value = serde_json::from_slice(&fs::read(at("report.json")).unwrap()).unwrap();
        assert_eq!(told["complete"], false);
        let error = told["error"].as_str().unwrap();
        assert!(error.contains(words) && why.contains(error), "{told}");
    }
}

#[test]
fn a_photo_that_a_list_names_twice_is_told_and_the_others_come_in() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["a.jpg", "b.jpg", "c.jpg"]);
    let id = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";
    let lists = [
        (
            "list.csv",
            format!("path,id\na.jpg,{id}\nb.jpg,\nc.jpg,{id}\nb.jpg,\n"),
            [4, 5],
        ),
        (
            "list.jsonl",
            format!(
                "{{\"path\": \"a.jpg\", \"id\": \"{id}\"}}\n{{\"path\": \"b.jpg\"}}\n\n\
                 {{\"path\": \"c.jpg\", \"id\": \"{id}\"}}\n{{\"path\": \"b.jpg\"}}\n"
            ),
            [4, 5],
        ),
    ];
    for (name, text, rows) in lists {
        let list = folder.path().join(name);
        fs::write(&list, text).unwrap();
        server.state().images.clear();
        let import = ["import", list.to_str().unwrap(), "--collection", "stars"];
        let dry = common::text(&server.doppel(&[&import[..], &["--dry-run"]].concat()));
        assert!(dry.contains("2  photos would be imported"), "{dry}");
        let told = report(&server.doppel(&[&import[..], &["--json"]].concat()));
        assert_eq!(
            (&told["imported"], &told["skipped"], &told["complete"]),
            (&json!(2), &json!(2), &json!(true)),
            "{told}"
        );
        // Several threads tell of them.
        let again = told["skipped_files"].as_array().unwrap().iter();
        let mut again: Vec<_> = again
            .map(|it| (it["row"].as_u64().unwrap(), it["file"].clone()))
            .collect();
        again.sort_by_key(|(row, _)| *row);
        let expected = [(rows[0], json!("c.jpg")), (rows[1], json!("b.jpg"))];
        assert_eq!(again, expected);
        let text = common::text(&server.doppel(&import));
        assert!(text.contains("2  files skipped: duplicates"), "{text}");
        assert!(
            (text.contains("(row 4, 5)") || text.contains("(row 5, 4)"))
                && text.contains("2  already there"),
            "{text}"
        );
        // The first of both.
        let names: Vec<_> = server
            .state()
            .images
            .values()
            .map(|it| it["name"].clone())
            .collect();
        assert!(
            names.contains(&json!("a.jpg")) && names.contains(&json!("b.jpg")),
            "{names:?}"
        );
    }
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
