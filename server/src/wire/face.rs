//! Faces as they travel: what is told about those of a photo and about one that is kept.

use std::num::NonZeroUsize;

use embedder::{Calibration, Scale};
use engine::{PERSON, Payload, ScoredPoint, StoredFace, StoredPoint};
use schemars::JsonSchema;
use serde::Serialize;

use super::id::Id;
use super::select::PayloadView;

/// Whose face it is, if somebody has said so.
pub(crate) fn person_of(payload: &Payload) -> Option<String> {
    Some(payload.get(PERSON)?.as_str()?.to_owned())
}

/// Where a face stands in its photo, in pixels of the upright photo.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Place {
    /// x, y, width, height.
    #[serde(rename = "box")]
    bounding_box: [f32; 4],
    landmarks: [[f32; 2]; 5],
    confidence: f32,
    /// How good a picture of the face it is; of a face that is kept nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<Quality>,
}

/// How good a picture of a face is.
#[derive(Debug, Serialize, JsonSchema)]
struct Quality {
    /// 0 to 1: the least of what size, sharpness, confidence and pose come to.
    score: f32,
    /// Variance of the Laplacian of the face at 96 pixels a side.
    sharpness: f32,
    /// Degrees by which the head is turned to its left, or right where negative; an estimate.
    yaw: f32,
    /// Degrees by which it looks up, or down where negative; an estimate.
    pitch: f32,
    /// Degrees by which it is tilted clockwise in the photo.
    roll: f32,
    /// What makes it a poor picture: whatever comes to less than half.
    flaws: Vec<Flaw>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Flaw {
    Small,
    Blurred,
    Unsure,
    Turned,
}

impl From<embedder::Quality> for Quality {
    fn from(quality: embedder::Quality) -> Self {
        let flaws = quality.flaws;
        let all = [
            (flaws.small, Flaw::Small),
            (flaws.blurred, Flaw::Blurred),
            (flaws.unsure, Flaw::Unsure),
            (flaws.turned, Flaw::Turned),
        ];
        let has = all
            .into_iter()
            .filter_map(|(has, flaw)| has.then_some(flaw));
        Self {
            score: quality.score,
            sharpness: quality.sharpness,
            yaw: quality.yaw,
            pitch: quality.pitch,
            roll: quality.roll,
            flaws: has.collect(),
        }
    }
}

impl From<&embedder::Face> for Place {
    fn from(face: &embedder::Face) -> Self {
        Self {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
            quality: Some(face.quality.into()),
        }
    }
}

impl From<&engine::Face> for Place {
    fn from(face: &engine::Face) -> Self {
        Self {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
            quality: None,
        }
    }
}

/// The answer to added photos.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Added {
    pub(crate) faces: Vec<AddedFace>,
    pub(crate) errors: Vec<ImageError>,
    /// Photos whose ids were there, where these were to stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) known: Vec<KnownFace>,
    /// Photos with more faces than are kept of one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<LeftOut>,
}

/// A photo of which not all faces were kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LeftOut {
    /// The photo, by its place in the request.
    pub(crate) image_index: usize,
    /// Faces that were found beyond the 100 that are kept of a photo at most.
    pub(crate) faces_left_out: NonZeroUsize,
}

/// A face that was there already.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KnownFace {
    pub(crate) id: Id,
    /// The photo that has its id, by its place in the request.
    pub(crate) image_index: usize,
}

/// A face that is kept now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AddedFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) id: Id,
    /// The photo it was found in, by its place in the request.
    pub(crate) image_index: usize,
    /// A face of the same picture that is there as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duplicate_of: Option<Duplicate>,
}

/// A face that is so like another that both come from the same picture.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Duplicate {
    pub(crate) id: Id,
    /// The cosine of both.
    pub(crate) score: f32,
}

/// Why nothing of a photo is kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageError {
    pub(crate) image_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: String,
}

/// The answer to a photo that was looked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    pub(crate) faces: Vec<FoundFace>,
    /// Faces that were found beyond the 100 that are looked for of a photo at most; absent where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) faces_left_out: Option<NonZeroUsize>,
    /// The model whose vectors are compared.
    pub(crate) model: String,
    /// Whose cosines `likeness` goes by.
    pub(crate) likeness_among: Option<Among>,
    /// Pixels of the upright photo.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) timings: Timings,
}

/// A face of the photo, and its look-alikes, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) hits: Vec<Hit>,
}

/// Different people whose cosines are known.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Among {
    /// Those of the photos that the model was measured with.
    Model,
    /// Those of the collection.
    Collection,
}

/// What the scores of hits mean, where that is known.
pub(crate) struct Meaning<'a> {
    pub(crate) calibration: Option<&'a Calibration>,
    pub(crate) scale: Option<(&'a Scale, Among)>,
}

/// A look-alike.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hit {
    id: Id,
    /// The cosine of both vectors, unless the collection has another metric.
    score: f32,
    /// How likely it is that both are one person, where that is so of half of all pairs. Near 0 for
    /// every mere look-alike.
    probability: Option<f32>,
    /// 0 to 100: the percentage of pairs of different people that are less alike.
    likeness: Option<f32>,
    person: Option<String>,
    payload: Option<Payload>,
    /// Where its crop is, if one is kept.
    image: Option<String>,
}

impl Hit {
    pub(crate) fn new(
        collection: &str,
        hit: ScoredPoint,
        view: &PayloadView,
        meaning: &Meaning<'_>,
    ) -> Self {
        let id = Id(hit.point.id);
        let crop = hit.point.face.as_ref().is_some_and(|face| face.has_crop);
        Self {
            id,
            score: hit.score,
            probability: meaning.calibration.map(|it| it.probability(hit.score)),
            likeness: meaning.scale.map(|(scale, _)| scale.percentile(hit.score)),
            person: hit.point.payload.as_ref().and_then(person_of),
            payload: view.of(hit.point.payload),
            image: crop.then(|| image_path(collection, id)),
        }
    }
}

/// Where the milliseconds went.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Timings {
    pub(crate) queue_ms: f64,
    pub(crate) decode_ms: f64,
    pub(crate) detect_ms: f64,
    pub(crate) embed_ms: f64,
    pub(crate) search_ms: f64,
}

/// The answer to `GET /collections/{c}/faces/{id}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptFace {
    id: Id,
    #[serde(flatten)]
    place: Place,
    person: Option<String>,
    payload: Payload,
    image: Option<String>,
    photo: Option<String>,
}

/// A page of the faces that are kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptFaces {
    pub(crate) faces: Vec<KeptFace>,
    /// The `offset` of the next page; null at the end.
    pub(crate) next_page_offset: Option<Id>,
}

impl KeptFace {
    pub(crate) fn new(collection: &str, point: StoredPoint, face: &StoredFace) -> Self {
        let id = Id(point.id);
        let payload = point.payload.unwrap_or_default();
        let image = image_path(collection, id);
        Self {
            id,
            place: Place::from(&face.face),
            person: person_of(&payload),
            payload,
            photo: face.has_photo.then(|| format!("{image}?kind=photo")),
            image: face.has_crop.then_some(image),
        }
    }
}

/// A collection's name and an id need no escaping in a URL.
pub(super) fn image_path(collection: &str, id: Id) -> String {
    format!("/collections/{collection}/faces/{id}/image")
}
