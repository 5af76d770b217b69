//! Parts of payloads: what some paths lead to, or everything else.

use serde_json::{Map, Value};

use super::PayloadChange;
use crate::filter::{KeyPath, Step};
use crate::point::Payload;

/// What the paths lead to, in the objects and lists it is in.
pub fn only(payload: &Payload, paths: &[KeyPath]) -> Payload {
    let mut part = Map::new();
    for (key, value) in payload {
        let here = paths.iter().filter(|path| path.first() == key);
        let rests: Vec<&[Step]> = here.map(KeyPath::rest).collect();
        if let Some(value) = part_of(value, &rests) {
            part.insert(key.clone(), value);
        }
    }
    part
}

/// Takes away what the paths lead to.
pub fn without(payload: &mut Payload, paths: &[KeyPath]) {
    PayloadChange::Delete(paths.to_vec()).apply(payload);
}

/// `None` where no path leads to anything.
fn part_of(value: &Value, paths: &[&[Step]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    let after = |is: &dyn Fn(&Step) -> bool| -> Vec<&[Step]> {
        let split = paths.iter().filter_map(|path| path.split_first());
        let here = split.filter(|(step, _)| is(step));
        here.map(|(_, rest)| rest).collect()
    };
    match value {
        Value::Object(map) => {
            let parts = map.iter().filter_map(|(key, value)| {
                let rests = after(&|step| matches!(step, Step::Key(name) if name == key));
                Some((key.clone(), part_of(value, &rests)?))
            });
            let parts: Map<_, _> = parts.collect();
            (!parts.is_empty()).then_some(Value::Object(parts))
        }
        Value::Array(list) => {
            let parts = list.iter().enumerate().filter_map(|(at, value)| {
                let rests = after(&|step| match step {
                    Step::Each => true,
                    Step::At(place) => *place == at,
                    Step::Key(_) => false,
                });
                part_of(value, &rests)
            });
            let parts: Vec<_> = parts.collect();
            (!parts.is_empty()).then_some(Value::Array(parts))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_what_the_paths_lead_to_where_it_stands() {
        let payload = json!({"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, {"y": 3}], "z": 0});
        let payload = payload.as_object().unwrap();
        let part = |paths: &[&str]| {
            let paths = paths.iter().map(|path| KeyPath::parse(path).unwrap());
            Value::Object(only(payload, &paths.collect::<Vec<_>>()))
        };
        assert_eq!(part(&["a.b", "z"]), json!({"a": {"b": 1}, "z": 0}));
        assert_eq!(part(&["a.b", "a.c"]), json!({"a": {"b": 1, "c": 2}}));
        assert_eq!(part(&["l[].x"]), json!({"l": [{"x": 1}]}));
        assert_eq!(part(&["l[1]"]), json!({"l": [{"y": 3}]}));
        assert_eq!(part(&["a.q", "l.x", "z.z"]), json!({}));
    }
}
