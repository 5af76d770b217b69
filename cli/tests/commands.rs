//! The client commands as a user meets them: the real binary, its output and its exit codes,
//! against a stand-in that can be busy, picky, locked or gone.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{FakeServer, State, code, complaint, doppel, folder_with, text};
use serde_json::Value;

const PHOTOS: [&str; 5] = [
    "Ada_Lovelace/1.jpg",
    "Ada_Lovelace/2.jpg",
    "Bob/1.png",
    "Bob/2.webp",
    "Eve.jpg",
];

fn import(server: &FakeServer, folder: &tempfile::TempDir, more: &[&str]) -> (Output, Value) {
    let folder = folder.path().to_str().unwrap();
    let arguments = ["import", folder, "--collection", "stars", "--json"];
    let output = server.doppel(&[&arguments[..], more].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, report)
}

#[test]
fn an_import_makes_the_collection_and_sends_every_photo_with_its_person() {
    let server = FakeServer::start(State::default());
    let (output, report) = import(&server, &folder_with(&PHOTOS), &[]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    assert_eq!(
        (&report["imported"], &report["people"]),
        (&5.into(), &3.into())
    );
    let state = server.state();
    assert_eq!(
        state.collection.as_ref().unwrap()["embedder"],
        "facenet-128"
    );
    let mut images = state.images.values();
    let ada = images
        .find(|image| image["name"] == "Ada_Lovelace/1.jpg")
        .unwrap();
    assert_eq!(ada["person"], "Ada Lovelace");
    assert_eq!(ada["payload"]["file"], "Ada_Lovelace/1.jpg");
    let bytes = BASE64_STANDARD
        .decode(ada["image"].as_str().unwrap())
        .unwrap();
    assert_eq!(bytes, b"Ada_Lovelace/1.jpg");
}

#[test]
fn a_second_import_sends_nothing() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&PHOTOS);
    import(&server, &folder, &[]);
    let posts = server.state().posts;
    let (output, report) = import(&server, &folder, &[]);
    assert_eq!(code(&output), 0);
    assert_eq!(
        (&report["imported"], &report["already_there"]),
        (&0.into(), &5.into())
    );
    assert_eq!(server.state().posts, posts);
}

#[test]
fn refused_photos_are_reported_by_name_and_the_exit_code_says_partial() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["Ada/1.jpg", "Ada/faceless.jpg", "Ada/notes.txt"]);
    let file = folder.path().join("report.json");
    let (output, report) = import(&server, &folder, &["--report", file.to_str().unwrap()]);
    assert_eq!(code(&output), 3);
    assert_eq!(report["refused_photos"][0]["file"], "Ada/faceless.jpg");
    assert_eq!(report["reasons"]["no face found"], 1);
    assert_eq!(report["skipped_files"][0]["file"], "Ada/notes.txt");
    let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written, report);
}

#[test]
fn photos_of_kinds_that_are_not_read_are_refused_by_name_and_in_dry_runs_too() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["Ada/1.avif", "Ada/2.AVIF", "Bob.jxl", "notes.txt"]);
    let file = folder.path().join(".report.json");
    let told = ["--report", file.to_str().unwrap()];
    for more in [&told[..], &["--dry-run", told[0], told[1]]] {
        let (output, report) = import(&server, &folder, more);
        assert_eq!(code(&output), 3, "{}", complaint(&output));
        assert_eq!(report["reasons"]["AVIF is not read"], 2, "{report}");
        assert_eq!(report["reasons"]["JPEG XL is not read"], 1, "{report}");
        let counts = ["photos", "imported", "refused"].map(|key| report[key].as_u64());
        assert_eq!(counts, [Some(3), Some(0), Some(3)]);
        assert_eq!(report["refused_photos"][0]["file"], "Ada/1.avif");
        let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(written, report);
    }
    assert_eq!(server.state().posts, 0);
}

#[test]
fn a_single_photo_that_is_refused_is_reported_like_any_other() {
    let server = FakeServer::start(State::default());
    let (output, report) = import(&server, &folder_with(&["Ada/faceless.jpg"]), &[]);
    assert_eq!(code(&output), 3);
    assert_eq!(report["refused_photos"][0]["status"], 422);
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = FakeServer::start(State {
        busy: 3,
        ..State::default()
    });
    let (output, report) = import(&server, &folder_with(&PHOTOS), &[]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    assert_eq!(report["imported"], 5);
    assert_eq!(server.state().busy, 0);
}

#[test]
fn a_request_that_is_too_large_or_takes_too_much_memory_is_sent_in_parts() {
    for status in [413, 507] {
        let server = FakeServer::start(State {
            most_images: Some((2, status)),
            ..State::default()
        });
        let (output, report) = import(&server, &folder_with(&PHOTOS), &["--in-flight", "1"]);
        assert_eq!(code(&output), 0, "{}", complaint(&output));
        assert_eq!(report["imported"], 5);
        assert_eq!(server.state().images.len(), 5);
    }
}

#[test]
fn an_import_stops_at_a_full_disk_at_once_and_says_so() {
    let server = FakeServer::start(State {
        read_only: true,
        ..State::default()
    });
    let (output, report) = import(&server, &folder_with(&PHOTOS), &["--in-flight", "1"]);
    assert_eq!(code(&output), 1);
    let why = complaint(&output);
    assert!(
        why.contains("no space left") && why.contains("507"),
        "{why}"
    );
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&0.into(), &0.into())
    );
    assert_eq!(server.state().posts, 1, "halves are not tried");
}

