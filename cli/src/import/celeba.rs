//! CelebA as it is distributed (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"), or as
//! copies of it on the web are: the aligned photos, and beside them lists of who they show, of 40
//! attributes and of the parts for training, validation and test. Identities are numbers; names
//! come from a file of one's own. Boxes and landmarks are not read: those of the lists are partly in
//! the coordinates of other photos, and every photo is looked at anyway.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::photo::{About, Listing, Photo, id_of};
use super::table;

/// Where the photos may be, below the data set's folder.
const PHOTOS: [&str; 6] = [
    "img_align_celeba/img_align_celeba",
    "img_align_celeba",
    "Img/img_align_celeba",
    "img_align_celeba_png",
    "Img/img_align_celeba_png",
    "img_celeba",
];
/// Where the lists may be.
const LISTS: [&str; 3] = [".", "Anno", "Eval"];
const PARTS: [&str; 3] = ["train", "valid", "test"];
/// Attributes are the bits of a number.
const MOST_ATTRIBUTES: usize = 64;

/// Whether a folder holds this data set.
pub(super) fn is_here(folder: &Path) -> bool {
    let lists = ["identity_CelebA", "list_attr_celeba"];
    photos_in(folder).is_some() && lists.iter().any(|name| list(folder, name).is_some())
}

/// Lists its photos, with people's names by the numbers of their identities.
pub(super) fn list_photos(folder: &Path, names: Option<&Path>) -> Result<Listing> {
    let photos = photos_in(folder).context("there is no folder img_align_celeba")?;
    let names = names.map(people).transpose()?.unwrap_or_default();
    let identities: HashMap<String, u32> = numbers(folder, "identity_CelebA")?;
    let parts: HashMap<String, usize> = numbers(folder, "list_eval_partition")?;
    let attributes = Attributes::read(folder)?;
    let mut entries = fs::read_dir(&photos)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", photos.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut listing = Listing::default();
    for entry in entries {
        let Ok(file) = entry.file_name().into_string() else {
            listing.skip(entry.path().display().to_string(), "its name is not UTF-8");
            continue;
        };
        // The lists speak of .jpg even where the photos are .png.
        let stem = file.split('.').next().unwrap_or_default();
        let key = format!("{stem}.jpg");
        let identity = identities.get(&key);
        let mut beside: Vec<(&'static str, Value)> = Vec::new();
        beside.extend(identity.map(|it| ("identity", (*it).into())));
        let part = parts.get(&key).and_then(|part| PARTS.get(*part));
        beside.extend(part.map(|part| ("partition", (*part).into())));
        let named = |it: &u32| {
            names
                .get(it)
                .cloned()
                .unwrap_or_else(|| format!("CelebA #{it}"))
        };
        listing.add(Photo {
            path: entry.path(),
            person: identity.map(named),
            id: id_of(&format!("img_align_celeba/{key}")),
            about: About::Flags {
                names: Arc::clone(&attributes.names),
                has: attributes.of.get(&key).copied().unwrap_or(0),
                beside,
            },
            file,
            bytes: 0,
        });
    }
    Ok(listing)
}

fn photos_in(folder: &Path) -> Option<PathBuf> {
    PHOTOS
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_dir())
}

/// A list as it is distributed, or as a table with commas.
fn list(folder: &Path, name: &str) -> Option<PathBuf> {
    let paths = LISTS.iter().flat_map(|place| {
        ["txt", "csv"].map(|end| folder.join(place).join(format!("{name}.{end}")))
    });
    paths.into_iter().find(|path| path.is_file())
}

/// The rows of a list, cut at commas or spaces.
fn rows(path: &Path) -> Result<Vec<Vec<String>>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let separators = |c: char| c == ',' || c.is_whitespace();
    let cut = |line: &str| {
        line.split(separators)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Ok(lines.map(cut).collect())
}

