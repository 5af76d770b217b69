//! Collections that are spread over shards: answers are those of a whole collection, what is missing is
//! named, what is not there is refused, and nodes let only nodes in.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use crate::common::{Server, fake, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::on;

pub(crate) const KEY: &str = "the-key-between-nodes";

/// A node that serves these of three shards.
pub(crate) fn node(nats: &Nats, serves: &str, key: &str) -> Server {
    with_settings(nats, serves, key, |settings| {
        Server::start_with(settings, fake())
    })
}

/// Starts one with the settings that it takes.
pub(crate) fn with_settings(
    nats: &Nats,
    serves: &str,
    key: &str,
    start: impl FnOnce(&[(&'static str, &str)]) -> Server,
) -> Server {
    let more = [
        ("nats.shards", "3"),
        ("nats.serve_shards", serves),
        ("nats.node_key", key),
    ];
    on(nats, &more, start)
}

/// Makes a collection over three shards, as soon as they are all served.
pub(crate) fn spread(server: &Server, name: &str, distance: &str) {
    let body = json!({"vectors": {"size": 8, "distance": distance}, "shards": 3});
    until(|| server.put(&format!("/collections/{name}"), &body).status == 200);
}

/// Numbers that follow from a seed (xorshift, Marsaglia 2003).
fn numbers(mut seed: u64) -> impl FnMut() -> f64 {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 40) as f64 / f64::from(1 << 24) - 0.5
    }
}

fn vector(next: &mut impl FnMut() -> f64) -> Value {
    (0..8).map(|_| next()).collect()
}

/// A collection over three shards and a whole one that hold the same, and nodes that serve both.
struct Twins<'a> {
    nodes: &'a [Server; 2],
    spread: &'a str,
    whole: String,
}

impl Twins<'_> {
    /// What both are told in the same words, through the first node.
    fn send(&self, method: &str, path: &str, body: &Value) {
        for of in [self.spread, &self.whole] {
            let path = format!("/collections/{of}/{path}?wait=true");
            self.nodes[0].json(method, &path, body).ok();
        }
    }

    /// How far the first node has seen, as headers of a request.
    fn seen(&self) -> [(&'static str, String); 3] {
        let seen = self.nodes[0].get(&format!("/collections/{}", self.spread));
        let lsns = seen.header("x-doppel-shard-lsns").to_owned();
        assert_eq!(lsns.split(',').count(), 3, "{lsns}");
        [
            ("content-type", "application/json".to_owned()),
            ("x-doppel-lsn", seen.header("x-doppel-lsn").to_owned()),
            ("x-doppel-shard-lsns", lsns),
        ]
    }

    /// What both answer, which is the same.
    fn same(&self, node: &Server, path: &str, body: &Value) -> Value {
        let headers = self.seen();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, it)| (*name, it.as_str()))
            .collect();
        let [spread, whole] = [self.spread, &self.whole].map(|of| {
            let path = format!("/collections/{of}/{path}");
            let answer = node.send("POST", &path, &headers, body.to_string().as_bytes());
            answer.ok()
        });
        assert_eq!(spread, whole, "{path} {body}");
        spread
    }

    fn fill(&self, next: &mut impl FnMut() -> f64) {
        let points = (0..240).map(|id| {
            let payload = json!({"n": id, "odd": id % 2 == 1});
            json!({"id": id, "vector": vector(next), "payload": payload})
        });
        let points: Vec<_> = points.collect();
        for some in points.chunks(50) {
            self.send("PUT", "points", &json!({ "points": some }));
        }
        self.send(
            "PUT",
            "index",
            &json!({"field_name": "n", "field_schema": "integer"}),
        );
    }

    fn expect_same_searches(&self, node: &Server, next: &mut impl FnMut() -> f64) {
        let exact = json!({"exact": true});
        let query = vector(next);
        let body = json!({
            "query": query, "limit": 10, "params": exact, "with_payload": true, "with_vector": true,
        });
        let hits = self.same(node, "points/query", &body);
        assert_eq!(hits["points"].as_array().unwrap().len(), 10);
        let odd = json!({"must": [{"key": "odd", "match": {"value": true}}]});
        let few = json!({"must": [{"key": "n", "range": {"lt": 3}}]});
        for (offset, filter) in [(7, odd), (0, few)] {
            let body = json!({
                "vector": query, "limit": 10, "offset": offset, "params": exact, "filter": filter,
            });
            self.same(node, "points/search", &body);
        }
    }

    fn expect_same_reads(&self, node: &Server) {
        self.same(node, "points/count", &json!({}));
        let many = json!({"must": [{"key": "n", "range": {"gt": 99}}]});
        self.same(node, "points/count", &json!({ "filter": many }));
        let ids = json!({"ids": [7, 3, 1_000, 7, 5], "with_vector": true});
        self.same(node, "points", &ids);
        let mut offset = Value::Null;
        for _ in 0..4 {
            let body = json!({"limit": 60, "offset": offset});
            let page = self.same(node, "points/scroll", &body);
            offset = page["next_page_offset"].clone();
        }
        assert!(offset.is_null());
        let one = |of: &str| node.get(&format!("/collections/{of}/points/17")).ok();
        assert_eq!(one(self.spread), one(&self.whole));
        let nobody = format!("/collections/{}/points/999", self.spread);
        node.get(&nobody).refused(404);
    }

    /// Of points that are named and of those that a filter chooses.
    fn change(&self) {
        let gone = json!({"must": [{"key": "n", "range": {"gte": 200}}]});
        let odd = json!({"must": [{"key": "odd", "match": {"value": true}}]});
        let vectors = json!([{"id": 20, "vector": [1, 0, 0, 0, 0, 0, 0, 0]}]);
        let changes = [
            ("POST", "points/delete", json!({"points": [1, 2, 3, 4]})),
            ("POST", "points/delete", json!({ "filter": gone })),
            (
                "POST",
                "points/payload",
                json!({"points": [10, 11], "payload": {"x": 1}}),
            ),
            (
                "POST",
                "points/payload",
                json!({"filter": odd, "payload": {"y": 2}}),
            ),
            (
                "PUT",
                "points/payload",
                json!({"points": [12], "payload": {"z": 3}}),
            ),
            (
                "POST",
                "points/payload/delete",
                json!({"points": [11], "keys": ["n"]}),
            ),
            ("POST", "points/payload/clear", json!({"points": [13]})),
            ("PUT", "points/vectors", json!({ "points": vectors })),
        ];
        for (method, path, body) in changes {
            self.send(method, path, &body);
        }
    }
}

