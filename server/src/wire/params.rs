//! The part of a URL behind the question mark.

use std::borrow::Cow;

use engine::{Ack, PointId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::id::Id;
use super::schema;
use crate::limits;
use crate::refusal::Refusal;

/// Parameters of a write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteParams {
    wait: Option<bool>,
    /// One node applies every write in the order of the log: each of the dialect's orderings holds.
    #[serde(rename = "ordering")]
    #[schemars(transform = schema::no_effect)]
    _ordering: Option<Ordering>,
    #[serde(rename = "timeout")]
    #[schemars(transform = schema::no_effect)]
    _timeout: Option<u64>,
}

/// Parameters of a collection's end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropParams {
    /// Ours: the collection goes only if it has no points; 409 if it has some.
    only_empty: Option<bool>,
    #[serde(rename = "wait")]
    _wait: Option<bool>,
    #[serde(rename = "ordering")]
    #[schemars(transform = schema::no_effect)]
    _ordering: Option<Ordering>,
    #[serde(rename = "timeout")]
    #[schemars(transform = schema::no_effect)]
    _timeout: Option<u64>,
}

impl DropParams {
    pub(crate) fn only_empty(&self) -> bool {
        self.only_empty.unwrap_or_default()
    }
}

/// Orderings of writes that the dialect knows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ordering {
    Weak,
    Medium,
    Strong,
}

impl WriteParams {
    /// A write is answered when searches see it, unless the client says `wait=false`.
    pub(crate) fn ack(&self) -> Ack {
        match self.wait {
            Some(false) => Ack::Durable,
            _ => Ack::Applied,
        }
    }
}

/// Parameters of a read. One node satisfies every consistency; its own limits bound the time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadParams {
    #[serde(rename = "consistency")]
    #[schemars(transform = schema::no_effect)]
    _consistency: Option<Consistency>,
    #[serde(rename = "timeout")]
    #[schemars(transform = schema::no_effect)]
    _timeout: Option<u64>,
    /// Ours: whether an answer may lack what shards that are not there hold; `missing_shards` in its frame
    /// names them.
    allow_partial: Option<bool>,
}

impl ReadParams {
    /// Whether a part of the answer is better than none.
    pub(crate) fn allows_partial(&self) -> bool {
        self.allow_partial == Some(true)
    }
}

/// How many copies must agree: a number of them, or a word of the dialect.
#[derive(Debug)]
struct Consistency;

const CONSISTENCIES: [&str; 3] = ["majority", "quorum", "all"];

impl<'de> Deserialize<'de> for Consistency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse::<u32>().is_ok_and(|copies| copies > 0);
        match number || CONSISTENCIES.contains(&text.as_str()) {
            true => Ok(Self),
            false => Err(D::Error::custom(
                "`consistency` must be `majority`, `quorum`, `all` or a number of copies",
            )),
        }
    }
}

impl JsonSchema for Consistency {
    fn schema_name() -> Cow<'static, str> {
        "Consistency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "string", "enum": CONSISTENCIES},
            {"type": "integer", "minimum": 1, "maximum": u32::MAX},
        ]})
    }
}

/// Parameters of the telemetry; there is one level of detail, without names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryParams {
    #[serde(rename = "anonymize")]
    #[schemars(transform = schema::no_effect)]
    _anonymize: Option<bool>,
    #[serde(rename = "details_level")]
    #[schemars(transform = schema::no_effect)]
    _details_level: Option<u64>,
    #[serde(rename = "timeout")]
    #[schemars(transform = schema::no_effect)]
    _timeout: Option<u64>,
}

/// Parameters of a face's image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageParams {
    #[serde(default)]
    pub(crate) kind: ImageKind,
    /// Pixels of the longer side of a thumbnail; 96 by default.
    size: Option<u32>,
}

impl ImageParams {
    /// The longer side of the thumbnail, if it is to be one.
    pub(crate) fn side(&self) -> Result<Option<u32>, Refusal> {
        match (self.kind, self.size) {
            (ImageKind::Thumbnail, None) => Ok(Some(limits::THUMBNAIL)),
            (ImageKind::Thumbnail, Some(side)) if limits::THUMBNAILS.contains(&side) => {
                Ok(Some(side))
            }
            (_, None) => Ok(None),
            (_, Some(_)) => Err(Refusal::wrong(format!(
                "`size` goes with `kind` = `thumbnail` and must be {} to {}",
                limits::THUMBNAILS.start(),
                limits::THUMBNAILS.end()
            ))),
        }
    }
}

/// Parameters of a list of faces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    /// 10 by default.
    limit: Option<usize>,
    /// The id that the page starts with: `next_page_offset` of the page before.
    offset: Option<String>,
}

impl ListParams {
    /// Where the page starts and how long it is.
    pub(crate) fn page(&self) -> Result<(Option<PointId>, usize), Refusal> {
        let limit = self.limit.unwrap_or(limits::DEFAULT_LIMIT);
        let most = limits::PAGE;
        if limit == 0 || limit > most {
            return Err(Refusal::wrong(format!("`limit` must be 1 to {most}")));
        }
        let from = self.offset.as_deref().map(Id::parse).transpose()?;
        Ok((from.map(|id| id.0), limit))
    }
}

/// Which image of a face.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImageKind {
    /// The cut-out face.
    #[default]
    Crop,
    /// The cut-out face, smaller.
    Thumbnail,
    /// The photo it was found in.
    Photo,
}
