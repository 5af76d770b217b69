//! Searches over HTTP, in both generations of the dialect: by vector, by point, by examples, in
//! batches and in groups.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use common::Server;
use serde_json::{Value, json};

/// Points on a quarter circle, the id being the angle in degrees; two people, one of them twice.
fn server(distance: &str) -> Server {
    let server = Server::start();
    server.with_vectors("v", 2, distance);
    let points: Vec<_> = [0, 10, 20, 45, 70, 80, 90]
        .into_iter()
        .map(|angle| {
            let radians = f64::from(angle).to_radians();
            json!({
                "id": angle, "vector": [radians.cos(), radians.sin()],
                "payload": {"person": if angle < 45 { "Ada" } else { "Bob" }, "at": {"angle": angle},
                    "tags": [angle / 45, 7]},
            })
        })
        .collect();
    let points = json!({ "points": points });
    server.put("/collections/v/points", &points).ok();
    server
}

#[track_caller]
fn ids(hits: &Value) -> Vec<u64> {
    let hits = hits.as_array().unwrap().iter();
    hits.map(|hit| hit["id"].as_u64().unwrap()).collect()
}

#[test]
fn every_endpoint_finds_the_same_neighbours() {
    let server = server("Cosine");
    let query = |body: Value| server.post("/collections/v/points/query", &body).ok();
    let old = |path: &str, body: Value| {
        let path = format!("/collections/v/points/{path}");
        server.post(&path, &body).ok()
    };
    let found = query(json!({"query": [1, 0], "limit": 3}));
    assert_eq!(ids(&found["points"]), [0, 10, 20]);
    let found = query(json!({"query": {"nearest": [1, 0]}, "limit": 2, "offset": 1}));
    assert_eq!(ids(&found["points"]), [10, 20]);
    let found = query(json!({"query": 0, "limit": 2, "using": "", "filter": null}));
    assert_eq!(ids(&found["points"]), [10, 20]);
    let found = old("search", json!({"vector": [1, 0], "limit": 2}));
    assert_eq!(ids(&found), [0, 10]);
    let named = json!({"vector": {"name": "", "vector": [1, 0]}, "limit": 2});
    assert_eq!(ids(&old("search", named)), [0, 10]);
    let found = old("recommend", json!({"positive": [0], "limit": 2}));
    assert_eq!(ids(&found), [10, 20]);
    let everything = query(json!({"limit": 2, "offset": 1, "with_payload": ["person"]}));
    assert_eq!(ids(&everything["points"]), [10, 20]);
    assert_eq!(everything["points"][0]["payload"], json!({"person": "Ada"}));
}

