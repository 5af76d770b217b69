//! The photos below a folder, one after the other: which files they are, whose face they show, the id
//! each will always have. The order is the same on every run, and memory holds no more than some of
//! the names in each folder on the way, however many there are. Links to folders are not followed.

use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use anyhow::{Context, Result};

use super::kinds;
use super::photo::{About, Found, Photo, id_of};
use crate::limits;

/// Why a file or a folder is left out whose name begins with a dot.
pub(super) const HIDDEN: &str = "hidden, as its name begins with a dot";

/// What is below a folder.
pub(super) struct Walk {
    /// The folders on the way down.
    levels: Vec<Names>,
    /// Their names, but for the first's.
    below: Vec<String>,
}

impl Walk {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            levels: vec![Names::of(folder, limits::NAMES_HELD)],
            below: Vec::new(),
        }
    }

    fn visit(&mut self, path: PathBuf, (name, is_folder): (OsString, bool)) -> Option<Found> {
        let Ok(name) = name.into_string() else {
            let file = path.display().to_string();
            return Some(Found::skipped(file, "its name is not UTF-8"));
        };
        let is_hidden = name.starts_with('.');
        self.below.push(name);
        if is_hidden {
            let found = Found::skipped(self.below.join("/"), HIDDEN);
            self.below.pop();
            return Some(found);
        }
        if !is_folder {
            let found = photo(path, &self.below);
            self.below.pop();
            return Some(found);
        }
        if self.below.len() > limits::FOLDER_DEPTH {
            let found = Found::skipped(self.below.join("/"), "too many folders within folders");
            self.below.pop();
            return Some(found);
        }
        self.levels.push(Names::of(&path, limits::NAMES_HELD));
        None
    }
}

impl Iterator for Walk {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let names = self.levels.last_mut()?;
            match names.next() {
                Some(Ok(named)) => {
                    let path = names.folder.join(&named.0);
                    if let Some(found) = self.visit(path, named) {
                        return Some(Ok(found));
                    }
                }
                Some(Err(error)) => {
                    let shown = names.folder.display().to_string();
                    self.levels.clear();
                    return Some(Err(error).with_context(|| format!("cannot list {shown}")));
                }
                None => {
                    self.levels.pop();
                    self.below.pop();
                }
            }
        }
    }
}

/// The names in a folder in their order, each with whether it is a folder's. So many are held at once;
/// for the ones behind them the folder is read again.
pub(super) struct Names {
    folder: PathBuf,
    most: usize,
    held: vec::IntoIter<(OsString, bool)>,
    last: Option<OsString>,
    are_more: bool,
}

impl Names {
    pub(super) fn of(folder: &Path, most: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            most,
            held: Vec::new().into_iter(),
            last: None,
            are_more: true,
        }
    }

    /// The first of those behind the last one.
    fn read(&mut self) -> io::Result<()> {
        let mut first: BinaryHeap<(OsString, bool)> = BinaryHeap::new();
        self.are_more = false;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if self.last.as_ref().is_some_and(|last| name <= *last) {
                continue;
            }
            if first.len() == self.most {
                self.are_more = true;
                if first.peek().is_some_and(|(highest, _)| name > *highest) {
                    continue;
                }
                first.pop();
            }
            first.push((name, entry.file_type()?.is_dir()));
        }
        let first = first.into_sorted_vec();
        self.last = first.last().map(|(name, _)| name.clone());
        self.held = first.into_iter();
        Ok(())
    }
}

impl Iterator for Names {
    type Item = io::Result<(OsString, bool)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.held.len() == 0
            && self.are_more
            && let Err(error) = self.read()
        {
            self.are_more = false;
            return Some(Err(error));
        }
        self.held.next().map(Ok)
    }
}

