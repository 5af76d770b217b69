//! Paths into a payload: `a.b` goes into objects, `a[].b` through every element of a list, `a[2]`
//! to one of them; a key with a dot or a bracket in it stands in quotes, `"a.b".c`.

use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{MAX_KEY_LEN, MAX_KEY_STEPS};

/// A way into a payload. It starts with the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPath {
    pub(super) first: String,
    pub(super) rest: Vec<Step>,
}

/// One step of a way into a payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// Into an object.
    Key(String),
    /// To one element of a list.
    At(usize),
    /// To every element of a list.
    Each,
}

impl KeyPath {
    /// Reads a path as clients write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(80).collect();
        if text.len() > MAX_KEY_LEN {
            return Err(format!(
                "key `{shown}...` is longer than {MAX_KEY_LEN} bytes"
            ));
        }
        let wrong = |what: &str| format!("key `{shown}` is wrong: {what}");
        let mut left = text;
        let first = take_name(&mut left).map_err(wrong)?;
        let mut rest = Vec::new();
        while !left.is_empty() {
            if rest.len() >= MAX_KEY_STEPS {
                return Err(wrong(&format!("it has more than {MAX_KEY_STEPS} steps")));
            }
            rest.push(take_step(&mut left).map_err(wrong)?);
        }
        Ok(Self { first, rest })
    }

    /// A key of the first level.
    pub fn of(key: &str) -> Self {
        Self {
            first: key.to_owned(),
            rest: Vec::new(),
        }
    }

    /// The steps after the first key.
    pub(crate) fn rest(&self) -> &[Step] {
        &self.rest
    }

    /// The key of the first level.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The values there.
    pub fn values<'a>(&self, payload: &'a Map<String, Value>) -> Vec<&'a Value> {
        let mut found = Vec::new();
        if let Some(value) = payload.get(&self.first) {
            collect(value, &self.rest, &mut found);
        }
        found
    }

    /// The way as far as it goes through all elements of lists, if it does.
    pub(crate) fn lists(&self) -> Option<Self> {
        let last = self.rest.iter().rposition(|step| *step == Step::Each)?;
        let mut lists = self.clone();
        lists.rest.truncate(last + 1);
        Some(lists)
    }

    /// Every element of the list there.
    pub(crate) fn each(&self) -> Self {
        let mut each = self.clone();
        if each.rest.last() != Some(&Step::Each) {
            each.rest.push(Step::Each);
        }
        each
    }

    /// A path that starts at an element of the list here, seen from the top.
    pub(crate) fn nested(&self, inner: &KeyPath) -> Self {
        let mut whole = self.each();
        whole.rest.push(Step::Key(inner.first.clone()));
        whole.rest.extend(inner.rest.iter().cloned());
        whole
    }
}

fn collect<'a>(value: &'a Value, steps: &[Step], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Key(key), Value::Object(map)) => {
            if let Some(value) = map.get(key) {
                collect(value, rest, found);
            }
        }
        (Step::At(at), Value::Array(list)) => {
            if let Some(value) = list.get(*at) {
                collect(value, rest, found);
            }
        }
        (Step::Each, Value::Array(list)) => {
            list.iter().for_each(|value| collect(value, rest, found));
        }
        _ => {}
    }
}

fn take_name(left: &mut &str) -> Result<String, &'static str> {
    if let Some(quoted) = left.strip_prefix('"') {
        let (name, after) = quoted.split_once('"').ok_or("a quote is not closed")?;
        *left = after;
        return Ok(name.to_owned());
    }
    let end = left.find(['.', '[', ']', '"']).unwrap_or(left.len());
    let (name, after) = left.split_at(end);
    if name.is_empty() {
        return Err("a name is empty");
    }
    *left = after;
    Ok(name.to_owned())
}

fn take_step(left: &mut &str) -> Result<Step, &'static str> {
    if let Some(after) = left.strip_prefix('.') {
        *left = after;
        return take_name(left).map(Step::Key);
    }
    let inside = left
        .strip_prefix('[')
        .ok_or("expected `.` or `[` after a name")?;
    let (number, after) = inside.split_once(']').ok_or("a bracket is not closed")?;
    *left = after;
    if number.is_empty() {
        return Ok(Step::Each);
    }
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let at = number.parse().ok().filter(|_| digits);
    at.map(Step::At)
        .ok_or("brackets hold a number or nothing (every element)")
}

impl fmt::Display for KeyPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(&self.first, out)?;
        self.rest.iter().try_for_each(|step| match step {
            Step::Key(key) => {
                out.write_str(".")?;
                name(key, out)
            }
            Step::At(at) => write!(out, "[{at}]"),
            Step::Each => out.write_str("[]"),
        })
    }
}

fn name(name: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    if name.is_empty() || name.contains(['.', '[', ']']) {
        return write!(out, "\"{name}\"");
    }
    out.write_str(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(path: &str) -> Vec<Value> {
        let payload = json!({
            "a": {"b": 1, "list": [{"c": 1}, {"c": [2, 3]}, 4]}, "x.y": {"z": 5}, "n": null,
        });
        let path = KeyPath::parse(path).unwrap();
        let found = path.values(payload.as_object().unwrap());
        found.into_iter().cloned().collect()
    }

    #[test]
    fn a_path_finds_what_it_leads_to_and_nothing_else() {
        assert_eq!(at("a.b"), [json!(1)]);
        assert_eq!(at("a.list[].c"), [json!(1), json!([2, 3])]);
        assert_eq!(at("a.list[1].c[0]"), [json!(2)]);
        assert_eq!(at("\"x.y\".z"), [json!(5)]);
        assert_eq!(at("n"), [Value::Null]);
        for nothing in ["x.y", "a.list.c", "a.b[]", "a.list[7]", "q", "a.b.c"] {
            assert!(at(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_and_what_is_one_can_be_written_again() {
        for wrong in [
            "", ".", "a.", "a..b", "a[", "a[x]", "a[-1]", "a]", "\"a", "a[]b", "[0]",
        ] {
            let error = KeyPath::parse(wrong).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
        for right in ["a", "a.b", "a[].b[3]", "\"a.b\".c", "ä ö.b-c_d"] {
            assert_eq!(KeyPath::parse(right).unwrap().to_string(), right);
        }
    }
}