#[test]
fn a_collection_over_shards_answers_as_a_whole_one_does() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let seed = 20_261_130;
    eprintln!("seed {seed}");
    let mut next = numbers(seed);
    let nodes = [node(&nats, "0,1", KEY), node(&nats, "1,2", KEY)];
    for (distance, name) in [("Cosine", "a"), ("Euclid", "b"), ("Manhattan", "c")] {
        let twins = Twins {
            nodes: &nodes,
            spread: name,
            whole: format!("{name}-whole"),
        };
        nodes[0].with_vectors(&twins.whole, 8, distance);
        spread(&nodes[0], name, distance);
        twins.fill(&mut next);
        for node in &nodes {
            for _ in 0..5 {
                twins.expect_same_searches(node, &mut next);
            }
            twins.expect_same_reads(node);
        }
        twins.change();
        let all = json!({"limit": 1_000, "with_vector": true});
        for node in &nodes {
            let left = twins.same(node, "points/scroll", &all);
            assert_eq!(left["points"].as_array().unwrap().len(), 196);
        }
        let described = || nodes[1].get(&format!("/collections/{name}")).ok();
        assert_eq!(described()["config"]["params"]["shard_number"], 3);
        assert!(described()["config"].get("metadata").is_none());
        until(|| described()["points_count"] == 196);
    }
}

#[test]
fn what_shards_cannot_do_is_refused_and_a_wrong_point_keeps_the_others_out() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let node = node(&nats, "all", KEY);
    spread(&node, "c", "Euclid");
    let good = |id: u64| json!({"id": id, "vector": [id, 0, 0, 0, 0, 0, 0, 0]});
    let mut points: Vec<_> = (0..30).map(good).collect();
    points.push(json!({"id": 30, "vector": [1]}));
    let path = "/collections/c/points";
    let told = node.put(path, &json!({ "points": points })).refused(400);
    assert!(told.contains("30"), "{told}");
    let count = || node.post("/collections/c/points/count", &json!({})).ok()["count"].clone();
    assert_eq!(count(), 0);
    points.pop();
    node.put(path, &json!({ "points": points })).ok();
    assert_eq!(count(), 30);
    let refused = [
        ("POST", "points/query", json!({"query": 1})),
        (
            "POST",
            "points/query",
            json!({"query": {"recommend": {"positive": [1]}}}),
        ),
        ("POST", "points/recommend", json!({"positive": [1]})),
        ("POST", "points/scroll", json!({"order_by": "n"})),
        (
            "PUT",
            "points",
            json!({"batch": {"ids": [1], "vectors": [[1]]}}),
        ),
        ("POST", "points/batch", json!({"operations": []})),
        ("POST", "faces/search", json!({"image": ""})),
        ("POST", "snapshots", json!({})),
        ("PATCH", "", json!({"metadata": {"a": 1}})),
        ("GET", "people", json!({})),
    ];
    for (method, rest, body) in refused {
        let path = format!("/collections/c/{rest}");
        let told = node
            .json(method, path.trim_end_matches('/'), &body)
            .refused(501);
        assert!(
            told.contains("shards") && told.contains("docs/SCALING.md"),
            "{told}"
        );
    }
    // A node that knows of no shards does not take the entry for the collection.
    let plain = on(&nats, &[], |settings| Server::start_with(settings, fake()));
    until(|| plain.get("/collections/c/exists").ok()["exists"] == true);
    let told = plain
        .post("/collections/c/points/count", &json!({}))
        .refused(501);
    assert!(told.contains("nats.shards"), "{told}");
    // Escapes are no way around it.
    let told = node.post(
        "/collections/%63/points/recommend",
        &json!({"positive": [1]}),
    );
    told.refused(501);
    let wrong = [
        json!({"vector": [1], "limit": 1}),
        json!({"vector": [1, 0, 0, 0, 0, 0, 0, 0], "colour": 1}),
        json!({"vector": [1, 0, 0, 0, 0, 0, 0, 0], "limit": 0}),
    ];
    for body in wrong {
        node.post("/collections/c/points/search", &body)
            .refused(400);
    }
    let body = json!({"vectors": {"size": 8, "distance": "Dot"}, "shards": 4});
    let told = node.put("/collections/d", &body).refused(400);
    assert!(told.contains("nats.shards"), "{told}");
    node.put("/collections/c", &body).refused(400);
    let body = json!({"vectors": {"size": 8, "distance": "Dot"}, "shards": 2});
    node.put("/collections/c", &body).refused(409);
    // One that is made again has nothing of the old.
    assert_eq!(node.delete("/collections/c").ok(), true);
    node.get("/collections/c").refused(404);
    spread(&node, "c", "Euclid");
    assert_eq!(count(), 0);
}

