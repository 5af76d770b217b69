//! Checkpoints in a bucket of S3, which nodes read from the environment how to reach: a stand-in of moto, which `cargo
//! xtask ci` installs beside the server of NATS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use ureq::Agent;

use crate::POINTS;
use crate::nats::{ALWAYS, Nats, free_ports};
use crate::node::{Client, Node, Place};

const BUCKET: &str = "doppel";

struct S3 {
    child: Child,
    port: u16,
    agent: Agent,
}

impl S3 {
    /// Nothing where there is no such program.
    fn start() -> Option<Self> {
        let nats = std::env::var_os("DOPPEL_NATS_SERVER").map(PathBuf::from)?;
        let moto = nats.with_file_name("moto_server");
        if !moto.exists() {
            eprintln!("skipped: there is no {}", moto.display());
            return None;
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build();
        let agent = agent.new_agent();
        // Another test may have taken a port that was free.
        (0..3).find_map(|_| {
            let port = free_ports(1)[0];
            let child = Command::new(&moto)
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let s3 = Self {
                child: child.unwrap(),
                port,
                agent: agent.clone(),
            };
            let until = Instant::now() + Duration::from_secs(60);
            while Instant::now() < until {
                let made = s3.agent.put(s3.url(BUCKET)).send_empty();
                if made.is_ok_and(|answer| answer.status() == 200) {
                    return Some(s3);
                }
                thread::sleep(Duration::from_millis(50));
            }
            None
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The names of the checkpoints in the bucket.
    fn names(&self) -> Vec<String> {
        let listed = self.agent.get(self.url(&format!("{BUCKET}?list-type=2")));
        let listed = listed.call().unwrap().body_mut().read_to_string().unwrap();
        let names = listed.split("<Key>").skip(1);
        let names = names.map(|rest| rest.split('<').next().unwrap_or_default().to_owned());
        names.filter(|name| !name.ends_with(".about")).collect()
    }

    fn env(&self) -> Vec<(String, String)> {
        let all = [
            ("AWS_ACCESS_KEY_ID", "nobody".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "nothing".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                self.url("").trim_end_matches('/').to_owned(),
            ),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn stop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn place(nats: &Nats, dir: &Path, n: usize, env: &[(String, String)]) -> Place {
    let more = ["nats.replicas=1", "nats.checkpoints=s3://doppel/of/faces"];
    Place {
        checkpoints_s: 2,
        more: more.map(str::to_owned).into(),
        env: env.to_vec(),
        ..Place::new(nats, dir, n, free_ports(1)[0])
    }
}

#[test]
fn a_node_begins_with_a_checkpoint_in_s3_which_outlives_the_servers_of_the_log() {
    let (Some(nats), Some(mut s3)) = (Nats::start(1, ALWAYS), S3::start()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let env = s3.env();
    let first = Node::ready(&place(&nats, dir.path(), 0, &env));
    let client = Client::new(60);
    let body = json!({"vectors": {"size": 4, "distance": "Euclid"}});
    let made = client.call("PUT", &first.url, "/collections/c", Some(&body), None);
    assert_eq!(made.unwrap().0, 200);
    let mut written = 0;
    let mut put = |url: &str| {
        let point = json!({"id": written, "vector": [written, 1, 2, 3]});
        let body = json!({"points": [point]});
        let (status, lsn, said) = client.call("PUT", url, POINTS, Some(&body), None).unwrap();
        assert_eq!(status, 200, "{said}");
        written += 1;
        lsn.unwrap()
    };
    let metric = |url: &str, name: &str| {
        let text = client.text(&format!("{url}/metrics"));
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or_default()
    };
    // Until the stream is trimmed below the older of two: who begins now cannot do without.
    let names = || s3.names();
    let mut known = Vec::new();
    until("four checkpoints, one after another", || {
        put(&first.url);
        known.extend(names());
        known.sort();
        known.dedup();
        known.len() >= 4
    });
    assert!(
        known
            .iter()
            .all(|name| name.starts_with("of/faces/doppel/"))
    );
    assert!(names().len() <= 3, "{:?}", names());
    let last = put(&first.url);
    let second = Node::ready(&place(&nats, dir.path(), 1, &env));
    let counted = |url: &str| {
        let (status, _, body) = client
            .call(
                "POST",
                url,
                "/collections/c/points/count",
                Some(&json!({})),
                Some(last),
            )
            .unwrap();
        assert_eq!(status, 200, "{body}");
        body["result"]["count"].as_u64().unwrap()
    };
    let had = counted(&first.url);
    assert_eq!(counted(&second.url), had);
    let sums = [&first.url, &second.url].map(|url| {
        let path = "/admin/collections/c/checksum";
        client.call("GET", url, path, None, Some(last)).unwrap().2["result"]["content"].clone()
    });
    assert!(sums[0].is_string() && sums[0] == sums[1], "{sums:?}");
    assert!(metric(&second.url, "doppel_log_applied_lsn") > 0.0);
    drop((first, second, nats));
    outlive(&mut s3, dir.path(), &env, had);
}

/// The servers are gone with all that was on them, of which `had` points are in the bucket at most.
fn outlive(s3: &mut S3, dir: &Path, env: &[(String, String)], had: u64) {
    let client = Client::new(60);
    let others = Nats::start(1, ALWAYS).unwrap();
    let refused = Node::refused(&place(&others, dir, 2, env));
    assert!(
        refused.contains("the log was lost")
            && refused.contains("(all that lies under s3://doppel/of/faces/doppel/)"),
        "{refused}"
    );
    // Each checkpoint is a backup, with which another log begins.
    let newest = s3.names().into_iter().max().unwrap();
    let lsn = newest.split('-').nth(1).unwrap().to_owned();
    let file = dir.join("checkpoint");
    let mut object = s3
        .agent
        .get(s3.url(&format!("{BUCKET}/{newest}")))
        .call()
        .unwrap();
    std::fs::write(&file, object.body_mut().read_to_vec().unwrap()).unwrap();
    let again = Place {
        more: [
            "nats.replicas=1",
            "nats.checkpoints=s3://doppel/of/faces",
            "nats.stream=again",
        ]
        .map(str::to_owned)
        .into(),
        ..place(&others, dir, 3, env)
    };
    Node::begin_log(&again, &file, &lsn);
    let begun = Node::ready(&again);
    let (_, seen, body) = client
        .call(
            "POST",
            &begun.url,
            "/collections/c/points/count",
            Some(&json!({})),
            None,
        )
        .unwrap();
    let there = body["result"]["count"].as_u64().unwrap();
    assert!(there > 0 && there <= had, "{there} of {had}");
    assert!(
        seen.unwrap() > lsn.parse().unwrap(),
        "behind what clients have seen"
    );
    drop(begun);
    // What is no address ends a start.
    for (address, told) in [
        ("127.0.0.1:9000", "must be an address"),
        ("http://", "must be an address"),
        ("http://127.0.0.1:9000", "AWS_ALLOW_HTTP"),
    ] {
        let wrong = [("AWS_ENDPOINT_URL".to_owned(), address.to_owned())];
        let refused = Node::refused(&place(&others, dir, 4, &wrong));
        assert!(refused.contains(told), "{address}: {refused}");
    }
    // Where it cannot be asked nothing is made either.
    s3.stop();
    let waits = Node::start(&place(&others, dir, 4, env));
    until("it is told what is waited for", || {
        let told = client.text(&format!("{}/readyz", waits.url));
        told.contains("the store of checkpoints cannot be listed")
    });
}

/// Something that answers all that it is asked with this, or takes connections and says nothing; its address.
fn answering(answer: Option<(&'static str, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                return;
            };
            let Some((status, code)) = answer else {
                open.push(connection);
                continue;
            };
            let (mut asked, mut piece) = (Vec::<u8>::new(), [0; 1 << 10]);
            while !asked.windows(4).any(|it| it == b"\r\n\r\n") {
                match connection.read(&mut piece) {
                    Ok(len @ 1..) => asked.extend(&piece[..len]),
                    _ => break,
                }
            }
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
            let len = body.len();
            let said = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {len}\r\nconnection: \
                 close\r\n\r\n{body}"
            );
            // Who has gone needs no answer.
            let _ = connection.write_all(said.as_bytes());
        }
    });
    url
}

#[test]
fn what_s3_refuses_for_good_ends_a_start_and_a_wait_for_a_role_says_that_there_are_no_keys() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let plain = named("AWS_ALLOW_HTTP", "true");
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| named(name, "wrong"));
    for (status, code, told) in [
        ("403 Forbidden", "InvalidAccessKeyId", "refuses this node"),
        ("404 Not Found", "NoSuchBucket", "has no such bucket"),
    ] {
        let endpoint = named("AWS_ENDPOINT_URL", &answering(Some((status, code))));
        let env = [&keys[..], &[endpoint, plain.clone()]].concat();
        let refused = Node::refused(&place(&nats, dir.path(), 0, &env));
        for part in [told, code, "AWS_ACCESS_KEY_ID", "`nats.checkpoints`"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(!refused.contains("may come to be"), "{refused}");
    }
    // A role may come a moment later.
    let env = [named("AWS_METADATA_ENDPOINT", &answering(None)), plain];
    let waits = Node::start(&place(&nats, dir.path(), 1, &env));
    let client = Client::new(60);
    let mut told = String::new();
    until("it is told that there are no keys", || {
        told = client.text(&format!("{}/readyz", waits.url));
        told.contains("has no AWS_ACCESS_KEY_ID")
    });
    // Before it was waited for long.
    assert!(told.contains("is asked"), "{told}");
}
