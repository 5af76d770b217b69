//! A head: a small network that makes vectors of another model's. It runs after that model for photos,
//! and alone for vectors that are there already.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::embed::normalise;
use crate::error::Error;
use crate::limits::VECTORS_AT_ONCE;
use crate::manifest::Manifest;
use crate::models;
use crate::runtime::{Runtime, Session};
use crate::types::Mapper;

/// What makes a head's vectors of those of its base. That one need not be in the folder: of it nothing is
/// run.
///
/// # Errors
/// The manifest is of no head, its file or ONNX Runtime are not in the folder, or it cannot be run.
pub fn mapper(dir: &Path, manifest: &Manifest) -> Result<Mapper, Error> {
    let (library, file) = models::locate_head(dir, manifest)
        .map_err(|error| Error::NotInstalled(error.to_string()))?;
    load(Runtime::of(library.as_deref())?, &file, manifest)
}

/// One session for all who use it: it takes microseconds.
pub(crate) fn load(runtime: Runtime, file: &Path, manifest: &Manifest) -> Result<Mapper, Error> {
    let session = Mutex::new(Session::load(runtime, file, 1)?);
    let (input, output) = (manifest.embedder_dim(), manifest.dim);
    let mapper = Mapper::new(manifest.info(), move |vectors| {
        let mut made = Vec::with_capacity(vectors.len());
        for some in vectors.chunks(VECTORS_AT_ONCE) {
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            made.extend(map(&mut session, some, (input, output))?);
        }
        Ok(made)
    });
    // So that a file of other sizes is told now, not by the first photo.
    mapper.map(&[vec![1.0; input]])?;
    Ok(mapper)
}

fn map(
    session: &mut Session,
    vectors: &[Vec<f32>],
    (input, output): (usize, usize),
) -> Result<Vec<Vec<f32>>, Error> {
    if let Some(wrong) = vectors.iter().find(|vector| vector.len() != input) {
        return Err(Error::Model(format!(
            "the head takes vectors of {input} numbers, not {}",
            wrong.len()
        )));
    }
    let numbers = vectors.concat();
    let outputs = session.run(&[vectors.len(), input], &numbers)?;
    let numbers = outputs.first()?;
    let due = vectors.len() * output;
    if numbers.len() != due || numbers.iter().any(|x| !x.is_finite()) {
        return Err(Error::Model(format!(
            "the head answered {} numbers, {due} finite ones are due",
            numbers.len()
        )));
    }
    let made = numbers.chunks_exact(output).map(|vector| {
        let mut vector = vector.to_vec();
        normalise(&mut vector);
        vector
    });
    Ok(made.collect())
}
