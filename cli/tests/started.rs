//! A server as its operator starts it: what it does when it is told something, whom it lets in, and who
//! may read what it writes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{code, command, complaint, doppel, text};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

struct Started {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    said: PathBuf,
}

impl Started {
    fn new(dir: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = command(
            variables,
            &["serve", "--listen", "127.0.0.1:0", "--no-install"],
        );
        let said = dir.join("said");
        let mut child = command
            .arg("--data-dir")
            .arg(dir.join("data"))
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, said }
    }

    /// Where it answers, once it does.
    fn url(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ");
        url.unwrap().trim_end_matches('/').to_owned()
    }

    fn told(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status();
        assert!(told.unwrap().success());
    }

    fn has_said(&self, what: &str) -> bool {
        fs::read_to_string(&self.said).unwrap().contains(what)
    }

    /// Whether it has said what it does about a signal (`SigCgt`, proc(5)).
    fn catches(&self, signal: u32) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
        caught & 1 << (signal - 1) != 0
    }

    fn ended(&mut self) -> Option<i32> {
        self.told("-TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "a minute was not enough");
        std::thread::yield_now();
    }
}

#[test]
fn sighup_without_tls_says_that_there_is_nothing_to_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Started::new(dir.path(), &[]);
    server.url();
    server.told("-HUP");
    until(|| server.has_said("nothing to read again"));
    assert_eq!(server.ended(), Some(0));
}

/// Its settings come through a pipe, so that it stays where it reads them.
#[test]
fn sighup_before_the_settings_are_read_does_not_end_it_and_sigterm_is_heard_later() {
    const HANG_UP: u32 = 1;
    for signals in [&["-HUP"][..], &["-HUP", "-TERM"]] {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("settings.toml");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let variables = [("DOPPEL_CONFIG", pipe.to_str().unwrap())];
        let mut server = Started::new(dir.path(), &variables);
        until(|| server.catches(HANG_UP));
        signals.iter().for_each(|signal| server.told(signal));
        fs::write(&pipe, "[server]\nworkers = 1\n").unwrap();
        server.url();
        until(|| server.has_said("nothing to read again") || signals.len() > 1);
        if signals.len() == 1 {
            server.told("-TERM");
        }
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
}

/// As a folder made by hand is where nobody has said otherwise.
#[test]
fn what_a_server_writes_can_be_read_by_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("trail");
    let variables = [("DOPPEL_AUDIT__DIR", trail.to_str().unwrap())];
    let mut server = Started::new(dir.path(), &variables);
    let url = server.url();
    until(|| ureq::get(format!("{url}/readyz")).call().is_ok());
    let vectors = r#"{"vectors": {"size": 2, "distance": "Dot"}}"#;
    let put = |path: &str, body: &str| {
        let request = ureq::put(format!("{url}{path}")).content_type("application/json");
        request.send(body).unwrap();
    };
    put("/collections/v", vectors);
    put(
        "/collections/v/points?wait=true",
        r#"{"points": [{"id": 1, "vector": [1, 2]}]}"#,
    );
    let file = dir.path().join("all.doppel");
    let backup = doppel(&[("DOPPEL_URL", &url)], &["backup", file.to_str().unwrap()]);
    assert_eq!(code(&backup), 0, "{}", complaint(&backup));
    assert_eq!(server.ended(), Some(0));
    let mut looked = 0;
    let mut folders = vec![dir.path().join("data"), trail];
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if folder.ends_with("tables") => {}
                true => folders.push(path),
                // sled's own lie in a folder that is closed.
                false if folder.ends_with("tables") => {}
                false => assert_eq!(mode(&path), 0o600, "{}", path.display()),
            }
            looked += 1;
        }
    }
    assert!(looked > 8, "{looked}");
}

/// Puts an authority, and a certificate with its key, into a folder, and says where.
fn authority(dir: &Path) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap().pem();
    [("ca", ca), ("cert", cert), ("key", key.serialize_pem())].map(|(name, pem)| {
        let path = dir.join(format!("{name}.pem"));
        fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn commands_show_a_certificate_to_a_server_that_asks_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let [ca, cert, key] = authority(dir.path());
    let variables = [
        ("DOPPEL_TLS__CERT", cert.as_str()),
        ("DOPPEL_TLS__KEY", &key),
        ("DOPPEL_TLS__CLIENT_CA", &ca),
    ];
    let mut server = Started::new(dir.path(), &variables);
    let url = server.url();
    assert!(url.starts_with("https://"));
    let shows = [
        "--url",
        &url,
        "--ca",
        &ca,
        "--client-cert",
        &cert,
        "--client-key",
        &key,
    ];
    let file = dir.path().join("all.doppel");
    let file = file.to_str().unwrap();
    for what in [
        &["admin", "checkpoint"][..],
        &["admin", "jobs"],
        &["keys", "list"],
        &["backup", file],
    ] {
        let done = doppel(&[], &[what, &shows].concat());
        assert_eq!(code(&done), 0, "{what:?}: {}", complaint(&done));
        let refused = doppel(&[], &[what, &shows[..4]].concat());
        assert_eq!(code(&refused), 1, "{what:?}: {}", text(&refused));
    }
    let variables = [
        ("DOPPEL_URL", url.as_str()),
        ("DOPPEL_CA", &ca),
        ("DOPPEL_CLIENT_CERT", &cert),
        ("DOPPEL_CLIENT_KEY", &key),
    ];
    let done = doppel(&variables, &["admin", "checkpoint"]);
    assert_eq!(code(&done), 0, "{}", complaint(&done));
    // A server of its own asks for none, and passes these variables over.
    let own = dir.path().join("own");
    let arguments = [
        "backup",
        "--data-dir",
        own.to_str().unwrap(),
        &format!("{file}.own"),
    ];
    let done = doppel(&variables[1..], &arguments);
    assert_eq!(code(&done), 0, "{}", complaint(&done));

    let half = doppel(
        &[],
        &["admin", "jobs", "--url", &url, "--client-cert", &cert],
    );
    assert_eq!(code(&half), 2, "{}", complaint(&half));
    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let wrong = doppel(&variables, &["admin", "jobs"]);
    assert_eq!(code(&wrong), 1);
    assert!(
        complaint(&wrong).contains("key.pem"),
        "{}",
        complaint(&wrong)
    );
}