/// A list of a number for each photo; empty where there is none.
fn numbers<T: FromStr>(folder: &Path, name: &str) -> Result<HashMap<String, T>> {
    let Some(path) = list(folder, name) else {
        return Ok(HashMap::new());
    };
    let mut numbers = HashMap::new();
    for row in rows(&path)? {
        match row.as_slice() {
            [photo, number] if is_photo(photo) => {
                let number = number.parse().ok();
                let number =
                    number.with_context(|| format!("{}: {photo} has no number", path.display()))?;
                numbers.insert(photo.clone(), number);
            }
            // Copies have a line of titles.
            _ if numbers.is_empty() => {}
            row => bail!(
                "{}: `{}` is no photo and a number",
                path.display(),
                row.join(" ")
            ),
        }
    }
    Ok(numbers)
}

fn is_photo(cell: &str) -> bool {
    cell.ends_with(".jpg")
}

/// Which photo has which attributes.
struct Attributes {
    names: Arc<[String]>,
    of: HashMap<String, u64>,
}

impl Attributes {
    /// After a line that counts comes one with the names, then each photo with 1 or -1 for each.
    fn read(folder: &Path) -> Result<Self> {
        let (mut names, mut of) = (Vec::new(), HashMap::new());
        let path = list(folder, "list_attr_celeba");
        for row in path.as_deref().map(rows).transpose()?.unwrap_or_default() {
            let shown = || path.as_deref().unwrap_or(folder).display();
            match row.as_slice() {
                [photo, values @ ..] if is_photo(photo) => {
                    ensure!(
                        values.len() == names.len(),
                        "{}: {photo} has {} attributes, {} are named",
                        shown(),
                        values.len(),
                        names.len()
                    );
                    let bits = values.iter().enumerate();
                    let bits = bits.filter(|(_, value)| *value == "1");
                    of.insert(photo.clone(), bits.fold(0, |has, (at, _)| has | 1 << at));
                }
                [_] if names.is_empty() => {}
                titles if of.is_empty() => {
                    let titles = titles.iter().filter(|title| *title != "image_id");
                    names = titles.map(|title| title.to_lowercase()).collect();
                    ensure!(
                        names.len() <= MOST_ATTRIBUTES,
                        "{}: too many attributes",
                        shown()
                    );
                }
                row => bail!("{}: `{}` is no photo", shown(), row.join(" ")),
            }
        }
        Ok(Self {
            names: names.into(),
            of,
        })
    }
}

/// A file of one's own: the number of an identity and a name in each row.
fn people(path: &Path) -> Result<HashMap<u32, String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut people = HashMap::new();
    for (number, row) in table::rows(&text).enumerate() {
        let row = row.with_context(|| path.display().to_string())?;
        match row.as_slice() {
            [identity, name] if identity.trim().parse::<u32>().is_ok() => {
                let identity = identity.trim().parse()?;
                people.insert(identity, name.trim().to_owned());
            }
            _ if number == 0 => {}
            row => bail!(
                "{}: `{}` is no number and a name",
                path.display(),
                row.join(",")
            ),
        }
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        let photos = list_photos(folder.path(), Some(&names)).unwrap().photos;
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
        let photos = list_photos(copy.path(), None).unwrap().photos;
        let payload = photos[0].about.payload(&photos[0].file);
        assert_eq!(payload["smiling"], true);
        assert_eq!(
            (&payload["bald"], &payload["partition"]),
            (&json!(false), &json!("valid"))
        );
        assert_eq!(photos[0].person, None);
        let first = list_photos(folder(&AS_DISTRIBUTED).path(), None)
            .unwrap()
            .photos;
        assert_eq!(photos[0].id, first[0].id);
    }

    #[test]
    fn a_list_that_does_not_fit_is_told_with_its_line() {
        for (name, text, words) in [
            (
                "list_attr_celeba.txt",
                "1\nBald Smiling\n000001.jpg 1\n",
                "1 attributes, 2",
            ),
            (
                "identity_CelebA.txt",
                "000001.jpg 1\nhello world\n",
                "hello world",
            ),
            ("identity_CelebA.txt", "000001.jpg one\n", "no number"),
        ] {
            let folder = folder(&[("img_align_celeba/000001.jpg", "x"), (name, text)]);
            let error = format!("{:#}", list_photos(folder.path(), None).err().unwrap());
            assert!(error.contains(words) && error.contains(name), "{error}");
        }
    }
}
