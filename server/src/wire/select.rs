//! `with_payload` and `with_vector`: what a client wants to see of a point.

use engine::{KeyPath, Which};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::schema;
use crate::access::{Grant, Scope};
use crate::refusal::Refusal;

/// `with_payload` as it travels.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`with_payload` is true, false, a list of keys, or an object with `include` or \
                 `exclude`"
)]
pub(crate) enum WithPayload {
    Flag(bool),
    Keys(Vec<String>),
    Chosen(Chosen),
}

/// Keys to show or to leave out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PayloadKeys", transform = schema::one_of(&["include", "exclude"]))]
pub(crate) struct Chosen {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

/// `with_vector` as it travels; the list is of names.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`with_vector` is true, false, or a list of vectors' names"
)]
pub(crate) enum WithVector {
    Flag(bool),
    Names(Vec<String>),
}

/// Which part of a payload is shown.
#[derive(Debug, Clone)]
pub(crate) enum PayloadView {
    Nothing,
    All,
    Only(Vec<KeyPath>),
    Without(Vec<KeyPath>),
}

/// What is shown of a point.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) payload: PayloadView,
    pub(crate) vectors: Which,
}

impl View {
    /// Reads both fields; `payload_by_default` is what an absent `with_payload` means.
    pub(crate) fn new(
        with_payload: Option<WithPayload>,
        payload_by_default: bool,
        with_vector: Option<WithVector>,
    ) -> Result<Self, Refusal> {
        let payload = with_payload.unwrap_or(WithPayload::Flag(payload_by_default));
        let vectors = match with_vector {
            None | Some(WithVector::Flag(false)) => Which::None,
            Some(WithVector::Flag(true)) => Which::All,
            Some(WithVector::Names(names)) => Which::Named(names),
        };
        if !matches!(vectors, Which::None) {
            Grant::demand(Scope::Embeddings, "`with_vector` shows vectors")?;
        }
        Ok(Self {
            payload: PayloadView::try_from(payload)?,
            vectors,
        })
    }

    /// What the engine has to bring along.
    pub(crate) fn select(&self) -> engine::Select {
        engine::Select {
            payload: !matches!(self.payload, PayloadView::Nothing),
            vectors: self.vectors.clone(),
        }
    }
}

impl TryFrom<WithPayload> for PayloadView {
    type Error = Refusal;

    fn try_from(wire: WithPayload) -> Result<Self, Refusal> {
        match wire {
            WithPayload::Flag(false) => Ok(Self::Nothing),
            WithPayload::Flag(true) => Ok(Self::All),
            WithPayload::Keys(keys) => Ok(Self::Only(paths(&keys)?)),
            WithPayload::Chosen(chosen) => match (chosen.include, chosen.exclude) {
                (Some(keys), None) => Ok(Self::Only(paths(&keys)?)),
                (None, Some(keys)) => Ok(Self::Without(paths(&keys)?)),
                _ => Err(Refusal::wrong(
                    "`with_payload` takes either `include` or `exclude`",
                )),
            },
        }
    }
}

fn paths(keys: &[String]) -> Result<Vec<KeyPath>, Refusal> {
    let paths = keys.iter().map(|key| KeyPath::parse(key));
    let paths: Result<_, String> = paths.collect();
    paths.map_err(|error| Refusal::wrong(format!("`with_payload`: {error}")))
}

impl PayloadView {
    /// The part of a payload that is shown.
    pub(crate) fn of(&self, payload: Option<Map<String, Value>>) -> Option<Map<String, Value>> {
        let mut payload = payload?;
        match self {
            Self::Nothing => return None,
            Self::All => {}
            Self::Only(keys) => payload = engine::only(&payload, keys),
            Self::Without(keys) => engine::without(&mut payload, keys),
        }
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(with_payload: Value) -> Result<Option<Value>, Refusal> {
        let wire = serde_json::from_value(with_payload).unwrap();
        let view = View::new(Some(wire), false, None)?;
        let payload = json!({"a": 1, "b": {"c": 2}});
        let shown = view.payload.of(payload.as_object().cloned());
        Ok(shown.map(Value::Object))
    }

    #[test]
    fn each_form_shows_what_it_says() {
        let all = json!({"a": 1, "b": {"c": 2}});
        assert_eq!(shown(json!(true)).unwrap(), Some(all));
        assert_eq!(shown(json!(false)).unwrap(), None);
        assert_eq!(shown(json!(["a"])).unwrap(), Some(json!({"a": 1})));
        let include = json!({"include": ["b", "x"]});
        assert_eq!(shown(include).unwrap(), Some(json!({"b": {"c": 2}})));
        assert_eq!(shown(json!(["b.c"])).unwrap(), Some(json!({"b": {"c": 2}})));
        assert_eq!(shown(json!(["b.d"])).unwrap(), Some(json!({})));
        let inner = json!({"exclude": ["b.c"]});
        assert_eq!(shown(inner).unwrap(), Some(json!({"a": 1, "b": {}})));
        let exclude = json!({"exclude": ["b"]});
        assert_eq!(shown(exclude).unwrap(), Some(json!({"a": 1})));
    }

    #[test]
    fn what_would_be_misread_is_refused() {
        assert!(shown(json!(["b..c"])).is_err());
        assert!(shown(json!({"include": ["a"], "exclude": ["b"]})).is_err());
        assert!(shown(json!({"include": null})).is_err());
    }
}
