//! Metrics over HTTP, and what is shipped to look at them.

use crate::common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{Server, faceless, photo};
use serde_json::json;

/// Names of ours and of the process in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("doppel_") || word.starts_with("process_"));
    ours.collect()
}

#[test]
fn dashboard_and_alerts_speak_of_metrics_that_there_are() {
    let server = Server::start();
    server.with_vectors("c", 2, "Dot");
    let point = json!({"points": [{"id": 1, "vector": [1, 2]}]});
    server.put("/collections/c/points?wait=true", &point).ok();
    let query = json!({"query": [1, 2], "limit": 1});
    server.post("/collections/c/points/query", &query).ok();
    // Told once there is something to tell; the first search is asked again at once.
    let metrics = loop {
        let metrics = server.get("/metrics").text();
        if metrics.contains("doppel_search_recall_ratio{") {
            break metrics;
        }
        std::thread::yield_now();
    };
    let there = names(&metrics);
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    for file in ["grafana/doppel.json", "prometheus/alerts.yml"] {
        let text = fs::read_to_string(packaging.join(file)).unwrap();
        let spoken = names(&text);
        assert!(spoken.len() > 10, "{file}: {spoken:?}");
        // A file's name, not a metric's.
        let unknown: Vec<_> = spoken
            .difference(&there)
            .filter(|it| **it != "doppel_key")
            .collect();
        assert!(unknown.is_empty(), "{file} speaks of {unknown:?}");
    }
}

#[test]
fn every_metric_of_ours_is_on_the_dashboard() {
    let metrics = Server::start().get("/metrics").text();
    let types = metrics.lines().filter_map(|it| it.strip_prefix("# TYPE "));
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let text = fs::read_to_string(packaging.join("grafana/doppel.json")).unwrap();
    let shown = names(&text);
    let is_shown = |name: &str| {
        let parts = ["", "_bucket", "_count", "_sum"];
        let mut series = parts.iter().map(|part| format!("{name}{part}"));
        series.any(|series| shown.contains(series.as_str()))
    };
    let ours = types.filter_map(|it| it.split(' ').next());
    let ours: Vec<_> = ours.filter(|name| name.starts_with("doppel_")).collect();
    assert!(ours.len() > 30, "{ours:?}");
    let missing: Vec<_> = ours.iter().filter(|name| !is_shown(name)).collect();
    assert!(missing.is_empty(), "the dashboard lacks {missing:?}");
}

