//! HTTPS with certificates that are made for the test.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;
use crate::replicas::nats::{ALWAYS, Nats};

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use server::Running;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// An authority and where it puts what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
            dir: dir.to_owned(),
        }
    }

    /// Certificate and key for this machine, as PEM.
    fn signs(&self) -> (String, String) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// Puts a fresh certificate where the server looks.
    fn puts(&self) {
        let (cert, key) = self.signs();
        fs::write(self.dir.join("cert.pem"), cert).unwrap();
        fs::write(self.dir.join("key.pem"), key).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    /// A client that trusts this authority alone.
    fn client(&self, shows: Option<(String, String)>) -> Agent {
        let root = Certificate::from_pem(self.pem.as_bytes()).unwrap();
        let roots = RootCerts::Specific(Arc::new(vec![root.to_owned()]));
        let shows = shows.map(|(cert, key)| {
            let cert = Certificate::from_pem(cert.as_bytes()).unwrap().to_owned();
            ClientCert::new_with_certs(&[cert], PrivateKey::from_pem(key.as_bytes()).unwrap())
        });
        let tls = TlsConfig::builder().root_certs(roots).client_cert(shows);
        Agent::config_builder()
            .tls_config(tls.build())
            .build()
            .new_agent()
    }
}

fn start(dir: &Path, settings: &[(&'static str, &str)]) -> Running {
    let running = server::start_with(common::config(dir, settings), common::fake()).unwrap();
    running.wait_ready().unwrap();
    running
}

fn asks(client: &Agent, running: &Running) -> Result<u16, ureq::Error> {
    let answer = client.get(format!("{}readyz", running.url())).call()?;
    Ok(answer.status().as_u16())
}

#[test]
fn it_answers_those_who_trust_its_certificate_and_takes_a_new_one_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = [(); 2].map(|()| Authority::new(dir.path()));
    first.puts();
    let (cert, key) = (first.path("cert.pem"), first.path("key.pem"));
    let running = start(dir.path(), &[("tls.cert", &cert), ("tls.key", &key)]);
    assert!(running.url().starts_with("https://127.0.0.1:"));
    assert_eq!(asks(&first.client(None), &running).unwrap(), 200);
    assert!(asks(&second.client(None), &running).is_err());
    let plain = format!("http://{}/readyz", running.addr());
    assert!(ureq::get(plain).call().is_err());

    // A key that is not the certificate's changes nothing.
    fs::write(&key, second.signs().1).unwrap();
    assert!(
        running
            .reload()
            .unwrap_err()
            .to_string()
            .contains("key.pem")
    );
    assert_eq!(asks(&first.client(None), &running).unwrap(), 200);
    second.puts();
    running.reload().unwrap();
    assert_eq!(asks(&second.client(None), &running).unwrap(), 200);
    assert!(asks(&first.client(None), &running).is_err());
    running.stop().unwrap();
}

#[test]
fn who_shows_no_certificate_of_the_authorities_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let [ours, others] = [(); 2].map(|()| Authority::new(dir.path()));
    ours.puts();
    fs::write(ours.path("ca.pem"), &ours.pem).unwrap();
    let files = ["cert.pem", "key.pem", "ca.pem"].map(|name| ours.path(name));
    let settings = [
        ("tls.cert", files[0].as_str()),
        ("tls.key", files[1].as_str()),
        ("tls.client_ca", files[2].as_str()),
    ];
    let running = start(dir.path(), &settings);
    assert_eq!(
        asks(&ours.client(Some(ours.signs())), &running).unwrap(),
        200
    );
    assert!(asks(&ours.client(None), &running).is_err());
    assert!(asks(&ours.client(Some(others.signs())), &running).is_err());

    // What is no authority changes nothing; another one is that from then on.
    fs::write(ours.path("ca.pem"), "").unwrap();
    let refused = running.reload().unwrap_err().to_string();
    assert!(refused.contains("ca.pem"), "{refused}");
    assert!(asks(&ours.client(Some(ours.signs())), &running).is_ok());
    fs::write(ours.path("ca.pem"), &others.pem).unwrap();
    running.reload().unwrap();
    assert!(asks(&ours.client(Some(others.signs())), &running).is_ok());
    assert!(asks(&ours.client(Some(ours.signs())), &running).is_err());
    running.stop().unwrap();
}

#[test]
fn what_keeps_a_client_from_a_server_has_an_entry_in_the_manual_under_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path());
    ours.puts();
    fs::write(ours.path("ca.pem"), &ours.pem).unwrap();
    let files = ["cert.pem", "key.pem", "ca.pem"].map(|name| ours.path(name));
    let settings = [("tls.cert", &*files[0]), ("tls.key", &files[1])];
    let manual = include_str!("../../../docs/OPERATIONS.md");
    let expect = |said: ureq::Error, words: &str| {
        let said = said.to_string();
        assert!(said.contains(words), "{words}: {said}");
        assert!(manual.contains(words), "{words}");
    };
    let running = start(dir.path(), &settings);
    let asked = ureq::get(format!("{}readyz", running.url())).call();
    expect(asked.unwrap_err(), "UnknownIssuer");
    let plain = format!("http://{}/readyz", running.addr());
    expect(ureq::get(plain).call().unwrap_err(), "invalid HTTP version");
    let name = vec!["faces.example".to_owned()];
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(name).unwrap();
    let cert = params.signed_by(&key, &ours.issuer).unwrap();
    fs::write(&files[0], cert.pem()).unwrap();
    fs::write(&files[1], key.serialize_pem()).unwrap();
    running.reload().unwrap();
    let words = "certificate not valid for name";
    expect(asks(&ours.client(None), &running).unwrap_err(), words);
    // An authority's own, shown as the server's.
    fs::write(&files[0], &ours.pem).unwrap();
    fs::write(&files[1], ours.issuer.key().serialize_pem()).unwrap();
    running.reload().unwrap();
    let words = "CaUsedAsEndEntity";
    expect(asks(&ours.client(None), &running).unwrap_err(), words);
    running.stop().unwrap();

    ours.puts();
    let asked = [&settings[..], &[("tls.client_ca", &*files[2])]].concat();
    let running = start(dir.path(), &asked);
    expect(
        asks(&ours.client(None), &running).unwrap_err(),
        "CertificateRequired",
    );
    running.stop().unwrap();
    let running = start(dir.path(), &[]);
    let secret = format!("https://{}/readyz", running.addr());
    let said = ours.client(None).get(secret).call().unwrap_err();
    expect(said, "InvalidContentType");
    running.stop().unwrap();
}

