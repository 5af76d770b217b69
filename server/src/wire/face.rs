//! Faces as they travel: what is told about those of a photo and about one that is kept.

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
}

impl From<&embedder::Face> for Place {
    fn from(face: &embedder::Face) -> Self {
        Self {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
        }
    }
}

impl From<&engine::Face> for Place {
    fn from(face: &engine::Face) -> Self {
        Self {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
        }
    }
}

/// The answer to added photos.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Added {
    pub(crate) faces: Vec<AddedFace>,
    pub(crate) errors: Vec<ImageError>,
}

/// A face that is kept now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AddedFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) id: Id,
    /// The photo it was found in, by its place in the request.
    pub(crate) image_index: usize,
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

/// A look-alike.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hit {
    id: Id,
    score: f32,
    person: Option<String>,
    payload: Option<Payload>,
    /// Where its crop is, if one is kept.
    image: Option<String>,
}

impl Hit {
    pub(crate) fn new(collection: &str, hit: ScoredPoint, view: &PayloadView) -> Self {
        let id = Id(hit.point.id);
        let crop = hit.point.face.as_ref().is_some_and(|face| face.has_crop);
        Self {
            id,
            score: hit.score,
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
fn image_path(collection: &str, id: Id) -> String {
    format!("/collections/{collection}/faces/{id}/image")
}
