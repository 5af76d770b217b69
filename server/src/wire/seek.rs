//! A photo whose look-alikes are asked for, as it travels: as a form or as JSON. Both become the
//! same [`SearchPhoto`].

use actix_web::web::Bytes;
use embedder::Choice;
use engine::{Filter, PERSON};
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::{self, WireFilter};
use super::options::{SearchOptions, checked_limit};
use super::people::{Names, People};
use super::photo::{Base64, Binary, Which, which};
use super::select::{PayloadView, WithPayload};
use super::sieve::Sieve;
use crate::http::Form;
use crate::limits;
use crate::refusal::Refusal;

/// A photo whose look-alikes are asked for.
#[derive(Debug)]
pub(crate) struct SearchPhoto {
    pub(crate) bytes: Bytes,
    /// The vector that is compared; the only one that the model makes if it is not said.
    pub(crate) using: Option<String>,
    pub(crate) faces: Choice,
    pub(crate) sieve: Sieve,
    pub(crate) limit: usize,
    pub(crate) options: SearchOptions,
    pub(crate) filter: Option<Filter>,
    pub(crate) payload: PayloadView,
    /// Only the best hit of each person; a face without a person stands for itself.
    pub(crate) by_person: bool,
    /// Whether people who are ignored come into question too.
    pub(crate) ignored_too: bool,
}

/// What hits are grouped by.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum GroupBy {
    Person,
}

impl std::str::FromStr for GroupBy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            PERSON => Ok(Self::Person),
            _ => Err(()),
        }
    }
}

/// The JSON body of `POST /collections/{c}/faces/search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    image: Base64,
    using: Option<String>,
    faces: Option<Which>,
    /// Pixels of the shorter side of the box of a face that is looked for.
    min_face_size: Option<f32>,
    /// The detector's confidence in a face that is looked for, 0 to 1.
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    limit: Option<usize>,
    /// `person`: only the best hit of each person.
    group_by: Option<GroupBy>,
    score_threshold: Option<f32>,
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    with_payload: Option<WithPayload>,
    filter: Option<WireFilter>,
    /// Only faces of this person, or of one of these.
    person: Option<Names>,
    /// No faces of this person, or of any of these.
    exclude: Option<Names>,
    /// Whether people who are ignored come into question too; not by default.
    include_ignored: Option<bool>,
}

/// The fields of a form that searches, as the document tells them.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "forms are read field by field")]
pub(crate) struct SearchForm {
    image: Binary,
    using: Option<String>,
    faces: Option<Which>,
    min_face_size: Option<f32>,
    min_confidence: Option<f32>,
    /// The least quality, 0 to 1.
    min_quality: Option<f32>,
    limit: Option<usize>,
    group_by: Option<GroupBy>,
    score_threshold: Option<f32>,
    hnsw_ef: Option<usize>,
    exact: Option<bool>,
    with_payload: Option<bool>,
    /// A filter as JSON text.
    filter: Option<String>,
    /// A name, or a JSON list of names.
    person: Option<String>,
    /// A name, or a JSON list of names.
    exclude: Option<String>,
    /// Whether people who are ignored come into question too; not by default.
    include_ignored: Option<bool>,
}

impl TryFrom<SearchBody> for SearchPhoto {
    type Error = Refusal;

    fn try_from(body: SearchBody) -> Result<Self, Refusal> {
        Ok(Self {
            bytes: body.image.0,
            using: body.using,
            faces: body.faces.unwrap_or(Which::All).into(),
            sieve: Sieve::new(body.min_face_size, body.min_confidence, body.min_quality)?,
            by_person: body.group_by.is_some(),
            ignored_too: body.include_ignored.unwrap_or(false),
            limit: checked_limit(body.limit.unwrap_or(limits::DEFAULT_LIMIT), None)?,
            options: SearchOptions::new(body.hnsw_ef, body.exact, body.score_threshold)?,
            filter: People::new(body.person, body.exclude)?
                .within(body.filter.map(|filter| filter.0)),
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
        let group_by: Option<GroupBy> = fields.parsed("group_by", "person")?;
        let with_payload = fields.flag("with_payload")?.unwrap_or(true);
        let filter = fields.text("filter");
        let people = People::of_form(&mut fields)?;
        let search = Self {
            bytes: image.bytes,
            using: fields.text("using"),
            faces: which(&mut fields)?.unwrap_or(Which::All).into(),
            sieve: Sieve::of_form(&mut fields)?,
            by_person: group_by.is_some(),
            ignored_too: fields.flag("include_ignored")?.unwrap_or(false),
            limit: checked_limit(limit, None)?,
            options: SearchOptions::new(ef, exact, score_threshold)?,
            filter: people.within(filter.as_deref().map(filter::parse).transpose()?),
            payload: WithPayload::Flag(with_payload).try_into()?,
        };
        fields.finish()?;
        Ok(search)
    }
}
