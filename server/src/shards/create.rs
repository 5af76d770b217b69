//! Making a sharded collection: an entry in the log that all share, and then its parts are waited for.

use std::time::{Duration, Instant};

use engine::CollectionSpec;
use tokio::time::sleep;

use super::ask::{Kind, shards};
use super::peer::Call;
use super::{KEY, Sharded, Shards};
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
    let lonely = (0..count).filter(|shard| own.nodes.serving(*shard).is_empty());
    let lonely: Vec<u32> = lonely.collect();
    if !lonely.is_empty() {
        return Err(Refusal::busy(format!(
            "{}: served by no node that is there, so nothing was made",
            shards(lonely.into_iter())
        )));
    }
    spec.metadata.insert(KEY.to_owned(), count.into());
    let collection = name.clone();
    app.write(move |engine| engine.create_collection(&collection, spec))
        .await?;
    let Some(sharded) = super::of(app, &name)? else {
        return Err(Refusal::conflict(format!(
            "the collection `{name}` was dropped while it was made"
        )));
    };
    own.wait_for_parts(&sharded).await
}

impl Shards {
    async fn wait_for_parts(&self, sharded: &Sharded) -> Result<(), Refusal> {
        let started = Instant::now();
        loop {
            let calls = (0..sharded.count).map(|shard| {
                let call = Call {
                    method: "GET",
                    path: format!("/collections/{}", sharded.part),
                    body: None,
                    lsn: None,
                    patience: LOOK,
                };
                (shard, call)
            });
            let answers = self.ask_all(calls.collect(), Kind::Read).await?;
            if answers.missing.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let missing = shards(answers.missing.iter().map(|(shard, _)| *shard));
                return Err(Refusal::busy(format!(
                    "the collection was made, and {missing} has not got its part yet; it will as soon \
                     as a node serves it"
                )));
            }
            sleep(AGAIN).await;
        }
    }
}
