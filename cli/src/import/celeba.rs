//! CelebA as it is distributed (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"), or as
//! copies of it on the web are: the aligned photos, and beside them lists of who they show, of 40
//! attributes and of the parts for training, validation and test. Identities are numbers; names
//! come from a file of one's own. Boxes and landmarks are not read: those of the lists are partly in
//! the coordinates of other photos, and every photo is looked at anyway.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::lines::lines;
use super::mistakes::Mistakes;
use super::photo::{About, Found, Photo, id_of};
use super::seen::Seen;
use super::source::Entries;
use super::table;
use super::walk::{self, HIDDEN, Names};
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
    /// What is wrong with them and could be passed over.
    pub(super) mistakes: Mistakes,
}

impl Lists {
    /// Reads them; people have names by the numbers of their identities.
    pub(super) fn read(folder: &Path, names: Option<&Path>) -> Result<Self> {
        let photos = photos_in(folder).context("there is no folder img_align_celeba")?;
        let mut mistakes = Mistakes::default();
        let names = names.map(|path| people(path, &mut mistakes)).transpose()?;
        let (titles, attributes) = attributes(folder, &mut mistakes)?;
        let last_part = u8::try_from(PARTS.len() - 1)?;
        Ok(Self {
            photos,
            names: names.unwrap_or_default(),
            identities: numbers(folder, "identity_CelebA", u32::MAX, &mut mistakes)?,
            parts: numbers(folder, "list_eval_partition", last_part, &mut mistakes)?,
            attributes,
            titles,
            mistakes,
        })
    }

    /// Whether they should say of each photo whom it shows.
    pub(super) fn name_people(&self) -> bool {
        !self.identities.rows.is_empty()
    }

