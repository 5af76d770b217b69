//! HTTPS with certificates that are made for the test.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

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
