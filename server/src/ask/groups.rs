//! Groups: the best hits of each value at a payload key. A point whose value is a list belongs to
//! the group of each of its items; one without text or a whole number there belongs to none.

use std::collections::HashMap;

use engine::ScoredPoint;
use serde_json::{Map, Value};

use super::Prepared;
use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::options::Groups;
use crate::wire::point::Scored;
use crate::wire::query::Search;
use crate::wire::recommend::{FoundGroup, FoundGroups, GroupId};

/// Looks at more and more of the best hits until every group is full, there are no more hits, or
/// the limit on hits is reached.
pub(crate) async fn find_groups(
    app: &App,
    name: &str,
    search: Search,
) -> Result<FoundGroups, Refusal> {
    app.reading(search.prefetch.len(), groups_of(app, name, search))
        .await
}

async fn groups_of(app: &App, name: &str, mut search: Search) -> Result<FoundGroups, Refusal> {
    let Some(groups) = search.groups.take() else {
        return Err(Refusal::wrong("`group_by` is missing: a payload key"));
    };
    let count = search.limit;
    search.groups = Some(Groups {
        by: groups.by.clone(),
        size: groups.size,
    });
    let prepared = Prepared::new(app, name, search).await?;
    let mut reach = (count * groups.size).clamp(limits::GROUPS_REACH, limits::HITS);
    loop {
        let hits = prepared.hits(app, reach, 0).await?;
        let seen_all = hits.len() < reach || reach == limits::HITS;
        let found = gather(hits, &groups, count);
        let full = found.len() == count && found.iter().all(|it| it.1.len() == groups.size);
        if full || seen_all {
            let view = &prepared.search.view;
            let groups = found.into_iter().map(|(id, hits)| FoundGroup {
                id,
                hits: hits.into_iter().map(|hit| Scored::new(hit, view)).collect(),
            });
            return Ok(FoundGroups {
                groups: groups.collect(),
            });
        }
        reach = (reach * 4).min(limits::HITS);
    }
}

/// The first `count` groups, in the order of their best hits.
fn gather(
    hits: Vec<ScoredPoint>,
    groups: &Groups,
    count: usize,
) -> Vec<(GroupId, Vec<ScoredPoint>)> {
    let mut places = HashMap::new();
    let mut found: Vec<(GroupId, Vec<ScoredPoint>)> = Vec::new();
    for hit in hits {
        let values = hit.point.payload.as_ref();
        let ids = values.map_or_else(Vec::new, |payload| ids_at(payload, &groups.by));
        for id in ids {
            let place = match places.get(&id) {
                Some(place) => *place,
                None if found.len() < count => {
                    places.insert(id.clone(), found.len());
                    found.push((id, Vec::new()));
                    found.len() - 1
                }
                None => continue,
            };
            let members = &mut found[place].1;
            if members.len() < groups.size {
                members.push(hit.clone());
            }
        }
    }
    found
}

/// The values at a key, whose dots reach into objects.
fn ids_at(payload: &Map<String, Value>, key: &str) -> Vec<GroupId> {
    let mut ids = Vec::new();
    match payload.get(key) {
        Some(value) => collect(value, &mut ids),
        None => {
            if let Some((first, rest)) = key.split_once('.')
                && let Some(inner) = payload.get(first)
            {
                let inner = match inner {
                    Value::Array(items) => items.as_slice(),
                    one => std::slice::from_ref(one),
                };
                let objects = inner.iter().filter_map(Value::as_object);
                ids.extend(objects.flat_map(|inner| ids_at(inner, rest)));
            }
        }
    }
    let mut seen = Vec::new();
    ids.retain(|id| {
        let new = !seen.contains(id);
        seen.push(id.clone());
        new
    });
    ids
}

fn collect(value: &Value, ids: &mut Vec<GroupId>) {
    match value {
        Value::String(text) => ids.push(GroupId::Text(text.clone())),
        Value::Number(number) => ids.extend(number.as_i64().map(GroupId::Number)),
        Value::Array(items) => items
            .iter()
            .filter(|item| !item.is_array())
            .for_each(|item| collect(item, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_whole_numbers_make_groups_and_a_list_makes_one_of_each_item() {
        let payload = json!({
            "person": "Ada", "year": 1843, "tags": ["a", "b", "a", [1]], "score": 1.5, "none": null,
            "camera": {"maker": "X"}, "labels": [{"name": "p"}, {"name": "q"}],
        });
        let payload = payload.as_object().unwrap();
        let text = |text: &str| GroupId::Text(text.to_owned());
        let cases = [
            ("person", vec![text("Ada")]),
            ("year", vec![GroupId::Number(1843)]),
            ("tags", vec![text("a"), text("b")]),
            ("camera.maker", vec![text("X")]),
            ("labels.name", vec![text("p"), text("q")]),
            ("score", vec![]),
            ("none", vec![]),
            ("camera", vec![]),
            ("absent", vec![]),
        ];
        for (key, ids) in cases {
            assert_eq!(ids_at(payload, key), ids, "{key}");
        }
    }
}
