//! Who is who: TLS both ways and a password; who lacks them is refused, and told why.

mod common;

use std::fs;

use ::jetstream::{Access, JetStreamLog, Settings};
use common::{ALWAYS, Nats};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use storage::Log;

#[test]
fn certificates_and_a_password_are_asked_for_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for who in ["server", "node"] {
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let signed = names.signed_by(&key, &issuer).unwrap();
        fs::write(path(&format!("{who}.pem")), signed.pem()).unwrap();
        fs::write(path(&format!("{who}.key")), key.serialize_pem()).unwrap();
    }
    let more = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}\n\
         authorization {{ user: doppel, password: correct-horse }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let Some(nats) = Nats::start_with(1, ALWAYS, &more) else {
        return;
    };
    let fitting = Settings {
        servers: vec![nats.urls()[0].replace("nats://", "tls://")],
        stream: "secret".to_owned(),
        replicas: 1,
        monitors: nats.monitors(),
        lazy_sync: false,
        access: Access {
            credentials: None,
            user: Some(("doppel".to_owned(), "correct-horse".to_owned())),
            ca: Some(path("ca.pem")),
            certificate: Some((path("node.pem"), path("node.key"))),
        },
    };
    let mut log = JetStreamLog::open(&fitting).unwrap();
    log.append(&[b"secret".to_vec()]).unwrap();
    let told = format!("{fitting:?}");
    assert!(!told.contains("correct-horse"), "{told}");
    let mut wrong = fitting;
    wrong.access.user = Some(("doppel".to_owned(), "battery-staple".to_owned()));
    let refused = JetStreamLog::open(&wrong).err().unwrap().to_string();
    assert!(refused.contains("refuse this node"), "{refused}");
}