#[test]
fn what_is_least_like_unwanted_examples_comes_first() {
    let server = Server::start();
    for distance in ["Cosine", "Euclid", "Manhattan"] {
        let name = format!("least-{distance}");
        server.with_vectors(&name, 2, distance);
        let points: Vec<Value> = [[1.0, 0.0], [0.9, 0.3], [0.0, 1.0], [-1.0, 0.1]]
            .iter()
            .zip(1..)
            .map(|(vector, id)| json!({"id": id, "vector": vector}))
            .collect();
        let path = format!("/collections/{name}/points");
        server.put(&path, &json!({"points": points})).ok();
        let recommend = json!({"negative": [1], "strategy": "best_score", "limit": 10});
        let found = server.post(&format!("{path}/recommend"), &recommend).ok();
        let hits = found.as_array().unwrap();
        let ids: Vec<_> = hits.iter().map(|hit| hit["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [4, 3, 2], "{distance}");
        assert!(hits.iter().all(|hit| hit["score"].as_f64().unwrap() <= 0.0));
        let least = hits[1]["score"].clone();
        let body = json!({"query": {"recommend": {"negative": [1], "strategy": "best_score"}},
            "score_threshold": least, "filter": {"must_not": [{"has_id": [4]}]}});
        let found = server.post(&format!("{path}/query"), &body).ok();
        assert_eq!(found["points"].as_array().unwrap().len(), 1, "{found}");
    }
}

#[test]
fn a_recommendation_goes_towards_what_is_wanted_and_leaves_out_what_it_names() {
    let server = server("Cosine");
    let ask = |recommend: Value| {
        let body = json!({"query": {"recommend": recommend}, "limit": 10});
        server.post("/collections/v/points/query", &body).ok()
    };
    let found = ask(json!({"positive": [80], "negative": [70]}));
    assert_eq!(ids(&found["points"]), [90, 45, 20, 10, 0]);
    let found = ask(json!({"positive": [[0, 1]], "negative": [45], "strategy": "average_vector"}));
    assert_eq!(ids(&found["points"])[..2], [90, 80]);
    for distance in ["Cosine", "Dot", "Euclid", "Manhattan"] {
        let server = self::server(distance);
        let body = json!({"query": {"recommend": {
            "positive": [0, 80], "negative": [45], "strategy": "best_score",
        }}, "limit": 10});
        let found = server.post("/collections/v/points/query", &body).ok();
        let found = &found["points"];
        // 20 and 70 are as near to 45 as they are to others, or nearer than 25 degrees to one.
        assert_eq!(ids(found).len(), 4, "{distance}: {found}");
        let scores: Vec<_> = found.as_array().unwrap().iter().collect();
        assert!(scores[0]["score"].as_f64() >= scores[3]["score"].as_f64());
        assert_eq!(ids(found)[3], 20, "{distance}: {found}");
    }
}

#[test]
fn a_threshold_cuts_off_and_a_view_shows_what_it_says() {
    let server = server("Cosine");
    let body = json!({
        "query": [1, 0], "score_threshold": 0.98, "with_vector": true,
        "with_payload": {"exclude": ["tags", "at"]}, "params": {"hnsw_ef": 64, "exact": true},
    });
    let found = server.post("/collections/v/points/query", &body).ok();
    assert_eq!(ids(&found["points"]), [0, 10]);
    assert_eq!(found["points"][0]["payload"], json!({"person": "Ada"}));
    assert_eq!(found["points"][0]["vector"], json!([1.0, 0.0]));
}

#[test]
fn a_batch_is_answered_in_its_order_and_a_mistake_names_its_search() {
    let server = server("Euclid");
    let batch = json!({"searches": [
        {"query": [1, 0], "limit": 1}, {"query": 90, "limit": 1},
        {"query": {"recommend": {"positive": [0]}}, "limit": 1},
    ]});
    let found = server.post("/collections/v/points/query/batch", &batch);
    let found = found.ok();
    let first: Vec<_> = found.as_array().unwrap().iter().collect();
    let first: Vec<_> = first.iter().map(|it| ids(&it["points"])[0]).collect();
    assert_eq!(first, [0, 80, 10]);
    let batch = json!({"searches": [{"vector": [0, 1], "limit": 1}]});
    let found = server.post("/collections/v/points/search/batch", &batch);
    assert_eq!(ids(&found.ok()[0]), [90]);
    let batch = json!({"searches": [{"positive": [0], "limit": 1}]});
    let found = server.post("/collections/v/points/recommend/batch", &batch);
    assert_eq!(ids(&found.ok()[0]), [10]);
    let wrong = json!({"searches": [{"query": [1, 0]}, {"query": [1, 0], "limit": 0}]});
    let message = server
        .post("/collections/v/points/query/batch", &wrong)
        .refused(400);
    assert!(message.contains("item 1"), "{message}");
}

#[test]
fn groups_are_the_best_hits_of_each_value() {
    let server = server("Cosine");
    let groups = |body: Value| {
        let found = server.post("/collections/v/points/query/groups", &body);
        found.ok()["groups"].clone()
    };
    let found = groups(json!({"query": [1, 0], "group_by": "person", "group_size": 2}));
    assert_eq!(found[0]["id"], "Ada");
    assert_eq!(ids(&found[0]["hits"]), [0, 10]);
    assert_eq!(found[1]["id"], "Bob");
    assert_eq!(ids(&found[1]["hits"]), [45, 70]);
    assert_eq!(found[0]["hits"][0]["payload"]["person"], "Ada");
    let one = json!({"query": [0, 1], "group_by": "at.angle", "limit": 1, "with_payload": false});
    let found = groups(one);
    assert_eq!(
        (&found[0]["id"], found.as_array().unwrap().len()),
        (&json!(90), 1)
    );
    assert_eq!(found[0]["hits"][0]["payload"], Value::Null);
    let found = groups(json!({"query": [0, 1], "group_by": "tags", "group_size": 10}));
    assert_eq!(found.as_array().unwrap().len(), 4);
    let seven = found.as_array().unwrap().iter().find(|it| it["id"] == 7);
    assert_eq!(ids(&seven.unwrap()["hits"]).len(), 7);
    let old = json!({"vector": [1, 0], "group_by": "person", "limit": 1, "group_size": 1});
    let found = server.post("/collections/v/points/search/groups", &old);
    assert_eq!(ids(&found.ok()["groups"][0]["hits"]), [0]);
    let old = json!({"positive": [0], "group_by": "person", "limit": 1, "group_size": 1});
    let found = server.post("/collections/v/points/recommend/groups", &old);
    assert_eq!(ids(&found.ok()["groups"][0]["hits"]), [10]);
}

#[test]
fn points_come_in_the_order_of_a_value_or_by_chance() {
    let server = server("Cosine");
    let index = json!({"field_name": "at.angle", "field_schema": "integer"});
    server.put("/collections/v/index", &index).ok();
    let query = |body: Value| server.post("/collections/v/points/query", &body).ok();
    let by = json!({"key": "at.angle", "direction": "desc"});
    let bob = json!({"must": {"key": "person", "match": {"value": "Bob"}}});
    let body = json!({"query": {"order_by": by}, "limit": 2, "offset": 1, "filter": bob});
    let found = query(body);
    assert_eq!(ids(&found["points"]), [80, 70]);
    assert_eq!(found["points"][0]["order_value"], 80);
    let all = query(json!({"query": {"sample": "random"}, "limit": 100, "filter": bob}));
    let mut drawn = ids(&all["points"]);
    drawn.sort_unstable();
    assert_eq!(drawn, [45, 70, 80, 90]);
    // Each draw is another one; that all of them begin alike would be a wonder.
    let draw = || ids(&query(json!({"query": {"sample": "random"}, "limit": 3}))["points"]);
    let first = draw();
    assert_eq!(first.len(), 3);
    assert!((0..100).any(|_| draw() != first));
}

#[test]
fn searches_that_come_first_are_merged_or_looked_among() {
    let server = server("Cosine");
    let query = |body: Value| server.post("/collections/v/points/query", &body);
    let ends = json!([{"query": [1, 0], "limit": 3}, {"query": [0, 1], "limit": 3}]);
    let found = query(json!({"query": {"fusion": "rrf"}, "prefetch": ends, "limit": 4})).ok();
    assert_eq!(ids(&found["points"]), [0, 90, 10, 80]);
    assert_eq!(found["points"][0]["score"], 0.5);
    let both = json!([{"query": [1, 0], "limit": 4}, {"query": 70, "limit": 3}]);
    let merged = |query: Value| {
        let body = json!({
            "query": query, "prefetch": both, "limit": 1, "with_payload": true,
        });
        self::ids(&server.post("/collections/v/points/query", &body).ok()["points"])
    };
    // 45 is the only one in both lists, though the last of each.
    assert_eq!(merged(json!({"rrf": {"k": 60}})), [45]);
    assert_eq!(merged(json!({"fusion": "dbsf"})).len(), 1);
    // Among the three that are nearest to one end, the nearest to the other.
    let among = json!({"query": [0, 1], "prefetch": {"query": [1, 0], "limit": 3}, "limit": 2});
    assert_eq!(ids(&query(among).ok()["points"]), [20, 10]);
    let ada = json!({"must": {"key": "person", "match": {"value": "Ada"}}});
    let filtered = json!({
        "query": {"fusion": "rrf"}, "prefetch": ends, "filter": ada, "limit": 10,
        "with_payload": ["person"],
    });
    let found = query(filtered).ok();
    assert_eq!(ids(&found["points"]).len(), 3, "{found}");
    assert_eq!(found["points"][0]["payload"], json!({"person": "Ada"}));
    let none = json!({"must": {"key": "person", "match": {"value": "Cleo"}}});
    let body = json!({"query": [1, 0], "prefetch": {"query": [0, 1], "filter": none}});
    assert_eq!(ids(&query(body).ok()["points"]), [0; 0]);
    let grouped = json!({
        "query": {"fusion": "rrf"}, "prefetch": ends, "group_by": "person", "group_size": 1,
    });
    let groups = server.post("/collections/v/points/query/groups", &grouped);
    assert_eq!(groups.ok()["groups"].as_array().unwrap().len(), 2);
}

#[test]
fn endpoints_that_are_not_there_say_so_by_name() {
    let server = server("Cosine");
    for (path, word) in [
        ("points/discover", "discovery"),
        ("points/search/matrix/pairs", "matrices"),
        ("shards/delete", "one node"),
        ("cluster", "one node"),
    ] {
        let message = server
            .post(&format!("/collections/v/{path}"), &json!({}))
            .refused(501);
        assert!(message.contains(word), "{path}: {message}");
    }
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPATIBILITY.md");
    let table = std::fs::read_to_string(table).unwrap();
    let mut rows = 0;
    for row in table
        .lines()
        .filter(|row| row.contains("refused by name, 501"))
    {
        let (method, path) = row.split('`').nth(1).unwrap().split_once(' ').unwrap();
        let path = path.replace("{collection}", "v").replace(['{', '}'], "");
        let answer = server.send(method, &path, &[], &[]);
        let message = answer.refused(501);
        assert!(message.starts_with(method), "{row}: {message}");
        rows += 1;
    }
    assert!(rows > 15, "{rows}");
}

#[test]
fn a_parameter_of_a_path_that_takes_none_is_refused() {
    let server = server("Cosine");
    for path in [
        "/collections/v/exists?wait=true",
        "/cluster?x=1",
        "/collections/v/snapshots?a",
    ] {
        let message = server.get(path).refused(400);
        assert!(message.contains("in the URL"), "{path}: {message}");
    }
    for consistency in ["majority", "2"] {
        let path = format!("/collections/v/points/0?consistency={consistency}");
        server.get(&path).ok();
    }
    server
        .get("/collections/v/points/0?consistency=most")
        .refused(400);
}

#[test]
fn what_a_search_cannot_do_is_refused_by_name() {
    let server = server("Cosine");
    let cases = [
        (
            "query",
            json!({"query": [1, 0], "group_by": "person"}),
            "`/groups`",
        ),
        ("query/groups", json!({"query": [1, 0]}), "`group_by`"),
        (
            "query",
            json!({"prefetch": {"query": [1, 0]}}),
            "`prefetch`",
        ),
        (
            "query",
            json!({"query": {"fusion": "rrf"}}),
            "`query.fusion`",
        ),
        (
            "query",
            json!({"query": {"fusion": "sum"}, "prefetch": {"query": [1, 0]}}),
            "`sum`",
        ),
        (
            "query",
            json!({"query": [1, 0], "prefetch": [{"query": [1, 0], "colour": 1}]}),
            "`colour`",
        ),
        (
            "query",
            json!({"query": [1, 0], "prefetch": [{"query": [1, 0]}, {"limit": 0}]}),
            "`prefetch[1]`",
        ),
        (
            "query",
            json!({"query": {"rrf": {"weights": [1]}}, "prefetch": {"query": [1, 0]}}),
            "`query.rrf.weights`",
        ),
        (
            "query",
            json!({"query": {"sample": "random"}, "score_threshold": 0.5}),
            "`score_threshold`",
        ),
        (
            "query",
            json!({"query": {"nearest": [1, 0], "sample": "random"}}),
            "one of",
        ),
        (
            "query/groups",
            json!({"query": {"order_by": "at.angle"}, "group_by": "person"}),
            "`query.order_by`",
        ),
        (
            "query",
            json!({"query": {"formula": {}}}),
            "`query.formula`",
        ),
        (
            "query",
            json!({"query": {"recommend": {"negative": [1]}}}),
            "`positive`",
        ),
        (
            "query",
            json!({"query": [1, 0], "lookup_from": {}}),
            "`lookup_from`",
        ),
        ("search", json!({"vector": 1, "limit": 1}), "`vector`"),
        (
            "recommend",
            json!({"positive": [0], "strategy": "sum_scores"}),
            "best_score",
        ),
    ];
    for (path, body, word) in cases {
        let path = format!("/collections/v/points/{path}");
        let message = server.post(&path, &body).refused(400);
        assert!(message.contains(word), "{body}: {message}");
    }
    let missing = json!({"query": {"recommend": {"positive": [0, 5]}}});
    let message = server
        .post("/collections/v/points/query", &missing)
        .refused(404);
    assert!(message.contains("point 5"), "{message}");
}

#[test]
fn one_node_tells_clients_that_it_is_one() {
    let server = server("Dot");
    assert_eq!(server.get("/cluster").ok(), json!({"status": "disabled"}));
    let cluster = server.get("/collections/v/cluster").ok();
    assert_eq!(cluster["local_shards"][0]["points_count"], 7);
    let telemetry = server.get("/telemetry?details_level=1").ok();
    assert_eq!(telemetry["collections"]["number_of_points"], 7);
    assert_eq!(server.get("/issues").ok(), json!({"issues": []}));
    server.get("/collections/w/cluster").refused(404);
}

#[test]
fn a_wanted_recall_stands_for_an_ef_that_is_measured_on_the_collections_own_points() {
    let server = server("Cosine");
    let query = |params: Value| {
        let body = json!({"query": [1, 0], "limit": 3, "params": params});
        server.post("/collections/v/points/query", &body)
    };
    let found = query(json!({"target_recall": 1})).ok();
    assert_eq!(ids(&found["points"]), [0, 10, 20]);
    let tuned = server
        .post(
            "/collections/v/tune",
            &json!({"target_recall": 0.9, "k": 3}),
        )
        .ok();
    assert_eq!((&tuned["k"], &tuned["points"]), (&json!(5), &json!(7)));
    assert_eq!(
        (&tuned["sample"], &tuned["exact"]),
        (&json!(7), &json!(false))
    );
    assert!(
        tuned["recall"].as_f64() >= Some(0.9) && tuned["ef"].as_u64() >= Some(1),
        "{tuned}"
    );
    let cases = [
        (
            json!({"target_recall": 0.9, "hnsw_ef": 64}),
            "either `hnsw_ef` or `target_recall`",
        ),
        (json!({"target_recall": 0.4}), "0.5 to 1"),
        (json!({"target_recall": 1.5}), "0.5 to 1"),
        (json!({"target_recall": "high"}), "invalid type"),
    ];
    for (params, word) in cases {
        let message = query(params.clone()).refused(400);
        assert!(message.contains(word), "{params}: {message}");
    }
    let tune = |name: &str, body: Value| {
        let path = format!("/collections/{name}/tune");
        server.post(&path, &body)
    };
    tune("w", json!({"target_recall": 0.9})).refused(404);
    let message = tune("v", json!({"target_recall": 0.9, "using": "text"})).refused(400);
    assert!(message.contains("text"), "{message}");
}
