//! Changes of payloads: what may be done to one, as decided facts of the log.
//!
//! Each change says what values are at some keys afterwards, whatever was there before. So of
//! several the last one that touches a key decides, and applying a row of them again to what they
//! have made changes nothing: a replay may start early, on payloads that are newer than it. What
//! would break that (taking out one element of a list by its place) does not exist.

use serde_json::{Map, Value};

use crate::convert;
use crate::error::Error;
use crate::filter::{KeyPath, Step};
use crate::point::{PERSON, Payload};

/// A change of payloads.
#[derive(Debug, Clone, PartialEq)]
pub enum PayloadChange {
    /// Keys are given values, other keys stay; a null takes its key away.
    Set {
        /// The keys and values.
        payload: Payload,
        /// Which object of the payload they go into; the payload itself if there is none.
        key: Option<KeyPath>,
    },
    /// The whole payload, or the value at a key, is replaced.
    Overwrite {
        /// What is there afterwards.
        payload: Payload,
        /// Where; the payload itself if there is none.
        key: Option<KeyPath>,
    },
    /// Keys go.
    Delete(Vec<KeyPath>),
    /// All keys go.
    Clear,
}

impl PayloadChange {
    /// Does it to a payload.
    pub(crate) fn apply(&self, payload: &mut Payload) {
        match self {
            PayloadChange::Set { payload: new, key } => match key {
                None => merge(payload, new),
                Some(key) => at(payload, key, &|value| merge(object(value), new)),
            },
            PayloadChange::Overwrite { payload: new, key } => match key {
                None => payload.clone_from(new),
                Some(key) => at(payload, key, &|value| *value = Value::Object(new.clone())),
            },
            PayloadChange::Delete(keys) => keys.iter().for_each(|key| delete(payload, key)),
            PayloadChange::Clear => payload.clear(),
        }
    }

    /// Whether it says, or takes away, who points are of. Where all keys go, that goes with the rest.
    pub(crate) fn names_people(&self) -> bool {
        match self {
            PayloadChange::Set { payload, key } | PayloadChange::Overwrite { payload, key } => {
                match key {
                    None => payload.contains_key(PERSON),
                    Some(key) => key.first() == PERSON,
                }
            }
            PayloadChange::Delete(keys) => keys.contains(&KeyPath::of(PERSON)),
            PayloadChange::Clear => false,
        }
    }

    /// Bytes that it brings to each place it changes.
    pub(crate) fn bytes(&self) -> Result<usize, Error> {
        match self {
            PayloadChange::Set { payload, key } | PayloadChange::Overwrite { payload, key } => {
                let path = key.as_ref().map_or(0, |key| key.to_string().len());
                Ok(storage::encode_payload(payload)?.len() + path)
            }
            PayloadChange::Delete(_) | PayloadChange::Clear => Ok(0),
        }
    }

    /// Bytes that a payload may come to, if the change brings so many to each place.
    pub(crate) fn bytes_after(&self, new: usize, before: Option<&[u8]>) -> Result<usize, Error> {
        let old = before.map_or(0, <[u8]>::len);
        let key = match self {
            PayloadChange::Overwrite { key: None, .. } => return Ok(new),
            PayloadChange::Set { key, .. } | PayloadChange::Overwrite { key, .. } => key.as_ref(),
            PayloadChange::Delete(_) | PayloadChange::Clear => None,
        };
        // A path through the elements of lists ends in many places.
        let places = match (key.and_then(KeyPath::lists), before) {
            (Some(lists), Some(before)) => lists.values(&convert::payload(before)?).len(),
            _ => 1,
        };
        Ok(new.saturating_mul(places.max(1)).saturating_add(old))
    }

    /// Refuses paths that cannot be written to.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let PayloadChange::Delete(keys) = self else {
            return Ok(());
        };
        let by_place = |key: &&KeyPath| matches!(key.rest().last(), Some(Step::At(_)));
        match keys.iter().find(by_place) {
            None => Ok(()),
            Some(key) => Err(Error::BadRequest(format!(
                "key `{key}`: an element of a list cannot be deleted by its place, because the \
                 others would move up; set the whole list instead"
            ))),
        }
    }
}

