//! Labeled Faces in the Wild as it is distributed, or a part of it: a folder of each person's
//! photos, and `pairs.txt`.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::import::is_photo;

/// Where the people's folders may be, below the data set's.
const PHOTOS: [&str; 5] = ["images", "lfw-deepfunneled", "lfw_funneled", "lfw", "."];
/// Parts that the pairs are cut into where the file does not say.
const FOLDS: usize = 10;
/// Photos that are missing and told to people.
const FIRST: usize = 3;

/// A photo.
pub(crate) struct Photo {
    pub(crate) person: String,
    pub(crate) path: PathBuf,
}

/// Two photos by their places.
pub(crate) struct Pair {
    pub(super) a: usize,
    pub(super) b: usize,
    /// Whether both show one person.
    pub(crate) same: bool,
    /// Which part of the pairs it belongs to.
    pub(crate) fold: usize,
}

/// The data set.
pub(crate) struct Lfw {
    /// In the order of their paths.
    pub(crate) photos: Vec<Photo>,
    /// The pairs of `pairs.txt`.
    pub(crate) pairs: Vec<Pair>,
    /// What the file names and is not there.
    pub(crate) missing: Missing,
}

/// Of a part of the data set, what it lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Pairs that were left out.
    pub(crate) pairs: usize,
    /// The names of the photos that they want.
    pub(crate) photos: BTreeSet<String>,
}

impl Missing {
    /// What is missing, if something is.
    pub(crate) fn told(&self) -> Option<String> {
        let first: Vec<_> = self.photos.iter().take(FIRST).cloned().collect();
        let more = match self.photos.len() - first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (pairs, first) = (self.pairs, first.join(", "));
        (pairs > 0).then(|| format!("{pairs} pairs, as photos are not there: {first}{more}"))
    }
}

impl Lfw {
    /// Lists the photos, at most `limit` of them, and the pairs among these.
    pub(crate) fn open(dir: &Path, limit: Option<usize>) -> Result<Self> {
        let photos = photos(dir)?;
        let path = dir.join("pairs.txt");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (pairs, missing) = pairs(&text, &photos).with_context(|| path.display().to_string())?;
        let mut lfw = Self {
            photos,
            pairs,
            missing,
        };
        if let Some(limit) = limit {
            lfw.photos.truncate(limit);
            lfw.pairs.retain(|pair| pair.a < limit && pair.b < limit);
        }
        Ok(lfw)
    }

    /// The cosine of each pair; of one with a photo in which no face was found, the least there is.
    pub(crate) fn cosines(&self, vectors: &[Option<&[f32]>]) -> Vec<f32> {
        let cosine = |pair: &Pair| match (vectors[pair.a], vectors[pair.b]) {
            (Some(a), Some(b)) => dot(a, b),
            _ => -1.0,
        };
        self.pairs.iter().map(cosine).collect()
    }
}

/// Of vectors of length 1 it is the cosine.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The photos of a data set, each below the folder of its person.
pub(crate) fn photos(dir: &Path) -> Result<Vec<Photo>> {
    let root = PHOTOS
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_dir());
    let root = root.with_context(|| format!("{} is no folder", dir.display()))?;
    let photos = photos_below(&root)?;
    ensure!(
        !photos.is_empty(),
        "{}: there are no folders with photos",
        root.display()
    );
    Ok(photos)
}

fn photos_below(root: &Path) -> Result<Vec<Photo>> {
    let mut photos = Vec::new();
    for folder in sorted(root)?.into_iter().filter(|path| path.is_dir()) {
        let person = name_of(&folder)?;
        let files = sorted(&folder)?.into_iter();
        let files = files.filter(|path| is_photo(path));
        photos.extend(files.map(|path| Photo {
            person: person.clone(),
            path,
        }));
    }
    Ok(photos)
}

