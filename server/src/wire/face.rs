//! Faces as they travel: photos to be added or looked for, as a form or as JSON, and what is told
//! about a face. Both forms become the same [`AddPhotos`] and [`SearchPhoto`].

use actix_web::web::Bytes;
use embedder::Choice;
use engine::{Payload, ScoredPoint, StoredFace, StoredPoint};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::id::Id;
use super::list;
use super::query::{SearchOptions, checked_limit};
use super::select::{PayloadView, WithPayload};
use super::unsupported::{self, Absent};
use crate::http::Form;
use crate::limits;
use crate::refusal::Refusal;

/// The payload key that says whose face it is.
const PERSON: &str = "person";

/// Photos whose faces are to be kept.
#[derive(Debug)]
pub(crate) struct AddPhotos {
    pub(crate) photos: Vec<Photo>,
    pub(crate) faces: Choice,
    pub(crate) keep_crop: bool,
    pub(crate) keep_photo: bool,
}

/// A photo, and what is known about the faces in it.
#[derive(Debug)]
pub(crate) struct Photo {
    pub(crate) bytes: Bytes,
    pub(crate) id: Option<Id>,
    pub(crate) payload: Payload,
    pub(crate) name: Option<String>,
}

/// A photo whose look-alikes are asked for.
#[derive(Debug)]
pub(crate) struct SearchPhoto {
    pub(crate) bytes: Bytes,
    pub(crate) faces: Choice,
    pub(crate) limit: usize,
    pub(crate) options: SearchOptions,
    pub(crate) payload: PayloadView,
}

/// Which faces of a photo are meant.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Largest,
    All,
}

impl From<Which> for Choice {
    fn from(which: Which) -> Self {
        match which {
            Which::Largest => Self::Largest,
            Which::All => Self::All,
        }
    }
}

impl std::str::FromStr for Which {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "largest" => Ok(Self::Largest),
            "all" => Ok(Self::All),
            _ => Err(()),
        }
    }
}

/// The JSON body of `POST /collections/{c}/faces`: `images`, or the fields of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddBody {
    #[serde(default, deserialize_with = "list::optional")]
    images: Option<Vec<ImageBody>>,
    image: Option<Base64>,
    id: Option<Id>,
    person: Option<String>,
    payload: Option<Map<String, Value>>,
    name: Option<String>,
    faces: Option<Which>,
    keep_crop: Option<bool>,
    keep_photo: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageBody {
    image: Base64,
    id: Option<Id>,
    person: Option<String>,
    payload: Option<Map<String, Value>>,
    name: Option<String>,
}

/// The JSON body of `POST /collections/{c}/faces/search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    image: Base64,
    faces: Option<Which>,
    limit: Option<usize>,
    score_threshold: Option<f32>,
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    with_payload: Option<WithPayload>,
    filter: Absent,
}

