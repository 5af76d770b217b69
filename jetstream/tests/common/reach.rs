//! How a test reaches a log on its servers, as a node and as an operator.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self as nats_jetstream, Context, stream::Config};
use jetstream::{Access, Checkpoint, Checkpoints, Settings};

use crate::common::Nats;

/// A log that is kept on all these servers.
pub(crate) fn settings(nats: &Nats, stream: &str) -> Settings {
    Settings {
        servers: nats.urls(),
        stream: stream.to_owned(),
        replicas: nats.count(),
        monitors: nats.monitors(),
        lazy_sync: false,
        checkpoints: None,
        access: Access::default(),
    }
}

/// Waits for what servers and nodes do by themselves; a minute is more than it takes.
#[allow(dead_code, reason = "not every test waits")]
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what} in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Has an operator do something.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn operator<T>(nats: &Nats, work: impl AsyncFnOnce(Context) -> T) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        let client = async_nats::connect(nats.urls()[0].clone()).await.unwrap();
        work(nats_jetstream::new(client)).await
    })
}

/// Has an operator change the settings of a stream.
#[allow(dead_code, reason = "not every test changes some")]
pub(crate) fn change(nats: &Nats, stream: &str, change: impl Fn(&mut Config)) {
    operator(nats, async |context| {
        let there = context.get_stream(stream).await.unwrap();
        let mut config = there.cached_info().config.clone();
        change(&mut config);
        context.update_stream(config).await.unwrap();
    });
}

/// Whether servers know a stream.
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn is_there(nats: &Nats, stream: &str) -> bool {
    operator(nats, async |context| {
        context.get_stream(stream).await.is_ok()
    })
}

/// What is said of a checkpoint, and its bytes.
#[allow(dead_code, reason = "not every test has one")]
pub(crate) fn fetched(store: &Checkpoints, which: &Checkpoint) -> (String, Vec<u8>) {
    let mut all = Vec::new();
    let mut take = |bytes: &[u8]| {
        all.extend(bytes);
        Ok(())
    };
    let about = store.fetch(which, &mut take).unwrap();
    (about, all)
}
