//! One body becomes one for each shard that it concerns. What is in it is moved there, and never there twice:
//! no more memory was promised than it takes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use engine::PointId;
use serde_json::{Map, Value};

use super::merge::text;
use super::place::shard_of;
use crate::refusal::Refusal;
use crate::wire::id::Id;

/// Points by shard.
pub(super) type Ids = BTreeMap<u32, Vec<PointId>>;

/// A body, divided.
#[derive(Debug, Default)]
pub(super) struct Divided {
    /// By shard, as they are sent.
    pub(super) bodies: Vec<(u32, Arc<str>)>,
    /// The points that each names; none where it names none.
    pub(super) ids: Ids,
}

/// Divides the list at a key by the ids in it, which are its items or stand in them as `id`. A body without
/// the list is for all shards; one whose list is empty is for the first alone, which says what is wrong.
pub(super) fn by_ids(
    mut body: Map<String, Value>,
    key: &str,
    shards: u32,
) -> Result<Divided, Refusal> {
    let items = match body.remove(key).filter(|items| !items.is_null()) {
        Some(Value::Array(items)) => items,
        Some(other) => {
            body.insert(key.to_owned(), other);
            return Ok(Divided::same(body, 0..1));
        }
        None => return Ok(Divided::same(body, 0..shards)),
    };
    let (mut lists, mut ids): (BTreeMap<u32, Vec<Value>>, Ids) = Default::default();
    for (index, item) in items.into_iter().enumerate() {
        let id = id_of(&item).map_err(|refusal| refusal.at(&format!("item {index}")))?;
        let shard = shard_of(&id, shards);
        lists.entry(shard).or_default().push(item);
        ids.entry(shard).or_default().push(id);
    }
    if lists.is_empty() {
        lists.insert(0, Vec::new());
    }
    let mut bodies = Vec::with_capacity(lists.len());
    for (shard, items) in lists {
        // In the place of the list before, which goes.
        body.insert(key.to_owned(), Value::Array(items));
        let text = serde_json::to_string(&body).expect("JSON is JSON");
        bodies.push((shard, text.into()));
    }
    Ok(Divided { bodies, ids })
}

impl Divided {
    /// The same for several.
    fn same(body: Map<String, Value>, shards: Range<u32>) -> Self {
        let text: Arc<str> = text(body).into();
        Self {
            bodies: shards.map(|shard| (shard, Arc::clone(&text))).collect(),
            ids: Ids::new(),
        }
    }
}

/// The id that an item is, or has.
pub(super) fn id_of(item: &Value) -> Result<PointId, Refusal> {
    let id = match item {
        Value::Object(item) => item.get("id").unwrap_or(&Value::Null),
        item => item,
    };
    let id: Result<Id, _> = serde_json::from_value(id.clone());
    id.map(|id| id.0)
        .map_err(|error| Refusal::wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn split(body: Value, shards: u32) -> Result<Divided, Refusal> {
        let Value::Object(body) = body else { panic!() };
        by_ids(body, "points", shards)
    }

    fn bodies(body: Value, shards: u32) -> Vec<(u32, Value)> {
        let bodies = split(body, shards).unwrap().bodies.into_iter();
        bodies
            .map(|(shard, body)| (shard, serde_json::from_str(&body).unwrap()))
            .collect()
    }

    #[test]
    fn each_item_goes_to_the_shard_of_its_id_and_the_rest_of_the_body_to_all() {
        let items: Vec<_> = (0..20)
            .map(|id| json!({"id": id, "vector": [id]}))
            .collect();
        let body = json!({"points": items, "key": "k"});
        let named = split(body.clone(), 3).unwrap().ids;
        let bodies = bodies(body, 3);
        assert_eq!(bodies.len(), 3);
        let mut ids = Vec::new();
        for (shard, body) in bodies {
            assert_eq!(
                named[&shard].len(),
                body["points"].as_array().unwrap().len()
            );
            assert_eq!(body["key"], "k");
            for item in body["points"].as_array().unwrap() {
                assert_eq!(shard_of(&id_of(item).unwrap(), 3), shard);
                ids.push(item["id"].as_u64().unwrap());
            }
        }
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..20));
    }

    #[test]
    fn a_filter_is_for_all_shards_and_a_wrong_id_for_none() {
        let filter = bodies(json!({"filter": {"a": 1}}), 3);
        assert_eq!(filter.len(), 3);
        assert!(filter.iter().all(|(_, body)| body["filter"]["a"] == 1));
        let null = json!({"filter": {}, "points": null});
        assert_eq!(bodies(null, 3).len(), 3);
        let empty = json!({"points": []});
        assert_eq!(bodies(empty.clone(), 3), [(0, empty)]);
        let error = split(json!({"points": [1, "x"]}), 3).unwrap_err();
        assert!(error.to_string().contains("item 1"), "{error}");
    }
}