#[test]
fn a_log_of_ones_own_has_no_shards() {
    let server = Server::start();
    let body = json!({"vectors": {"size": 8, "distance": "Dot"}, "shards": 2});
    let told = server.put("/collections/c", &body).refused(400);
    assert!(told.contains("nats.shards"), "{told}");
    server.get("/collections/c").refused(404);
    let body = json!({"vectors": {"size": 8, "distance": "Dot"}, "shards": 1});
    server.put("/collections/c", &body).ok();
    server.get("/shards/0/collections").refused(404);
}

#[test]
fn only_nodes_that_show_the_key_are_let_into_shards() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let first = node(&nats, "0,1", KEY);
    let second = node(&nats, "2", KEY);
    spread(&first, "c", "Dot");
    let ask = |shown: Option<&str>| {
        let headers = shown.map(|key| ("authorization", key));
        let headers: Vec<_> = headers.into_iter().collect();
        first
            .send("GET", "/shards/0/collections", &headers, &[])
            .status
    };
    let right = format!("Bearer {KEY}");
    assert_eq!(ask(Some(&right)), 200);
    for wrong in [None, Some("Bearer another-key"), Some(KEY), Some("Bearer ")] {
        assert_eq!(ask(wrong), 401, "{wrong:?}");
    }
    drop(second);
    // The same shard, served by a node that has another key.
    let stranger = node(&nats, "2", "another-key-of-nodes");
    let search = json!({"vector": [1, 0, 0, 0, 0, 0, 0, 0], "limit": 3});
    until(|| {
        let answer = first.post("/collections/c/points/search", &search);
        let told = answer.refused(503);
        assert!(told.contains("shard 2"), "{told}");
        told.contains("nats.node_key")
    });
    let told = stranger
        .post("/collections/c/points/search", &search)
        .refused(503);
    assert!(told.contains("shards 0, 1 missing"), "{told}");
}

#[test]
fn without_a_shard_there_is_a_part_of_the_answer_only_for_those_who_ask_for_it() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let first = node(&nats, "0,1", KEY);
    let second = node(&nats, "2", KEY);
    spread(&first, "c", "Euclid");
    let points: Vec<_> = (0..60)
        .map(|id| json!({"id": id, "vector": [id, 0, 0, 0, 0, 0, 0, 0]}))
        .collect();
    let points = json!({ "points": points });
    first.put("/collections/c/points?wait=true", &points).ok();
    let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 100});
    let all = first.post("/collections/c/points/search", &search);
    assert!(all.body().get("missing_shards").is_none());
    assert_eq!(all.ok().as_array().unwrap().len(), 60);
    let folder = second.stop();
    let path = "/collections/c/points/search";
    let told = first.post(path, &search).refused(503);
    assert!(told.starts_with("shard 2 missing"), "{told}");
    let told = first
        .post(&format!("{path}?allow_partial=false"), &search)
        .refused(503);
    assert!(told.contains("shard 2"), "{told}");
    let part = first.post(&format!("{path}?allow_partial=true"), &search);
    assert_eq!(part.body()["missing_shards"], json!([2]));
    let part = part.ok().as_array().unwrap().len();
    assert!((1..60).contains(&part), "{part}");
    let told = first
        .put("/collections/c/points?wait=true", &points)
        .refused(503);
    assert!(
        told.contains("shards 0, 1 done") && told.contains("shard 2"),
        "{told}"
    );
    until(|| {
        first
            .post(path, &search)
            .refused(503)
            .contains("by no node that is there")
    });
    let body = json!({"vectors": {"size": 8, "distance": "Dot"}, "shards": 3});
    let told = first.put("/collections/d", &body).refused(503);
    assert!(told.contains("nothing was made"), "{told}");
    first.get("/collections/d").refused(404);
    drop(folder);
    // Somebody else takes it over, with an empty folder.
    let third = node(&nats, "2", KEY);
    until(|| first.post(path, &search).status == 200);
    for node in [&first, &third] {
        until(|| node.post(path, &search).status == 200);
        assert_eq!(node.post(path, &search).ok().as_array().unwrap().len(), 60);
    }
}
