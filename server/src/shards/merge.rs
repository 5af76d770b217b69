//! What the shards have said, put together as one collection would have said it.

use std::collections::{BTreeMap, VecDeque};

use engine::PointId;
use serde_json::{Map, Value, json};

use super::ask::Told;
use super::place::shard_of;
use super::split::id_of;
use crate::refusal::Refusal;

/// The best of all hits, in order; those of equal scores by id.
pub(super) fn hits(
    lists: Vec<Vec<Value>>,
    higher_is_better: bool,
    (offset, limit): (usize, usize),
) -> Result<Vec<Value>, Refusal> {
    let all = lists.into_iter().flatten().map(|hit| {
        let score = hit["score"]
            .as_f64()
            .ok_or_else(|| strange("a hit has no score"))?;
        Ok((score, id_of(&hit)?, hit))
    });
    let mut all = all.collect::<Result<Vec<(f64, PointId, Value)>, Refusal>>()?;
    all.sort_by(|a, b| {
        let by_score = match higher_is_better {
            true => b.0.total_cmp(&a.0),
            false => a.0.total_cmp(&b.0),
        };
        by_score.then_with(|| a.1.cmp(&b.1))
    });
    let best = all.into_iter().skip(offset).take(limit);
    Ok(best.map(|(_, _, hit)| hit).collect())
}

/// The first of all points in the order of their ids, and where the next page begins.
pub(super) fn page(told: Vec<Told>, limit: usize) -> Result<Value, Refusal> {
    let (mut points, mut next) = (Vec::new(), Vec::new());
    for mut one in told {
        for point in list(one.result["points"].take())? {
            points.push((id_of(&point)?, point));
        }
        let offset = one.result["next_page_offset"].take();
        if !offset.is_null() {
            next.push((id_of(&offset)?, offset));
        }
    }
    points.sort_by_key(|(id, _)| *id);
    let rest = points.split_off(limit.min(points.len()));
    next.extend(
        rest.into_iter()
            .map(|(id, point)| (id, point["id"].clone())),
    );
    let next = next.into_iter().min_by_key(|(id, _)| *id);
    let points: Vec<Value> = points.into_iter().map(|(_, point)| point).collect();
    Ok(json!({"points": points, "next_page_offset": next.map(|(_, id)| id)}))
}

/// Points in the order in which they were asked for.
pub(super) fn in_order(ids: &[PointId], told: Vec<Told>, shards: u32) -> Result<Value, Refusal> {
    let mut lists: BTreeMap<u32, VecDeque<(PointId, Value)>> = BTreeMap::new();
    for one in told {
        let points = list(one.result)?.into_iter();
        let points = points.map(|point| Ok((id_of(&point)?, point)));
        lists.insert(one.shard, points.collect::<Result<_, Refusal>>()?);
    }
    let found = ids.iter().filter_map(|id| {
        let list = lists.get_mut(&shard_of(id, shards))?;
        list.pop_front_if(|(first, _)| first == id)
    });
    Ok(found.map(|(_, point)| point).collect())
}

/// How many there are in all.
pub(super) fn count(told: &[Told]) -> Result<Value, Refusal> {
    let counts = told.iter().map(|one| one.result["count"].as_u64());
    let all = counts.sum::<Option<u64>>();
    let all = all.ok_or_else(|| strange("there is no count where one belongs"))?;
    Ok(json!({ "count": all }))
}

/// A write that several shards have taken. Each has an LSN of its own; the highest stands for all where
/// clients expect one.
pub(super) fn written(told: Vec<Told>) -> Value {
    let id = |result: &Value| result["operation_id"].as_u64();
    let last = told.into_iter().map(|one| one.result);
    last.max_by_key(id).unwrap_or_default()
}

/// A collection by the descriptions of its parts.
pub(super) fn description(told: Vec<Told>, shards: u32) -> Value {
    let mut parts = told.into_iter().map(|one| one.result);
    let mut whole = parts.next().unwrap_or_default();
    for part in parts {
        for key in [
            "points_count",
            "indexed_vectors_count",
            "segments_count",
            "memory_bytes",
        ] {
            if let Some(known) = whole.get_mut(key) {
                add(known, &part[key]);
            }
        }
        let schema = part["payload_schema"].as_object();
        for (key, index) in schema.into_iter().flatten() {
            match whole["payload_schema"].get_mut(key) {
                Some(known) => add(&mut known["points"], &index["points"]),
                None => whole["payload_schema"][key] = index.clone(),
            }
        }
    }
    whole["config"]["params"]["shard_number"] = shards.into();
    whole
}

fn add(to: &mut Value, more: &Value) {
    if let (Some(known), Some(more)) = (to.as_u64(), more.as_u64()) {
        *to = (known + more).into();
    }
}

