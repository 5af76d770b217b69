//! Points through the real binary, against a server of this process: what goes out comes in again with all
//! that is known of it, people too.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod served;
mod vectors;

use std::fs;
use std::path::Path;

use common::doppel;
use serde_json::{Value, json};
use served::{real_server, report, run, told};

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

#[test]
fn a_column_of_parquet_can_be_left_out_and_of_other_files_none() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let line = "{\"id\": 7, \"vector\": [1.0, 0.0], \"payload\": {\"a\": 1}}\n";
    fs::write(at("x.jsonl"), line).unwrap();
    told(&run(&server, &["import", &at("x.jsonl"), "-c", "one"]));
    told(&run(&server, &["export", &at("x.parquet"), "-c", "one"]));
    let import = |file: &str, without: &str| {
        let file = at(file);
        run(
            &server,
            &["import", &file, "-c", "two", "--without", without],
        )
    };
    for (file, without, words) in [
        ("x.jsonl", "payload", "--without is for columns of .parquet"),
        ("x.parquet", "payloads", "no column `payloads`"),
    ] {
        let refused = import(file, without);
        let why = common::complaint(&refused);
        assert_eq!(refused.status.code(), Some(1));
        assert!(why.contains(words), "{why}");
    }
    told(&import("x.parquet", "payload"));
    told(&run(&server, &["export", &at("two.jsonl"), "-c", "two"]));
    let out: Value = serde_json::from_slice(&fs::read(at("two.jsonl")).unwrap()).unwrap();
    assert_eq!(out["vector"], json!([1.0, 0.0]));
    assert!(
        out["payload"].as_object().is_none_or(|it| it.is_empty()),
        "{out}"
    );
    server.stop().unwrap();
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

#[test]
fn people_are_known_again_with_ids_and_attributes_where_an_export_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let go = |arguments: &[&str]| told(&run(&server, arguments));
    let point = |id: u32, person: &str| {
        let line = json!({"id": id, "vector": [id, 1], "payload": {"person": person}});
        format!("{line}\n")
    };
    let lines = [
        point(1, "Ada"),
        point(2, "Bob"),
        point(3, "Ada"),
        point(4, "Cleo"),
    ];
    fs::write(at("in.jsonl"), lines.concat()).unwrap();
    go(&["import", &at("in.jsonl"), "-c", "one"]);
    let ada = ["people", "set", "Ada", "--ignored", "true", "-c", "one"];
    // The index of names comes about with the first that is said of anybody.
    let said = go(&[&ada[..], &["--attribute", "born=1815"]].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    go(&["people", "set", "Bob", "--attribute", "x=1", "-c", "one"]);
    for end in ["jsonl", "parquet"] {
        let (file, into) = (at(&format!("out.{end}")), format!("in_{end}"));
        go(&["export", &file, "-c", "one"]);
        let come = report(&run(&server, &["import", &file, "-c", &into, "--json"]));
        assert_eq!((&come["imported"], &come["people"]), (&json!(4), &json!(2)));
        let points = at(&format!("again.{end}.jsonl"));
        go(&["export", &points, "-c", &into]);
        let points = fs::read_to_string(points).unwrap();
        let points = points
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let abouts: Vec<Value> = points
            .map(|it| it["payload"]["about_person"].clone())
            .collect();
        let expected = json!({
            "id": said["id"], "ignored": true, "best": null, "attributes": {"born": 1815},
        });
        assert_eq!((&abouts[0], &abouts[2]), (&expected, &expected), "{end}");
        assert_eq!(
            (&abouts[1]["attributes"]["x"], &abouts[3]),
            (&json!(1), &Value::Null)
        );
        // What the collection knows of them by now stays, whatever comes in again.
        go(&["people", "set", "Ada", "--ignored", "false", "-c", &into]);
        let again = report(&run(&server, &["import", &file, "-c", &into, "--json"]));
        assert_eq!(
            (&again["already_there"], &again["people"]),
            (&json!(4), &json!(0))
        );
        let kept = go(&["people", "set", "Ada", "--attribute", "y=1", "-c", &into]);
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(
            (&kept["ignored"], &kept["id"]),
            (&json!(false), &said["id"])
        );
        // Somebody who has another name by now is left as they are, and what comes after comes in.
        go(&["people", "rename", "Ada", "Ada Lovelace", "-c", &into]);
        let more = at(&format!("more.{end}.jsonl"));
        let payload = json!({"person": "Ada", "about_person": expected});
        let late = json!({"id": 5, "vector": [5, 1], "payload": payload});
        fs::write(&more, format!("{late}\n{}", point(6, "Dora"))).unwrap();
        for (file, imported) in [(&file, 0), (&more, 2)] {
            let again = report(&run(&server, &["import", file, "-c", &into, "--json"]));
            assert_eq!(again["imported"], imported, "{again}");
        }
    }
    server.stop().unwrap();
}

