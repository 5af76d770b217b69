//! What nodes say that they hold at a place in the log, so that each sees what the others say.

use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Operation};
use storage::{Error, Lsn};

use crate::bucket::{Bucket, Purpose};
use crate::limits::SAID_FOR;
use crate::settings::Settings;
use crate::store::since;

/// What is said by whom.
pub struct Sums(Bucket);

impl Sums {
    /// Connects, and finds or makes the bucket.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let purpose = Purpose {
            name: "sums",
            description: "what nodes of doppel hold at places in their log",
            what: "what nodes hold",
            kept: SAID_FOR,
        };
        Bucket::open(settings, &purpose).map(Self)
    }

    /// Says what a node holds at a place.
    pub fn say(&self, lsn: Lsn, node: &str, what: &str) -> Result<(), Error> {
        self.0.say(&format!("{}.{node}", lsn.0), what)
    }

    /// What has been said of a place, by node.
    pub fn said(&self, lsn: Lsn) -> Result<Vec<(String, String)>, Error> {
        self.0.said(&format!("{}.", lsn.0))
    }

    /// Takes on a task that one node at a time does; not if another has within this time.
    pub fn claim(&self, task: &str, node: &str, within: Duration) -> Result<bool, Error> {
        let store = self.0.store();
        self.0.wait(async {
            let there = store.entry(task).await;
            let there = there.map_err(|error| self.0.failed(&error))?;
            let there = there.filter(|entry| entry.operation == Operation::Put);
            let claimed = match there {
                None => store.create(task, node.to_owned().into()).await,
                Some(entry) if since(entry.created.unix_timestamp()) < within => return Ok(false),
                Some(entry) => {
                    let node = node.to_owned().into();
                    let claimed = store.update(task, node, entry.revision).await;
                    claimed.map_err(Into::into)
                }
            };
            match claimed {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(self.0.failed(&error)),
            }
        })
    }

    /// Gives a task back that this node has taken on and not done, so that another may at once.
    pub fn give_back(&self, task: &str, node: &str) -> Result<(), Error> {
        let store = self.0.store();
        self.0.wait(async {
            let there = store.entry(task).await;
            let there = there.map_err(|error| self.0.failed(&error))?;
            let own = there.filter(|entry| entry.value.as_ref() == node.as_bytes());
            let Some(entry) = own else {
                return Ok(());
            };
            let gone = store.delete_expect_revision(task, Some(entry.revision));
            gone.await.map_err(|error| self.0.failed(&error))
        })
    }
}
