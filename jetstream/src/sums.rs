//! What nodes say that they hold at a place in the log, in a bucket of keys and values beside the stream,
//! so that each sees what the others say. What is said is not read here.

use std::time::Duration;

use async_nats::jetstream::kv::{Config, CreateErrorKind, Store};
use async_nats::jetstream::{self, stream::StorageType};
use futures_util::StreamExt;
use storage::{Error, Lsn};
use tokio::runtime::Runtime;

use crate::checkpoints::since;
use crate::limits::SAID_FOR;
use crate::log::runtime;
use crate::settings::Settings;
use crate::{connection, limits};

/// What is said by whom.
pub struct Sums {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    store: Store,
}

impl Sums {
    /// Connects, and finds or makes the bucket.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let runtime = runtime("sums")?;
        let opened = runtime.block_on(async {
            let mut context = jetstream::new(connection::connect(settings).await?);
            context.set_timeout(limits::ANSWER);
            let bucket = format!("{}-sums", settings.stream);
            match context.get_key_value(&bucket).await {
                Ok(store) => Ok(store),
                Err(_) => {
                    let config = Config {
                        bucket,
                        description: "what nodes of doppel hold at places in their log".into(),
                        history: 1,
                        max_age: SAID_FOR,
                        storage: StorageType::File,
                        num_replicas: settings.replicas,
                        ..Config::default()
                    };
                    let made = context.create_key_value(config).await;
                    made.map_err(|error| failed(&error))
                }
            }
        });
        Ok(Self {
            store: opened?,
            runtime: Some(runtime),
        })
    }

    fn runtime(&self) -> &Runtime {
        let runtime = self.runtime.as_ref();
        runtime.expect("it is there until this is dropped")
    }

    /// Says what a node holds at a place.
    pub fn say(&self, lsn: Lsn, node: &str, what: &str) -> Result<(), Error> {
        let key = format!("{}.{node}", lsn.0);
        let put = self.store.put(key, what.to_owned().into());
        let put = self.runtime().block_on(put);
        put.map(drop).map_err(|error| failed(&error))
    }

    /// What has been said of a place, by node. Asked without a consumer, of which there may be so many.
    pub fn said(&self, lsn: Lsn) -> Result<Vec<(String, String)>, Error> {
        let prefix = format!("{}{}.", self.store.prefix, lsn.0);
        self.runtime().block_on(async {
            let subjects = self.store.stream.info_with_subjects(format!("{prefix}>"));
            let mut subjects = subjects.await.map_err(|error| failed(&error))?;
            let mut all = Vec::new();
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(|error| failed(&error))?;
                let Some(node) = subject.strip_prefix(&prefix) else {
                    continue;
                };
                let value = self.store.get(format!("{}.{node}", lsn.0)).await;
                let value = value.map_err(|error| failed(&error))?;
                let text = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                all.extend(text.map(|text| (node.to_owned(), text)));
            }
            Ok(all)
        })
    }
}

impl Sums {
    /// Takes on a task that one node at a time does; not if another has within this time.
    pub fn claim(&self, task: &str, node: &str, within: Duration) -> Result<bool, Error> {
        self.runtime().block_on(async {
            let there = self.store.entry(task).await;
            let claimed = match there.map_err(|error| failed(&error))? {
                None => self.store.create(task, node.to_owned().into()).await,
                Some(entry) if since(entry.created.unix_timestamp()) < within => return Ok(false),
                Some(entry) => {
                    let node = node.to_owned().into();
                    let claimed = self.store.update(task, node, entry.revision).await;
                    claimed.map_err(Into::into)
                }
            };
            match claimed {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(failed(&error)),
            }
        })
    }
}

impl Drop for Sums {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Unreachable(format!("what nodes hold cannot be told or read: {error}"))
}