fn photo(path: PathBuf, below: &[String]) -> Found {
    let file = below.join("/");
    if !kinds::is_named_as_photo(&path) {
        return Found::skipped(file, kinds::why_not(&path));
    }
    Found::Photo(Photo {
        person: person(below),
        id: id_of(&file),
        path,
        file,
        about: About::Nothing,
        row: None,
        bytes: 0,
    })
}

/// The folder that holds the photo; for a photo directly below the root its own name.
fn person(below: &[String]) -> Option<String> {
    let (file, folders) = below.split_last()?;
    let name = match folders.last() {
        Some(folder) => folder.as_str(),
        None => {
            let stem = file
                .rsplit_once('.')
                .map_or(file.as_str(), |(stem, _)| stem);
            stem.trim_end_matches(|c: char| c.is_ascii_digit() || "_- ().".contains(c))
        }
    };
    let name = name.replace('_', " ").trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::photo::OnDisk;
    use super::super::report::{Refused, Skipped};
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    fn found(folder: &Path) -> (Vec<Photo>, Vec<Skipped>) {
        let (photos, skipped, refused) = all(folder);
        assert!(refused.is_empty(), "{refused:?}");
        (photos, skipped)
    }

    fn all(folder: &Path) -> (Vec<Photo>, Vec<Skipped>, Vec<Refused>) {
        let (mut photos, mut skipped, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for found in Walk::of(folder) {
            let photo = match found.unwrap() {
                Found::Photo(photo) => photo,
                Found::Skipped(file) => {
                    skipped.push(file);
                    continue;
                }
            };
            match photo.sized() {
                OnDisk::Photo(photo) => photos.push(photo),
                OnDisk::Skipped(file) => skipped.push(file),
                OnDisk::Refused(photo) => refused.push(photo),
            }
        }
        (photos, skipped, refused)
    }

    fn people(files: &[&str]) -> Vec<(String, Option<String>)> {
        let (photos, _) = found(folder_with(files).path());
        let photos = photos.into_iter();
        photos.map(|photo| (photo.file, photo.person)).collect()
    }

    fn pair(file: &str, person: &str) -> (String, Option<String>) {
        (file.to_owned(), Some(person.to_owned()))
    }

    #[test]
    fn a_photo_belongs_to_the_folder_that_holds_it_at_any_depth() {
        let found = people(&[
            "b/Ada_Lovelace/2.jpg",
            "b/Ada_Lovelace/10.PNG",
            "Bob/x.webp",
        ]);
        let expected = [
            pair("Bob/x.webp", "Bob"),
            pair("b/Ada_Lovelace/10.PNG", "Ada Lovelace"),
            pair("b/Ada_Lovelace/2.jpg", "Ada Lovelace"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_photo_without_a_folder_belongs_to_the_name_before_its_number() {
        let found = people(&["Ada_Lovelace_0001.jpg", "Bob (2).jpeg", "Eve.jpg"]);
        let expected = [
            pair("Ada_Lovelace_0001.jpg", "Ada Lovelace"),
            pair("Bob (2).jpeg", "Bob"),
            pair("Eve.jpg", "Eve"),
        ];
        assert_eq!(found, expected);
        assert_eq!(people(&["0001.jpg"]), [("0001.jpg".to_owned(), None)]);
    }

    #[test]
    fn other_files_and_hidden_files_and_folders_are_skipped_with_a_reason() {
        let folder = folder_with(&["Ada/1.jpg", "Ada/notes.txt", "Ada/.cache.jpg", ".git/x.jpg"]);
        let (photos, skipped) = found(folder.path());
        let skipped: Vec<_> = skipped.iter().map(|it| (&*it.file, &*it.reason)).collect();
        assert_eq!(photos.len(), 1);
        let other = ("Ada/notes.txt", "not a photo by its name");
        assert_eq!(
            skipped,
            [(".git", HIDDEN), ("Ada/.cache.jpg", HIDDEN), other]
        );
    }

    #[test]
    fn photos_of_kinds_that_are_not_read_are_refused_with_the_kind() {
        let folder = folder_with(&["Ada/1.jpg", "Ada/2.avif", "3.JXL"]);
        let (photos, skipped, refused) = all(folder.path());
        assert_eq!((photos.len(), skipped.len()), (1, 0));
        let refused: Vec<_> = refused.iter().map(|it| (&*it.file, &*it.reason)).collect();
        let due = [
            ("3.JXL", "JPEG XL is not read"),
            ("Ada/2.avif", "AVIF is not read"),
        ];
        assert_eq!(refused, due);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_and_pipes_are_told_as_such_whatever_they_are_called() {
        let folder = folder_with(&["Ada/1.jpg", "Ada/notes.txt"]);
        let at = |name: &str| folder.path().join(name);
        let link = |from: &str, to: &str| std::os::unix::fs::symlink(from, at(to)).unwrap();
        for name in ["again", "loop.jpg", "loop.avif"] {
            link("Ada", name);
        }
        link("Ada/notes.txt", "words");
        for name in ["pipe", "pipe.jpg"] {
            let made = std::process::Command::new("mkfifo").arg(at(name)).status();
            assert!(made.unwrap().success());
        }
        let (photos, skipped, refused) = all(folder.path());
        assert_eq!((photos.len(), refused.len()), (1, 0));
        let skipped: Vec<_> = skipped.iter().map(|it| (&*it.file, &*it.reason)).collect();
        let due = [
            ("Ada/notes.txt", "not a photo by its name"),
            ("again", kinds::LINK),
            ("loop.avif", kinds::LINK),
            ("loop.jpg", kinds::LINK),
            ("pipe", kinds::NO_FILE),
            ("pipe.jpg", kinds::NO_FILE),
            ("words", "not a photo by its name"),
        ];
        assert_eq!(skipped, due);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_photo_is_followed_and_a_link_to_a_folder_is_not() {
        let folder = folder_with(&["Ada/1.jpg"]);
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(from, folder.path().join(to)).unwrap();
        };
        link("1.jpg", "Ada/2.jpg");
        link("../Ada", "Ada/loop.jpg");
        link("nowhere.jpg", "Ada/broken.jpg");
        let (photos, skipped, refused) = all(folder.path());
        let files: Vec<_> = photos.iter().map(|photo| &photo.file).collect();
        assert_eq!(files, ["Ada/1.jpg", "Ada/2.jpg"]);
        assert_eq!((skipped.len(), &*skipped[0].file), (1, "Ada/loop.jpg"));
        assert_eq!((refused.len(), &*refused[0].file), (1, "Ada/broken.jpg"));
    }

    #[test]
    fn ids_are_the_same_on_every_run() {
        let ids = |folder: &tempfile::TempDir| {
            let photos = found(folder.path()).0.into_iter();
            photos.map(|photo| photo.id).collect::<Vec<_>>()
        };
        let files = ["Ada/1.jpg", "Ada/2.jpg"];
        assert_eq!(ids(&folder_with(&files)), ids(&folder_with(&files)));
    }

    #[test]
    fn names_come_in_their_order_and_once_however_few_are_held() {
        let files: Vec<_> = (0..40).map(|n| format!("{}.jpg", n * 7 % 40)).collect();
        let folder = folder_with(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let mut due: Vec<_> = files.iter().map(OsString::from).collect();
        due.sort();
        for most in [1, 3, 39, 40, 41] {
            let names = Names::of(folder.path(), most).map(|named| named.unwrap().0);
            assert_eq!(names.collect::<Vec<_>>(), due, "{most} held");
        }
    }

    #[test]
    fn a_folder_that_is_gone_ends_the_walk_with_its_name() {
        let folder = folder_with(&["Ada/1.jpg"]);
        let gone = folder.path().join("gone");
        let mut walk = Walk::of(&gone);
        let error = format!("{:#}", walk.next().unwrap().unwrap_err());
        assert!(error.contains("gone"), "{error}");
        assert!(walk.next().is_none());
    }
}