    /// The photos that are there, one after the other.
    pub(super) fn photos(self: &Arc<Self>) -> Entries {
        let lists = Arc::clone(self);
        let names = Names::of(&self.photos, limits::NAMES_HELD);
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
        if file.starts_with('.') {
            return Found::skipped(file, HIDDEN);
        }
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

/// The rows of a list, cut at commas or spaces, one after the other, each with its line; none where there is
/// no list.
fn rows(path: Option<&Path>) -> Result<impl Iterator<Item = Result<(usize, Vec<String>)>>> {
    let open = |path: &Path| {
        let shown = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let cut = move |(number, line): (usize, Result<String>)| {
            let line = line.with_context(|| format!("{shown}, line {number}"))?;
            let cells = line.split(|c: char| c == ',' || c.is_whitespace());
            let cells = cells.filter(|cell| !cell.is_empty());
            Ok((number, cells.map(str::to_owned).collect()))
        };
        Ok::<_, anyhow::Error>(lines(BufReader::new(file)).map(cut))
    };
    Ok(path.map(open).transpose()?.into_iter().flatten())
}

/// A list of a number, up to some number, for each photo; empty where there is none.
fn numbers<T: FromStr + Copy + PartialOrd + Display>(
    folder: &Path,
    name: &str,
    most: T,
    mistakes: &mut Mistakes,
) -> Result<ByPhoto<T>> {
    let path = list(folder, name);
    let file = path.as_deref().unwrap_or(folder);
    let (mut numbers, mut seen) = (Vec::new(), Seen::new());
    for row in rows(path.as_deref())? {
        let (line, cells) = row?;
        let at = || format!("{}, line {line}", file.display());
        match cells.as_slice() {
            [photo, number] if is_photo(photo) => {
                let read = number.parse::<T>().ok().filter(|it| *it <= most);
                let number = read.with_context(|| {
                    format!(
                        "{}: `{number}` of {photo} is no number of 0 to {most}",
                        at()
                    )
                })?;
                note_again(&mut seen, photo, (file, line), mistakes);
                numbers.push((key(photo), number));
            }
            // Copies have a line of titles.
            [_, title] if line == 1 && title.parse::<u64>().is_err() => {}
            row => bail!("{}: `{}` is no photo and a number", at(), row.join(" ")),
        }
    }
    Ok(ByPhoto::of_rows(numbers))
}

/// Of several rows of a photo the last one counts.
fn note_again(seen: &mut Seen, photo: &str, (file, line): (&Path, usize), mistakes: &mut Mistakes) {
    if !seen.is_new(&photo) {
        let what = format!("{photo} has a row before, which does not count");
        mistakes.add(file, line, what);
    }
}

fn is_photo(cell: &str) -> bool {
    cell.ends_with(".jpg")
}

/// The names of the attributes, and which photo has which: after a line that counts comes one with the
/// names, then each photo with 1 or -1 (in some copies 0) for each.
fn attributes(folder: &Path, mistakes: &mut Mistakes) -> Result<(Arc<[String]>, ByPhoto<u64>)> {
    let (mut names, mut of) = (Vec::new(), Vec::new());
    let mut said: Option<usize> = None;
    let mut seen = Seen::new();
    let path = list(folder, "list_attr_celeba");
    let file = path.as_deref().unwrap_or(folder);
    for row in rows(path.as_deref())? {
        let (line, cells) = row?;
        let at = || format!("{}, line {line}", file.display());
        match cells.as_slice() {
            [photo, values @ ..] if is_photo(photo) => {
                ensure!(
                    values.len() == names.len(),
                    "{}: {photo} has {} attributes, {} are named",
                    at(),
                    values.len(),
                    names.len()
                );
                note_again(&mut seen, photo, (file, line), mistakes);
                let has = bits(values).with_context(|| format!("{}: {photo}", at()))?;
                of.push((key(photo), has));
            }
            [count] if line == 1 && count.parse::<usize>().is_ok() => said = count.parse().ok(),
            titles if names.is_empty() => {
                let titles = titles.iter().filter(|title| *title != "image_id");
                names = titles.map(|title| title.to_lowercase()).collect();
                ensure!(
                    names.len() <= MOST_ATTRIBUTES,
                    "{}: too many attributes",
                    at()
                );
            }
            row => bail!("{}: `{}` is no photo", at(), row.join(" ")),
        }
    }
    if let Some(said) = said.filter(|said| *said != of.len()) {
        let what = format!(
            "it says that there are {said} photos, and there are {}",
            of.len()
        );
        mistakes.add(file, 1, what);
    }
    Ok((names.into(), ByPhoto::of_rows(of)))
}

/// Attributes as the bits of a number.
fn bits(values: &[String]) -> Result<u64> {
    let mut has = 0;
    for (at, value) in values.iter().enumerate() {
        match value.as_str() {
            "1" => has |= 1 << at,
            "-1" | "0" => {}
            other => bail!("`{other}` is neither 1 nor -1"),
        }
    }
    Ok(has)
}

/// A file of one's own: the number of an identity and a name in each row.
fn people(path: &Path, mistakes: &mut Mistakes) -> Result<HashMap<u32, String>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut people = HashMap::new();
    for (number, row) in (1..).zip(table::rows(BufReader::new(file))) {
        let row = row.with_context(|| path.display().to_string())?;
        match row.as_slice() {
            [identity, name] if identity.trim().parse::<u32>().is_ok() => {
                let identity: u32 = identity.trim().parse()?;
                let before = people.insert(identity, name.trim().to_owned());
                if before.is_some() {
                    let what = format!("{identity} has a name before, which does not count");
                    mistakes.add(path, number, what);
                }
            }
            _ if number == 1 => {}
            row => bail!(
                "{}, row {number}: `{}` is no number and a name",
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
            ("names.csv", "1,Ada\n2,Bob\n1,Eve\n"),
        ];
        let folder = folder(&files);
        let names = folder.path().join("names.csv");
        let lists = Lists::read(folder.path(), Some(&names)).unwrap();
        let told: Vec<_> = lists.mistakes.told().collect();
        assert_eq!((lists.mistakes.count, told.len()), (3, 3));
        for words in [
            "identity_CelebA.txt, line 3: 000001.jpg",
            "list_attr_celeba.txt, line 1: it says that there are 2",
            "names.csv, line 3: 1 has a name",
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
}
