//! The lists of CelebA: rows of a photo and what is said of it. What is wrong with a row ends the reading, with
//! file and line; what can be passed over is told.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::{IDENTITY, PARTITION, listed_as};
use crate::import::kinds;
use crate::import::lines::lines;
use crate::import::mistakes::Mistakes;
use crate::import::report::Absent;
use crate::import::seen::Seen;
use crate::import::table;
use crate::limits;

/// Where the lists may be.
const LISTS: [&str; 3] = [".", "Anno", "Eval"];
/// Attributes are the bits of a number.
const MOST_ATTRIBUTES: usize = 64;
/// Keys of the payload that no attribute can have.
const TAKEN: [&str; 4] = [IDENTITY, PARTITION, "file", "person"];

/// A number for each photo, by 64 bits of a hash of its name: that two of 200,000 share them happens
/// once in a billion.
pub(super) struct ByPhoto<T> {
    rows: Vec<(u64, T)>,
}

impl<T: Copy> ByPhoto<T> {
    /// Whether there is no list.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn of_rows(mut rows: Vec<(u64, T)>) -> Self {
        rows.shrink_to_fit();
        // Of several rows of a photo the last one counts.
        rows.reverse();
        rows.sort_by_key(|(key, _)| *key);
        Self { rows }
    }

    pub(super) fn of(&self, photo: &str) -> Option<T> {
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

/// The lists as they are read one after the other.
pub(super) struct Reading {
    /// The photos that are there, in their order.
    there: Vec<u64>,
    /// Those that are named and are not.
    absent: Vec<u64>,
    /// The names of some of these.
    first_absent: Vec<String>,
    mistakes: Mistakes,
}

impl Reading {
    /// Beside a folder of photos.
    pub(super) fn of(photos: &Path) -> Result<Self> {
        let shown = || format!("cannot list {}", photos.display());
        let mut there = Vec::new();
        for entry in fs::read_dir(photos).with_context(shown)? {
            let name = entry.with_context(shown)?.file_name();
            let is_photo = |file: &&str| kinds::is_named_as_photo(Path::new(file));
            if let Some(file) = name.to_str().filter(is_photo) {
                there.push(key(&listed_as(file)));
            }
        }
        there.sort_unstable();
        Ok(Self {
            there,
            absent: Vec::new(),
            first_absent: Vec::new(),
            mistakes: Mistakes::default(),
        })
    }

    /// What was passed over, and the photos that are not there.
    pub(super) fn told(mut self) -> (Mistakes, Absent) {
        // Each list names a photo.
        self.absent.sort_unstable();
        self.absent.dedup();
        let absent = Absent {
            count: self.absent.len(),
            first: self.first_absent,
        };
        (self.mistakes, absent)
    }

    /// Takes note of a row of a photo; of several the last one counts.
    fn note(&mut self, seen: &mut Seen, photo: &str, (file, line): (&Path, usize)) {
        if !seen.is_new(&photo) {
            let what = format!("{photo} has a row before, which does not count");
            self.mistakes.add(file, line, what);
        }
        let key = key(photo);
        if self.there.binary_search(&key).is_err() {
            self.absent.push(key);
            let first = &mut self.first_absent;
            if first.len() < limits::ROWS_TOLD && !first.iter().any(|it| it == photo) {
                first.push(photo.to_owned());
            }
        }
    }

    /// A list of a number, up to some number, for each photo; empty where there is none.
    pub(super) fn numbers<T: FromStr + Copy + PartialOrd + Display>(
        &mut self,
        folder: &Path,
        name: &str,
        most: T,
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
                    self.note(&mut seen, photo, (file, line));
                    numbers.push((key(photo), number));
                }
                // Copies have a line of titles.
                [_, title] if line == 1 && title.parse::<u64>().is_err() => {}
                row => bail!("{}: `{}` is no photo and a number", at(), row.join(" ")),
            }
        }
        Ok(ByPhoto::of_rows(numbers))
    }

    /// The names of the attributes, and which photo has which: after a line that counts comes one with the
    /// names, then each photo with 1 or -1 (in some copies 0) for each.
    pub(super) fn attributes(&mut self, folder: &Path) -> Result<(Arc<[String]>, ByPhoto<u64>)> {
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
                    self.note(&mut seen, photo, (file, line));
                    let has = bits(values).with_context(|| format!("{}: {photo}", at()))?;
                    of.push((key(photo), has));
                }
                [count] if line == 1 && count.parse::<usize>().is_ok() => {
                    said = count.parse().ok();
                }
                titles if names.is_empty() => names = named(titles).with_context(at)?,
                row => bail!("{}: `{}` is no photo", at(), row.join(" ")),
            }
        }
        if let Some(said) = said.filter(|said| *said != of.len()) {
            let there = of.len();
            let what = format!("it says that there are {said} photos, and there are {there}");
            self.mistakes.add(file, 1, what);
        }
        Ok((names.into(), ByPhoto::of_rows(of)))
    }

    /// A file of one's own: the number of an identity and a name in each row.
    pub(super) fn people(&mut self, path: &Path) -> Result<HashMap<u32, String>> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut people = HashMap::new();
        for (at, row) in table::rows(BufReader::new(file)).enumerate() {
            let (number, row) = row.with_context(|| path.display().to_string())?;
            match row.as_slice() {
                [identity, name] if identity.trim().parse::<u32>().is_ok() => {
                    let identity: u32 = identity.trim().parse()?;
                    if name.trim().is_empty() {
                        let what = format!("{identity} has no name");
                        self.mistakes.add(path, number, what);
                        continue;
                    }
                    let before = people.insert(identity, name.trim().to_owned());
                    if before.is_some() {
                        let what = format!("{identity} has a name before, which does not count");
                        self.mistakes.add(path, number, what);
                    }
                }
                // Some have titles.
                _ if at == 0 => {}
                row => bail!(
                    "{}, row {number}: `{}` is no number and a name",
                    path.display(),
                    row.join(",")
                ),
            }
        }
        Ok(people)
    }
}

/// Titles of attributes as keys of the payload, each another.
fn named(titles: &[String]) -> Result<Vec<String>> {
    let titles = titles.iter().filter(|title| *title != "image_id");
    let names: Vec<_> = titles.map(|title| title.to_lowercase()).collect();
    ensure!(names.len() <= MOST_ATTRIBUTES, "too many attributes");
    for (at, name) in names.iter().enumerate() {
        ensure!(
            !names[..at].contains(name),
            "two attributes are called `{name}`"
        );
        ensure!(
            !TAKEN.contains(&name.as_str()),
            "no attribute can be called `{name}`, which says something else of a photo"
        );
    }
    Ok(names)
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

fn is_photo(cell: &str) -> bool {
    cell.ends_with(".jpg")
}

/// A list as it is distributed, or as a table with commas.
pub(super) fn list(folder: &Path, name: &str) -> Option<PathBuf> {
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
