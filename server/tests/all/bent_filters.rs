//! Valid filters, bent: whatever is left of one is refused with a status of the 400s, or lets the
//! same points through with payload indexes as without, wherever it is asked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::fs;
use std::path::Path;

use common::Server;
use serde_json::{Map, Value, json};

const POINTS: u64 = 60;
const ROUNDS: u64 = 250;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % (n as u64)).unwrap()
    }
}

/// Valid filters; more can be laid beside them.
fn corpus() -> Vec<Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/corpus/filters");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    files.into_iter().map(read).collect()
}

fn point(id: u64) -> Value {
    let n = usize::try_from(id).unwrap();
    let city = [json!("Berlin"), json!("Rome"), json!("Oslo"), Value::Null];
    let tags = ["a", "b", "c"];
    let kind = ["cat", "dog"];
    let words = ["the quick brown fox", "a lazy dog", "quick, lazy FOX"];
    let mut payload = json!({
        "n": id,
        "city": city[n % 4],
        "age": 18 + n % 50,
        "score": f64::from(u32::try_from(id).unwrap()) / 10.0 - 2.0,
        "on": n.is_multiple_of(2),
        "born": format!("{}-03-04T05:06:07Z", 1_980 + n % 40),
        "at": {"lon": n % 30, "lat": 35 + n % 30},
        "text": words[n % 3],
        "tags": tags[..n % 4],
        "pets": [{"kind": kind[n % 2], "age": n % 12}, {"kind": "cat", "age": 3}],
        "a": {"b": n % 3},
    });
    if n.is_multiple_of(5) {
        payload.as_object_mut().unwrap().remove("age");
    }
    let unlike = [json!("31"), json!([20, 25]), json!(20.5), json!({})];
    if n.is_multiple_of(7) {
        payload["age"] = unlike[n / 7 % 4].clone();
    }
    json!({"id": id, "vector": [1, id], "payload": payload})
}

/// The same points twice; in the second collection keys have indexes.
fn server() -> Server {
    let server = Server::start();
    let points: Vec<_> = (0..POINTS).map(point).collect();
    for name in ["plain", "indexed"] {
        server.with_vectors(name, 2, "Dot");
        let path = format!("/collections/{name}/points?wait=true");
        server.put(&path, &json!({"points": points})).ok();
    }
    for (key, kind) in [
        ("city", "keyword"),
        ("age", "integer"),
        ("score", "float"),
        ("on", "bool"),
        ("born", "datetime"),
        ("at", "geo"),
        ("text", "text"),
        ("tags", "keyword"),
        ("pets[].kind", "keyword"),
        ("a.b", "integer"),
    ] {
        let body = json!({"field_name": key, "field_schema": kind});
        server
            .put("/collections/indexed/index?wait=true", &body)
            .ok();
    }
    server
}

/// Changes some places of a filter.
fn bend(valid: &Value, others: &[Value], chance: &mut Chance) -> Value {
    let mut bent = valid.clone();
    for _ in 0..=chance.below(3) {
        let places = count(&bent);
        let mut at = chance.below(places);
        change(&mut bent, &mut at, others, chance);
    }
    bent
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn count(value: &Value) -> usize {
    1 + children(value).map(count).sum::<usize>()
}

/// Changes the value that is `at` places further on; whether it was within this one.
fn change(value: &mut Value, at: &mut usize, others: &[Value], chance: &mut Chance) -> bool {
    if *at == 0 {
        *value = other(value, others, chance);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|it| change(it, at, others, chance)),
        Value::Object(map) => map.values_mut().any(|it| change(it, at, others, chance)),
        _ => false,
    }
}

fn other(value: &Value, others: &[Value], chance: &mut Chance) -> Value {
    let plain = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(21),
        json!(1e308),
        json!(u64::MAX),
        json!(20.5),
        json!(""),
        json!("Berlin"),
        json!("1995-02-31T25:00:00Z"),
        json!("a[].b[0].c"),
        json!("x".repeat(3_000)),
        json!([]),
        json!({}),
        json!([[1], {"a": 2}]),
    ];
    match (chance.below(6), value) {
        (0, Value::Object(map)) if !map.is_empty() => {
            let gone = chance.below(map.len());
            let kept = map.iter().enumerate().filter(|(at, _)| *at != gone);
            kept.map(|(_, (key, value))| (key.clone(), value.clone()))
                .collect::<Map<_, _>>()
                .into()
        }
        (1, Value::Object(map)) => {
            let names = [
                "must", "should", "key", "match", "value", "any", "range", "é",
            ];
            let mut map = map.clone();
            let key = names[chance.below(names.len())];
            map.insert(key.to_owned(), plain[chance.below(plain.len())].clone());
            map.into()
        }
        (2, Value::Array(list)) => {
            let mut list = list.clone();
            list.extend(list.clone());
            list.into()
        }
        (3, _) => {
            let list = ["must", "should", "must_not"][chance.below(3)];
            let depth = [1, 2, 40][chance.below(3)];
            (0..depth).fold(value.clone(), |inner, _| json!({list: [inner]}))
        }
        (4, _) => others[chance.below(others.len())].clone(),
        _ => plain[chance.below(plain.len())].clone(),
    }
}

/// The ids that a filter lets through, or nothing where it is refused.
fn asked(server: &Server, name: &str, filter: &Value) -> Option<Vec<u64>> {
    let told = |status: u16| format!("{name} answers {status} to {filter}");
    let path = |what: &str| format!("/collections/{name}/points/{what}");
    let scrolled = server.post(&path("scroll"), &json!({"filter": filter, "limit": 1_000}));
    let counted = server.post(&path("count"), &json!({"filter": filter}));
    let searched = json!({"query": [1, 1], "filter": filter, "limit": 1_000});
    let searched = server.post(&path("query"), &searched);
    assert_eq!(scrolled.status, counted.status, "{}", told(counted.status));
    assert_eq!(
        scrolled.status,
        searched.status,
        "{}",
        told(searched.status)
    );
    if scrolled.status != 200 {
        assert!(
            matches!(scrolled.status, 400 | 413 | 422),
            "{}",
            told(scrolled.status)
        );
        return None;
    }
    let ids = |answer: Value| {
        let points = answer["points"].as_array().unwrap();
        let mut ids: Vec<_> = points.iter().map(|it| it["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    let found = ids(scrolled.ok());
    assert_eq!(ids(searched.ok()), found, "a search: {}", told(200));
    let count = counted.ok()["count"].as_u64();
    assert_eq!(count, Some(found.len() as u64), "{}", told(200));
    Some(found)
}

#[test]
fn a_bent_filter_is_refused_or_lets_the_same_points_through_with_indexes_and_without() {
    let (server, corpus) = (server(), corpus());
    for filter in &corpus {
        let found = asked(&server, "plain", filter);
        assert_eq!(found, asked(&server, "indexed", filter), "{filter}");
        assert!(found.is_some(), "{filter}");
    }
    let (seed, mut refused) = (1, 0);
    let mut chance = Chance(seed);
    for round in 0..ROUNDS {
        let valid = &corpus[chance.below(corpus.len())];
        let bent = bend(valid, &corpus, &mut chance);
        let found = asked(&server, "plain", &bent);
        let same = asked(&server, "indexed", &bent);
        assert_eq!(found, same, "seed {seed}, round {round}: {bent}");
        refused += u64::from(found.is_none());
    }
    assert!(
        refused > ROUNDS / 10 && refused < ROUNDS * 9 / 10,
        "{refused} of {ROUNDS} were refused"
    );
}
