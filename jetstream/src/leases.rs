//! Who is there: what each node says of itself, in a bucket of keys and values beside the stream, which
//! forgets it unless it is said again in time. What is said is not read here.

use std::time::Duration;

use async_nats::jetstream::kv::{Config, Store};
use async_nats::jetstream::{self, stream::StorageType};
use futures_util::StreamExt;
use storage::Error;
use tokio::runtime::Runtime;

use crate::log::runtime;
use crate::settings::Settings;
use crate::{connection, limits};

/// What is said by those who are there.
pub struct Leases {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    store: Store,
}

impl Leases {
    /// Connects, and finds or makes the bucket, in which a lease ends after so long.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn open(settings: &Settings, lease: Duration) -> Result<Self, Error> {
        let runtime = runtime("leases")?;
        let opened = runtime.block_on(async {
            let mut context = jetstream::new(connection::connect(settings).await?);
            context.set_timeout(limits::ANSWER);
            let bucket = format!("{}-nodes", settings.stream);
            match context.get_key_value(&bucket).await {
                Ok(store) => Ok(store),
                Err(_) => {
                    let config = Config {
                        bucket,
                        description: "which nodes of doppel are there".into(),
                        history: 1,
                        max_age: lease,
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

    /// Says that a node is there, for the time of a lease.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn say(&self, node: &str, what: &str) -> Result<(), Error> {
        let put = self.store.put(node, what.to_owned().into());
        let put = self.runtime().block_on(put);
        put.map(drop).map_err(|error| failed(&error))
    }

    /// Says that it goes.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn end(&self, node: &str) -> Result<(), Error> {
        let gone = self.runtime().block_on(self.store.delete(node));
        gone.map_err(|error| failed(&error))
    }

    /// What is said now, by node. Asked without a consumer, of which there may be so many.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn all(&self) -> Result<Vec<(String, String)>, Error> {
        let prefix = self.store.prefix.clone();
        self.runtime().block_on(async {
            let subjects = self.store.stream.info_with_subjects(format!("{prefix}>"));
            let mut subjects = subjects.await.map_err(|error| failed(&error))?;
            let mut all = Vec::new();
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(|error| failed(&error))?;
                let Some(node) = subject.strip_prefix(&prefix) else {
                    continue;
                };
                let said = self.store.get(node).await.map_err(|error| failed(&error))?;
                let text = said.map(|said| String::from_utf8_lossy(&said).into_owned());
                all.extend(text.map(|text| (node.to_owned(), text)));
            }
            Ok(all)
        })
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Unreachable(format!("who is there cannot be told or read: {error}"))
}