/// The hits of an answer: a list, or in a list within it.
pub(super) fn listed(mut result: Value) -> Result<Vec<Value>, Refusal> {
    match result.get_mut("points") {
        Some(points) => list(points.take()),
        None => list(result),
    }
}

fn list(value: Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(strange("there is no list where one belongs")),
    }
}

fn strange(what: &str) -> Refusal {
    Refusal::internal(format!("a node has answered something strange: {what}"))
}

/// Takes the server's own out of a collection's metadata.
pub(super) fn own_metadata(description: &mut Value, own: &[&str]) {
    let config = description["config"].as_object_mut();
    let Some(config) = config else { return };
    let metadata = config.get_mut("metadata").and_then(Value::as_object_mut);
    let Some(metadata) = metadata else { return };
    metadata.retain(|key, _| !own.contains(&key.as_str()));
    if metadata.is_empty() {
        config.remove("metadata");
    }
}

/// As a body.
pub(super) fn text(body: Map<String, Value>) -> String {
    Value::Object(body).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: u64, score: f64) -> Value {
        json!({"id": id, "score": score})
    }

    fn ids(hits: &[Value]) -> Vec<u64> {
        hits.iter().map(|it| it["id"].as_u64().unwrap()).collect()
    }

    fn told(shard: u32, result: Value) -> Told {
        Told {
            room: None,
            shard,
            lsn: None,
            result,
        }
    }

    #[test]
    fn the_best_hits_of_all_lists_come_first_and_ties_go_by_id() {
        let lists = || {
            vec![
                vec![hit(4, 0.9), hit(1, 0.5)],
                vec![hit(2, 0.9), hit(3, 0.7)],
            ]
        };
        let best = |higher, page| ids(&hits(lists(), higher, page).unwrap());
        assert_eq!(best(true, (0, 3)), [2, 4, 3]);
        assert_eq!(best(true, (1, 2)), [4, 3]);
        assert_eq!(best(false, (0, 2)), [1, 3]);
        assert!(hits(vec![vec![json!({"id": 1})]], true, (0, 1)).is_err());
    }

    #[test]
    fn a_count_that_is_not_told_is_not_taken_for_none() {
        let all = [told(0, json!({"count": 2})), told(1, json!({"count": 3}))];
        assert_eq!(count(&all).unwrap(), json!({"count": 5}));
        assert!(count(&[told(0, json!({"count": 2})), told(1, json!({}))]).is_err());
    }

    #[test]
    fn a_page_ends_before_the_first_id_that_is_left() {
        let shard = |of: &[u64], next: Value| {
            let points: Vec<_> = of.iter().map(|id| json!({"id": id})).collect();
            told(0, json!({"points": points, "next_page_offset": next}))
        };
        let page = |told, limit| {
            let page = page(told, limit).unwrap();
            let ids = ids(page["points"].as_array().unwrap());
            (ids, page["next_page_offset"].clone())
        };
        let both = || vec![shard(&[1, 7], json!(9)), shard(&[2, 3], json!(4))];
        assert_eq!(page(both(), 2), (vec![1, 2], json!(3)));
        let last = || vec![shard(&[1], Value::Null), shard(&[2], Value::Null)];
        assert_eq!(page(last(), 2), (vec![1, 2], Value::Null));
        let beyond = vec![shard(&[1, 2], json!(5)), shard(&[], Value::Null)];
        assert_eq!(page(beyond, 2), (vec![1, 2], json!(5)));
    }

    #[test]
    fn points_come_in_the_order_in_which_they_were_asked_for() {
        let ids: Vec<_> = [5, 1, 9, 1, 2].map(PointId::Num).to_vec();
        let mut lists: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        for id in &ids {
            let PointId::Num(number) = id else { panic!() };
            if *number != 9 {
                let list = lists.entry(shard_of(id, 3)).or_default();
                list.push(json!({"id": number}));
            }
        }
        let lists = lists.into_iter();
        let all = lists.map(|(shard, list)| told(shard, Value::Array(list)));
        let found = in_order(&ids, all.collect(), 3).unwrap();
        assert_eq!(self::ids(found.as_array().unwrap()), [5, 1, 1, 2]);
    }

    #[test]
    fn a_description_counts_all_parts() {
        let part = |points: u64| {
            told(
                0,
                json!({
                    "points_count": points, "segments_count": 1,
                    "config": {"params": {"shard_number": 1}, "metadata": {"mine": 1, "own": 2}},
                    "payload_schema": {"a": {"points": points}},
                }),
            )
        };
        let mut whole = description(vec![part(2), part(3)], 2);
        own_metadata(&mut whole, &["own"]);
        assert_eq!(
            whole,
            json!({
                "points_count": 5, "segments_count": 2,
                "config": {"params": {"shard_number": 2}, "metadata": {"mine": 1}},
                "payload_schema": {"a": {"points": 5}},
            })
        );
    }
}
