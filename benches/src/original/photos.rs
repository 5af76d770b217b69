//! Vectors of real faces: what the default model makes of a folder of photos. Kept as a file, since
//! making them takes minutes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use embedder::{Choice, FaceEmbedder, OnnxEmbedder, Want};

use crate::ann::dataset::target_dir;
use crate::ann::formats::write_vectors;
use crate::ann::table::Table;

const WANT: Want = Want {
    faces: Choice::Largest,
    vectors: true,
    crop: false,
    smallest: 0,
};

/// All `.jpg` files below a folder, in the order of their paths.
///
/// # Errors
/// There is no such folder, or none of them in it.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "jpg") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "{}: no .jpg files", folder.display());
    Ok(found)
}

/// Files with the vectors of the largest face of each photo: base, and so many queries, taken out of
/// it at equal distances.
///
/// # Errors
/// The models are not there, or too few photos have a face.
pub fn vectors(models: &Path, folder: &Path, queries: usize) -> Result<(PathBuf, PathBuf)> {
    let photos = below(folder)?;
    let model = OnnxEmbedder::load(models, 1)?.model().name.clone();
    let dir = target_dir()?
        .join("ann-data")
        .join(format!("photos-{}-{model}-q{queries}", photos.len()));
    let (base, asked) = (dir.join("photos.npy"), dir.join("asked.npy"));
    if base.exists() && asked.exists() {
        return Ok((base, asked));
    }
    eprintln!("embedding {} photos", photos.len());
    let all = embedded(models, &photos)?;
    ensure!(all.len() > queries, "only {} photos have a face", all.len());
    let width = all[0].len();
    let step = all.len() / queries.max(1);
    let is_asked = |at: usize| at.is_multiple_of(step) && at / step < queries;
    let some = |wanted: bool| {
        let rows = all.iter().enumerate();
        let rows = rows.filter(|(at, _)| is_asked(*at) == wanted);
        Table::new(width, rows.flat_map(|(_, row)| row.clone()).collect())
    };
    std::fs::create_dir_all(&dir)?;
    write_vectors(&base, &some(false)?)?;
    write_vectors(&asked, &some(true)?)?;
    Ok((base, asked))
}

/// On all cores; photos without a face are left out.
fn embedded(models: &Path, photos: &[PathBuf]) -> Result<Vec<Vec<f32>>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<f32>)>> {
        let mut embedder = OnnxEmbedder::load(models, 1)?;
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = photos.get(at) else {
                return Ok(done);
            };
            let seen = embedder.analyze(&std::fs::read(path)?, WANT)?;
            let face = seen.faces.into_iter().next();
            done.extend(face.map(|face| (at, face.vector)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut all = thread::scope(|scope| -> Result<Vec<_>> {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok(all)
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, vector)| vector).collect())
}
