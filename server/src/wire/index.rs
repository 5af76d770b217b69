//! Payload indexes as they travel: the body that makes one, and what a collection tells of them.
//!
//! Hints about where an index lies and what it is meant for (`on_disk`, `is_tenant`, `is_principal`,
//! `lookup`, `range`, `phrase_matching`, `enable_hnsw`) change no answer and are taken as hints.

use std::collections::BTreeMap;

use engine::{IndexInfo, IndexKind, KeyPath, TextOptions, Tokenizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema;
use super::unsupported::{self, Absent};
use crate::limits;
use crate::refusal::Refusal;

/// The body of `PUT /collections/{c}/index`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateIndex {
    #[schemars(transform = schema::key)]
    field_name: String,
    field_schema: Schema,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "PayloadIndex")]
#[serde(
    untagged,
    expecting = "`field_schema` must be one of keyword, integer, float, bool, datetime, uuid, text, \
                 geo, or an object with that as its `type` and settings of that type"
)]
enum Schema {
    Kind(Kind),
    Params(Params),
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "PayloadIndexKind")]
#[serde(rename_all = "lowercase")]
enum Kind {
    Keyword,
    Integer,
    Float,
    Bool,
    Datetime,
    Uuid,
    Text,
    Geo,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PayloadIndexParams")]
struct Params {
    #[serde(rename = "type")]
    kind: Kind,
    tokenizer: Option<WireTokenizer>,
    lowercase: Option<bool>,
    min_token_len: Option<u32>,
    max_token_len: Option<u32>,
    /// Only false can be had.
    #[schemars(extend("enum" = [false, null]))]
    ascii_folding: Option<bool>,
    stopwords: Absent,
    stemmer: Absent,
    #[serde(rename = "on_disk")]
    #[schemars(transform = schema::no_effect)]
    _on_disk: Option<bool>,
    #[serde(rename = "is_tenant")]
    #[schemars(transform = schema::no_effect)]
    _is_tenant: Option<bool>,
    #[serde(rename = "is_principal")]
    #[schemars(transform = schema::no_effect)]
    _is_principal: Option<bool>,
    #[serde(rename = "lookup")]
    #[schemars(transform = schema::no_effect)]
    _lookup: Option<bool>,
    #[serde(rename = "range")]
    #[schemars(transform = schema::no_effect)]
    _range: Option<bool>,
    #[serde(rename = "phrase_matching")]
    #[schemars(transform = schema::no_effect)]
    _phrase_matching: Option<bool>,
    #[serde(rename = "enable_hnsw")]
    #[schemars(transform = schema::no_effect)]
    _enable_hnsw: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "Tokenizer")]
#[serde(rename_all = "lowercase")]
enum WireTokenizer {
    Word,
    Whitespace,
    Prefix,
}

impl TryFrom<CreateIndex> for (KeyPath, IndexKind) {
    type Error = Refusal;

    fn try_from(body: CreateIndex) -> Result<Self, Refusal> {
        let key = KeyPath::parse(&body.field_name);
        let key = key.map_err(|error| Refusal::wrong(format!("`field_name`: {error}")))?;
        let kind = match body.field_schema {
            Schema::Kind(kind) => of(kind, TextOptions::default()),
            Schema::Params(params) => params.kind()?,
        };
        Ok((key, kind))
    }
}

impl Params {
    fn kind(self) -> Result<IndexKind, Refusal> {
        unsupported::refuse(&[
            ("field_schema.stopwords", &self.stopwords),
            ("field_schema.stemmer", &self.stemmer),
        ])?;
        if self.ascii_folding == Some(true) {
            return Err(Refusal::wrong(
                "`field_schema.ascii_folding` is not supported",
            ));
        }
        let text_only = [
            ("tokenizer", self.tokenizer.is_some()),
            ("lowercase", self.lowercase.is_some()),
            ("min_token_len", self.min_token_len.is_some()),
            ("max_token_len", self.max_token_len.is_some()),
        ];
        if self.kind != Kind::Text
            && let Some((name, _)) = text_only.iter().find(|(_, given)| *given)
        {
            return Err(Refusal::wrong(format!(
                "`field_schema.{name}` is of text indexes alone"
            )));
        }
        let (min, max) = (self.min_token_len, self.max_token_len);
        if max == Some(0) || min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err(Refusal::wrong(
                "`min_token_len` and `max_token_len` leave no words",
            ));
        }
        let tokenizer = match self.tokenizer {
            None | Some(WireTokenizer::Word) => Tokenizer::Word,
            Some(WireTokenizer::Whitespace) => Tokenizer::Whitespace,
            Some(WireTokenizer::Prefix) => Tokenizer::Prefix,
        };
        let options = TextOptions {
            tokenizer,
            lowercase: self.lowercase.unwrap_or(true),
            min_len: min,
            max_len: max,
        };
        Ok(of(self.kind, options))
    }
}

fn of(kind: Kind, options: TextOptions) -> IndexKind {
    match kind {
        Kind::Keyword => IndexKind::Keyword,
        Kind::Integer => IndexKind::Integer,
        Kind::Float => IndexKind::Float,
        Kind::Bool => IndexKind::Bool,
        Kind::Datetime => IndexKind::Datetime,
        Kind::Uuid => IndexKind::Uuid,
        Kind::Text => IndexKind::Text(options),
        Kind::Geo => IndexKind::Geo,
    }
}

