//! Files of vectors through the real binary, against a server of this process: all of a file is looked at before
//! any of it is sent, what is wrong is told with its row, and what fails later says what is in.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{code, complaint};
use crate::served::{real_server, report, run, told};

/// The bytes of a table of two columns.
fn npy(rows: &[[f32; 2]]) -> Vec<u8> {
    let shape = format!("({}, 2)", rows.len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\0\x76\0".to_vec();
    bytes.extend(format!("{header:<117}\n").as_bytes());
    bytes.extend(
        rows.as_flattened()
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    bytes
}

#[test]
fn a_row_that_has_the_id_of_a_row_before_it_is_left_out_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let file = dir.path().join("in.jsonl");
    let lines = "{\"id\": 7, \"vector\": [1, 0]}\n\n{\"id\": 8, \"vector\": [0, 1]}\n\
                 {\"id\": 7, \"vector\": [0, 1]}\n{\"id\": 9, \"vector\": null}\n";
    fs::write(&file, lines).unwrap();
    let import = ["import", file.to_str().unwrap(), "-c", "one"];
    let told_of = |output: &Output| {
        let report = report(output);
        ["rows", "imported", "already_there", "duplicates"].map(|key| report[key].clone())
    };
    let first = run(&server, &[&import[..], &["--json"]].concat());
    assert_eq!(told_of(&first), [4, 3, 0, 1].map(|n| json!(n)));
    assert_eq!(report(&first)["duplicate_rows"], json!([4]));
    let again = told(&run(&server, &import));
    assert!(
        again.contains("1  left out: a row before has the same id (row 4)"),
        "{again}"
    );
    let out = dir.path().join("out.jsonl");
    told(&run(
        &server,
        &["export", out.to_str().unwrap(), "-c", "one"],
    ));
    let first = fs::read_to_string(out).unwrap();
    assert!(
        first.starts_with("{\"id\":7,\"vector\":[1.0,0.0]"),
        "the first of both stays: {first}"
    );
    server.stop().unwrap();
}

#[test]
fn of_imports_of_one_file_of_vectors_at_once_each_point_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let file = dir.path().join("in.npy");
    let rows: Vec<[f32; 2]> = (0..3_000_u16).map(|n| [1.0, f32::from(n)]).collect();
    fs::write(&file, npy(&rows)).unwrap();
    let import = ["import", file.to_str().unwrap(), "-c", "one", "--json"];
    let reports: Vec<Value> = std::thread::scope(|scope| {
        let imports: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| report(&run(&server, &import))))
            .collect();
        imports.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let of =
        |key: &str| -> Vec<u64> { reports.iter().map(|it| it[key].as_u64().unwrap()).collect() };
    let (imported, there) = (of("imported"), of("already_there"));
    assert_eq!(imported.iter().sum::<u64>(), 3_000, "{imported:?}");
    for (imported, there) in imported.into_iter().zip(there) {
        assert_eq!(imported + there, 3_000);
    }
    server.stop().unwrap();
}

#[test]
fn what_is_wrong_with_a_file_of_vectors_is_told_with_row_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let refused = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let output = run(&server, &["import", path.to_str().unwrap(), "-c", "two"]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let why = refused("x.npy", &npy(&[[1.0, 2.0], [3.0, f32::NAN]]));
    assert!(why.contains("x.npy, row 2: column 2 is NaN"), "{why}");
    let nothing = refused("x.jsonl", b"{\"id\": 1, \"vector\": null}\n");
    assert!(nothing.contains("how many numbers"), "{nothing}");
    let forged = b"{\"id\": 1, \"vector\": [1], \"payload\": {\"about_person\": 3}}\n";
    let forged = refused("y.jsonl", forged);
    assert!(forged.contains("about_person"), "{forged}");
    assert!(forged.contains("y.jsonl, row 1"), "{forged}");
    let uneven = b"{\"id\": 5, \"vector\": [1, 2]}\n\n{\"id\": 6, \"vector\": [1]}\n";
    let uneven = refused("z.jsonl", uneven);
    assert!(uneven.contains("row 3: a vector of 1 numbers"), "{uneven}");
    let no_id = refused("v.jsonl", b"{\"id\": -3, \"vector\": [1]}\n");
    assert!(no_id.contains("row 1: it is no point: -3"), "{no_id}");
    // None of them has left a collection that nobody has asked for.
    let there = run(&server, &["export", "none.jsonl", "-c", "two"]).stderr;
    let there = String::from_utf8_lossy(&there);
    assert!(there.contains("`two` does not exist"), "{there}");
    server.stop().unwrap();
}

