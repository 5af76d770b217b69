//! Checkpoints in a folder instead of beside the stream. S3 is tried with whole nodes, which read from the environment
//! how it is reached (`cli/tests/cluster/elsewhere.rs`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{ALWAYS, Nats};
use jetstream::{
    Access, Checkpoints, JetStreamLog, Settings, StoreUse, begin, begins_at, check_store,
};
use reach::{fetched, is_there};
use storage::{Error, Log, Lsn};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);

fn settings(nats: &Nats, folder: &TempDir) -> Settings {
    Settings {
        checkpoints: Some(format!("file://{}", folder.path().display())),
        ..reach::settings(nats, "log")
    }
}

/// The folder of the one log whose checkpoints lie there, and the files in it.
fn files(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let inner = |dir: &Path| -> Vec<_> {
        let all = fs::read_dir(dir).unwrap();
        all.map(|it| it.unwrap().path()).collect()
    };
    let logs = inner(&folder.join("log"));
    assert_eq!(logs.len(), 1, "one log");
    let files = inner(&logs[0]);
    (logs.into_iter().next().unwrap(), files)
}

#[test]
fn two_checkpoints_are_kept_in_a_folder_and_the_stream_from_the_older_on() {
    let (Some(nats), folder) = (Nats::start(1, ALWAYS), tempfile::tempdir().unwrap()) else {
        return;
    };
    let settings = settings(&nats, &folder);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    assert_eq!(store.all().unwrap(), []);
    // More than is sent, and read, at once.
    let large: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    let mut lsns = Vec::new();
    for n in 0..3u8 {
        let lsn = *log.append(&[vec![n], vec![n]]).unwrap().last().unwrap();
        lsns.push(lsn);
        let bytes = &large[usize::from(n)..];
        store.put(lsn, format!("number {n}"), bytes).unwrap();
        let kept_from = store.trim(Duration::ZERO).unwrap();
        let before = usize::from(n).checked_sub(1);
        assert_eq!(kept_from, before.map_or(Lsn(1), |before| lsns[before]));
    }
    let all = store.all().unwrap();
    let told: Vec<_> = all.iter().map(|it| it.lsn).collect();
    assert_eq!(told, [lsns[2], lsns[1]]);
    for (n, it) in [(2, &all[0]), (1, &all[1])] {
        let (about, bytes) = fetched(&store, it);
        assert_eq!(about, format!("number {n}"));
        assert!(bytes == large[n..]);
    }
    assert!(
        !is_there(&nats, "OBJ_log-checkpoints"),
        "none beside the stream"
    );
    drop(log);
    let log = JetStreamLog::open(&settings).unwrap();
    assert!(log.first_lsn() > Lsn(1) && log.first_lsn() <= lsns[1].next());
}

