//! Photos as they travel, to be added: as a form or as JSON. Both become the same [`AddPhotos`].

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use embedder::Choice;
use engine::{PERSON, Payload};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::id::Id;
use super::sieve::Sieve;
use super::{exact, list, reserved};
use crate::http::Form;
use crate::limits;
use crate::refusal::Refusal;

/// Photos whose faces are to be kept.
#[derive(Debug)]
pub(crate) struct AddPhotos {
    pub(crate) photos: Vec<Photo>,
    /// The vector that faces get; all that the model makes if it is not said.
    pub(crate) using: Option<String>,
    pub(crate) faces: Choice,
    pub(crate) sieve: Sieve,
    pub(crate) keep_crop: bool,
    pub(crate) keep_photo: bool,
    pub(crate) duplicates: Duplicates,
    pub(crate) existing: Existing,
}

/// What becomes of a photo whose `id` a face has already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Existing {
    /// Its face takes the place of the one that is there.
    #[default]
    Replace,
    /// What is there stays, and nobody looks at the photo.
    Keep,
}

impl std::str::FromStr for Existing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "replace" => Ok(Self::Replace),
            "keep" => Ok(Self::Keep),
            _ => Err(()),
        }
    }
}

/// What becomes of a face of a picture that another face is of already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Duplicates {
    /// It is kept, and the answer says so.
    #[default]
    Report,
    /// Its photo is refused.
    Refuse,
    /// Nobody looks.
    Ignore,
}

impl std::str::FromStr for Duplicates {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "report" => Ok(Self::Report),
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            _ => Err(()),
        }
    }
}

/// A photo, and what is known about the faces in it.
#[derive(Debug)]
pub(crate) struct Photo {
    pub(crate) bytes: Bytes,
    pub(crate) id: Option<Id>,
    pub(crate) payload: Payload,
    pub(crate) name: Option<String>,
}

/// Which faces of a photo are meant.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Which {
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddBody {
    #[serde(default, deserialize_with = "list::optional")]
    images: Option<Vec<ImageBody>>,
    image: Option<Base64>,
    id: Option<Id>,
    person: Option<String>,
    #[serde(default, deserialize_with = "exact::optional_map")]
    payload: Option<Map<String, Value>>,
    name: Option<String>,
    using: Option<String>,
    faces: Option<Which>,
    /// Pixels of the shorter side of a face's box.
    min_face_size: Option<f32>,
    /// The detector's confidence, 0 to 1.
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    keep_crop: Option<bool>,
    keep_photo: Option<bool>,
    /// `report` by default.
    duplicates: Option<Duplicates>,
    /// `replace` by default.
    existing: Option<Existing>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImageBody {
    image: Base64,
    id: Option<Id>,
    person: Option<String>,
    #[serde(default, deserialize_with = "exact::optional_map")]
    payload: Option<Map<String, Value>>,
    name: Option<String>,
}

/// The fields of a form that adds photos, as the document tells them.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "forms are read field by field")]
pub(crate) struct AddForm {
    /// The photo; may be given several times.
    image: Binary,
    id: Option<Id>,
    person: Option<String>,
    /// A JSON object as text.
    payload: Option<String>,
    using: Option<String>,
    faces: Option<Which>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    keep_crop: Option<bool>,
    keep_photo: Option<bool>,
    duplicates: Option<Duplicates>,
    existing: Option<Existing>,
}

/// A file of a form.
#[derive(JsonSchema)]
#[schemars(extend("contentMediaType" = "image/jpeg"))]
pub(super) struct Binary(#[expect(dead_code, reason = "only its schema is used")] String);

/// A photo that is the whole body.
#[derive(JsonSchema)]
#[schemars(extend("contentMediaType" = "image/jpeg"))]
pub(crate) struct RawPhoto(#[expect(dead_code, reason = "only its schema is used")] String);

/// Bytes in base64, with or without a leading `data:...;base64,`.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a photo in base64, or as bytes in MessagePack")
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

            /// MessagePack has a type for them.
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Base64, E> {
                Ok(Base64(Bytes::copy_from_slice(bytes)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Base64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/jpeg"})
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
            using: body.using,
            faces: body.faces.unwrap_or(Which::Largest).into(),
            sieve: Sieve::new(body.min_face_size, body.min_confidence, body.min_quality)?,
            keep_crop: body.keep_crop.unwrap_or(true),
            keep_photo: body.keep_photo.unwrap_or(false),
            duplicates: body.duplicates.unwrap_or_default(),
            existing: body.existing.unwrap_or_default(),
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
        let json: Result<Option<exact::Object>, _> =
            json.map(|text| serde_json::from_str(&text)).transpose();
        let json = json
            .map_err(|error| Refusal::wrong(format!("`payload` must be a JSON object: {error}")))?;
        let payload = payload(json.map(|it| it.0), fields.text(PERSON))?;
        let add = Self {
            using: fields.text("using"),
            faces: which(&mut fields)?.unwrap_or(Which::Largest).into(),
            sieve: Sieve::of_form(&mut fields)?,
            keep_crop: fields.flag("keep_crop")?.unwrap_or(true),
            keep_photo: fields.flag("keep_photo")?.unwrap_or(false),
            duplicates: fields
                .parsed("duplicates", "report, refuse or ignore")?
                .unwrap_or_default(),
            existing: fields
                .parsed("existing", "replace or keep")?
                .unwrap_or_default(),
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

pub(super) fn which(fields: &mut crate::http::Fields) -> Result<Option<Which>, Refusal> {
    fields.parsed("faces", "largest or all")
}

pub(super) fn two_people() -> Refusal {
    Refusal::wrong("`person` and the payload's `person` are not the same")
}

/// The payload with the person in it.
pub(super) fn payload(
    payload: Option<Payload>,
    person: Option<String>,
) -> Result<Payload, Refusal> {
    let mut payload = payload.unwrap_or_default();
    reserved::payload(&payload)?;
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
        Some(other) if *other != person => Err(two_people()),
        _ => {
            payload.insert(PERSON.to_owned(), person);
            Ok(payload)
        }
    }
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
