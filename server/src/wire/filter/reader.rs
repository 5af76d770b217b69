//! The tree of a filter: clauses, conditions, filters within filters, all within the limits of size
//! and depth.

use std::collections::HashSet;

use engine::{Condition, Filter, MinShould, PointId, Scalars, Test, Words};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Read;
use super::parts::{
    bounds, geo_box, key, object, only, polygon, radius, range, said, scalar, text,
};
use crate::limits::{FILTER_CONDITIONS, FILTER_DEPTH, FILTER_VALUES};
use crate::wire::id::Id;

/// Counts what it reads, so that no filter is larger than a server bears.
#[derive(Default)]
pub(super) struct Reader {
    conditions: usize,
    values: usize,
}

const CLAUSES: &str = "a filter has `must`, `should`, `must_not`, `min_should`";
const CONDITIONS: &str = "a condition has `key` (with a test), `is_empty`, `is_null`, `has_id`, \
                          `has_vector`, `nested`, or a filter of its own";
const KEY_TESTS: &str = "a key is tested with `match`, `range`, `values_count`, `geo_radius`, \
                         `geo_bounding_box`, `geo_polygon`, `is_empty`, `is_null`";
const MATCHES: &str =
    "a match takes `value`, `any`, `except`, `text`, `text_any`, `phrase`, `prefix`";

/// The names that may stand in a map, also where they are null and say nothing: a name that is not
/// known may be a slip, and what it was to filter would be shown.
const IN_FILTER: &[&str] = &["must", "should", "must_not", "min_should"];
const IN_CONDITION: &[&str] = &[
    "must",
    "should",
    "must_not",
    "min_should",
    "is_empty",
    "is_null",
    "has_id",
    "has_vector",
    "nested",
];
const IN_KEY_CONDITION: &[&str] = &[
    "key",
    "match",
    "range",
    "values_count",
    "geo_radius",
    "geo_bounding_box",
    "geo_polygon",
    "is_empty",
    "is_null",
];
const IN_MATCH: &[&str] = &[
    "value", "any", "except", "text", "text_any", "phrase", "prefix",
];

fn known(map: &Map<String, Value>, at: &str, names: &[&str], there_is: &str) -> Read<()> {
    match map.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("`{at}.{name}` is unknown: {there_is}")),
    }
}

impl Reader {
    pub(super) fn filter(&mut self, value: &Value, at: &str, depth: usize) -> Read<Filter> {
        if depth > FILTER_DEPTH {
            return Err(format!(
                "`{at}`: filters may be nested {FILTER_DEPTH} deep at most"
            ));
        }
        let map = object(value, at)?;
        known(map, at, IN_FILTER, CLAUSES)?;
        let mut filter = Filter::default();
        for (key, value) in said(map) {
            let at = format!("{at}.{key}");
            match key {
                "must" => filter.must = self.conditions(value, &at, depth)?,
                "should" => filter.should = self.conditions(value, &at, depth)?,
                "must_not" => filter.must_not = self.conditions(value, &at, depth)?,
                _ => filter.min_should = Some(self.min_should(value, &at, depth)?),
            }
        }
        Ok(filter)
    }

    fn min_should(&mut self, value: &Value, at: &str, depth: usize) -> Read<MinShould> {
        let map = object(value, at)?;
        only(map, at, &["conditions", "min_count"])?;
        let conditions = map
            .get("conditions")
            .ok_or_else(|| format!("`{at}.conditions` is missing"))?;
        let count = map.get("min_count").and_then(Value::as_u64);
        let count = count.and_then(|count| usize::try_from(count).ok());
        Ok(MinShould {
            conditions: self.conditions(conditions, &format!("{at}.conditions"), depth)?,
            min_count: count
                .ok_or_else(|| format!("`{at}.min_count` must be a whole number, 0 or more"))?,
        })
    }

    fn conditions(&mut self, value: &Value, at: &str, depth: usize) -> Read<Vec<Condition>> {
        match value {
            Value::Array(list) => {
                let conditions = list.iter().enumerate();
                conditions
                    .map(|(n, value)| self.condition(value, &format!("{at}[{n}]"), depth))
                    .collect()
            }
            one => Ok(vec![self.condition(one, at, depth)?]),
        }
    }

    fn condition(&mut self, value: &Value, at: &str, depth: usize) -> Read<Condition> {
        self.conditions += 1;
        if self.conditions > FILTER_CONDITIONS {
            return Err(format!(
                "`{at}`: a filter may have {FILTER_CONDITIONS} conditions at most"
            ));
        }
        let map = object(value, at)?;
        if map.contains_key("key") {
            return self.key_condition(map, at);
        }
        known(map, at, IN_CONDITION, CONDITIONS)?;
        let mut fields = said(map);
        let Some((name, value)) = fields.next() else {
            if let Some(name) = map.keys().find(|name| !IN_FILTER.contains(&name.as_str())) {
                return Err(format!(
                    "`{at}.{name}` is null, and nothing else is said: {CONDITIONS}"
                ));
            }
            // An empty object is an empty filter, which lets everything through.
            return Ok(Condition::Filter(Filter::default()));
        };
        if matches!(name, "must" | "should" | "must_not" | "min_should") {
            let filter = self.filter(&Value::Object(map.clone()), at, depth + 1)?;
            return Ok(Condition::Filter(filter));
        }
        let inside = format!("{at}.{name}");
        let condition = match name {
            "has_id" => Condition::HasId(self.ids(value, &inside)?),
            "has_vector" => Condition::HasVector(text(value, &inside)?.to_owned()),
            "nested" => self.nested(value, &inside, depth)?,
            _ => {
                let map = object(value, &inside)?;
                only(map, &inside, &["key"])?;
                Condition::Key {
                    key: key(map, &inside)?,
                    test: if name == "is_empty" {
                        Test::Empty
                    } else {
                        Test::Null
                    },
                }
            }
        };
        match fields.next() {
            None => Ok(condition),
            Some((other, _)) => Err(format!(
                "`{at}` has both `{name}` and `{other}`: give each condition its own object"
            )),
        }
    }