#[test]
fn vectors_that_take_too_much_memory_at_once_are_sent_in_parts_and_a_full_server_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.jsonl");
    let line = |id: u128| {
        let id = format!("0f9a4b1c-2d3e-4f50-8a6b-{id:012}");
        format!("{{\"id\": \"{id}\", \"vector\": [1.0, 0.5]}}\n")
    };
    std::fs::write(&file, (0..600).map(line).collect::<String>()).unwrap();
    let of_most = |most| {
        let server = FakeServer::start(State {
            most_images: Some((most, 507)),
            ..State::default()
        });
        let arguments = ["import", file.to_str().unwrap(), "--collection", "stars"];
        let output = server.doppel(&arguments);
        let count = server.state().images.len();
        (output, count)
    };
    let (output, count) = of_most(100);
    assert_eq!((code(&output), count), (0, 600), "{}", complaint(&output));
    let (output, count) = of_most(0);
    assert_ne!(code(&output), 0);
    assert_eq!(count, 0);
    assert!(
        complaint(&output).contains("status 507"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn an_import_whose_server_goes_away_says_so_and_goes_on_when_run_again() {
    let files: Vec<_> = (0..40).map(|n| format!("Ada/{n}.jpg")).collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let folder = folder_with(&files);
    let server = FakeServer::start(State {
        gone_at: Some(16),
        ..State::default()
    });
    let (output, report) = import(&server, &folder, &["--in-flight", "1"]);
    assert_eq!(code(&output), 1);
    assert_eq!(
        (&report["imported"], &report["complete"]),
        (&16.into(), &false.into())
    );
    let complaint = complaint(&output);
    assert!(
        complaint.contains("run the same command again to go on"),
        "{complaint}"
    );
    assert!(complaint.contains("was lost"), "{complaint}");
    server.state().gone_at = None;
    let (output, report) = import(&server, &folder, &[]);
    assert_eq!(code(&output), 0);
    // The report is of all of it.
    assert_eq!(
        (&report["imported"], &report["imported_before"]),
        (&40.into(), &16.into())
    );
    assert_eq!(report["already_there"], 0);
    assert_eq!(server.state().images.len(), 40);
}

#[test]
fn an_import_that_goes_on_reports_the_duplicates_that_were_found_before_it_was_stopped_too() {
    let files: Vec<_> = (10..50)
        .map(|n| format!("Ada/{n}{}.jpg", if n % 10 == 3 { "twin" } else { "" }))
        .collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let folder = folder_with(&files);
    let server = FakeServer::start(State {
        gone_at: Some(16),
        ..State::default()
    });
    let file = folder.path().join("report.json");
    let told = |report: &Value| {
        ["imported", "imported_before", "already_there", "duplicates"]
            .map(|key| report[key].as_u64().unwrap())
    };
    let (_, stopped) = import(&server, &folder, &["--in-flight", "1"]);
    assert_eq!(told(&stopped), [16, 0, 0, 2]);
    let (_, stopped_again) = import(&server, &folder, &["--in-flight", "1"]);
    assert_eq!(told(&stopped_again), [16, 16, 0, 2]);
    server.state().gone_at = None;
    let (_, dry) = import(&server, &folder, &["--dry-run"]);
    assert_eq!(told(&dry), [0, 0, 16, 0]);
    let (_, report) = import(&server, &folder, &["--report", file.to_str().unwrap()]);
    assert_eq!(told(&report), [40, 16, 0, 4]);
    let twins = report["duplicate_photos"].as_array().unwrap().iter();
    let mut twins: Vec<_> = twins.map(|it| it["file"].as_str().unwrap()).collect();
    twins.sort_unstable();
    assert_eq!(
        twins,
        [
            "Ada/13twin.jpg",
            "Ada/23twin.jpg",
            "Ada/33twin.jpg",
            "Ada/43twin.jpg"
        ]
    );
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, report);
    // It was complete: what comes after it is another import.
    let (_, next) = import(&server, &folder, &[]);
    assert_eq!(told(&next), [0, 0, 40, 0]);
    // So it is where the collection is not what it was.
    server.state().gone_at = Some(56);
    for n in 60..90 {
        std::fs::write(folder.path().join(format!("Ada/{n}twin.jpg")), "new").unwrap();
    }
    let (_, stopped) = import(&server, &folder, &["--in-flight", "1"]);
    assert_eq!(told(&stopped), [16, 0, 40, 16]);
    server.state().gone_at = None;
    server.state().images.clear();
    let (_, anew) = import(&server, &folder, &[]);
    assert_eq!(told(&anew), [70, 0, 0, 34]);
}

#[test]
fn a_dry_run_sends_nothing_and_makes_nothing() {
    let server = FakeServer::start(State::default());
    let (output, report) = import(&server, &folder_with(&PHOTOS), &["--dry-run"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    assert_eq!(
        (&report["photos"], &report["dry_run"]),
        (&5.into(), &true.into())
    );
    assert!(server.state().collection.is_none() && server.state().posts == 0);
}

#[test]
fn the_key_is_sent_and_a_missing_one_is_asked_for() {
    let server = FakeServer::start(State {
        api_key: Some("correct-horse".to_owned()),
        ..State::default()
    });
    let folder = folder_with(&PHOTOS);
    let (output, _) = import(&server, &folder, &[]);
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains("DOPPEL_API_KEY"));
    let (output, _) = import(&server, &folder, &["--api-key", "correct-horse"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    // Ports below 1024 are given to nobody who asks for any; this one is long out of use.
    let url = "http://127.0.0.1:1";
    let folder = folder_with(&PHOTOS);
    let folder = folder.path().to_str().unwrap();
    let output = doppel(&[], &["import", folder, "--collection", "c", "--url", url]);
    assert_eq!(code(&output), 1);
    let expected = format!("cannot reach {url}: is `doppel serve` running?");
    assert!(
        complaint(&output).contains(&expected),
        "{}",
        complaint(&output)
    );
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let output = doppel(&[], &["import", "/nowhere", "--collection", "c"]);
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains("cannot list /nowhere"));
}

#[test]
fn a_search_prints_a_table_or_the_servers_answer() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["me.jpg"]);
    let photo = folder.path().join("me.jpg");
    let output = server.doppel(&["search", photo.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    assert!(
        text(&output).contains("1  0.500  Ada     7   a.jpg"),
        "{}",
        text(&output)
    );
    let output = server.doppel(&["search", photo.to_str().unwrap(), "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["faces"][0]["hits"][0]["id"], 7);
}

#[test]
fn version_and_completions_are_printed() {
    let version = concat!("doppel ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&doppel(&[], &["version"])), version);
    let script = text(&doppel(&[], &["completions", "bash"]));
    assert!(script.contains("--collection"));
}

#[test]
fn what_makes_no_sense_is_refused_with_code_2() {
    assert_eq!(code(&doppel(&[], &["serve", "--no-such-flag"])), 2);
    assert_eq!(code(&doppel(&[], &["import"])), 2);
}

/// Asks what would be imported; says how many photos that are, and the most memory it took, in KiB.
fn dry_run(server: &FakeServer, source: &Path) -> (Value, u64) {
    let source = source.to_str().unwrap();
    let (output, peak_kib) =
        server.doppel_watched(&["import", source, "-c", "stars", "--dry-run", "--json"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["photos"].clone(), peak_kib)
}

/// More than that is not the chance of one run.
const CHANCE_KIB: u64 = 4 << 10;

#[test]
fn an_import_takes_no_more_memory_for_a_folder_of_many_photos_than_for_one_of_few() {
    let server = FakeServer::start(State::default());
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for photos in [20_000, 70_000] {
        for number in 0..photos {
            let photo = folder.path().join(format!("Somebody_{number}.jpg"));
            std::fs::write(photo, "").unwrap();
        }
        let (found, peak_kib) = dry_run(&server, folder.path());
        assert_eq!(found, photos);
        peaks.push(peak_kib);
    }
    assert!(peaks[1] < peaks[0] + CHANCE_KIB, "{peaks:?} KiB");
    assert!(peaks[0] > CHANCE_KIB, "nothing was measured: {peaks:?}");
}

#[test]
fn an_import_takes_no_more_memory_for_a_list_of_many_photos_than_for_one_of_few() {
    let server = FakeServer::start(State::default());
    let folder = folder_with(&["a.jpg"]);
    let mut peaks = Vec::new();
    for photos in [2_000, 200_000] {
        let rows = (0..photos).map(|id| format!("a.jpg,Somebody,{id}\n"));
        let list = folder.path().join("list.csv");
        std::fs::write(
            &list,
            format!("path,person,id\n{}", rows.collect::<String>()),
        )
        .unwrap();
        let (found, peak_kib) = dry_run(&server, &list);
        assert_eq!(found, photos);
        peaks.push(peak_kib);
    }
    assert!(peaks[1] < peaks[0] + CHANCE_KIB, "{peaks:?} KiB");
    assert!(peaks[0] > CHANCE_KIB, "nothing was measured: {peaks:?}");
}
