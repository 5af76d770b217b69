//! Folders as CelebA is distributed, as copies are, and as they should not be.

use std::fs;

use anyhow::bail;
use serde_json::{Value, json};

use super::*;

fn list_photos(folder: &Path, names: Option<&Path>) -> Result<Vec<Photo>> {
    let found = Arc::new(Lists::read(folder, names)?).photos();
    let photos = found.map(|found| match found? {
        Found::Photo(photo) => Ok(photo),
        Found::Skipped(file) => bail!("{}: {}", file.file, file.reason),
    });
    photos.collect()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const AS_DISTRIBUTED: [(&str, &str); 6] = [
    ("Img/img_align_celeba/000001.jpg", "x"),
    ("Img/img_align_celeba/000002.jpg", "x"),
    (
        "Anno/identity_CelebA.txt",
        "000001.jpg 2880\n000002.jpg 2937\n",
    ),
    (
        "Anno/list_attr_celeba.txt",
        "2\n5_o_Clock_Shadow Bald Smiling \n000001.jpg -1  1  1\n000002.jpg  1 -1 -1\n",
    ),
    (
        "Eval/list_eval_partition.txt",
        "000001.jpg 0\n000002.jpg 2\n",
    ),
    ("names.csv", "identity,name\n2937,\"Lovelace, Ada\"\n"),
];

#[test]
fn a_photo_has_its_identity_its_attributes_and_its_part() {
    let folder = folder(&AS_DISTRIBUTED);
    assert!(is_here(folder.path()));
    let names = folder.path().join("names.csv");
    let photos = list_photos(folder.path(), Some(&names)).unwrap();
    let people: Vec<_> = photos.iter().map(|photo| photo.person.as_deref()).collect();
    assert_eq!(people, [Some("CelebA #2880"), Some("Lovelace, Ada")]);
    let payload = photos[0].about.payload(&photos[0].file);
    let expected = json!({
        "5_o_clock_shadow": false, "bald": true, "smiling": true, "identity": 2880,
        "partition": "train", "file": "000001.jpg",
    });
    assert_eq!(Value::Object(payload), expected);
}

#[test]
fn copies_with_commas_and_titles_say_the_same() {
    let copy = folder(&[
        ("img_align_celeba/img_align_celeba/000001.jpg", "x"),
        (
            "list_attr_celeba.csv",
            "image_id,Bald,Smiling\n000001.jpg,-1,1\n",
        ),
        (
            "list_eval_partition.csv",
            "image_id,partition\n000001.jpg,1\n",
        ),
    ]);
    let photos = list_photos(copy.path(), None).unwrap();
    let payload = photos[0].about.payload(&photos[0].file);
    assert_eq!(payload["smiling"], true);
    assert_eq!(
        (&payload["bald"], &payload["partition"]),
        (&json!(false), &json!("valid"))
    );
    assert_eq!(photos[0].person, None);
    let first = list_photos(folder(&AS_DISTRIBUTED).path(), None).unwrap();
    assert_eq!(photos[0].id, first[0].id);
}

#[test]
fn what_is_no_photo_is_not_sent_and_an_unlisted_photo_is_said_to_lack_nothing() {
    let mut files = AS_DISTRIBUTED.to_vec();
    files.push(("Img/img_align_celeba/000003.jpg", "x"));
    files.push(("Img/img_align_celeba/.DS_Store", "x"));
    files.push(("Img/img_align_celeba/readme.txt", "x"));
    let folder = folder(&files);
    let lists = Arc::new(Lists::read(folder.path(), None).unwrap());
    let found: Vec<_> = lists.photos().map(Result::unwrap).collect();
    assert_eq!(found.len(), 5, "{found:?}");
    match (&found[0], &found[3..]) {
        (Found::Skipped(hidden), [Found::Photo(photo), Found::Skipped(skipped)]) => {
            assert_eq!(hidden.file, ".DS_Store");
            let payload = photo.about.payload(&photo.file);
            assert_eq!(Value::Object(payload), json!({"file": "000003.jpg"}));
            assert_eq!(skipped.file, "readme.txt");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_that_does_not_fit_is_told_with_its_line() {
    let attributes = "list_attr_celeba.txt";
    let (identities, parts) = ("identity_CelebA.txt", "list_eval_partition.txt");
    for (name, text, line, words) in [
        (
            attributes,
            "1\nBald Smiling\n000001.jpg 1\n",
            3,
            "1 attributes, 2",
        ),
        (
            attributes,
            "1\nBald\n000001.jpg yes\n",
            3,
            "`yes` is neither",
        ),
        (attributes, "1\nBald\n000001.jpg 1\nBald\n", 4, "no photo"),
        (
            attributes,
            "1\nBald Smiling bald\n000001.jpg 1 1 1\n",
            2,
            "two attributes are called `bald`",
        ),
        (
            attributes,
            "1\nBald Identity\n000001.jpg 1 1\n",
            2,
            "can be called `identity`",
        ),
        (identities, "000001.jpg 1\nhello world\n", 2, "hello world"),
        (identities, "000001.jpg one\n", 1, "no number"),
        (identities, "000001.JPG 1\n", 1, "no photo"),
        (parts, "000001.jpg 0\n000002.jpg 3\n", 2, "0 to 2"),
    ] {
        let lists = [("img_align_celeba/000001.jpg", "x"), (name, text)];
        let error = list_photos(folder(&lists).path(), None).err().unwrap();
        let error = format!("{error:#}");
        let at = format!("{name}, line {line}");
        assert!(error.contains(words) && error.contains(&at), "{error}");
    }
}

#[test]
fn what_can_be_passed_over_is_told_too() {
    let files = [
        ("img_align_celeba/000001.jpg", "x"),
        ("identity_CelebA.txt", "000001.jpg 1\n\n000001.jpg 2\n"),
        ("list_attr_celeba.txt", "2\nBald\n000001.jpg 1\n"),
        ("names.csv", "1,Ada\n2,Bob\n\n1,Eve\n3, \n"),
    ];
    let folder = folder(&files);
    let names = folder.path().join("names.csv");
    let lists = Lists::read(folder.path(), Some(&names)).unwrap();
    let told: Vec<_> = lists.mistakes.told().collect();
    assert_eq!((lists.mistakes.count, told.len()), (4, 4));
    for words in [
        "identity_CelebA.txt, line 3: 000001.jpg",
        "list_attr_celeba.txt, line 1: it says that there are 2",
        "names.csv, line 4: 1 has a name",
        "names.csv, line 5: 3 has no name",
    ] {
        assert!(
            told.iter().any(|it| it.contains(words)),
            "{words}: {told:?}"
        );
    }
    let photos = list_photos(folder.path(), Some(&names)).unwrap();
    assert_eq!(
        photos[0].person.as_deref(),
        Some("Bob"),
        "the last row counts"
    );
}

#[test]
fn photos_that_lists_name_and_that_are_not_there_are_counted_once_and_some_told() {
    let row = |number: usize| format!("{number:06}.jpg 1\n");
    let rows: String = (1..=12).map(row).collect();
    let folder = folder(&[
        ("img_align_celeba/000002.jpg", "x"),
        ("img_align_celeba/000004.png", "x"),
        ("img_align_celeba/000005.txt", "x"),
        ("identity_CelebA.txt", &rows),
        ("list_attr_celeba.txt", &format!("12\nBald\n{rows}")),
    ]);
    let absent = Lists::read(folder.path(), None).unwrap().absent;
    assert_eq!(absent.count, 10);
    let first = ["000001.jpg", "000003.jpg", "000005.jpg", "000006.jpg"];
    assert_eq!(absent.first[..4], first);
    assert_eq!(absent.first.len(), limits::ROWS_TOLD);
}
