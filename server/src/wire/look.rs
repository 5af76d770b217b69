//! Photos that are looked at and not kept, as they travel: what is detected, embedded, compared.

use std::num::NonZeroUsize;

use actix_web::web::Bytes;
use embedder::Choice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::face::Place;
use super::photo::{Base64, Binary, Which, which};
use super::sieve::Sieve;
use crate::http::Form;
use crate::refusal::Refusal;

/// A photo to be looked at.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) bytes: Bytes,
    pub(crate) faces: Choice,
    pub(crate) sieve: Sieve,
    /// The model; the server's default if none is named.
    pub(crate) model: Option<String>,
    /// Whether the faces are to be cut out.
    pub(crate) with_crop: bool,
}

/// The JSON body of `POST /faces/detect` and `POST /faces/embed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookBody {
    image: Base64,
    /// `all` by default.
    faces: Option<Which>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    /// The face model that looks; the server's default if none is named.
    model: Option<String>,
    /// Whether each face is to be sent along, cut out; only where vectors are made.
    with_crop: Option<bool>,
}

/// The same as a form, as the document tells it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "forms are read field by field")]
pub(crate) struct LookForm {
    image: Binary,
    faces: Option<Which>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    /// The face model that looks; the server's default if none is named.
    model: Option<String>,
    /// Whether each face is to be sent along, cut out; only where vectors are made.
    with_crop: Option<bool>,
}

impl TryFrom<LookBody> for Look {
    type Error = Refusal;

    fn try_from(body: LookBody) -> Result<Self, Refusal> {
        Ok(Self {
            bytes: body.image.0,
            faces: body.faces.unwrap_or(Which::All).into(),
            sieve: Sieve::new(body.min_face_size, body.min_confidence, body.min_quality)?,
            model: body.model,
            with_crop: body.with_crop.unwrap_or(false),
        })
    }
}

impl TryFrom<Form> for Look {
    type Error = Refusal;

    fn try_from(form: Form) -> Result<Self, Refusal> {
        let mut fields = form.fields;
        let mut images = form.images.into_iter();
        let (Some(image), None) = (images.next(), images.next()) else {
            return Err(Refusal::wrong("give exactly one `image`"));
        };
        let look = Self {
            bytes: image.bytes,
            faces: which(&mut fields)?.unwrap_or(Which::All).into(),
            sieve: Sieve::of_form(&mut fields)?,
            model: fields.text("model"),
            with_crop: fields
                .parsed("with_crop", "true or false")?
                .unwrap_or(false),
        };
        fields.finish()?;
        Ok(look)
    }
}

/// Two photos, the largest face of each of which is compared.
#[derive(Debug)]
pub(crate) struct Compare {
    pub(crate) images: [Bytes; 2],
    /// The least cosine of one person; the model's own if it is not said.
    pub(crate) threshold: Option<f32>,
    pub(crate) sieve: Sieve,
    /// The model; the server's default if none is named.
    pub(crate) model: Option<String>,
}

/// The JSON body of `POST /faces/compare`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareBody {
    images: [Base64; 2],
    threshold: Option<f32>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    /// The face model that looks; the server's default if none is named.
    model: Option<String>,
}

/// The same as a form, as the document tells it: `image` is given twice.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "forms are read field by field")]
pub(crate) struct CompareForm {
    image: [Binary; 2],
    threshold: Option<f32>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    /// The face model that looks; the server's default if none is named.
    model: Option<String>,
}

impl Compare {
    fn new(
        images: [Bytes; 2],
        threshold: Option<f32>,
        sieve: Sieve,
        model: Option<String>,
    ) -> Result<Self, Refusal> {
        if threshold.is_some_and(|it| !(-1.0..=1.0).contains(&it)) {
            return Err(Refusal::wrong("`threshold` is a cosine, so -1 to 1"));
        }
        Ok(Self {
            images,
            threshold,
            sieve,
            model,
        })
    }
}

impl TryFrom<CompareBody> for Compare {
    type Error = Refusal;

    fn try_from(body: CompareBody) -> Result<Self, Refusal> {
        let sieve = Sieve::new(body.min_face_size, body.min_confidence, body.min_quality)?;
        let images = body.images.map(|image| image.0);
        Self::new(images, body.threshold, sieve, body.model)
    }
}

impl TryFrom<Form> for Compare {
    type Error = Refusal;

    fn try_from(form: Form) -> Result<Self, Refusal> {
        let mut fields = form.fields;
        let images = form.images.into_iter().map(|upload| upload.bytes);
        let images: Vec<_> = images.collect();
        let images = <[Bytes; 2]>::try_from(images)
            .map_err(|_| Refusal::wrong("give exactly two parts called `image`"))?;
        let threshold = fields.parsed("threshold", "a number from -1 to 1")?;
        let sieve = Sieve::of_form(&mut fields)?;
        let compare = Self::new(images, threshold, sieve, fields.text("model"))?;
        fields.finish()?;
        Ok(compare)
    }
}

/// The answer to `POST /faces/detect`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Detected {
    pub(crate) faces: Vec<Place>,
    /// Faces that were found beyond the 100 that are told of a photo at most; absent where all are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) faces_left_out: Option<NonZeroUsize>,
    /// Pixels of the upright photo.
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The answer to `POST /faces/embed`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Embedded {
    /// The model that has made the vectors.
    pub(crate) model: String,
    /// Hex SHA-256 of its published weights.
    pub(crate) sha256: String,
    pub(crate) faces: Vec<EmbeddedFace>,
    /// Faces that were found beyond the 100 that are told of a photo at most; absent where all are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) faces_left_out: Option<NonZeroUsize>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A face and its vector, of length 1.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbeddedFace {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) vector: Vec<f32>,
    /// The face cut out as a JPEG file in base64, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crop: Option<String>,
}

/// The answer to `POST /faces/compare`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Compared {
    /// The model whose vectors were compared.
    pub(crate) model: String,
    /// The cosine of the two vectors.
    pub(crate) score: f32,
    /// How likely it is that both are one person, where that is so of half of all pairs; absent if
    /// the model's cosines have not been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f32>,
    /// The least cosine of one person; absent if nobody has said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f32>,
    /// The share of different people's pairs that reach the threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) false_match_rate: Option<f32>,
    /// 0 to 100: the percentage of pairs of different people that are less alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) likeness: Option<f32>,
    /// Whether the score reaches the threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same_person: Option<bool>,
    /// The two faces.
    pub(crate) faces: Vec<Place>,
}
