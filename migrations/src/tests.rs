//! Upgrades of a folder of the first released format to one that is made up.

use std::collections::BTreeMap;
use std::fs;

use storage::DataFolder;

use super::*;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file of a folder and of those in it, by its path in it.
fn files(dir: &Path) -> Files {
    let (mut all, mut folders) = (Files::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(dir).unwrap().to_owned();
                    all.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    all
}

/// A folder that the first release wrote, under `data` in a folder of its own.
fn first_release() -> (tempfile::TempDir, PathBuf) {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("data");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1");
    for (name, bytes) in files(&fixture) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (above, dir)
}

/// From the first format to a second one, with everything that a step may do to a folder.
const TO_TWO: &[Step] = &[
    Step {
        from: 0,
        run: |_| panic!("this one is behind it"),
    },
    Step {
        from: 1,
        run: |dir| {
            let log = dir.join("log/00000000000000000001.log");
            fs::write(dir.join("log/new"), fs::read(&log).unwrap()).unwrap();
            fs::remove_file(log).unwrap();
            fs::create_dir(dir.join("more")).unwrap();
            fs::write(dir.join("more/this"), "new").unwrap();
            Ok(())
        },
    },
];

fn upgrade(dir: &Path) -> Result<Prepared, Error> {
    run(dir, TO_TWO, 2, &mut |_| Ok(()))
}

fn neighbours(above: &Path) -> Vec<String> {
    let names = fs::read_dir(above).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_folder_and_one_of_this_format_need_no_step() {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("data");
    assert_eq!(prepare(&dir).unwrap(), Prepared::New);
    drop(DataFolder::open(&dir).unwrap());
    assert_eq!(prepare(&dir).unwrap(), Prepared::Current);
    let (_above, dir) = first_release();
    assert_eq!(prepare(&dir).unwrap(), Prepared::Current);
}

#[test]
fn an_upgrade_keeps_the_old_folder_until_the_new_one_has_been_opened() {
    let (above, dir) = first_release();
    let before = files(&dir);
    assert_eq!(upgrade(&dir).unwrap(), Prepared::Migrated { from: 1 });
    assert_eq!(read_format(&dir).unwrap().unwrap().0, 2);
    assert_eq!(fs::read(dir.join("more/this")).unwrap(), b"new");
    assert!(!dir.join("log/00000000000000000001.log").exists());
    assert_eq!(files(&above.path().join("data.format-1")), before);
    assert_eq!(upgrade(&dir).unwrap(), Prepared::Current);
    opened(&dir).unwrap();
    assert_eq!(neighbours(above.path()), ["data"]);
}

#[test]
fn an_upgrade_that_is_cut_short_anywhere_leaves_the_old_folder_or_the_new_one() {
    let (_above, whole) = first_release();
    let old = files(&whole);
    upgrade(&whole).unwrap();
    let new = files(&whole);
    let (mut left_old, mut left_new) = (0, 0);
    for cut in 0.. {
        let (above, dir) = first_release();
        let mut steps = 0;
        let outcome = run(&dir, TO_TWO, 2, &mut |doing| {
            steps += 1;
            match steps > cut {
                true => Err(Error::Upgrade {
                    path: PathBuf::new(),
                    doing,
                    reason: std::io::ErrorKind::Interrupted.into(),
                }),
                false => Ok(()),
            }
        });
        if outcome.is_ok() {
            assert!(cut > 20, "{cut} steps are not all");
            break;
        }
        // The program that wrote the old format, and this one, find what they can go on with.
        match dir.exists() {
            true if read_format(&dir).unwrap().unwrap().0 == 1 => {
                assert_eq!(files(&dir), old, "cut after {cut}");
                left_old += 1;
            }
            _ => left_new += 1,
        }
        upgrade(&dir).unwrap();
        assert_eq!(files(&dir), new, "cut after {cut}");
        opened(&dir).unwrap();
        assert_eq!(neighbours(above.path()), ["data"], "cut after {cut}");
    }
    assert!(left_old > 20 && left_new > 1, "{left_old}, {left_new}");
}

#[test]
fn a_folder_that_is_in_use_is_not_upgraded() {
    let (above, dir) = first_release();
    let _lock = FolderLock::take(&dir).unwrap();
    let refused = upgrade(&dir).unwrap_err().to_string();
    assert!(refused.contains("data"), "{refused}");
    assert_eq!(neighbours(above.path()), ["data"]);
}

#[test]
fn what_an_upgrade_kept_is_not_taken_for_an_empty_start() {
    let (above, dir) = first_release();
    upgrade(&dir).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let refused = upgrade(&dir).unwrap_err().to_string();
    assert!(refused.contains("data.format-1"), "{refused}");
    assert_eq!(neighbours(above.path()), ["data.format-1"]);
}

#[test]
fn a_newer_and_an_unknown_format_are_refused_with_their_numbers() {
    let (above, dir) = first_release();
    let newer = run(&dir, &[], 0, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(newer.contains("in format 1; this one knows formats up to 0"));
    let unknown = run(&dir, &[], 2, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(unknown.contains("format 1 was never released"), "{unknown}");
    assert_eq!(neighbours(above.path()), ["data"]);
}