#[test]
fn all_of_a_file_is_looked_at_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (table, ids, report_file) = (at("x.npy"), at("ids.txt"), at("report.json"));
    let refused = |arguments: &[&str]| {
        let import = ["import", "-c", "two", "--report", &report_file];
        let output = run(&server, &[&import[..], arguments].concat());
        let why = complaint(&output);
        assert_eq!(code(&output), 1, "{why}");
        assert!(why.contains("nothing was sent"), "{why}");
        let told: Value = serde_json::from_slice(&fs::read(&report_file).unwrap()).unwrap();
        assert_eq!(
            (&told["complete"], &told["imported"]),
            (&json!(false), &json!(0))
        );
        assert!(
            why.contains(told["error"].as_str().unwrap()),
            "{told}: {why}"
        );
        why
    };
    let mut rows = vec![[1.0, 2.0]; 1_200];
    rows[1_100] = [1.0, f32::NAN];
    fs::write(&table, npy(&rows)).unwrap();
    let late = refused(&[&table]);
    assert!(late.contains("x.npy, row 1101: column 2 is NaN"), "{late}");

    fs::write(&table, npy(&[[1.0, 2.0], [3.0, 4.0]])).unwrap();
    fs::write(&ids, "7\n").unwrap();
    let few = refused(&[&table, "--ids", &ids]);
    assert!(
        few.contains("row 2: there are 1 ids, and more rows"),
        "{few}"
    );
    fs::write(&ids, "7\n8\n9\n").unwrap();
    let many = refused(&[&table, "--ids", &ids]);
    assert!(
        many.contains("row 3: there are 2 rows, and more ids"),
        "{many}"
    );
    fs::write(&ids, "7\nada\n").unwrap();
    let none = refused(&[&table, "--ids", &ids]);
    assert!(none.contains("ids.txt, line 2: \"ada\" is no id"), "{none}");
    fs::write(&table, [npy(&[[1.0, 2.0]]), vec![0; 8]].concat()).unwrap();
    let behind = refused(&[&table]);
    assert!(behind.contains("row 2: there is more behind"), "{behind}");

    let lines = at("x.jsonl");
    let about =
        r#"{"id": 8, "vector": [1], "payload": {"person": "Ada", "about_person": {"id": "x"}}}"#;
    fs::write(&lines, format!("{{\"id\": 7, \"vector\": [1]}}\n{about}\n")).unwrap();
    let about = refused(&[&lines]);
    assert!(about.contains("row 2: `about_person.id` is `x`"), "{about}");
    for vector in ["[1, null]", "{\"a\": [2, 3], \"b\": [1, \"x\"]}"] {
        fs::write(&lines, format!("{{\"id\": 7, \"vector\": {vector}}}\n")).unwrap();
        let no_number = refused(&[&lines]);
        assert!(
            no_number.contains("row 1: number 2 of its vector is `"),
            "{no_number}"
        );
    }
    fs::write(
        &lines,
        "{\"id\": 7, \"vector\": [1], \"model\": \"other\"}\n",
    )
    .unwrap();
    let other = refused(&[&lines, "--model", "fake-128"]);
    assert!(
        other.contains("row 1: its vector is of `other`, and --model says `fake-128`"),
        "{other}"
    );
    server.stop().unwrap();
}

