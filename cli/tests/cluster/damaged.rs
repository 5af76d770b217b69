//! A log that is damaged or lost: nodes serve what they have, also after a restart, commands read their folders, and a
//! new log goes on with it, as docs/SCALING.md says.

use std::path::Path;
use std::process::{Command, Output};

use super::*;

/// With the settings of a node and this stream, or without any that name a log.
fn doppel(of: Option<(&Place, &str)>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOPPEL_") {
            command.env_remove(name);
        }
    }
    if let Some((place, stream)) = of {
        command.env("DOPPEL_NATS__SERVERS", place.servers.join(","));
        command.env("DOPPEL_NATS__MONITORS", place.monitors.join(","));
        command.env("DOPPEL_NATS__STREAM", stream);
        command.env("DOPPEL_NATS__REPLICAS", "1");
        // All that stands in a node's file of settings, as where a command is run beside that.
        let more = place.more.iter().filter_map(|it| it.strip_prefix("nats."));
        for (name, value) in more.filter_map(|it| it.split_once('=')) {
            command.env(format!("DOPPEL_NATS__{}", name.to_uppercase()), value);
        }
    }
    command.args(arguments).output().unwrap()
}

fn done(output: &Output) -> String {
    let told = [output.stdout.as_slice(), &output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert!(output.status.success(), "{told}");
    told
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits until a node answers a probe so; gives what it says.
fn answers(url: &str, path: &str, status: u16) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        let answer = agent.new_agent().get(format!("{url}{path}")).call();
        if let Ok(mut answer) = answer
            && answer.status().as_u16() == status
        {
            return answer.body_mut().read_to_string().unwrap();
        }
        assert!(Instant::now() < until, "{path} is never {status}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Cluster {
    fn count(&self, n: usize) -> Option<u64> {
        let path = "/collections/c/points/count";
        let (status, _, answer) = self.ask(n, "POST", path, Some(&json!({})), None)?;
        (status == 200).then(|| answer["result"]["count"].as_u64().unwrap())
    }

    fn put_one(&self, n: usize, id: u64) -> Answer {
        let body = json!({"points": [{"id": id, "vector": [id, 0, 0, 1]}]});
        self.ask(n, "PUT", POINTS, Some(&body), None).unwrap()
    }

    /// Waits until a node's last checkpoint has all that it has applied.
    fn wait_kept(&self, n: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let text = Client::new(10).text(&format!("{}/metrics", self.url(n)));
            let value = |name: &str| {
                let line = text
                    .lines()
                    .find(|line| line.starts_with(&format!("{name} ")));
                line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            };
            if value("doppel_checkpoint_lsn") == value("doppel_log_applied_lsn") {
                return;
            }
            assert!(Instant::now() < until, "node {n} takes no checkpoint");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Serves all it has, takes no writes, and says why.
    fn serves_only(&self, n: usize, points: u64, why: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut told = answers(&self.url(n), "/readyz", 503);
        while told.contains("starting") {
            assert!(Instant::now() < until, "{told}");
            told = answers(&self.url(n), "/readyz", 503);
        }
        assert!(
            told.contains(why) && told.contains("When the log is damaged"),
            "{told}"
        );
        assert_eq!(self.count(n), Some(points));
        let (status, _, refused) = self.put_one(n, 1_000);
        assert_eq!(status, 507, "{refused}");
        assert!(!refused.to_string().contains("disk"), "{refused}");
        let metrics = Client::new(10).text(&format!("{}/metrics", self.url(n)));
        assert!(metrics.contains("doppel_log_broken 1"), "{metrics}");
    }
}

/// Where a node lies that is alone on these servers, with more settings of the section `nats`.
fn alone(nats: &Nats, dir: &Path, more: &[&str]) -> Place {
    let more = ["replicas=1"].iter().chain(more);
    Place {
        checkpoints_s: 60,
        more: more.map(|it| format!("nats.{it}")).collect(),
        ..Place::new(nats, dir, 0, free_ports(1)[0])
    }
}

fn two_nodes(nats: Nats) -> Cluster {
    let one = "nats.replicas=1".to_owned();
    let cluster = Cluster::start_set(nats, 2, &|_, nats| nats.urls(), None, &[one]);
    for id in 0..20 {
        assert_eq!(cluster.put_one(0, id).0, 200);
    }
    let (_, last, _) = cluster.ask(0, "GET", "/collections/c", None, None).unwrap();
    cluster.ask(1, "GET", "/collections/c", None, last).unwrap();
    (0..2).for_each(|n| cluster.wait_kept(n));
    cluster
}

#[test]
fn nodes_whose_log_is_damaged_serve_what_they_have_and_a_new_log_goes_on_with_it() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let mut cluster = two_nodes(nats);
    cluster.nats.publish("doppel.log", "no message of doppel's");
    for n in 0..2 {
        cluster.serves_only(n, 20, "of the stream is damaged");
    }
    // A restart changes nothing.
    cluster.kill(0);
    cluster.nodes[0] = Some(Node::start(&cluster.places[0]));
    cluster.serves_only(0, 20, "of the stream is damaged");
    let dir = tempfile::tempdir().unwrap();
    let [online, offline, points] =
        ["online", "offline", "points.jsonl"].map(|it| dir.path().join(it));
    done(&doppel(
        None,
        &["backup", text(&online), "--url", &cluster.url(1)],
    ));
    cluster.kill(0);
    cluster.kill(1);
    let folder = text(&cluster.places[1].dir).to_owned();
    let told = done(&doppel(None, &["verify", "--data-dir", &folder]));
    assert!(
        told.contains("a node's folder") && told.contains("`c`: 20 points"),
        "{told}"
    );
    // Nothing that it says speaks against that.
    assert!(
        told.contains("everything is whole") && !told.contains("ERROR"),
        "{told}"
    );
    let told = done(&doppel(
        None,
        &["backup", text(&offline), "--data-dir", &folder],
    ));
    assert!(told.contains("only what this node has by itself"), "{told}");
    done(&doppel(
        None,
        &["export", text(&points), "-c", "c", "--data-dir", &folder],
    ));
    assert_eq!(
        std::fs::read_to_string(&points).unwrap().lines().count(),
        20
    );
    done(&doppel(None, &["repair", "--data-dir", &folder]));
    // The new one.
    let begin = ["restore", text(&offline), "--begin-log"];
    done(&doppel(Some((&cluster.places[0], "second")), &begin));
    let again = doppel(Some((&cluster.places[0], "second")), &begin);
    assert!(!again.status.success());
    for n in 0..2 {
        cluster.places[n].dir = node::dir(dir.path(), n);
        cluster.places[n].more.push("nats.stream=second".to_owned());
        cluster.restart(n);
        assert_eq!(cluster.count(n), Some(20));
    }
    assert_eq!(cluster.put_one(0, 100).0, 200);
    assert_eq!(cluster.put_one(1, 101).0, 200);
    assert_eq!(cluster.expect_same().len(), 22);
    // And is followed after restarts.
    cluster.kill(0);
    cluster.restart(0);
    assert_eq!(cluster.expect_same().len(), 22);
}

#[test]
fn a_node_whose_stream_is_lost_serves_what_it_has_and_makes_no_other() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let mut cluster = two_nodes(nats);
    cluster.kill(0);
    cluster.kill(1);
    // All that the servers had goes with their disk.
    cluster.nats.kill(0);
    std::fs::remove_dir_all(cluster.nats.dir().join("n0")).unwrap();
    cluster.nats.restart(0);
    cluster.nats.wait_healthy();
    for n in 0..2 {
        cluster.nodes[n] = Some(Node::start(&cluster.places[n]));
        let told = answers(&cluster.url(n), "/readyz", 503);
        // It may still be looking.
        let starts = told.contains("starting");
        assert!(
            starts || told.contains("not there, or not any more"),
            "{told}"
        );
    }
    for n in 0..2 {
        let until = Instant::now() + Duration::from_secs(60);
        while cluster.count(n).is_none() {
            assert!(Instant::now() < until, "node {n} does not serve");
            thread::sleep(Duration::from_millis(50));
        }
        let count = cluster.count(n).unwrap();
        cluster.serves_only(n, count, "not there, or not any more");
    }
}

#[test]
fn a_start_without_servers_waits_and_goes_on_when_they_are_there() {
    let Some(mut nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    nats.kill(0);
    let dir = tempfile::tempdir().unwrap();
    let place = alone(&nats, dir.path(), &[]);
    let node = Node::start(&place);
    // From the first second on, not when it has waited for long.
    let until = Instant::now() + Duration::from_secs(6);
    while !answers(&node.url, "/readyz", 503).contains(&place.servers[0]) {
        assert!(Instant::now() < until, "it does not say for what it waits");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(answers(&node.url, "/livez", 200), "alive");
    nats.restart(0);
    assert_eq!(answers(&node.url, "/readyz", 200), "ready");
}

/// The parts in each of two shards, as a node describes them to another.
fn parts(url: &str) -> Vec<Vec<Value>> {
    let ask = |path: &str| {
        let asked = ureq::get(format!("{url}{path}"))
            .header("authorization", "Bearer the-key-between-nodes");
        let text = asked.call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["result"].clone()
    };
    let of = |shard: u32| {
        let all = ask(&format!("/shards/{shard}/collections"))["collections"].clone();
        let names = all.as_array().unwrap().iter();
        let names = names.map(|part| part["name"].as_str().unwrap());
        names
            .map(|name| ask(&format!("/shards/{shard}/collections/{name}")))
            .collect()
    };
    (0..2).map(of).collect()
}

/// By which log the only part of each of two shards was made.
fn makers(url: &str) -> Vec<Value> {
    let all = parts(url).into_iter();
    all.map(|of| of[0]["config"]["metadata"]["doppel_part_since"]["log"].clone())
        .collect()
}

#[test]
fn a_new_log_goes_on_with_the_shards_of_the_old_and_drops_their_parts() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let more = ["shards=2", "node_key=the-key-between-nodes"];
    let mut place = alone(&nats, dir.path(), &more);
    let mut node = Node::ready(&place);
    let call = |url: &str, method: &str, path: &str, body: &Value| {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            // A part is there a moment after its collection.
            let answer = Client::new(60).call(method, url, path, Some(body), None);
            let (status, _, said) = answer.unwrap();
            if status == 200 {
                break said["result"].clone();
            }
            assert!(status == 503 && Instant::now() < until, "{status}: {said}");
        }
    };
    let body = json!({"vectors": {"size": 4, "distance": "Euclid"}, "shards": 2});
    call(&node.url, "PUT", "/collections/c", &body);
    let points = (0..30).map(|id| json!({"id": id, "vector": [id, 0, 0, 1]}));
    let points = json!({"points": points.collect::<Vec<_>>()});
    call(&node.url, "PUT", POINTS, &points);
    let before = makers(&node.url);
    call(&node.url, "PUT", "/collections/d", &body);
    nats.publish("doppel.log", "no message of doppel's");
    answers(&node.url, "/readyz", 503);
    let backup = dir.path().join("all.doppel");
    done(&doppel(
        None,
        &["backup", text(&backup), "--url", &node.url],
    ));
    node.stop();
    let begin = |stream: &str, file: &Path| {
        let begin = ["restore", text(file), "--begin-log"];
        done(&doppel(Some((&place, stream)), &begin));
    };
    begin("second", &backup);
    for shard in 0..2 {
        let file = dir.path().join(format!("shard-{shard}.doppel"));
        let folder = place.dir.join("shards").join(shard.to_string());
        // With a log that is another's, and with its own.
        let stream = ["doppel", "doppel-shard-1"][shard];
        done(&doppel(
            Some((&place, stream)),
            &["backup", text(&file), "--data-dir", text(&folder)],
        ));
        assert!(
            !folder.join("shards").exists(),
            "one folder, and nothing in it"
        );
        begin(&format!("second-shard-{shard}"), &file);
    }
    place.dir = node::dir(dir.path(), 1);
    place.more.push("nats.stream=second".to_owned());
    let node = Node::ready(&place);
    // Before its parts have been taken over.
    call(&node.url, "DELETE", "/collections/d", &json!({}));
    assert!(parts(&node.url).iter().all(|of| of.len() == 1));
    let count =
        || call(&node.url, "POST", "/collections/c/points/count", &json!({}))["count"].clone();
    assert_eq!(count(), 30);
    call(
        &node.url,
        "PUT",
        POINTS,
        &json!({"points": [{"id": 99, "vector": [9, 9, 9, 9]}]}),
    );
    assert_eq!(count(), 31);
    // The parts are taken over a moment after the start.
    let until = Instant::now() + Duration::from_secs(60);
    while makers(&node.url)
        .iter()
        .zip(&before)
        .any(|(now, before)| now == before)
    {
        assert!(
            Instant::now() < until,
            "the parts stay those of the old log"
        );
    }
    let started = Instant::now();
    call(&node.url, "DELETE", "/collections/c", &json!({}));
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "its parts are gone"
    );
}

