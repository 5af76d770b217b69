//! Making a sharded collection: an entry in the log that all share, and then its parts are waited for. And
//! dropping one: the entry goes, and then they are waited for to go, so that nobody writes into them who has
//! not seen that yet.

use std::time::{Duration, Instant};

use engine::CollectionSpec;
use serde_json::json;
use tokio::time::sleep;

use super::ask::{Answers, shards};
use super::parts::{MAKER, log_name};
use super::peer::{Call, Kind};
use super::{KEY, Sharded, Shards, is_there};
use crate::app::App;
use crate::refusal::Refusal;

/// How long parts are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a node may take to say whether it has a part.
const LOOK: Duration = Duration::from_secs(2);

/// Makes it. Nothing is made where a shard of it is served by nobody.
pub(crate) async fn create(
    app: &App,
    name: String,
    mut spec: CollectionSpec,
    count: u32,
) -> Result<(), Refusal> {
    let Some(own) = app.shards() else {
        return Err(Refusal::wrong(
            "`shards` takes nodes that serve shards (nats.shards), and this server has none: leave it out",
        ));
    };
    if count > own.settings.count {
        return Err(Refusal::wrong(format!(
            "`shards` is {count}, and this cluster has {} (nats.shards)",
            own.settings.count
        )));
    }
    own.wait_served(0..count).await;
    let closed: Vec<String> = (0..count).filter_map(|shard| own.closed(shard)).collect();
    if !closed.is_empty() {
        let closed = closed.join(". And ");
        return Err(Refusal::busy(format!("nothing was made, because {closed}")));
    }
    let sharded = Sharded::new(count);
    spec.metadata.insert(KEY.to_owned(), sharded.written());
    let collection = name.clone();
    app.write(move |engine| engine.create_collection(&collection, spec))
        .await?;
    let started = Instant::now();
    loop {
        let answers = own.look(&sharded, "/exists").await;
        let there = having(&answers);
        if there.len() == count as usize {
            return Ok(());
        }
        if !is_there(app, &name, &sharded)? {
            return Err(Refusal::conflict(format!(
                "the collection `{name}` was dropped while it was made"
            )));
        }
        let missing = || (0..count).filter(|shard| !there.contains(shard));
        // One that takes no writes any more gets none however long that is waited for.
        let why = missing().find_map(|shard| own.closed(shard));
        if why.is_some() || started.elapsed() > PATIENCE {
            let missing = shards(missing());
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            return Err(Refusal::busy(format!(
                "the collection was made, and {missing} has not got its part yet{why}; it will as soon \
                 as a node that takes writes serves it"
            )));
        }
        sleep(AGAIN).await;
    }
}

/// Waits until all parts of a collection that are served are of the log that all share now, if that has begun with what a
/// node had of an earlier one: once the entry is gone, those of another log are nobody's.
pub(crate) async fn adopted(app: &App, sharded: &Sharded) -> Result<(), Refusal> {
    let Some(own) = app.shards() else {
        return Ok(());
    };
    let log = app.look(|engine| engine.log_number()).await?;
    let log = json!(log_name(log));
    let started = Instant::now();
    loop {
        let answers = own.look(sharded, "").await;
        let told = answers.told.iter();
        let mut makers = told.map(|it| &it.result["config"]["metadata"][MAKER]["log"]);
        if makers.all(|maker| *maker == log) || started.elapsed() > PATIENCE {
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

/// Waits until the parts of a collection that was dropped have gone, where they are served: what is served
/// by nobody takes no writes, and loses its part as soon as it is.
pub(crate) async fn gone(app: &App, sharded: &Sharded) {
    let Some(own) = app.shards() else { return };
    let started = Instant::now();
    loop {
        let answers = own.look(sharded, "/exists").await;
        let mut left = having(&answers);
        // Who does not answer may still have it.
        let silent = answers.failed.iter().map(|it| it.shard);
        left.extend(silent.filter(|shard| !own.serving(*shard).is_empty()));
        if left.is_empty() {
            return;
        }
        if started.elapsed() > PATIENCE {
            let left = shards(left.into_iter());
            tracing::warn!(left, part = sharded.part, "what was dropped is still there");
            return;
        }
        sleep(AGAIN).await;
    }
}

impl Shards {
    /// Asks all shards about their parts.
    async fn look(&self, sharded: &Sharded, what: &str) -> Answers {
        let calls = (0..sharded.count).map(|shard| {
            let call = Call {
                method: "GET",
                path: format!("/collections/{}{what}", sharded.part),
                body: None,
                room: None,
                lsn: None,
                patience: LOOK,
            };
            (shard, call)
        });
        self.ask_all(calls.collect(), Kind::Read).await
    }
}

/// Those that have said that they do.
fn having(answers: &Answers) -> Vec<u32> {
    let told = answers.told.iter();
    let those = told.filter(|it| it.result["exists"] == true);
    those.map(|it| it.shard).collect()
}
