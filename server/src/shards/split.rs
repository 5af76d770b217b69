//! One body becomes one for each shard that it concerns.

use std::collections::BTreeMap;

use engine::PointId;
use serde_json::{Map, Value};

use super::place::shard_of;
use crate::refusal::Refusal;
use crate::wire::id::Id;

/// Bodies by shard.
pub(super) type Bodies = Vec<(u32, Map<String, Value>)>;

/// Divides the list at a key by the ids in it, which are its items or stand in them as `id`. A body without
/// the list is for all shards; one whose list is empty is for the first alone, which says what is wrong.
pub(super) fn by_ids(
    mut body: Map<String, Value>,
    key: &str,
    shards: u32,
) -> Result<Bodies, Refusal> {
    let items = match body.remove(key).filter(|items| !items.is_null()) {
        Some(Value::Array(items)) => items,
        Some(other) => {
            body.insert(key.to_owned(), other);
            return Ok(vec![(0, body)]);
        }
        None => return Ok((0..shards).map(|shard| (shard, body.clone())).collect()),
    };
    let mut lists: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
    for (index, item) in items.into_iter().enumerate() {
        let id = id_of(&item).map_err(|refusal| refusal.at(&format!("item {index}")))?;
        lists.entry(shard_of(&id, shards)).or_default().push(item);
    }
    if lists.is_empty() {
        lists.insert(0, Vec::new());
    }
    let bodies = lists.into_iter().map(|(shard, items)| {
        let mut body = body.clone();
        body.insert(key.to_owned(), Value::Array(items));
        (shard, body)
    });
    Ok(bodies.collect())
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

    fn split(body: Value, shards: u32) -> Result<Bodies, Refusal> {
        let Value::Object(body) = body else { panic!() };
        by_ids(body, "points", shards)
    }

    #[test]
    fn each_item_goes_to_the_shard_of_its_id_and_the_rest_of_the_body_to_all() {
        let items: Vec<_> = (0..20)
            .map(|id| json!({"id": id, "vector": [id]}))
            .collect();
        let bodies = split(json!({"points": items, "key": "k"}), 3).unwrap();
        assert_eq!(bodies.len(), 3);
        let mut ids = Vec::new();
        for (shard, body) in bodies {
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
        assert_eq!(split(json!({"filter": {}}), 3).unwrap().len(), 3);
        let null = json!({"filter": {}, "points": null});
        assert_eq!(split(null, 3).unwrap().len(), 3);
        assert_eq!(split(json!({"points": []}), 3).unwrap().len(), 1);
        let error = split(json!({"points": [1, "x"]}), 3).unwrap_err();
        assert!(error.to_string().contains("item 1"), "{error}");
    }
}