#[test]
fn nodes_of_shards_trust_their_authority_alone_and_show_it_their_certificates() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (urls, monitors) = (nats.urls().join(","), nats.monitors().join(","));
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [ours, others] = [&dirs[0], &dirs[1]].map(|dir| Authority::new(dir.path()));
    ours.puts();
    for (name, authority) in [("ca.pem", &ours), ("others.pem", &others)] {
        fs::write(ours.path(name), &authority.pem).unwrap();
    }
    let files = ["cert.pem", "key.pem", "ca.pem", "others.pem"].map(|name| ours.path(name));
    let node = |dir: &Path, serves: &str, trusts: &str| {
        let settings = [
            ("tls.cert", files[0].as_str()),
            ("tls.key", files[1].as_str()),
            ("tls.client_ca", files[2].as_str()),
            ("nats.servers", urls.as_str()),
            ("nats.monitors", monitors.as_str()),
            ("nats.replicas", "1"),
            ("nats.shards", "2"),
            ("nats.serve_shards", serves),
            ("nats.node_key", "the-key-between-nodes"),
            ("nats.node_ca", trusts),
        ];
        start(dir, &settings)
    };
    let first = node(dirs[0].path(), "0", &files[2]);
    let second = node(dirs[1].path(), "1", &files[3]);
    let client = ours.client(Some(ours.signs()));
    let send = |running: &Running, method: &str, path: &str, body: &str| {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", running.url()))
            .header("content-type", "application/json");
        client.run(request.body(body.to_owned()).unwrap()).is_ok()
    };
    let made = r#"{"vectors": {"size": 2, "distance": "Dot"}, "shards": 2}"#;
    common::until(|| send(&first, "PUT", "collections/c", made));
    let count = |running: &Running| send(running, "POST", "collections/c/points/count", "{}");
    assert!(count(&first));
    // The other node knows who serves the shard, and does not trust it.
    assert!(!count(&second));
    first.stop().unwrap();
    second.stop().unwrap();
}

#[test]
fn files_that_do_not_fit_stop_the_start_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path());
    ours.puts();
    let (cert, key) = (ours.path("cert.pem"), ours.path("key.pem"));
    let empty = ours.path("empty.pem");
    fs::write(&empty, "").unwrap();
    let absent = ours.path("absent.pem");
    for (cert, key, told) in [
        (&absent, &key, "absent.pem"),
        (&empty, &key, "empty.pem"),
        (&cert, &empty, "empty.pem"),
        (&cert, &cert, "cert.pem"),
    ] {
        let config = common::config(dir.path(), &[("tls.cert", cert), ("tls.key", key)]);
        let failed = server::start(config).err().unwrap().to_string();
        assert!(failed.contains("TLS") && failed.contains(told), "{failed}");
    }
}

/// The server that keeps faces shows its certificate to the one that looks at photos.
#[test]
fn a_remote_embedder_that_wants_a_certificate_of_its_own_authority_is_shown_one() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ours = Authority::new(dirs[0].path());
    ours.puts();
    fs::write(ours.path("ca.pem"), &ours.pem).unwrap();
    let files = ["cert.pem", "key.pem", "ca.pem"].map(|name| ours.path(name));
    let [cert, key, ca] = files.each_ref().map(String::as_str);
    let settings = [("tls.cert", cert), ("tls.key", key), ("tls.client_ca", ca)];
    let far = start(dirs[0].path(), &settings);
    let url = far.url();
    let keeping = |more: &[(&'static str, &str)]| {
        let settings = [&[("embedding.remote_url", url.as_str())], more].concat();
        let config = common::config(dirs[1].path(), &settings);
        server::start(config)
    };
    let trusts = ("embedding.remote_ca", ca);
    let shows = [
        ("embedding.remote_cert", cert),
        ("embedding.remote_cert_key", key),
    ];
    let loaded = |running: &Running| {
        running.wait_ready().unwrap();
        let models = ureq::get(format!("{}faces/models", running.url())).call();
        models
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap()
            .contains("fake-128")
    };
    for (more, is_let_in) in [
        (&[trusts, shows[0], shows[1]][..], true),
        (&[trusts], false),
        (&shows, false),
    ] {
        let near = keeping(more).unwrap();
        // The far one is asked beside the start.
        match is_let_in {
            true => common::until(|| loaded(&near)),
            false => std::thread::sleep(std::time::Duration::from_millis(500)),
        }
        assert_eq!(loaded(&near), is_let_in, "{more:?}");
        near.stop().unwrap();
    }
    let other = Authority::new(dirs[1].path()).signs().1;
    fs::write(ours.path("other.pem"), other).unwrap();
    let other = ours.path("other.pem");
    let refused = keeping(&[shows[0], ("embedding.remote_cert_key", &other)]);
    let refused = refused.err().unwrap().to_string();
    assert!(
        refused.contains("TLS") && refused.contains("other.pem"),
        "{refused}"
    );
    far.stop().unwrap();
}