/// A picture in which the stand-in finds a face.
fn picture(path: &Path, bright_columns: u32) {
    let shade = |x| if x < bright_columns { 230 } else { 30 };
    let picture = image::RgbImage::from_fn(32, 32, |x, _| image::Rgb([shade(x); 3]));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(path).unwrap();
}

#[test]
fn the_face_that_was_chosen_for_a_person_is_chosen_again_where_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let go = |arguments: &[&str]| told(&run(&server, arguments));
    for (file, columns) in [("Ada/1.png", 5), ("Ada/2.png", 12), ("Bob/1.png", 25)] {
        picture(&dir.path().join("photos").join(file), columns);
    }
    let (photos, out) = (at("photos"), at("out.jsonl"));
    let photographed = |collection: &str| {
        go(&["import", &photos, "-c", collection, "--model", "fake-128"]);
    };
    let lines = |collection: &str| -> Vec<Value> {
        go(&["export", &at("all.jsonl"), "-c", collection]);
        let all = fs::read_to_string(at("all.jsonl")).unwrap();
        fs::remove_file(at("all.jsonl")).unwrap();
        all.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let chosen_in = |collection: &str| {
        let all = lines(collection);
        let ada = all.iter().find(|it| it["payload"]["person"] == "Ada");
        ada.unwrap()["payload"]["about_person"]["best"].clone()
    };
    photographed("one");
    let faces = lines("one");
    let ids: Vec<&str> = faces
        .iter()
        .filter(|it| it["payload"]["person"] == "Ada")
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    let choose = |id: &str, collection: &str| {
        go(&["people", "set", "Ada", "--best", id, "-c", collection]);
    };
    choose(ids[1], "one");
    go(&["export", &out, "-c", "one"]);
    // The same faces, of whom nothing is known.
    photographed("same");
    go(&["import", &out, "-c", "same"]);
    assert_eq!(chosen_in("same"), ids[1]);
    // What was chosen there meanwhile stays.
    choose(ids[0], "same");
    go(&["import", &out, "-c", "same"]);
    assert_eq!(chosen_in("same"), ids[0]);
    // An import that was broken off after all but the chosen face was said.
    photographed("half");
    let whole = fs::read_to_string(&out).unwrap();
    let other = whole
        .lines()
        .find(|line| line.contains(&format!("\"id\":\"{}\"", ids[0])));
    fs::write(at("broken_off.jsonl"), other.unwrap()).unwrap();
    go(&["import", &at("broken_off.jsonl"), "-c", "half"]);
    assert_eq!(chosen_in("half"), Value::Null);
    go(&["import", &out, "-c", "half"]);
    assert_eq!(chosen_in("half"), ids[1]);
    // Vectors alone show nobody.
    go(&["import", &out, "-c", "vectors"]);
    assert_eq!(chosen_in("vectors"), Value::Null);
    let refused = run(
        &server,
        &["people", "set", "Ada", "--best", ids[0], "-c", "vectors"],
    );
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("has no face"), "{why}");
    server.stop().unwrap();
}
