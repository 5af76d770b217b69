//! The photos below a folder: which files they are, whose face they show, the id each will always
//! have. The order is the same on every run. Links to folders are not followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::photo::{About, Listing, Photo, id_of};
use crate::limits;

const EXTENSIONS: [&str; 11] = [
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "hif",
];

/// Lists a folder.
pub(crate) fn walk(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    visit(folder, &mut Vec::new(), &mut listing)?;
    Ok(listing)
}

fn visit(folder: &Path, below: &mut Vec<String>, listing: &mut Listing) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            listing.skip(path.display().to_string(), "its name is not UTF-8");
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        below.push(name);
        if entry.file_type()?.is_dir() {
            descend(&path, below, listing)?;
        } else {
            add(listing, path, below);
        }
        below.pop();
    }
    Ok(())
}

fn descend(path: &Path, below: &mut Vec<String>, listing: &mut Listing) -> io::Result<()> {
    if below.len() > limits::FOLDER_DEPTH {
        listing.skip(below.join("/"), "too many folders within folders");
        return Ok(());
    }
    visit(path, below, listing)
}

fn add(listing: &mut Listing, path: PathBuf, below: &[String]) {
    let file = below.join("/");
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if !extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str())) {
        return listing.skip(file, "not a photo by its name");
    }
    listing.add(Photo {
        person: person(below),
        id: id_of(&file),
        path,
        file,
        about: About::Nothing,
        bytes: 0,
    });
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

    fn people(files: &[&str]) -> Vec<(String, Option<String>)> {
        let listing = walk(folder_with(files).path()).unwrap();
        let photos = listing.photos.into_iter();
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
    fn other_files_are_skipped_with_a_reason_and_hidden_ones_without() {
        let folder = folder_with(&["Ada/1.jpg", "Ada/notes.txt", "Ada/.cache.jpg", ".git/x.jpg"]);
        let listing = walk(folder.path()).unwrap();
        assert_eq!(listing.photos.len(), 1);
        let skipped = &listing.skipped[..];
        assert_eq!(skipped.len(), 1);
        assert_eq!(skipped[0].file, "Ada/notes.txt");
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
        let listing = walk(folder.path()).unwrap();
        let files: Vec<_> = listing.photos.iter().map(|photo| &photo.file).collect();
        assert_eq!(files, ["Ada/1.jpg", "Ada/2.jpg"]);
        assert_eq!(listing.skipped.len(), 2);
    }

    #[test]
    fn ids_are_the_same_on_every_run() {
        let ids = |folder: &tempfile::TempDir| {
            let photos = walk(folder.path()).unwrap().photos.into_iter();
            photos.map(|photo| photo.id).collect::<Vec<_>>()
        };
        let files = ["Ada/1.jpg", "Ada/2.jpg"];
        assert_eq!(ids(&folder_with(&files)), ids(&folder_with(&files)));
    }
}
