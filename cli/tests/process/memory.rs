//! A server that may take little memory: what would take more is refused before it is taken, and what
//! was freed can be taken again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{BATCH, Server, vector};

#[test]
fn a_server_short_of_memory_refuses_inserts_and_goes_on_with_all_else() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DOPPEL_MEMORY_LIMIT_MIB", "160")];
    let server = Server::start(dir.path(), &settings);
    server.create();
    let mut first = 0;
    let refused = loop {
        let (status, text) = server.put_points(first);
        let used = server.anonymous_mib();
        assert!(used <= 168, "{used} MiB after {first} points");
        if status != 200 {
            assert_eq!(status, 507, "{text}");
            break text;
        }
        first += BATCH;
        assert!(first < 100_000, "never refused at {used} MiB");
    };
    for word in ["MiB used", "MiB wanted", "the limit is 160.0 MiB"] {
        assert!(refused.contains(word), "{refused}");
    }
    assert!(first >= 1_000, "refused after {first} points");
    let query = json!({"query": vector(7), "limit": 1, "params": {"exact": true}});
    let found = server.send("POST", "/collections/v/points/query", &query);
    assert_eq!(found.0, 200, "{}", found.1);
    let ids: Vec<u64> = (0..first / 2).collect();
    let path = "/collections/v/points/delete?wait=true";
    let deleted = server.send("POST", path, &json!({ "points": ids }));
    assert_eq!(deleted.0, 200, "{}", deleted.1);
    let reindex = server.send("POST", "/admin/collections/v/reindex", &json!({}));
    assert_eq!(reindex.0, 507, "{}", reindex.1);
    assert_eq!(server.send("GET", "/readyz", &Value::Null).0, 200);
    let metrics = server.send("GET", "/metrics", &Value::Null).1;
    for line in [
        "doppel_memory_limit_bytes 167772160",
        "doppel_memory_refusals_total 2",
    ] {
        assert!(metrics.contains(line), "no {line}");
    }
    // With the collection its memory goes, and there is room again.
    server.send("DELETE", "/collections/v", &Value::Null);
    server.create();
    let (status, text) = server.put_points(0);
    assert_eq!(status, 200, "{text}");
}