#[test]
fn what_was_not_whole_is_no_checkpoint_and_goes_once_it_rests() {
    let (Some(nats), folder) = (Nats::start(1, ALWAYS), tempfile::tempdir().unwrap()) else {
        return;
    };
    let settings = settings(&nats, &folder);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    assert_eq!(store.sweep(Duration::ZERO).unwrap(), 0, "nothing is there");
    let lsn = log.append(&[vec![1]]).unwrap()[0];
    store.put(lsn, String::new(), &b"whole"[..]).unwrap();
    // Its process was killed.
    let (own, there) = files(folder.path());
    let name = format!("checkpoint-{:020}-0123456789abcdef0123456789abcdef", 99);
    let left = ["#1", ".about"].map(|end| File::create(own.join(format!("{name}{end}"))).unwrap());
    assert_eq!(store.all().unwrap().len(), 1);
    assert_eq!(store.sweep(HOUR).unwrap(), 0, "it may go on");
    // What is whole rests as long.
    let whole = there.iter().map(|it| File::open(it).unwrap());
    for file in left.into_iter().chain(whole) {
        file.set_modified(SystemTime::now() - HOUR * 2).unwrap();
    }
    assert_eq!(store.sweep(HOUR).unwrap(), 2);
    assert_eq!(files(folder.path()).1, there);
    assert_eq!(fetched(&store, &store.all().unwrap()[0]).1, b"whole");
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_log_is_not_taken() {
    let (Some(nats), folder) = (Nats::start(1, ALWAYS), tempfile::tempdir().unwrap()) else {
        return;
    };
    let settings = settings(&nats, &folder);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    let lsn = log.append(&[vec![1]]).unwrap()[0];
    let about = "what is said of it".to_owned();
    store.put(lsn, about, &b"its bytes"[..]).unwrap();
    let all = files(folder.path()).1;
    let about = |all: &[PathBuf]| {
        let mut all = all.iter();
        let about = all.find(|it| it.extension().is_some());
        about.unwrap().clone()
    };
    let file = about(&all);
    let whole = fs::read(&file).unwrap();
    let which = store.all().unwrap().remove(0);
    let refused = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let told = store.fetch(&which, &mut |_| Ok(()));
        told.unwrap_err().to_string()
    };
    let mut bent = whole.clone();
    bent[30] ^= 1;
    for damaged in [
        &bent,
        &whole[..20],
        b"",
        b"something that somebody has put there",
    ] {
        assert!(refused(damaged).contains("damaged"));
    }
    // It is named with its whole place, by which it can be found.
    let place = file.with_extension("");
    let told = refused(b"");
    assert!(
        told.contains(&format!("file://{}: ", place.display())),
        "{told}"
    );
    assert_eq!(store.shown(&which), format!("file://{}", place.display()));
    fs::remove_file(&file).unwrap();
    let told = store.fetch(&which, &mut |_| Ok(())).unwrap_err();
    assert!(told.to_string().contains(&store.shown(&which)), "{told}");
    fs::write(&file, &whole).unwrap();
    assert_eq!(fetched(&store, &which).1, b"its bytes");
    // A log of the same name that was made on other servers has the folder to itself, and nothing in it.
    let others = Nats::start(1, ALWAYS).unwrap();
    let other = Settings {
        servers: others.urls(),
        monitors: others.monitors(),
        checkpoints: None,
        ..settings.clone()
    };
    drop(JetStreamLog::open(&other).unwrap());
    let other = Settings {
        checkpoints: settings.checkpoints.clone(),
        ..other
    };
    let other = Checkpoints::open(&other).unwrap();
    assert_eq!(other.all().unwrap(), []);
    // Nor is one taken that was moved there.
    other.put(lsn, String::new(), &b""[..]).unwrap();
    let logs = fs::read_dir(folder.path().join("log")).unwrap();
    let logs = logs.map(|it| it.unwrap().path());
    let of_other = logs
        .filter(|it| !file.starts_with(it))
        .flat_map(|it| fs::read_dir(it).unwrap());
    let of_other: Vec<_> = of_other.map(|it| it.unwrap().path()).collect();
    fs::copy(&file, about(&of_other)).unwrap();
    let its = other.all().unwrap().remove(0);
    let told = other.fetch(&its, &mut |_| Ok(())).unwrap_err();
    assert!(told.to_string().contains("of the log"), "{told}");
}

#[test]
fn where_the_folder_goes_nothing_is_made_in_its_place() {
    let (Some(nats), folder) = (Nats::start(1, ALWAYS), tempfile::tempdir().unwrap()) else {
        return;
    };
    let root = folder.path().join("mounted");
    fs::create_dir(&root).unwrap();
    let settings = Settings {
        checkpoints: Some(format!("file://{}", root.display())),
        ..settings(&nats, &folder)
    };
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    let lsn = log.append(&[vec![1]]).unwrap()[0];
    store.put(lsn, String::new(), &b"one"[..]).unwrap();
    let away = folder.path().join("away");
    fs::rename(&root, &away).unwrap();
    let refused = [
        store.put(lsn, String::new(), &b"other"[..]).err(),
        store.all().err(),
        store.trim(Duration::ZERO).err(),
        store.sweep(HOUR).err(),
    ];
    for told in refused {
        let told = told.unwrap();
        // Nothing was to be written to the log.
        assert!(matches!(told, Error::Checkpoints(_)), "{told:?}");
        assert!(told.to_string().contains("is not there"), "{told}");
    }
    assert!(!root.exists());
    fs::rename(&away, &root).unwrap();
    assert_eq!(store.all().unwrap().len(), 1);
}

