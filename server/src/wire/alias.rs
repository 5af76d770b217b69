//! Aliases as they travel.

use engine::AliasChange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list;

/// The body of `POST /collections/aliases`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeAliases {
    #[serde(deserialize_with = "list::numbered")]
    pub(crate) actions: Vec<Action>,
}

/// One change.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) enum Action {
    #[serde(rename = "create_alias")]
    Create(Create),
    #[serde(rename = "delete_alias")]
    Delete(Delete),
    #[serde(rename = "rename_alias")]
    Rename(Rename),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    collection_name: String,
    alias_name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    alias_name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    old_alias_name: String,
    new_alias_name: String,
}

impl From<Action> for AliasChange {
    fn from(action: Action) -> Self {
        match action {
            Action::Create(create) => Self::Create {
                alias: create.alias_name,
                collection: create.collection_name,
            },
            Action::Delete(delete) => Self::Delete {
                alias: delete.alias_name,
            },
            Action::Rename(rename) => Self::Rename {
                from: rename.old_alias_name,
                to: rename.new_alias_name,
            },
        }
    }
}

/// The answer to `GET /aliases` and `GET /collections/{c}/aliases`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Aliases {
    aliases: Vec<Alias>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Alias {
    alias_name: String,
    collection_name: String,
}

impl FromIterator<(String, String)> for Aliases {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(aliases: I) -> Self {
        let alias = |(alias_name, collection_name)| Alias {
            alias_name,
            collection_name,
        };
        Self {
            aliases: aliases.into_iter().map(alias).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_action_that_is_not_known_is_refused_with_its_place() {
        let create = json!({"create_alias": {"collection_name": "c", "alias_name": "a"}});
        let wrong = [
            json!({"make_alias": {}}),
            json!({"delete_alias": {"alias_name": "a", "colour": 1}}),
            json!({"rename_alias": {"old_alias_name": "a"}}),
            json!("create_alias"),
        ];
        for action in wrong {
            let body = json!({"actions": [create, action]}).to_string();
            let error = serde_json::from_str::<ChangeAliases>(&body).unwrap_err();
            assert!(error.to_string().contains("item 1"), "{error}");
        }
    }
}