fn merge(into: &mut Payload, new: &Payload) {
    for (key, value) in new {
        match value {
            Value::Null => drop(into.remove(key)),
            value => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

/// Has a value be an object, an empty one if it was none.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it has just been made one")
}

/// Changes the value at a path. Objects on the way are made; elements of lists are not.
fn at(payload: &mut Payload, key: &KeyPath, change: &dyn Fn(&mut Value)) {
    let only_in_lists = !matches!(key.rest().first(), None | Some(Step::Key(_)));
    if only_in_lists && !payload.contains_key(key.first()) {
        return;
    }
    let value = payload.entry(key.first()).or_insert(Value::Null);
    step(value, key.rest(), change);
}

fn step(value: &mut Value, steps: &[Step], change: &dyn Fn(&mut Value)) {
    let Some((first, rest)) = steps.split_first() else {
        return change(value);
    };
    match first {
        Step::Key(name) => {
            let map = object(value);
            let only_in_lists = !matches!(rest.first(), None | Some(Step::Key(_)));
            if !only_in_lists || map.contains_key(name) {
                step(map.entry(name).or_insert(Value::Null), rest, change);
            }
        }
        Step::At(place) => {
            if let Some(element) = value.as_array_mut().and_then(|list| list.get_mut(*place)) {
                step(element, rest, change);
            }
        }
        Step::Each => {
            for element in value.as_array_mut().into_iter().flatten() {
                step(element, rest, change);
            }
        }
    }
}

fn delete(payload: &mut Payload, key: &KeyPath) {
    if key.rest().is_empty() {
        payload.remove(key.first());
    } else if let Some(value) = payload.get_mut(key.first()) {
        delete_in(value, key.rest());
    }
}

fn delete_in(value: &mut Value, steps: &[Step]) {
    let Some((first, rest)) = steps.split_first() else {
        return;
    };
    match (first, value) {
        (Step::Key(name), Value::Object(map)) if rest.is_empty() => drop(map.remove(name)),
        (Step::Key(name), Value::Object(map)) => {
            if let Some(value) = map.get_mut(name) {
                delete_in(value, rest);
            }
        }
        (Step::Each, Value::Array(list)) if rest.is_empty() => list.clear(),
        (Step::Each, Value::Array(list)) => {
            list.iter_mut().for_each(|value| delete_in(value, rest));
        }
        (Step::At(place), Value::Array(list)) => {
            if let Some(value) = list.get_mut(*place) {
                delete_in(value, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Payload {
        value.as_object().cloned().unwrap()
    }

    fn key(text: &str) -> KeyPath {
        KeyPath::parse(text).unwrap()
    }

    fn set(payload: Value, at: Option<&str>) -> PayloadChange {
        PayloadChange::Set {
            payload: map(payload),
            key: at.map(key),
        }
    }

    fn after(before: Value, change: PayloadChange) -> Value {
        let mut payload = map(before);
        change.apply(&mut payload);
        Value::Object(payload)
    }

    #[test]
    fn each_change_touches_what_it_names_and_nothing_else() {
        let before = json!({"a": 1, "b": {"c": 2}, "l": [{"x": 1}, {"x": 2}, 3]});
        let set_top = set(json!({"a": null, "d": 4}), None);
        let expected = json!({"b": {"c": 2}, "d": 4, "l": [{"x": 1}, {"x": 2}, 3]});
        assert_eq!(after(before.clone(), set_top), expected);
        let deep = after(before.clone(), set(json!({"y": 1}), Some("b.e.f")));
        assert_eq!(deep["b"], json!({"c": 2, "e": {"f": {"y": 1}}}));
        let each = after(before.clone(), set(json!({"y": 1}), Some("l[]")));
        assert_eq!(
            each["l"],
            json!([{"x": 1, "y": 1}, {"x": 2, "y": 1}, {"y": 1}])
        );
        let nowhere = after(before.clone(), set(json!({"y": 1}), Some("q[].r")));
        assert_eq!(nowhere, before);
        let overwrite = PayloadChange::Overwrite {
            payload: map(json!({"z": 1})),
            key: Some(key("b")),
        };
        assert_eq!(after(before.clone(), overwrite)["b"], json!({"z": 1}));
        let delete =
            PayloadChange::Delete(vec![key("a"), key("b.c"), key("l[].x"), key("no.such")]);
        assert_eq!(
            after(before.clone(), delete),
            json!({"b": {}, "l": [{}, {}, 3]})
        );
        let emptied = PayloadChange::Delete(vec![key("l[]")]);
        assert_eq!(after(before.clone(), emptied)["l"], json!([]));
        assert_eq!(after(before, PayloadChange::Clear), json!({}));
    }

    #[test]
    fn a_payload_never_comes_to_more_bytes_than_were_foretold() {
        let before = map(json!({"l": [{}, {}, {"m": [1, {}]}], "a": {"b": 1}}));
        let bytes = storage::encode_payload(&before).unwrap();
        for path in [
            "l[]",
            "l[].x.y",
            "l[].m[]",
            "l[2].m[].z",
            "a.b.c",
            "new.way",
            "none[]",
        ] {
            let change = set(json!({"k": "x".repeat(100)}), Some(path));
            let foretold = change.bytes_after(change.bytes().unwrap(), Some(&bytes));
            let mut after = before.clone();
            change.apply(&mut after);
            let came = storage::encode_payload(&after).unwrap().len();
            assert!(came <= foretold.unwrap() + 4, "{path}: {came}");
        }
    }

    #[test]
    fn an_element_of_a_list_cannot_be_deleted_by_its_place() {
        let by_place = PayloadChange::Delete(vec![key("a"), key("l[0]")]);
        assert!(by_place.check().unwrap_err().to_string().contains("l[0]"));
        assert!(PayloadChange::Delete(vec![key("l[0].x")]).check().is_ok());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), (0..3).prop_map(|n| json!(n))];
        leaf.prop_recursive(3, 8, 3, |inner| {
            let names = prop::sample::select(vec!["a", "b", "c"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map(names.prop_map(str::to_owned), inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn payload() -> impl Strategy<Value = Payload> {
        let names = prop::sample::select(vec!["a", "b", "c"]);
        prop::collection::btree_map(names.prop_map(str::to_owned), value(), 0..3)
            .prop_map(|map| map.into_iter().collect())
    }

    fn change() -> impl Strategy<Value = PayloadChange> {
        let paths = vec![
            "a", "b", "a.b", "a.b.c", "a[]", "a[].b", "a[0].b", "b[1]", "b.a[].c",
        ];
        let path = prop::sample::select(paths).prop_map(key);
        let deleted = prop::sample::select(vec!["a", "a.b", "a[]", "a[].b", "b.c", "b[0].a"]);
        let at = prop::option::of(path);
        prop_oneof![
            4 => (payload(), at.clone()).prop_map(|(payload, key)| PayloadChange::Set { payload, key }),
            2 => (payload(), at).prop_map(|(payload, key)| PayloadChange::Overwrite { payload, key }),
            2 => prop::collection::vec(deleted.prop_map(key), 1..3).prop_map(PayloadChange::Delete),
            1 => Just(PayloadChange::Clear),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// A snapshot may hold payloads that are newer than the records replayed on them.
        #[test]
        fn a_replay_on_a_newer_payload_ends_where_the_first_run_did(
            before in payload(), changes in prop::collection::vec(change(), 1..6), seen in 0..6usize,
        ) {
            let run = |mut payload: Payload, changes: &[PayloadChange]| {
                changes.iter().for_each(|change| change.apply(&mut payload));
                payload
            };
            let end = run(before.clone(), &changes);
            let newer = run(before, &changes[..seen.min(changes.len())]);
            prop_assert_eq!(run(newer, &changes), end);
        }
    }
}