    fn nested(&mut self, value: &Value, at: &str, depth: usize) -> Read<Condition> {
        let map = object(value, at)?;
        only(map, at, &["key", "filter"])?;
        let key = key(map, at)?;
        let inner = map
            .get("filter")
            .ok_or_else(|| format!("`{at}.filter` is missing"))?;
        let filter = self.filter(inner, &format!("{at}.filter"), depth + 1)?;
        match asks_of_point(&filter) {
            false => Ok(Condition::Nested { key, filter }),
            true => Err(format!(
                "`{at}.filter`: `has_id` and `has_vector` are about points, not about elements of \
                 a list; put them beside `nested`"
            )),
        }
    }

    fn ids(&mut self, value: &Value, at: &str) -> Read<HashSet<PointId>> {
        let list = self.list(value, at)?;
        let ids = list.iter().enumerate().map(|(n, value)| {
            let id = Id::deserialize(value);
            id.map(|id| id.0)
                .map_err(|error| format!("`{at}[{n}]`: {error}"))
        });
        ids.collect()
    }

    fn list<'a>(&mut self, value: &'a Value, at: &str) -> Read<&'a [Value]> {
        let list = value
            .as_array()
            .ok_or_else(|| format!("`{at}` must be a list"))?;
        self.values += list.len();
        match self.values > FILTER_VALUES {
            true => Err(format!(
                "`{at}`: a filter may list {FILTER_VALUES} values at most"
            )),
            false => Ok(list),
        }
    }

    fn key_condition(&mut self, map: &Map<String, Value>, at: &str) -> Read<Condition> {
        known(map, at, IN_KEY_CONDITION, KEY_TESTS)?;
        let key = key(map, at)?;
        let mut tests = said(map).filter(|(name, _)| *name != "key");
        let Some((name, value)) = tests.next() else {
            return Err(format!("`{at}` says nothing about its key: {KEY_TESTS}"));
        };
        if let Some((other, _)) = tests.next() {
            return Err(format!(
                "`{at}` has both `{name}` and `{other}`: give each test its own condition"
            ));
        }
        let inside = format!("{at}.{name}");
        let test = match name {
            "match" => self.match_test(value, &inside)?,
            "range" => range(value, &inside)?,
            "values_count" => Test::Count(bounds(value, &inside, &|value, at| {
                let count = value.as_u64();
                count.ok_or_else(|| format!("`{at}` must be a whole number, 0 or more"))
            })?),
            "geo_radius" => radius(value, &inside)?,
            "geo_bounding_box" => geo_box(value, &inside)?,
            "geo_polygon" => polygon(value, &inside)?,
            _ => {
                let is = value
                    .as_bool()
                    .ok_or_else(|| format!("`{inside}` must be true or false"))?;
                let test = if name == "is_empty" {
                    Test::Empty
                } else {
                    Test::Null
                };
                let condition = Condition::Key { key, test };
                return Ok(match is {
                    true => condition,
                    false => Condition::Filter(Filter {
                        must_not: vec![condition],
                        ..Filter::default()
                    }),
                });
            }
        };
        Ok(Condition::Key { key, test })
    }

    fn match_test(&mut self, value: &Value, at: &str) -> Read<Test> {
        let map = object(value, at)?;
        known(map, at, IN_MATCH, MATCHES)?;
        let mut fields = said(map);
        let Some((name, value)) = fields.next() else {
            return Err(format!("`{at}` is empty: {MATCHES}"));
        };
        let inside = format!("{at}.{name}");
        let words = |value| Ok::<_, String>(Words::from(text(value, &inside)?.to_owned()));
        let test = match name {
            "value" => Test::Value(scalar(value, &inside)?),
            "any" => Test::Any(self.scalars(value, &inside)?),
            "except" => Test::Except(self.scalars(value, &inside)?),
            "text" => Test::Text(words(value)?),
            "text_any" => Test::TextAny(words(value)?),
            "phrase" => Test::Phrase(words(value)?),
            _ => Test::Prefix(text(value, &inside)?.to_owned()),
        };
        match fields.next() {
            None => Ok(test),
            Some((other, _)) => Err(format!(
                "`{at}` has both `{name}` and `{other}`: give each its own condition"
            )),
        }
    }

    fn scalars(&mut self, value: &Value, at: &str) -> Read<Scalars> {
        let list = self.list(value, at)?;
        let kinds = format!("`{at}` must be a list of texts or a list of whole numbers");
        if list.iter().all(Value::is_string) {
            let texts = list.iter().filter_map(Value::as_str).map(str::to_owned);
            return Ok(Scalars::Texts(texts.collect()));
        }
        let numbers: Option<_> = list.iter().map(Value::as_i64).collect();
        numbers.map(Scalars::Integers).ok_or(kinds)
    }
}

/// Whether a filter asks what only a whole point can answer.
fn asks_of_point(filter: &Filter) -> bool {
    let some = filter.min_should.iter().flat_map(|some| &some.conditions);
    let all = filter.must.iter().chain(&filter.should);
    let mut all = all.chain(&filter.must_not).chain(some);
    all.any(|condition| match condition {
        Condition::HasId(_) | Condition::HasVector(_) => true,
        Condition::Filter(filter) | Condition::Nested { filter, .. } => asks_of_point(filter),
        Condition::Key { .. } => false,
    })
}
