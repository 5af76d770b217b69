//! CelebA as it is distributed (Liu et al. 2015, "Deep Learning Face Attributes in the Wild"), or as
//! copies of it on the web are: the aligned photos, and beside them lists of who they show, of 40
//! attributes and of the parts for training, validation and test. Identities are numbers; names
//! come from a file of one's own. Boxes and landmarks are not read: those of the lists are partly in
//! the coordinates of other photos, and every photo is looked at anyway.

mod lists;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::kinds;
use super::mistakes::Mistakes;
use super::photo::{About, Found, Photo, id_of};
use super::report::Absent;
use super::source::Entries;
use super::walk::{HIDDEN, Names};
use crate::limits;
use lists::{ByPhoto, Reading, list};

/// Where the photos may be, below the data set's folder.
const PHOTOS: [&str; 6] = [
    "img_align_celeba/img_align_celeba",
    "img_align_celeba",
    "Img/img_align_celeba",
    "img_align_celeba_png",
    "Img/img_align_celeba_png",
    "img_celeba",
];
const PARTS: [&str; 3] = ["train", "valid", "test"];
/// Keys of the payload, beside which attributes stand.
const IDENTITY: &str = "identity";
const PARTITION: &str = "partition";

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
    /// The photos that they name and that are not there.
    pub(super) absent: Absent,
}

impl Lists {
    /// Reads them; people have names by the numbers of their identities.
    pub(super) fn read(folder: &Path, names: Option<&Path>) -> Result<Self> {
        let photos = photos_in(folder).context("there is no folder img_align_celeba")?;
        let mut reading = Reading::of(&photos)?;
        let names = names.map(|path| reading.people(path)).transpose()?;
        let (titles, attributes) = reading.attributes(folder)?;
        let last_part = u8::try_from(PARTS.len() - 1)?;
        let identities = reading.numbers(folder, "identity_CelebA", u32::MAX)?;
        let parts = reading.numbers(folder, "list_eval_partition", last_part)?;
        let (mistakes, absent) = reading.told();
        Ok(Self {
            photos,
            names: names.unwrap_or_default(),
            identities,
            parts,
            attributes,
            titles,
            mistakes,
            absent,
        })
    }

    /// Whether they should say of each photo whom it shows.
    pub(super) fn name_people(&self) -> bool {
        !self.identities.is_empty()
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
        if !kinds::is_named_as_photo(&path) {
            return Found::skipped(file, kinds::why_not(&path));
        }
        let key = listed_as(&file);
        let identity = self.identities.of(&key);
        let part = self.parts.of(&key);
        let part = part.and_then(|part| PARTS.get(usize::from(part)));
        let identified = identity.map(|it| (IDENTITY, it.into()));
        let parted = part.map(|part| (PARTITION, (*part).into()));
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

fn photos_in(folder: &Path) -> Option<PathBuf> {
    PHOTOS
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_dir())
}

/// The name that lists have for a photo: they speak of .jpg even where the photos are .png.
fn listed_as(file: &str) -> String {
    let stem = file.split('.').next().unwrap_or_default();
    format!("{stem}.jpg")
}

#[cfg(test)]
mod tests;