#[test]
fn where_checkpoints_of_a_lost_log_lie_no_other_is_made_but_by_who_says_so() {
    let (Some(nats), folder) = (Nats::start(1, ALWAYS), tempfile::tempdir().unwrap()) else {
        return;
    };
    let settings = settings(&nats, &folder);
    let at = begins_at(Lsn(7));
    begin(&settings, at, "about".to_owned(), &b"the backup"[..]).unwrap();
    let log = JetStreamLog::open(&settings).unwrap();
    assert_eq!(log.last_lsn(), at);
    let store = Checkpoints::open(&settings).unwrap();
    let found = store.all().unwrap();
    assert_eq!(found[0].lsn, at);
    let whole = ("about".to_owned(), b"the backup".to_vec());
    assert_eq!(fetched(&store, &found[0]), whole);
    drop((log, store));
    // The servers lose everything.
    let nats = Nats::start(1, ALWAYS).unwrap();
    let settings = Settings {
        servers: nats.urls(),
        monitors: nats.monitors(),
        ..settings
    };
    let shown = format!("file://{}/log", folder.path().display());
    let told = JetStreamLog::open(&settings).err().unwrap().to_string();
    assert!(
        told.contains("the log was lost") && told.contains(&shown),
        "{told}"
    );
    let told = begin(&settings, at, String::new(), &b""[..]).unwrap_err();
    assert!(told.to_string().contains(&shown), "{told}");
    assert!(!is_there(&nats, "log"));
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    begin(&settings, at, String::new(), &b""[..]).unwrap();
    // A log that does not begin leaves nothing behind.
    let again = tempfile::tempdir().unwrap();
    let fails = Settings {
        stream: "other".to_owned(),
        // More than there are; nobody looks before the stream is made.
        replicas: 5,
        lazy_sync: true,
        checkpoints: Some(format!("file://{}", again.path().display())),
        ..settings
    };
    assert!(begin(&fails, at, String::new(), &b"x"[..]).is_err());
    let left = Settings {
        replicas: 1,
        lazy_sync: false,
        ..fails
    };
    begin(&left, at, String::new(), &b"x"[..]).unwrap();
}

/// Where no servers are, so that a folder alone is looked at.
fn nowhere(folder: &Path) -> Settings {
    Settings {
        servers: Vec::new(),
        stream: "log".to_owned(),
        replicas: 1,
        monitors: Vec::new(),
        lazy_sync: false,
        checkpoints: Some(format!("file://{}", folder.display())),
        access: Access::default(),
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("not-mounted");
    let settings = nowhere(&gone);
    let told = check_store(&settings, StoreUse::Puts)
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("not-mounted") && told.contains("mount it"),
        "{told}"
    );
    assert!(!gone.exists());
    File::create(&gone).unwrap();
    let told = check_store(&settings, StoreUse::Puts)
        .unwrap_err()
        .to_string();
    assert!(told.contains("no folder"), "{told}");
    fs::remove_file(&gone).unwrap();
    fs::create_dir(&gone).unwrap();
    check_store(&settings, StoreUse::Puts).unwrap();
}

#[test]
fn a_folder_that_can_take_nothing_is_told_to_who_is_to_put_something_there() {
    let settings = nowhere(Path::new("/proc"));
    check_store(&settings, StoreUse::Reads).unwrap();
    let told = check_store(&settings, StoreUse::Puts).unwrap_err();
    let told = told.to_string();
    assert!(told.contains("nothing can be put into /proc"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    check_store(&nowhere(folder.path()), StoreUse::Puts).unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "nothing stays of the try");
}
