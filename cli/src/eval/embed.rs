//! Every photo through the models, on some threads, each with models of its own.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use embedder::{Choice, FaceEmbedder, Manifest, OnnxEmbedder, Quality, Timings, Want};

use super::lfw::{Lfw, Photo};

/// How often it is said how far it is.
const SAY_EVERY: usize = 500;

/// What the models make of a photo.
pub(crate) struct Embedded {
    /// Of its most prominent face.
    pub(crate) vector: Option<Vec<f32>>,
    pub(crate) quality: Option<Quality>,
    pub(crate) timings: Timings,
}

/// All photos, in their order.
pub(crate) fn all(
    photos: &[Photo],
    models: &Path,
    manifest: &Manifest,
    threads: usize,
) -> Result<Vec<Embedded>> {
    let load = || Ok(OnnxEmbedder::load_as(models, 1, manifest.clone())?);
    each(photos, threads, load, one)
}

/// What is seen in each photo by somebody who is loaded once a thread; in their order.
pub(crate) fn each<W, T: Send>(
    photos: &[Photo],
    threads: usize,
    load: impl Fn() -> Result<W> + Sync,
    look: impl Fn(&mut W, &Path) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, T)>> {
        let mut worker = load()?;
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(photo) = photos.get(at) else {
                return Ok(done);
            };
            if at > 0 && at.is_multiple_of(SAY_EVERY) {
                eprintln!("{at} of {} photos", photos.len());
            }
            done.push((at, look(&mut worker, &photo.path)?));
        }
    };
    let mut all = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(
                worker
                    .join()
                    .map_err(|_| anyhow!("a thread broke down"))??,
            );
        }
        anyhow::Ok(all)
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, photo)| photo).collect())
}

fn one(embedder: &mut OnnxEmbedder, path: &Path) -> Result<Embedded> {
    let shown = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(shown)?;
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: false,
        smallest: 0,
    };
    let analysis = embedder.analyze(&bytes, want).with_context(shown)?;
    let face = analysis.faces.into_iter().next();
    Ok(Embedded {
        quality: face.as_ref().map(|face| face.quality),
        vector: face.map(|face| face.vector),
        timings: analysis.timings,
    })
}

/// The most prominent face of each photo as the model sees it, under the photo's name.
pub(crate) fn write_crops(
    lfw: &Lfw,
    models: &Path,
    manifest: &Manifest,
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut embedder = OnnxEmbedder::load_as(models, 1, manifest.clone())?;
    for photo in &lfw.photos {
        let shown = || photo.path.display().to_string();
        let bytes = std::fs::read(&photo.path).with_context(shown)?;
        let crops = embedder
            .crops(&bytes, Choice::Largest)
            .with_context(shown)?;
        if let (Some(crop), Some(name)) = (crops.first(), photo.path.file_stem()) {
            let path = folder.join(name).with_extension("png");
            std::fs::write(&path, crop).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