/// The first line counts: the folds and the pairs of each kind in one, or the pairs of each kind.
fn pairs(text: &str, photos: &[Photo]) -> Result<(Vec<Pair>, Missing)> {
    let mut places = HashMap::new();
    for (at, photo) in photos.iter().enumerate() {
        places.insert(name_of(&photo.path)?, at);
    }
    let place = |name: &str, number: &str| -> Result<Result<usize, String>> {
        let number = number.trim().parse::<u32>()?;
        let file = format!("{name}_{number:04}.jpg");
        Ok(places.get(&file).copied().ok_or(file))
    };
    let mut lines = text.lines();
    let counts = lines.next().unwrap_or_default().split_whitespace();
    let counts = counts.map(str::parse).collect::<Result<Vec<usize>, _>>();
    let in_fold = match counts.as_deref() {
        Ok(&[_, each]) => each,
        Ok(&[each]) => each.div_ceil(FOLDS),
        _ => bail!("its first line must be one number or two"),
    };
    ensure!(in_fold > 0, "it says that it has no pairs");
    let (mut pairs, mut of_kind) = (Vec::new(), [0_usize; 2]);
    let mut missing = Missing::default();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (a, b, same) = match fields.as_slice() {
            [name, i, j] => (place(name, i)?, place(name, j)?, true),
            [a, i, b, j] => (place(a, i)?, place(b, j)?, false),
            _ => bail!("`{line}` is no pair"),
        };
        let count = &mut of_kind[usize::from(same)];
        let fold = *count / in_fold;
        *count += 1;
        match (a, b) {
            (Ok(a), Ok(b)) => pairs.push(Pair { a, b, same, fold }),
            (a, b) => {
                missing.pairs += 1;
                missing
                    .photos
                    .extend([a.err(), b.err()].into_iter().flatten());
            }
        }
    }
    if let (true, Some(told)) = (pairs.is_empty(), missing.told()) {
        bail!("nothing is left of its {told}");
    }
    Ok((pairs, missing))
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{}: its name is not UTF-8", path.display()))?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photos() -> Vec<Photo> {
        let photo = |(person, number): (&str, u32)| Photo {
            person: person.to_owned(),
            path: format!("{person}/{person}_{number:04}.jpg").into(),
        };
        [("A", 1), ("A", 2), ("B", 1), ("B", 2)]
            .into_iter()
            .map(photo)
            .collect()
    }

    #[test]
    fn pairs_come_in_the_folds_that_the_first_line_says() {
        let text = "2\t1\nA\t1\t2\nA\t1\tB\t1\nB\t1\t2\nA\t2\tB\t2\n";
        let (found, missing) = pairs(text, &photos()).unwrap();
        assert_eq!(missing.told(), None);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.a, it.b, it.same, it.fold))
            .collect();
        assert_eq!(
            found,
            [
                (0, 1, true, 0),
                (0, 2, false, 0),
                (2, 3, true, 1),
                (1, 3, false, 1)
            ]
        );
    }

    #[test]
    fn what_is_no_pair_or_names_no_photo_is_told() {
        for (text, word) in [
            ("2\nA\t1\n", "no pair"),
            (
                "2\nA\t1\t9\n",
                "1 pairs, as photos are not there: A_0009.jpg",
            ),
            ("2\nA\t1\tx\n", "invalid digit"),
            ("some\nA\t1\t2\n", "first line"),
            ("0\n", "no pairs"),
        ] {
            let error = format!("{:#}", pairs(text, &photos()).err().unwrap());
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    /// Those that are left stay in the folds that they have in the whole.
    #[test]
    fn of_a_part_of_the_photos_the_pairs_that_are_whole_are_taken_and_the_others_told() {
        let text = "2\t1\nC\t1\t2\nA\t1\tB\t1\nB\t1\t2\nA\t2\tC\t1\n";
        let (found, missing) = pairs(text, &photos()).unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.a, it.b, it.fold)).collect();
        assert_eq!(found, [(0, 2, 0), (2, 3, 1)]);
        let told = "2 pairs, as photos are not there: C_0001.jpg, C_0002.jpg";
        assert_eq!(missing.told().as_deref(), Some(told));
        let mut many = missing;
        many.photos.extend((0..5).map(|n| format!("D_{n}")));
        assert!(many.told().unwrap().ends_with("D_0 and 4 more"));
    }
}