#[test]
fn the_model_that_a_parquet_file_names_is_not_overruled() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (lines, rows) = (at("x.jsonl"), at("x.parquet"));
    let mut vector = [0.0; 128];
    vector[0] = 1.0;
    let line = json!({"id": 7, "vector": vector.as_slice(), "model": "fake-128"});
    fs::write(&lines, line.to_string()).unwrap();
    told(&run(&server, &["import", &lines, "-c", "one"]));
    told(&run(&server, &["export", &rows, "-c", "one"]));
    let refused = run(&server, &["import", &rows, "-c", "two", "--model", "other"]);
    let why = complaint(&refused);
    assert!(
        why.contains("x.parquet says that `fake-128` has made"),
        "{why}"
    );
    assert!(why.contains("--model that it was `other`"), "{why}");
    told(&run(
        &server,
        &["import", &rows, "-c", "two", "--model", "fake-128"],
    ));
    server.stop().unwrap();
}

#[test]
fn what_is_in_is_told_where_a_later_row_fails_and_the_same_command_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (lines, report_file) = (at("x.jsonl"), at("report.json"));
    let import = ["import", &lines, "-c", "one", "--report", &report_file];
    let written = |bad: usize| {
        let line = |id: usize| match id == bad {
            // What only the server knows to be wrong.
            true => format!("{{\"id\": {id}, \"vector\": [0, 0]}}\n"),
            false => format!("{{\"id\": {id}, \"vector\": [1, {id}]}}\n"),
        };
        fs::write(&lines, (1..=700).map(line).collect::<String>()).unwrap();
    };
    let reported =
        || -> Value { serde_json::from_slice(&fs::read(&report_file).unwrap()).unwrap() };
    let counts = || {
        ["rows", "imported", "imported_before", "already_there"]
            .map(|key| reported()[key].as_u64().unwrap())
    };
    // A collection that was made for it goes again.
    written(3);
    let first = run(&server, &import);
    let why = complaint(&first);
    assert_eq!(code(&first), 1);
    assert!(
        why.contains("x.jsonl, row 3") && !why.contains("stopped after"),
        "{why}"
    );
    let gone = complaint(&run(&server, &["export", &at("none.jsonl"), "-c", "one"]));
    assert!(gone.contains("`one` does not exist"), "{gone}");
    written(620);
    let stopped = run(&server, &import);
    let why = complaint(&stopped);
    assert_eq!(code(&stopped), 1);
    assert!(why.contains("stopped after 500 vectors went in"), "{why}");
    assert!(why.contains("x.jsonl, row 620"), "{why}");
    assert_eq!(counts(), [700, 500, 0, 0]);
    assert_eq!(reported()["complete"], false);
    written(0);
    told(&run(&server, &import));
    assert_eq!(counts(), [700, 700, 500, 0]);
    assert_eq!(reported()["complete"], true);
    // One that was there stays, also where nothing came in.
    written(3);
    let made = at("made.jsonl");
    fs::write(&made, "{\"id\": 9999, \"vector\": [1, 1]}\n").unwrap();
    told(&run(&server, &["import", &made, "-c", "old"]));
    assert_eq!(code(&run(&server, &["import", &lines, "-c", "old"])), 1);
    let kept = told(&run(&server, &["export", &at("old.jsonl"), "-c", "old"]));
    assert!(kept.contains("1 points"), "{kept}");
    server.stop().unwrap();
}

#[test]
fn a_mark_of_the_encoding_and_rows_without_a_vector_do_not_keep_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let lines = "\u{feff}{\"id\": 7, \"vector\": null}\n{\"id\": 8, \"vector\": [1, 2]}\n\
                 {\"id\": 9, \"vector\": null}\n";
    fs::write(at("x.jsonl"), lines).unwrap();
    told(&run(&server, &["import", &at("x.jsonl"), "-c", "one"]));
    told(&run(&server, &["export", &at("x.parquet"), "-c", "one"]));
    for (file, into) in [("x.jsonl", "two"), ("x.parquet", "three")] {
        let import = ["import", &at(file), "-c", into];
        let come = report(&run(&server, &[&import[..], &["--json"]].concat()));
        assert_eq!(come["imported"], 3);
        assert_eq!(come["without_vector"], json!({"count": 2, "first": [1, 3]}));
        let text = told(&run(&server, &import));
        assert!(text.contains("2  have no vector (row 1, 3)"), "{text}");
    }
    server.stop().unwrap();
}

