//! Whose faces are meant and whose are not: `person` and `exclude`, each one name or a list of them.
//! They become conditions of the filter, so that what is passed over makes room for others.

use std::collections::HashSet;

use engine::{Condition, Filter, KeyPath, PERSON, Scalars, Test};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::Fields;
use crate::limits;
use crate::refusal::Refusal;

/// One name, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a name or a list of names")]
pub(crate) enum Names {
    One(String),
    Some(Vec<String>),
}

impl Names {
    /// In a field of a form a list is JSON; anything else is a name as it stands.
    fn of_field(text: String) -> Self {
        match serde_json::from_str(&text) {
            Ok(names) => Self::Some(names),
            Err(_) => Self::One(text),
        }
    }

    fn checked(self, field: &str) -> Result<HashSet<String>, Refusal> {
        let names = match self {
            Self::One(name) => vec![name],
            Self::Some(names) => names,
        };
        let most = limits::PEOPLE;
        if names.is_empty() || names.len() > most {
            return Err(Refusal::wrong(format!(
                "`{field}` must be a name, or a list of 1 to {most} names"
            )));
        }
        Ok(names.into_iter().collect())
    }
}

/// Whose faces come into question.
#[derive(Debug, Default)]
pub(crate) struct People {
    of: Option<HashSet<String>>,
    not_of: Option<HashSet<String>>,
}

impl People {
    pub(crate) fn new(person: Option<Names>, exclude: Option<Names>) -> Result<Self, Refusal> {
        let checked = |names: Option<Names>, field| names.map(|it| it.checked(field)).transpose();
        Ok(Self {
            of: checked(person, PERSON)?,
            not_of: checked(exclude, "exclude")?,
        })
    }

    /// The same fields of a form.
    pub(crate) fn of_form(fields: &mut Fields) -> Result<Self, Refusal> {
        let person = fields.text(PERSON).map(Names::of_field);
        let exclude = fields.text("exclude").map(Names::of_field);
        Self::new(person, exclude)
    }

    /// The filter that lets through what this and another let through.
    pub(crate) fn within(self, filter: Option<Filter>) -> Option<Filter> {
        let is_one_of = |names| Condition::Key {
            key: KeyPath::of(PERSON),
            test: Test::Any(Scalars::Texts(names)),
        };
        if self.of.is_none() && self.not_of.is_none() {
            return filter;
        }
        let mut both = filter.unwrap_or_default();
        both.must.extend(self.of.map(is_one_of));
        both.must_not.extend(self.not_of.map(is_one_of));
        Some(both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Option<Names> {
        Some(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_person_is_added_to_what_the_filter_asks() {
        let other = Condition::HasVector(String::new());
        let filter = Some(Filter::must(other.clone()));
        let people = People::new(names(r#""Ada""#), names(r#"["Bob", "Cleo"]"#)).unwrap();
        let both = people.within(filter.clone()).unwrap();
        assert_eq!((both.must.len(), both.must_not.len()), (2, 1));
        assert_eq!(both.must[0], other);
        assert_eq!(People::default().within(filter.clone()), filter);
        assert_eq!(People::default().within(None), None);
    }

    #[test]
    fn a_list_in_a_form_is_json_and_a_name_is_not() {
        let one = Names::of_field("Ada [1815]".into()).checked("x").unwrap();
        assert!(one.contains("Ada [1815]"));
        let two = Names::of_field(r#"["Ada", "Bob"]"#.into()).checked("x");
        assert_eq!(two.unwrap().len(), 2);
        let refused = Names::of_field("[]".into()).checked("exclude").unwrap_err();
        assert!(refused.message().contains("`exclude`"));
        let many = Names::Some(vec![String::new(); limits::PEOPLE + 1]);
        assert!(many.checked("x").is_err());
    }
}