/// Bytes in base64, with or without a leading `data:...;base64,`.
#[derive(Debug)]
struct Base64(Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a photo in base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                let data = text.strip_prefix("data:");
                let text = data
                    .and_then(|data| data.split_once(";base64,"))
                    .map_or(text, |(_, data)| data);
                let bytes = BASE64_STANDARD.decode(text);
                let bytes =
                    bytes.map_err(|error| E::custom(format!("the photo's base64: {error}")))?;
                Ok(Base64(Bytes::from(bytes)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl TryFrom<AddBody> for AddPhotos {
    type Error = Refusal;

    fn try_from(body: AddBody) -> Result<Self, Refusal> {
        let images = match (body.images, body.image) {
            (Some(images), None) => {
                let outside = body.id.is_some() || body.person.is_some();
                if outside || body.payload.is_some() || body.name.is_some() {
                    return Err(Refusal::wrong(
                        "`id`, `person`, `payload` and `name` belong into each of `images`",
                    ));
                }
                images
            }
            (None, Some(image)) => vec![ImageBody {
                image,
                id: body.id,
                person: body.person,
                payload: body.payload,
                name: body.name,
            }],
            _ => return Err(Refusal::wrong("give either `images` or one `image`")),
        };
        let photos = images.into_iter().enumerate().map(|(index, image)| {
            let payload = payload(image.payload, image.person);
            Ok(Photo {
                bytes: image.image.0,
                id: image.id,
                payload: payload.map_err(|refusal| refusal.at(&format!("item {index}")))?,
                name: image.name,
            })
        });
        AddPhotos {
            photos: photos.collect::<Result<_, Refusal>>()?,
            faces: body.faces.unwrap_or(Which::Largest).into(),
            keep_crop: body.keep_crop.unwrap_or(true),
            keep_photo: body.keep_photo.unwrap_or(false),
        }
        .checked()
    }
}

impl TryFrom<Form> for AddPhotos {
    type Error = Refusal;

    fn try_from(form: Form) -> Result<Self, Refusal> {
        let mut fields = form.fields;
        let id = fields.text("id").map(|text| Id::parse(&text)).transpose()?;
        let json = fields.text("payload");
        let json = json.map(|text| serde_json::from_str(&text)).transpose();
        let json = json
            .map_err(|error| Refusal::wrong(format!("`payload` must be a JSON object: {error}")))?;
        let payload = payload(json, fields.text(PERSON))?;
        let add = Self {
            faces: which(&mut fields)?.unwrap_or(Which::Largest).into(),
            keep_crop: fields.flag("keep_crop")?.unwrap_or(true),
            keep_photo: fields.flag("keep_photo")?.unwrap_or(false),
            photos: Vec::new(),
        };
        fields.finish()?;
        let photos = form.images.into_iter().map(|upload| Photo {
            bytes: upload.bytes,
            id,
            payload: payload.clone(),
            name: upload.name,
        });
        let photos = photos.collect();
        Self { photos, ..add }.checked()
    }
}

impl AddPhotos {
    /// An id names one face, so each may be given once, and not for all faces of a photo.
    fn checked(self) -> Result<Self, Refusal> {
        let most = limits::IMAGES_PER_REQUEST;
        if self.photos.is_empty() {
            return Err(Refusal::wrong("there is no `image`"));
        }
        if self.photos.len() > most {
            return Err(Refusal::too_large(format!(
                "at most {most} images a request"
            )));
        }
        let mut ids: Vec<_> = self
            .photos
            .iter()
            .filter_map(|p| p.id.map(|id| id.0))
            .collect();
        if !ids.is_empty() && matches!(self.faces, Choice::All) {
            return Err(Refusal::wrong(
                "`id` names one face: it does not go with `faces` = `all`",
            ));
        }
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Refusal::wrong(format!("id {} is given twice", pair[0])));
        }
        Ok(self)
    }
}

impl TryFrom<SearchBody> for SearchPhoto {
    type Error = Refusal;

    fn try_from(body: SearchBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[("filter", &body.filter)])?;
        Ok(Self {
            bytes: body.image.0,
            faces: body.faces.unwrap_or(Which::All).into(),
            limit: checked_limit(body.limit.unwrap_or(limits::DEFAULT_LIMIT), None)?,
            options: SearchOptions::new(body.hnsw_ef, body.exact, body.score_threshold)?,
            payload: body
                .with_payload
                .unwrap_or(WithPayload::Flag(true))
                .try_into()?,
        })
    }
}

impl TryFrom<Form> for SearchPhoto {
    type Error = Refusal;

    fn try_from(form: Form) -> Result<Self, Refusal> {
        let mut fields = form.fields;
        let mut images = form.images.into_iter();
        let (Some(image), None) = (images.next(), images.next()) else {
            return Err(Refusal::wrong("a search takes exactly one `image`"));
        };
        let ef = fields.number("hnsw_ef")?;
        let exact = fields.flag("exact")?;
        let score_threshold = fields.parsed("score_threshold", "a number")?;
        let limit = fields.number("limit")?.unwrap_or(limits::DEFAULT_LIMIT);
        let with_payload = fields.flag("with_payload")?.unwrap_or(true);
        let search = Self {
            bytes: image.bytes,
            faces: which(&mut fields)?.unwrap_or(Which::All).into(),
            limit: checked_limit(limit, None)?,
            options: SearchOptions::new(ef, exact, score_threshold)?,
            payload: WithPayload::Flag(with_payload).try_into()?,
        };
        fields.finish()?;
        Ok(search)
    }
}

fn which(fields: &mut crate::http::Fields) -> Result<Option<Which>, Refusal> {
    fields.parsed("faces", "largest or all")
}