#[test]
fn of_an_export_that_fails_no_file_stays_and_none_that_was_there_goes() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let lines = "{\"id\": 7, \"vector\": [1, 2]}\n{\"id\": 8, \"vector\": null}\n";
    fs::write(at("x.jsonl"), lines).unwrap();
    told(&run(&server, &["import", &at("x.jsonl"), "-c", "one"]));
    let export = ["export", &at("out.npy"), "-c", "one"];
    for _ in 0..2 {
        let refused = run(&server, &export);
        let why = complaint(&refused);
        assert!(why.contains("point 8: it has no such vector"), "{why}");
        let left = fs::read_dir(dir.path()).unwrap();
        let mut left = left.map(|it| it.unwrap().file_name().into_string().unwrap());
        assert!(left.all(|it| !it.starts_with("out")), "something stays");
    }
    // What one that was killed has left is in nobody's way.
    fs::write(at("all.jsonl.part"), "half, and longer than what comes").unwrap();
    told(&run(&server, &["export", &at("all.jsonl"), "-c", "one"]));
    assert!(!Path::new(&at("all.jsonl.part")).exists());
    let all = fs::read_to_string(at("all.jsonl")).unwrap();
    assert_eq!(all.lines().count(), 2, "{all}");
    fs::write(at("out.npy"), "mine").unwrap();
    let why = complaint(&run(&server, &export));
    assert!(
        why.contains("cannot make") && why.contains("out.npy"),
        "{why}"
    );
    assert_eq!(fs::read_to_string(at("out.npy")).unwrap(), "mine");
    assert!(!Path::new(&at("out.ids.txt")).exists());
    assert!(!Path::new(&at("out.ids.txt.part")).exists());
    server.stop().unwrap();
}

#[test]
fn a_dry_run_refuses_what_a_collection_that_is_there_would_not_take() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let imported = |line: Value, into: &str, more: &[&str]| {
        fs::write(at("in.jsonl"), line.to_string()).unwrap();
        run(
            &server,
            &[&["import", &at("in.jsonl"), "-c", into], more].concat(),
        )
    };
    told(&imported(json!({"id": 7, "vector": [3, 4]}), "one", &[]));
    let two = json!({"id": 8, "vector": [3, 4]});
    told(&imported(two.clone(), "one", &["--dry-run"]));
    told(&imported(two.clone(), "none", &["--dry-run"]));
    for (line, words) in [
        (
            json!({"id": 8, "vector": [1]}),
            "have 1 numbers, those of `one` have 2",
        ),
        (
            json!({"id": 8, "vector": [3, 4], "model": "fake-128"}),
            "`fake-128`",
        ),
    ] {
        let refused = imported(line, "one", &["--dry-run"]);
        let why = complaint(&refused);
        assert!(code(&refused) == 1 && why.contains(words), "{why}");
    }
    server.stop().unwrap();
}

#[test]
fn why_an_import_fails_is_told_also_where_its_report_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("in.jsonl"), r#"{"id": 7, "vector": [1, "x"]}"#).unwrap();
    let report = at("no/such/report.json");
    let import = ["import", &at("in.jsonl"), "-c", "one", "--report", &report];
    let why = complaint(&run(&server, &import));
    for words in ["number 2 of its vector is", "cannot write"] {
        assert!(why.contains(words), "{why}");
    }
    server.stop().unwrap();
}

/// Vectors of length 1, as near as 32 bits come to it, of which normalising would change some number. Of many
/// numbers there are none: what rounding does to them makes up for itself.
fn restless(count: usize) -> Vec<Vec<f32>> {
    let mut seed = 7_u32;
    let mut number = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed) / 4e9 - 0.5
    };
    let once = std::iter::repeat_with(|| normalised(&[number(), number(), number()]));
    let changes = |once: &Vec<f32>| {
        let wide: Vec<f64> = once.iter().map(|x| f64::from(*x)).collect();
        normalised(&wide) != *once
    };
    once.take(100_000).filter(changes).take(count).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are kept as f32")]
