//! Who is who: TLS both ways and a password; who lacks them is refused, and told why.

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::jetstream::{Access, Before, JetStreamLog, Settings, Waits};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ALWAYS, Nats};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reach::settings;
use serde_json::{Value, json};
use storage::{Error, Log};

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
        access: Access {
            credentials: None,
            user: Some(("doppel".to_owned(), "correct-horse".to_owned())),
            ca: Some(path("ca.pem")),
            certificate: Some((path("node.pem"), path("node.key"))),
        },
        ..settings(&nats, "secret")
    };
    let mut log = JetStreamLog::open(&fitting).unwrap();
    log.append(&[b"secret".to_vec()]).unwrap();
    let told = format!("{fitting:?}");
    assert!(!told.contains("correct-horse"), "{told}");
    let told = |settings: &Settings| {
        let started = Instant::now();
        let refused = JetStreamLog::open(settings).err().unwrap().to_string();
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "told late: {refused}"
        );
        refused
    };
    // Another authority, no certificate of one's own, one that is none, and one that is not there.
    let key = KeyPair::generate().unwrap();
    let other = CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&key);
    fs::write(path("other.pem"), other.unwrap().pem()).unwrap();
    fs::write(path("none.pem"), "none").unwrap();
    let with = |change: &dyn Fn(&mut Access)| {
        let mut settings = fitting.clone();
        change(&mut settings.access);
        settings
    };
    for ca in ["other.pem", "none.pem", "missing.pem"] {
        let refused = told(&with(&|it| it.ca = Some(path(ca))));
        assert!(
            refused.contains("TLS") && refused.contains("nats.ca"),
            "{ca}: {refused}"
        );
    }
    let refused = told(&with(&|it| it.certificate = None));
    assert!(refused.contains("TLS"), "{refused}");
    let mut wrong = fitting;
    wrong.access.user = Some(("doppel".to_owned(), "battery-staple".to_owned()));
    let refused = told(&wrong);
    assert!(refused.contains("refuse this node"), "{refused}");
    assert!(!refused.contains("battery-staple"), "{refused}");
}

#[test]
fn servers_that_speak_no_tls_are_refused_by_who_was_given_an_authority() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(Vec::new()).unwrap();
    fs::write(&ca, own.self_signed(&key).unwrap().pem()).unwrap();
    let plain = Settings {
        access: Access {
            ca: Some(ca),
            ..Access::default()
        },
        ..settings(&nats, "plain")
    };
    let refused = JetStreamLog::open(&plain).err().unwrap().to_string();
    assert!(refused.contains("TLS"), "{refused}");
}

/// Claims that a key has signed, as servers of NATS read them.
fn signed(by: &nkeys::KeyPair, subject: &str, nats: &Value) -> String {
    let claims = json!({
        "jti": subject, "iat": 1_700_000_000, "iss": by.public_key(), "name": "doppel", "sub": subject, "nats": nats,
    });
    let head = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let [head, claims] = [head, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
    let text = format!("{head}.{claims}");
    let signature = by.sign(text.as_bytes()).expect("a key signs");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_file_of_credentials_is_shown_to_servers_that_know_accounts_only() {
    let operator = nkeys::KeyPair::new_operator();
    let (account, system) = (nkeys::KeyPair::new_account(), nkeys::KeyPair::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_accounts = json!({"type": "account", "version": 2, "limits": limits});
    let plain = json!({"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1, "leaf": -1});
    let of_system = json!({"type": "account", "version": 2, "limits": plain});
    let more = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        signed(
            &operator,
            &operator.public_key(),
            &json!({"type": "operator", "version": 2})
        ),
        system.public_key(),
        account.public_key(),
        signed(&operator, &account.public_key(), &of_accounts),
        system.public_key(),
        signed(&operator, &system.public_key(), &of_system),
    );
    let Some(nats) = Nats::start_with(1, ALWAYS, &more) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let credentials = |name: &str, by: &nkeys::KeyPair| {
        let user = nkeys::KeyPair::new_user();
        let nats = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            signed(by, &user.public_key(), &nats),
            user.seed().unwrap(),
        );
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let shown = |path| Settings {
        access: Access {
            credentials: Some(path),
            ..Access::default()
        },
        ..settings(&nats, "accounts")
    };
    let mut log = JetStreamLog::open(&shown(credentials("ours.creds", &account))).unwrap();
    log.append(&[b"of the account".to_vec()]).unwrap();
    let stranger = credentials("theirs.creds", &nkeys::KeyPair::new_account());
    let refused = JetStreamLog::open(&shown(stranger))
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("refuse this node"), "{refused}");
}

#[test]
fn who_may_not_write_to_the_stream_or_look_for_it_is_told_so() {
    let more = "authorization { users: [\
                { user: writer, password: correct-horse, permissions: { publish: [\"$JS.API.>\", \"rights.>\"], subscribe: \"_INBOX.>\" } }, \
                { user: reader, password: correct-horse, permissions: { publish: [\"$JS.API.>\"], subscribe: \"_INBOX.>\" } }, \
                { user: nobody, password: correct-horse, permissions: { publish: [\"rights.>\"], subscribe: \"_INBOX.>\" } }] }";
    let Some(nats) = Nats::start_with(1, ALWAYS, more) else {
        return;
    };
    let of = |user: &str| Settings {
        access: Access {
            user: Some((user.to_owned(), "correct-horse".to_owned())),
            ..Access::default()
        },
        ..settings(&nats, "rights")
    };
    let mut writer = JetStreamLog::open(&of("writer")).unwrap();
    writer.append(&[b"one".to_vec()]).unwrap();
    let mut reader = JetStreamLog::open(&of("reader")).unwrap();
    let started = Instant::now();
    let told = reader.append(&[b"two".to_vec()]).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(6), "{told}");
    assert!(
        matches!(told, Error::Refused { is_full: false, .. })
            && told
                .to_string()
                .to_lowercase()
                .contains("permissions violation"),
        "{told}"
    );
    let told = Mutex::new(String::new());
    let fails = |error: &Error| *told.lock().unwrap() = error.to_string();
    let waits = Waits {
        asks: &|_| (),
        fails: &fails,
    };
    let refused = JetStreamLog::open_telling(&of("nobody"), Before::Nothing, waits);
    let told = told.into_inner().unwrap().to_lowercase();
    assert!(told.contains("permissions violation"), "{told}");
    let refused = refused.err().unwrap().to_string().to_lowercase();
    assert!(refused.contains("permissions violation"), "{refused}");
}
