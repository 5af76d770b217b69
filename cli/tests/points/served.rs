//! A server of this process, and `doppel` run against it.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use config::{Config, Flag, Sources};
use embedder::FakeEmbedder;
use serde_json::Value;
use server::{Embedding, Factory};

use super::common::doppel;

/// The report that a command prints.
pub(crate) fn report(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{complaint}"))
}

/// A server of this process, with the stand-in for the models.
pub(crate) fn real_server(dir: &Path) -> server::Running {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let flags = vec![
        Flag::new("test", "data_dir", at("data")),
        Flag::new("test", "models_dir", at("models")),
        Flag::new("test", "models.install_on_start", "false"),
        Flag::new("test", "listen", "127.0.0.1:0"),
    ];
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let factory: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new())));
    let config = Config::load(&sources).unwrap();
    let running = server::start_with(config, Embedding::Made(vec![factory])).unwrap();
    running.wait_ready().unwrap();
    running
}

/// What a command that succeeds prints.
pub(crate) fn told(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs `doppel` against a server.
pub(crate) fn run(server: &server::Running, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.addr());
    doppel(&[("DOPPEL_URL", &url)], arguments)
}