fn normalised(vector: &[f64]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    vector.iter().map(|x| (x / length) as f32).collect()
}

#[test]
fn vectors_come_back_bit_for_bit_however_often() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let go = |arguments: &[&str]| told(&run(&server, arguments));
    let vectors = restless(40);
    assert_eq!(vectors.len(), 40);
    let line =
        |(id, vector): (usize, &Vec<f32>)| format!("{}\n", json!({"id": id, "vector": vector}));
    let lines: String = vectors.iter().enumerate().map(line).collect();
    fs::write(at("in.jsonl"), lines).unwrap();
    go(&["import", &at("in.jsonl"), "-c", "a"]);
    go(&["export", &at("a.jsonl"), "-c", "a"]);
    go(&["export", &at("a.parquet"), "-c", "a"]);
    let a = fs::read_to_string(at("a.jsonl")).unwrap();
    for (line, vector) in a.lines().zip(&vectors) {
        let line: Value = serde_json::from_str(line).unwrap();
        let come: Vec<f32> = serde_json::from_value(line["vector"].clone()).unwrap();
        assert!(come == *vector, "{} has changed", line["id"]);
    }
    for (from, to) in [("a.jsonl", "b"), ("a.parquet", "c")] {
        go(&["import", &at(from), "-c", to]);
        go(&["export", &at(&format!("{to}.jsonl")), "-c", to]);
        let again = fs::read_to_string(at(&format!("{to}.jsonl"))).unwrap();
        assert!(again == a, "{from}: vectors have changed");
    }
    server.stop().unwrap();
}

#[test]
fn points_whose_only_vector_has_a_name_come_in_again_under_it_with_their_model() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let go = |arguments: &[&str]| told(&run(&server, arguments));
    let vector = vec![0.5; 128];
    let of_model = json!({"id": 7, "vector": {"new": vector}, "model": "fake-128"});
    let of_none = json!({"id": 7, "vector": {"text": [3, 4]}});
    for (line, of) in [(of_model, "model"), (of_none, "none")] {
        fs::write(at("in.jsonl"), line.to_string()).unwrap();
        go(&["import", &at("in.jsonl"), "-c", of]);
        let first = at(&format!("{of}.jsonl"));
        go(&["export", &first, "-c", of]);
        go(&["export", &at(&format!("{of}.parquet")), "-c", of]);
        let first = fs::read_to_string(first).unwrap();
        for end in ["jsonl", "parquet"] {
            let (again, file) = (format!("{of}_{end}"), at(&format!("{of}_{end}.jsonl")));
            go(&["import", &at(&format!("{of}.{end}")), "-c", &again]);
            go(&["export", &file, "-c", &again]);
            assert_eq!(fs::read_to_string(file).unwrap(), first, "{of}, {end}");
        }
    }
    let both = r#"{"id": 7, "vector": {"a": [1], "b": [1]}}"#;
    fs::write(at("both.jsonl"), both).unwrap();
    let why = complaint(&run(&server, &["import", &at("both.jsonl"), "-c", "both"]));
    assert!(why.contains("make the collection first"), "{why}");
    server.stop().unwrap();
}

#[test]
fn lines_name_the_model_of_their_vectors_so_that_a_collection_of_another_refuses_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = real_server(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let line = json!({"id": 7, "vector": vec![0.5; 128], "model": "fake-128"}).to_string();
    fs::write(at("in.jsonl"), &line).unwrap();
    told(&run(&server, &["import", &at("in.jsonl"), "-c", "a"]));
    told(&run(&server, &["export", &at("a.jsonl"), "-c", "a"]));
    let a = fs::read_to_string(at("a.jsonl")).unwrap();
    assert!(a.ends_with(",\"model\":\"fake-128\"}\n"), "{a}");
    fs::write(at("other.jsonl"), a.replace("fake-128", "other")).unwrap();
    let refused = run(&server, &["import", &at("other.jsonl"), "-c", "a"]);
    let why = complaint(&refused);
    assert!(why.contains("of `fake-128`, not of `other`"), "{why}");
    server.stop().unwrap();
}
