//! What the pipeline is asked for and what it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::calibration::Calibration;
use crate::decode;
use crate::error::Error;
use crate::quality::Quality;

/// The seam to whatever finds and embeds faces. One instance serves one thread.
pub trait FaceEmbedder: Send {
    /// The embedding model.
    fn model(&self) -> &ModelInfo;

    /// Finds the faces of photos, the largest first; each photo has an outcome of its own, in their
    /// order. A photo without a face is no error. The faces of all go through the model together,
    /// and the time that takes is told of each.
    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, Error>>;

    /// The most memory that it takes to look at a photo; of several that are looked at together, no more than
    /// the largest of them takes.
    ///
    /// # Errors
    /// It cannot be read; `analyze_all` tells the same of it.
    fn memory_bytes(&self, image: &[u8]) -> Result<u64, Error> {
        decode::memory_bytes(image)
    }

    /// What `analyze_all` does, for people who wait: each photo's outcome is told by its place, once, as soon as it is there.
    /// Who waits for a photo, `waiting` says by its place: where others do too, one that takes much longer than most comes
    /// to [`Error::TakesLong`] and is to be looked at later; where nobody does and something can still be left undone of
    /// it, to [`Error::NotAwaited`].
    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        let _ = waiting;
        let outcomes = self.analyze_all(photos).into_iter().enumerate();
        outcomes.for_each(|(at, outcome)| tell(at, outcome));
    }

    /// What comes of one photo.
    fn analyze(&mut self, image: &[u8], want: Want) -> Result<Analysis, Error> {
        let mut outcomes = self.analyze_all(&[(image, want)]);
        let outcome = outcomes.pop();
        outcome.unwrap_or_else(|| Err(Error::Model("one photo has no outcome".into())))
    }
}

/// What `analyze_all` answers of an embedder that has `analyze_awaited`: all photos are waited for, whatever they take.
pub fn outcomes_of(
    embedder: &mut impl FaceEmbedder,
    photos: &[(&[u8], Want)],
) -> Vec<Result<Analysis, Error>> {
    let mut outcomes: Vec<_> = photos.iter().map(|_| Err(Error::NotAwaited)).collect();
    embedder.analyze_awaited(photos, &|_| Waiting::Alone, &mut |at, outcome| {
        outcomes[at] = outcome;
    });
    outcomes
}

/// Who waits for a photo while it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nobody any more.
    Over,
    /// Somebody, and others for other photos.
    WithOthers,
    /// Nobody else, so it is looked at whatever it takes.
    Alone,
}

/// What tells vectors of one model from those of another.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Numbers in a vector.
    pub dim: usize,
    /// Hex SHA-256 of the published weights.
    pub sha256: String,
    /// What its cosines mean, if that has been measured.
    pub calibration: Option<Calibration>,
    /// The model whose vectors it makes its own of, if it is a head.
    pub base: Option<Base>,
}

/// A model that another makes its vectors of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its name.
    pub name: String,
    /// Its checksum.
    pub sha256: String,
}

/// A head, ready to run: makes its vectors of vectors of its base, without photos. Shared by all who hold
/// it.
#[derive(Clone)]
pub struct Mapper {
    model: Arc<ModelInfo>,
    map: Arc<Mapping>,
}

type Mapping = dyn Fn(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> + Send + Sync;

impl Mapper {
    /// Of what does it.
    pub(crate) fn new(
        model: ModelInfo,
        map: impl Fn(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            model: Arc::new(model),
            map: Arc::new(map),
        }
    }

    /// The head.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// A vector of length 1 for each vector of the base, in their order.
    ///
    /// # Errors
    /// A vector is not of the base's size, or the model does not answer as it should.
    pub fn map(&self, vectors: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> {
        (self.map)(vectors)
    }
}

/// Which faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The most prominent only: the largest, weighed by how near the middle it is.
    Largest,
    /// Every one.
    All,
}

/// What to do with a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Which faces.
    pub faces: Choice,
    /// Whether to embed them.
    pub vectors: bool,
    /// Whether to cut them out.
    pub crop: bool,
    /// Pixels of the smallest faces that are wanted. Smaller ones may be found all the same; those smaller than
    /// the model's own `smallest` are not looked for.
    pub smallest: u32,
}

/// A photo's faces.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Pixels of the upright photo.
    pub width: u32,
    /// Pixels of the upright photo.
    pub height: u32,
    /// The largest first.
    pub faces: Vec<Face>,
    /// Faces of the size that was wanted that were found beyond [`MAX_FACES`](crate::limits::MAX_FACES), of which no more is told.
    pub left_out: usize,
    /// How long each stage took.
    pub timings: Timings,
}

/// A face.
#[derive(Debug, Clone)]
pub struct Face {
    /// `x, y, width, height` in pixels of the upright photo; may reach over its edge.
    pub bounding_box: [f32; 4],
    /// Right eye, left eye, nose tip, right and left mouth corner (the person's right), in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// The detector's confidence, 0 to 1.
    pub confidence: f32,
    /// How good a picture of the face it is.
    pub quality: Quality,
    /// The embedding, of length 1; empty if not asked for.
    pub vector: Vec<f32>,
    /// The face cut out as a JPEG file without metadata; empty if not asked for.
    pub crop_jpeg: Vec<u8>,
}

/// Time by stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// From bytes to upright pixels.
    pub decode: Duration,
    /// Finding the faces.
    pub detect: Duration,
    /// Cropping and embedding all faces wanted.
    pub embed: Duration,
}