/// An index as it is told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PayloadIndexInfo")]
pub(crate) struct IndexTold {
    data_type: Kind,
    /// Points that have a value of that kind there.
    points: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<TextTold>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TextIndexInfo")]
struct TextTold {
    #[serde(rename = "type")]
    kind: Kind,
    tokenizer: WireTokenizer,
    lowercase: bool,
    min_token_len: Option<u32>,
    max_token_len: Option<u32>,
}

/// The section `payload_schema` of what is told about a collection.
pub(crate) fn told(indexes: &[IndexInfo]) -> BTreeMap<String, IndexTold> {
    let told = indexes
        .iter()
        .map(|index| (index.key.to_string(), index.into()));
    told.collect()
}

impl From<&IndexInfo> for IndexTold {
    fn from(index: &IndexInfo) -> Self {
        let (data_type, options) = match index.kind {
            IndexKind::Keyword => (Kind::Keyword, None),
            IndexKind::Integer => (Kind::Integer, None),
            IndexKind::Float => (Kind::Float, None),
            IndexKind::Bool => (Kind::Bool, None),
            IndexKind::Datetime => (Kind::Datetime, None),
            IndexKind::Uuid => (Kind::Uuid, None),
            IndexKind::Text(options) => (Kind::Text, Some(options)),
            IndexKind::Geo => (Kind::Geo, None),
        };
        Self {
            data_type,
            points: index.points,
            params: options.map(TextTold::from),
        }
    }
}

impl From<TextOptions> for TextTold {
    fn from(options: TextOptions) -> Self {
        Self {
            kind: Kind::Text,
            tokenizer: match options.tokenizer {
                Tokenizer::Word => WireTokenizer::Word,
                Tokenizer::Whitespace => WireTokenizer::Whitespace,
                Tokenizer::Prefix => WireTokenizer::Prefix,
            },
            lowercase: options.lowercase,
            min_token_len: options.min_len,
            max_token_len: options.max_len,
        }
    }
}

/// The body of `POST /collections/{c}/facet`; every count is exact.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FacetBody {
    #[schemars(transform = schema::key)]
    key: String,
    /// 10 by default.
    #[schemars(range(min = 1, max = limits::FACETS))]
    limit: Option<usize>,
    filter: Option<super::filter::WireFilter>,
    #[serde(rename = "exact")]
    #[schemars(transform = schema::no_effect)]
    _exact: Option<bool>,
    shard_key: Absent,
}

/// Values at a key that are to be counted.
pub(crate) struct Facet {
    pub(crate) key: KeyPath,
    pub(crate) filter: engine::Filter,
    pub(crate) limit: usize,
}

impl TryFrom<FacetBody> for Facet {
    type Error = Refusal;

    fn try_from(body: FacetBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[("shard_key", &body.shard_key)])?;
        let (limit, most) = (body.limit.unwrap_or(limits::DEFAULT_LIMIT), limits::FACETS);
        if limit == 0 || limit > most {
            return Err(Refusal::wrong(format!("`limit` must be 1 to {most}")));
        }
        let key = KeyPath::parse(&body.key);
        Ok(Self {
            key: key.map_err(Refusal::wrong)?,
            filter: body.filter.map(|filter| filter.0).unwrap_or_default(),
            limit,
        })
    }
}

/// The answer to a facet.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Facets {
    pub(crate) hits: Vec<Counted>,
}

/// A value and how many points have it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ValueCount")]
pub(crate) struct Counted {
    pub(crate) value: Value,
    pub(crate) count: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(schema: Value) -> Result<IndexKind, String> {
        let body = json!({"field_name": "a.b", "field_schema": schema});
        let body: CreateIndex = serde_json::from_value(body).map_err(|error| error.to_string())?;
        let index: Result<(KeyPath, IndexKind), Refusal> = body.try_into();
        index
            .map(|(_, kind)| kind)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn each_type_is_made_by_its_name_and_by_its_settings() {
        for name in [
            "keyword", "integer", "float", "bool", "datetime", "uuid", "text", "geo",
        ] {
            let short = kind(json!(name)).unwrap();
            let long = kind(json!({"type": name, "on_disk": true})).unwrap();
            assert_eq!(short, long);
            let told = IndexTold::from(&IndexInfo {
                key: KeyPath::of("a"),
                kind: short,
                points: 3,
            });
            let told = serde_json::to_value(&told).unwrap();
            assert_eq!(
                (told["data_type"].as_str(), &told["points"]),
                (Some(name), &json!(3))
            );
        }
        let text = kind(json!({
            "type": "text", "tokenizer": "prefix", "min_token_len": 2, "max_token_len": 20,
            "lowercase": true, "phrase_matching": false,
        }));
        let IndexKind::Text(options) = text.unwrap() else {
            panic!("it is of texts");
        };
        assert_eq!(
            (options.tokenizer, options.min_len),
            (Tokenizer::Prefix, Some(2))
        );
    }

    #[test]
    fn what_would_be_ignored_is_refused_by_name() {
        let cases = [
            (json!("sparse"), "keyword"),
            (json!(null), "field_schema"),
            (
                json!({"type": "text", "stemmer": {"type": "snowball"}}),
                "stemmer",
            ),
            (json!({"type": "text", "stopwords": "english"}), "stopwords"),
            (
                json!({"type": "text", "ascii_folding": true}),
                "ascii_folding",
            ),
            (
                json!({"type": "text", "tokenizer": "multilingual"}),
                "field_schema",
            ),
            (
                json!({"type": "text", "min_token_len": 5, "max_token_len": 2}),
                "no words",
            ),
            (json!({"type": "keyword", "tokenizer": "word"}), "tokenizer"),
            (json!({"type": "keyword", "colour": 1}), "field_schema"),
        ];
        for (schema, word) in cases {
            let error = kind(schema).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