#[test]
fn metrics_tell_what_happened() {
    let server = Server::start();
    server.with_faces("f");
    server
        .form("/collections/f/faces", &[("image", &photo(4))])
        .ok();
    server
        .form("/collections/f/faces/search", &[("image", &photo(4))])
        .ok();
    server
        .form("/collections/f/faces", &[("image", &faceless())])
        .refused(422);
    server.get("/wp-admin").refused(404);
    let metrics = server.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = metrics.text();
    let faces = "/collections/{collection}/faces";
    let expected = [
        format!(
            "doppel_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        ),
        format!(
            "doppel_http_requests_total{{api=\"faces\",code=\"200\",method=\"POST\",route=\"{faces}\"}} 1"
        ),
        format!(
            "doppel_http_requests_total{{api=\"faces\",code=\"422\",method=\"POST\",route=\"{faces}\"}} 1"
        ),
        "doppel_http_requests_total{api=\"ops\",code=\"404\",method=\"GET\",route=\"-\"} 1".into(),
        "doppel_http_request_duration_seconds_bucket{".into(),
        "doppel_http_requests_in_flight 1".into(),
        // One looked for a duplicate, in the empty collection.
        "doppel_search_duration_seconds_count{mode=\"hnsw\"} 2".into(),
        "doppel_search_ef_bucket{le=\"64\"}".into(),
        // One face: it is looked at, and no graph walked.
        "doppel_search_ef_count 0".into(),
        "doppel_log_group_records_count".into(),
        "doppel_tables_bytes ".into(),
        "doppel_memory_promised_bytes 0".into(),
        "doppel_auth_failures_total{reason=\"expired\"} 0".into(),
        "doppel_search_recall_samples_total 0".into(),
        "doppel_search_compared_points_total 1\n".into(),
        "doppel_checkpoint_last_timestamp_seconds 1".into(),
        "doppel_jobs_running 0".into(),
        "doppel_ready 1".into(),
        "doppel_writes_total{op=\"upsert\",outcome=\"ok\"} 1".into(),
        "doppel_writes_total{op=\"delete\",outcome=\"ok\"} 0".into(),
        "doppel_log_fsync_duration_seconds_count".into(),
        "doppel_log_durable_lsn".into(),
        "doppel_log_applied_lsn".into(),
        "doppel_log_bytes".into(),
        "doppel_log_copy_bytes 0".into(),
        "doppel_log_waits 0".into(),
        "doppel_checkpoint_lsn".into(),
        "doppel_read_only 0".into(),
        "doppel_recovery_duration_seconds".into(),
        "doppel_points{collection=\"f\"} 1".into(),
        "doppel_index_bytes{collection=\"f\"}".into(),
        "doppel_pipeline_stage_duration_seconds_count{stage=\"embed\"} 3".into(),
        "doppel_pipeline_images_total{outcome=\"ok\"} 2".into(),
        "doppel_pipeline_images_total{outcome=\"no_face\"} 1".into(),
        "doppel_pipeline_queue_length 0".into(),
        "process_cpu_seconds_total".into(),
        "process_resident_memory_bytes".into(),
        "process_open_fds".into(),
        "process_start_time_seconds".into(),
    ];
    for line in expected {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

/// The labels of a line, by name.
fn labels(line: &str) -> Vec<(&str, &str)> {
    let inside = line
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let inside = inside.map_or("", |(inside, _)| inside);
    let pairs = inside.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap_or_default();
            (name, value.trim_end_matches('"'))
        })
        .collect()
}

/// All that strangers, and clients that ask for nonsense, can bring about.
#[test]
fn whatever_is_asked_for_makes_no_series_but_those_of_routes_and_outcomes() {
    const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
    let server = Server::start();
    let document = server.get("/openapi.json").body();
    let paths = document["paths"].as_object().unwrap();
    let mut routes: BTreeSet<(&str, String)> = BTreeSet::new();
    for (path, methods) in paths {
        routes.insert((path.as_str(), "OPTIONS".to_owned()));
        for method in methods.as_object().unwrap().keys() {
            routes.insert((path.as_str(), method.to_uppercase()));
            if method == "get" {
                routes.insert((path.as_str(), "HEAD".to_owned()));
            }
        }
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => "somebody-s-own",
            false => part,
        });
        let place = parts.collect::<Vec<_>>().join("/");
        for method in METHODS.into_iter().chain(["TRACE"]) {
            server.send(method, &place, &[], &[]);
        }
    }
    for n in 0..50 {
        server.get(&format!("/nowhere/{n}")).refused(404);
        server.get(&format!("/collections/none-{n}")).refused(404);
    }
    let text = server.get("/metrics").text();
    // What the dialect has and this server has not stands in no document, and is told by name.
    let refused = text.lines().filter(|line| line.contains("code=\"501\""));
    let refused: Vec<_> = refused.map(labels).collect();
    assert!(refused.len() < 10, "{refused:?}");
    for labels in &refused {
        let value = |name: &str| labels.iter().find(|it| it.0 == name).unwrap().1;
        routes.insert((value("route"), value("method").to_owned()));
    }
    let words = |all: &'static str| all.split(' ').collect::<BTreeSet<_>>();
    let known = [
        ("api", words("points faces ops")),
        (
            "outcome",
            words("ok client_error server_error refused failed no_face"),
        ),
        ("reason", words("missing wrong expired forbidden")),
        (
            "op",
            words(
                "upsert delete update_vectors delete_vectors set_payload overwrite_payload delete_payload \
                 clear_payload",
            ),
        ),
    ];
    let mut series = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = labels(line);
        let value = |name: &str| labels.iter().find(|it| it.0 == name).map(|it| it.1);
        for (name, value) in &labels {
            if let Some((_, values)) = known.iter().find(|it| it.0 == *name) {
                assert!(values.contains(value), "{line}");
            }
            assert!(
                !value.contains("somebody") && !value.contains("none-"),
                "{line}"
            );
        }
        if let (Some(route), Some(method)) = (value("route"), value("method")) {
            let of_route = routes.contains(&(route, method.to_owned()));
            let of_none = METHODS.contains(&method) || method == "other";
            assert!(of_route || route == "-" && of_none, "{line}");
            series += usize::from(line.starts_with("doppel_http_requests_total"));
        }
    }
    // Some have several codes, such as 400 and 404.
    assert!(series < 2 * routes.len(), "{series} of {}", routes.len());
}

#[test]
fn how_far_searches_walk_is_told_of_those_that_walk() {
    let server = Server::start();
    server.with_vectors("c", 2, "Dot");
    let points: Vec<_> = (0..3_000)
        .map(|id| json!({"id": id, "vector": [id % 53, id]}))
        .collect();
    let query = json!({"query": [1, 2], "limit": 1, "params": {"hnsw_ef": 100}});
    for (points, walked, sum) in [(&points[..1], 0, 0), (&points[..], 1, 100)] {
        let points = json!({"points": points});
        server.put("/collections/c/points?wait=true", &points).ok();
        server.post("/collections/c/points/query", &query).ok();
        let metrics = server.get("/metrics").text();
        let count = format!("\ndoppel_search_ef_count {walked}\n");
        let sum = format!("\ndoppel_search_ef_sum {sum}\n");
        assert!(
            metrics.contains(&count) && metrics.contains(&sum),
            "{metrics}"
        );
    }
}

#[test]
fn places_that_points_have_left_are_counted_until_others_take_them() {
    let server = Server::start();
    server.with_vectors("c", 2, "Dot");
    let put = |id: u64| {
        let point = json!({"points": [{"id": id, "vector": [id, 2]}]});
        server.put("/collections/c/points?wait=true", &point).ok();
    };
    let free = || {
        let metrics = server.get("/metrics").text();
        let name = "doppel_index_free_slots{collection=\"c\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
    };
    put(1);
    put(2);
    assert_eq!(free().as_deref(), Some("0"));
    let ids = json!({"points": [1]});
    server
        .post("/collections/c/points/delete?wait=true", &ids)
        .ok();
    assert_eq!(free().as_deref(), Some("1"));
    put(3);
    assert_eq!(free().as_deref(), Some("0"));
}