/// As a client's bulk load of tiny vectors: for each byte there is more to keep than anywhere else.
fn many_small_points(first: u64, count: u64) -> String {
    let points = (first..first + count).map(|id| format!(r#"{{"id":{id},"vector":[1,2,3,4]}}"#));
    let points: Vec<_> = points.collect();
    format!(r#"{{"points":[{}]}}"#, points.join(","))
}

fn small(server: &Server) {
    let body = json!({"vectors": {"size": 4, "distance": "Dot"}});
    let created = server.send("PUT", "/collections/small", &body);
    assert_eq!(created.0, 200, "{}", created.1);
}

/// The most that it has at any moment while something is done, as the kernel counts it.
pub(super) fn most_mib<T>(server: &Server, work: impl FnOnce() -> T) -> (u64, T) {
    let (ended, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                most.fetch_max(server.anonymous_mib(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let done = work();
        ended.store(true, Ordering::Relaxed);
        done
    });
    (most.into_inner(), done)
}

/// Bodies that become as much as any of their length, each for a route that takes it.
fn heavy() -> Vec<(&'static str, &'static str, String)> {
    const POINTS: &str = "/collections/small/points";
    let maps = vec![r#"{"a":{"b":{"c":{"d":1}}}}"#; 100_000].join(",");
    let lists = vec!["[[1]]"; 400_000].join(",");
    let payload = |values: &str| format!(r#"{{"payload": {{"x": [{values}]}}, "points": [1]}}"#);
    let query = r#"{"query":[1,2,3,4],"filter":{"must":[{"key":"a","match":{"value":1}}]}}"#;
    let ids: Vec<_> = (0..1_500_000).map(|id| id.to_string()).collect();
    // Vectors of one number more than a list that has doubled holds, in as few bytes as can be.
    let wide = format!("[{}]", vec!["1"; 513].join(","));
    let wide: Vec<_> = (0..9_000)
        .map(|id| format!(r#"{{"id":{id},"vector":{wide}}}"#))
        .collect();
    let texts = vec![r#""a""#; 1_000_000].join(",");
    vec![
        (
            "PUT",
            POINTS,
            format!(r#"{{"points":[{}]}}"#, wide.join(",")),
        ),
        ("POST", "/collections/small/points/payload", payload(&texts)),
        ("PUT", POINTS, many_small_points(0, 200_000)),
        ("POST", "/collections/small/points/payload", payload(&maps)),
        ("PUT", "/collections/small/points/payload", payload(&lists)),
        (
            "POST",
            "/collections/small/points/query/batch",
            format!(r#"{{"searches": [{}]}}"#, vec![query; 60_000].join(",")),
        ),
        (
            "POST",
            "/collections/small/points/delete",
            format!(r#"{{"points": [{}]}}"#, ids.join(",")),
        ),
    ]
}

#[test]
fn a_body_that_would_become_too_much_is_refused_before_it_does_and_no_body_becomes_more_than_was_said()
 {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[("DOPPEL_MEMORY_LIMIT_MIB", "64")]);
    small(&server);
    for (method, path, body) in heavy() {
        let (most, (status, text)) = most_mib(&server, || server.text(method, path, &body));
        assert_eq!(status, 507, "{path}: {text}");
        assert!(text.contains("smaller parts"), "{text}");
        assert!(most <= 64, "{path}: {most} MiB");
        let wanted = text.split(" used, ").nth(1).unwrap();
        let wanted = wanted.split('.').next().unwrap().parse::<u64>().unwrap();
        // Where there is room for it.
        let dir = tempfile::tempdir().unwrap();
        let roomy = Server::start(dir.path(), &[]);
        small(&roomy);
        let before = roomy.anonymous_mib();
        let (most, (status, text)) = most_mib(&roomy, || roomy.text(method, path, &body));
        assert_ne!(status, 507, "{text}");
        let became = most.saturating_sub(before);
        let length = body.len() >> 20;
        eprintln!(
            "{method} {path}: {length} MiB became {became}, at most {wanted} was said: {status}"
        );
        assert!(
            became <= wanted,
            "{method} {path}: {became} MiB, {wanted} was said"
        );
    }
    // What is small is done as ever.
    let deep = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    let point =
        format!(r#"{{"points": [{{"id": 1, "vector": [1, 2, 3, 4], "payload": {deep}}}]}}"#);
    let (status, text) = server.text("PUT", "/collections/small/points", &point);
    assert_eq!(status, 200, "{text}");
}

#[test]
fn a_batch_of_vectors_that_fits_is_not_refused_for_its_many_digits() {
    const LIMIT: u64 = 160;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[("DOPPEL_MEMORY_LIMIT_MIB", "160")]);
    let body = json!({"vectors": {"size": 512, "distance": "Dot"}});
    let made = server.send("PUT", "/collections/wide", &body);
    assert_eq!(made.0, 200, "{}", made.1);
    let vector = |id: u64| {
        let numbers = (0..512).map(|at| format!("0.{:09}", (id * 7_919 + at * at) % 1_000_000_000));
        numbers.collect::<Vec<_>>().join(",")
    };
    let points = (0..4_000).map(|id| format!(r#"{{"id":{id},"vector":[{}]}}"#, vector(id)));
    let points: Vec<_> = points.collect();
    let body = format!(r#"{{"points":[{}]}}"#, points.join(","));
    let put = || server.text("PUT", "/collections/wide/points?wait=true", &body);
    let (most, (status, text)) = most_mib(&server, put);
    eprintln!("{} MiB of points: {most} MiB at most", body.len() >> 20);
    assert_eq!(status, 200, "{text}");
    assert!(most <= LIMIT, "{most} MiB");
}

#[test]
fn sixteen_large_bodies_at_once_are_told_to_come_back_and_what_they_took_can_be_taken_again_at_once()
 {
    const LIMIT: u64 = 270;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[("DOPPEL_MEMORY_LIMIT_MIB", "270")]);
    small(&server);
    let path = "/collections/small/points?wait=true";
    // Half of them with as many points as one request may have, half with too many.
    let counts = [10_000, 100_000].into_iter().cycle();
    let bodies = (0..16).zip(counts);
    let bodies = bodies.map(|(n, count)| many_small_points(n * 100_000, count));
    let bodies: Vec<_> = bodies.collect();
    let mut refused = 0;
    for _ in 0..2 {
        let (most, answers) = most_mib(&server, || {
            std::thread::scope(|scope| {
                let server = &server;
                let clients = bodies.iter();
                let clients =
                    clients.map(|body| scope.spawn(move || server.text("PUT", path, body)));
                let clients: Vec<_> = clients.collect();
                let answers = clients.into_iter().map(|it| it.join().unwrap());
                answers.collect::<Vec<_>>()
            })
        });
        let statuses: Vec<_> = answers.iter().map(|it| it.0).collect();
        eprintln!("{most} MiB at most: {statuses:?}");
        assert!(most <= LIMIT, "{most} MiB");
        for (status, text) in &answers {
            // Each has room where it is alone, so that none is told 507.
            assert!([200, 413, 503].contains(status), "{status}: {text}");
            let told = ["not enough memory", "try again"].map(|words| text.contains(words));
            assert!(*status != 503 || told == [true; 2], "{text}");
        }
        refused += statuses.iter().filter(|it| **it == 503).count();
        server.send("DELETE", "/collections/small", &Value::Null);
        small(&server);
        let (status, text) = server.text("PUT", path, &many_small_points(0, 10_000));
        assert_eq!(status, 200, "{text}");
        // Who comes back alone has room.
        let mut again = std::iter::repeat_with(|| server.text("PUT", path, &bodies[1]));
        let (status, text) = again.find(|(status, _)| *status != 503).unwrap();
        assert_eq!(status, 413, "{text}");
    }
    assert!(refused > 0, "nothing was too much");
}
