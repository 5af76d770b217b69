//! Labeled Faces in the Wild as a folder: `images/PERSON/PERSON_NNNN.jpg` and `pairs.txt`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A photo of a person.
pub struct Photo {
    /// Whose.
    pub person: String,
    /// Where.
    pub path: PathBuf,
}

/// Two photos, by their place in [`Lfw::photos`], and whether they show one person.
pub struct Pair {
    /// One photo.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Whether both show one person.
    pub same: bool,
}

/// The data set.
pub struct Lfw {
    /// In the order of their paths.
    pub photos: Vec<Photo>,
    /// The pairs of `pairs.txt`.
    pub pairs: Vec<Pair>,
}

impl Lfw {
    /// Reads the names of all photos, and the pairs.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut photos = Vec::new();
        for person in sorted(&dir.join("images"))? {
            let name = name_of(&person)?;
            for path in sorted(&person)? {
                photos.push(Photo {
                    person: name.clone(),
                    path,
                });
            }
        }
        let mut places = HashMap::new();
        for (at, photo) in photos.iter().enumerate() {
            places.insert(name_of(&photo.path)?, at);
        }
        let path = dir.join("pairs.txt");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut pairs = Vec::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let place = |name: &str, number: &str| -> Result<usize> {
                let file = format!("{name}_{:04}.jpg", number.trim().parse::<u32>()?);
                places
                    .get(&file)
                    .copied()
                    .with_context(|| format!("{file} is not there"))
            };
            match fields.as_slice() {
                [name, i, j] => pairs.push(Pair {
                    a: place(name, i)?,
                    b: place(name, j)?,
                    same: true,
                }),
                [a, i, b, j] => pairs.push(Pair {
                    a: place(a, i)?,
                    b: place(b, j)?,
                    same: false,
                }),
                // The first line counts.
                _ if pairs.is_empty() => {}
                _ => bail!("{}: `{line}` is no pair", path.display()),
            }
        }
        Ok(Self { photos, pairs })
    }
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name
        .with_context(|| format!("{} has no name", path.display()))?
        .to_owned())
}
