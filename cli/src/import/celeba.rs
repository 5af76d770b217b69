//! CelebA as it is distributed (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"), or as
//! copies of it on the web are: the aligned photos, and beside them lists of who they show, of 40
//! attributes and of the parts for training, validation and test. Identities are numbers; names
//! come from a file of one's own. Boxes and landmarks are not read: those of the lists are partly in
//! the coordinates of other photos, and every photo is looked at anyway.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::lines::lines;
use super::photo::{About, Found, Photo, id_of};
use super::source::Entries;
use super::table;
use super::walk::{self, Names};
use crate::limits;

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

/// What its lists say, in little room: there are hundreds of thousands of photos.
pub(super) struct Lists {
    photos: PathBuf,
    names: HashMap<u32, String>,
    identities: ByPhoto<u32>,
    parts: ByPhoto<u8>,
    attributes: ByPhoto<u64>,
    titles: Arc<[String]>,
}

impl Lists {
    /// Reads them; people have names by the numbers of their identities.
    pub(super) fn read(folder: &Path, names: Option<&Path>) -> Result<Self> {
        let photos = photos_in(folder).context("there is no folder img_align_celeba")?;
        let (titles, attributes) = attributes(folder)?;
        Ok(Self {
            photos,
            names: names.map(people).transpose()?.unwrap_or_default(),
            identities: numbers(folder, "identity_CelebA")?,
            parts: numbers(folder, "list_eval_partition")?,
            attributes,
            titles,
        })
    }

    /// The photos that are there, one after the other.
    pub(super) fn photos(self: &Arc<Self>) -> Entries {
        let lists = Arc::clone(self);
        let names = Names::of(&self.photos, limits::NAMES_HELD);
        let is_hidden = |name: &OsString| name.as_encoded_bytes().starts_with(b".");
        let names = names.filter(move |named| !matches!(named, Ok((name, _)) if is_hidden(name)));
        Box::new(names.map(move |named| {
            let shown = || format!("cannot list {}", lists.photos.display());
            Ok(lists.found(named.with_context(shown)?.0))
        }))
    }

    fn found(&self, name: OsString) -> Found {
        let path = self.photos.join(&name);
        let Ok(file) = name.into_string() else {
            return Found::skipped(path.display().to_string(), "its name is not UTF-8");
        };
        if !walk::is_photo(&path) {
            return Found::skipped(file, "not a photo by its name");
        }
        // The lists speak of .jpg even where the photos are .png.
        let stem = file.split('.').next().unwrap_or_default();
        let key = format!("{stem}.jpg");
        let identity = self.identities.of(&key);
        let part = self.parts.of(&key);
        let part = part.and_then(|part| PARTS.get(usize::from(part)));
        let identified = identity.map(|it| ("identity", it.into()));
        let parted = part.map(|part| ("partition", (*part).into()));
        let named = |it: u32| {
            let name = self.names.get(&it).cloned();
            name.unwrap_or_else(|| format!("CelebA #{it}"))
        };
        // Of a photo that the list lacks, nothing is known.
        let (titles, has) = match self.attributes.of(&key) {
            Some(has) => (Arc::clone(&self.titles), has),
            None => (Arc::default(), 0),
        };
        Found::Photo(Photo {
            path,
            person: identity.map(named),
            id: id_of(&format!("img_align_celeba/{key}")),
            about: About::Flags {
                names: titles,
                has,
                beside: identified.into_iter().chain(parted).collect(),
            },
            file,
            row: None,
            bytes: 0,
        })
    }
}

/// A number for each photo, by 64 bits of a hash of its name: that two of 200,000 share them happens
/// once in a billion.
struct ByPhoto<T> {
    rows: Vec<(u64, T)>,
}

impl<T: Copy> ByPhoto<T> {
    fn of_rows(mut rows: Vec<(u64, T)>) -> Self {
        rows.shrink_to_fit();
        // Of several rows of a photo the last one counts.
        rows.reverse();
        rows.sort_by_key(|(key, _)| *key);
        Self { rows }
    }

    fn of(&self, photo: &str) -> Option<T> {
        let key = key(photo);
        let at = self.rows.partition_point(|(other, _)| *other < key);
        let (found, number) = self.rows.get(at)?;
        (*found == key).then_some(*number)
    }
}

fn key(photo: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    photo.hash(&mut hasher);
    hasher.finish()
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

/// The rows of a list, cut at commas or spaces, one after the other; none where there is no list.
fn rows(path: Option<&Path>) -> Result<impl Iterator<Item = Result<Vec<String>>>> {
    let open = |path: &Path| {
        let shown = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let cut = move |(_, line): (usize, Result<String>)| {
            let line = line.with_context(|| shown.clone())?;
            let cells = line.split(|c: char| c == ',' || c.is_whitespace());
            let cells = cells.filter(|cell| !cell.is_empty());
            Ok(cells.map(str::to_owned).collect())
        };
        Ok::<_, anyhow::Error>(lines(BufReader::new(file)).map(cut))
    };
    Ok(path.map(open).transpose()?.into_iter().flatten())
}

/// A list of a number for each photo; empty where there is none.
fn numbers<T: FromStr + Copy>(folder: &Path, name: &str) -> Result<ByPhoto<T>> {
    let path = list(folder, name);
    let shown = || path.as_deref().unwrap_or(folder).display();
    let mut numbers = Vec::new();
    for row in rows(path.as_deref())? {
        match row?.as_slice() {
            [photo, number] if is_photo(photo) => {
                let number = number.parse().ok();
                let number =
                    number.with_context(|| format!("{}: {photo} has no number", shown()))?;
                numbers.push((key(photo), number));
            }
            // Copies have a line of titles.
            _ if numbers.is_empty() => {}
            row => bail!("{}: `{}` is no photo and a number", shown(), row.join(" ")),
        }
    }
    Ok(ByPhoto::of_rows(numbers))
}

fn is_photo(cell: &str) -> bool {
    cell.ends_with(".jpg")
}

/// The names of the attributes, and which photo has which: after a line that counts comes one with the
/// names, then each photo with 1 or -1 for each.
fn attributes(folder: &Path) -> Result<(Arc<[String]>, ByPhoto<u64>)> {
    let (mut names, mut of) = (Vec::new(), Vec::new());
    let path = list(folder, "list_attr_celeba");
    let shown = || path.as_deref().unwrap_or(folder).display();
    for row in rows(path.as_deref())? {
        match row?.as_slice() {
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
                of.push((key(photo), bits.fold(0, |has, (at, _)| has | 1 << at)));
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
    Ok((names.into(), ByPhoto::of_rows(of)))
}

/// A file of one's own: the number of an identity and a name in each row.
fn people(path: &Path) -> Result<HashMap<u32, String>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut people = HashMap::new();
    for (number, row) in table::rows(BufReader::new(file)).enumerate() {
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
    use std::fs;

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
        assert_eq!(found.len(), 4, "{found:?}");
        match &found[2..] {
            [Found::Photo(photo), Found::Skipped(skipped)] => {
                let payload = photo.about.payload(&photo.file);
                assert_eq!(Value::Object(payload), json!({"file": "000003.jpg"}));
                assert_eq!(skipped.file, "readme.txt");
            }
            other => panic!("{other:?}"),
        }
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