/// The payload with the person in it.
fn payload(payload: Option<Payload>, person: Option<String>) -> Result<Payload, Refusal> {
    let mut payload = payload.unwrap_or_default();
    let Some(person) = person else {
        return Ok(payload);
    };
    let most = limits::PERSON_CHARS;
    if person.chars().count() > most {
        return Err(Refusal::wrong(format!(
            "`person` has more than {most} characters"
        )));
    }
    let person = Value::String(person);
    match payload.get(PERSON) {
        Some(other) if *other != person => Err(Refusal::wrong(
            "`person` and the payload's `person` are not the same",
        )),
        _ => {
            payload.insert(PERSON.to_owned(), person);
            Ok(payload)
        }
    }
}

fn person_of(payload: &Payload) -> Option<String> {
    Some(payload.get(PERSON)?.as_str()?.to_owned())
}

/// Where a face stands in its photo, in pixels of the upright photo.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Default, Serialize)]
pub(crate) struct Added {
    pub(crate) faces: Vec<AddedFace>,
    pub(crate) errors: Vec<ImageError>,
}

/// A face that is kept now.
#[derive(Debug, Serialize)]
pub(crate) struct AddedFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) id: Id,
    /// The photo it was found in, by its place in the request.
    pub(crate) image_index: usize,
}

/// Why nothing of a photo is kept.
#[derive(Debug, Serialize)]
pub(crate) struct ImageError {
    pub(crate) image_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: String,
}

/// The answer to a photo that was looked for.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) faces: Vec<FoundFace>,
    /// Pixels of the upright photo.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) timings: Timings,
}

/// A face of the photo, and its look-alikes, best first.
#[derive(Debug, Serialize)]
pub(crate) struct FoundFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) hits: Vec<Hit>,
}

/// A look-alike.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
pub(crate) struct Timings {
    pub(crate) queue_ms: f64,
    pub(crate) decode_ms: f64,
    pub(crate) detect_ms: f64,
    pub(crate) embed_ms: f64,
    pub(crate) search_ms: f64,
}

/// The answer to `GET /collections/{c}/faces/{id}`.
#[derive(Debug, Serialize)]
pub(crate) struct KeptFace {
    id: Id,
    #[serde(flatten)]
    place: Place,
    person: Option<String>,
    payload: Payload,
    image: Option<String>,
    photo: Option<String>,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn add(body: Value) -> Result<AddPhotos, String> {
        let body: AddBody =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        AddPhotos::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn one_image_and_a_list_of_images_mean_the_same() {
        let image = json!({"image": "AAEC", "id": 1, "person": "Ada", "payload": {"a": 1}});
        let mut one = image.clone();
        one["keep_photo"] = json!(true);
        let many = json!({"images": [image], "keep_photo": true});
        let (one, many) = (add(one).unwrap(), add(many).unwrap());
        assert_eq!(format!("{one:?}"), format!("{many:?}"));
        assert_eq!(one.photos[0].bytes.as_ref(), [0, 1, 2]);
        assert_eq!(one.photos[0].payload["person"], "Ada");
        assert!(one.keep_crop && one.keep_photo);
    }

    #[test]
    fn a_data_url_is_taken_too() {
        let photos = add(json!({"image": "data:image/png;base64,AAEC"})).unwrap();
        assert_eq!(photos.photos[0].bytes.as_ref(), [0, 1, 2]);
    }

    #[test]
    fn contradictions_are_refused() {
        let wrong = [
            (json!({}), "either"),
            (json!({"images": []}), "no `image`"),
            (
                json!({"images": [{"image": "AA=="}], "person": "Ada"}),
                "each of",
            ),
            (
                json!({"images": [{"image": "AA=="}, {"image": "?"}]}),
                "item 1",
            ),
            (
                json!({"image": "AA==", "id": 1, "faces": "all"}),
                "one face",
            ),
            (json!({"image": "AA==", "faces": "some"}), "largest"),
            (
                json!({"image": "AA==", "person": "A", "payload": {"person": "B"}}),
                "same",
            ),
            (
                json!({"images": [{"image": "AA==", "id": 1}, {"image": "AA==", "id": 1}]}),
                "twice",
            ),
            (json!({"image": "AA==", "person": "x".repeat(1025)}), "1024"),
            (json!({"image": "AA==", "filter": null}), "filter"),
        ];
        for (body, word) in wrong {
            let error = add(body.clone()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
    }
}