#[test]
fn a_node_that_is_killed_and_whose_stream_is_lost_has_all_it_had_applied_in_its_folder() {
    let Some(mut nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut place = alone(&nats, dir.path(), &[]);
    // No checkpoint has it.
    place.more.push("checkpoint.interval_s=86400".to_owned());
    let mut node = Node::ready(&place);
    let call = |method: &str, path: &str, body: &Value| {
        let answer = Client::new(60).call(method, &node.url, path, Some(body), None);
        let (status, _, said) = answer.unwrap();
        assert_eq!(status, 200, "{said}");
    };
    let body = json!({"vectors": {"size": 4, "distance": "Euclid"}});
    call("PUT", "/collections/c", &body);
    for id in 0..20 {
        let point = json!({"points": [{"id": id, "vector": [id, 0, 0, 1]}]});
        call("PUT", POINTS, &point);
    }
    node.kill();
    nats.kill(0);
    std::fs::remove_dir_all(nats.dir().join("n0")).unwrap();
    let folder = text(&place.dir).to_owned();
    let told = done(&doppel(None, &["verify", "--data-dir", &folder]));
    assert!(
        told.contains("`c`: 20 points") && told.contains("everything is whole"),
        "{told}"
    );
    let backup = dir.path().join("all.doppel");
    done(&doppel(
        None,
        &["backup", text(&backup), "--data-dir", &folder],
    ));
    let again = doppel(None, &["backup", text(&backup), "--data-dir", &folder]);
    assert!(!again.status.success());
    nats.restart(0);
    nats.wait_healthy();
    let begin = ["restore", text(&backup), "--begin-log"];
    done(&doppel(Some((&place, "second")), &begin));
    place.dir = node::dir(dir.path(), 1);
    place.more.push("nats.stream=second".to_owned());
    let node = Node::ready(&place);
    let count = Client::new(60).call(
        "POST",
        &node.url,
        "/collections/c/points/count",
        Some(&json!({})),
        None,
    );
    assert_eq!(count.unwrap().2["result"]["count"], 20);
}
