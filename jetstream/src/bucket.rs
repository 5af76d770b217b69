//! A bucket of keys and values beside the stream, in which nodes say things to each other and which
//! forgets them after a while. What is said is not read here.

use std::fmt::Display;
use std::time::Duration;

use async_nats::jetstream::kv::{Config, Store};
use async_nats::jetstream::{self, stream::StorageType};
use futures_util::StreamExt;
use storage::Error;
use tokio::runtime::Runtime;

use crate::log::runtime;
use crate::settings::Settings;
use crate::{connection, limits, stream};

/// What a bucket is for.
pub(crate) struct Purpose {
    /// What its name ends with; the stream's goes before.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    /// What cannot be told or read while no server answers.
    pub(crate) what: &'static str,
    /// How long it keeps what was said.
    pub(crate) kept: Duration,
}

pub(crate) struct Bucket {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    store: Store,
    what: &'static str,
}

impl Bucket {
    /// Connects, and finds or makes it.
    pub(crate) fn open(settings: &Settings, purpose: &Purpose) -> Result<Self, Error> {
        let runtime = runtime(purpose.name)?;
        let opened = runtime.block_on(async {
            let mut context = jetstream::new(connection::connect(settings).await?);
            context.set_timeout(limits::ANSWER);
            let bucket = format!("{}-{}", settings.stream, purpose.name);
            stream::patiently(async || match context.get_key_value(&bucket).await {
                Ok(store) => Ok(store),
                Err(_) => {
                    let config = Config {
                        bucket: bucket.clone(),
                        description: purpose.description.into(),
                        history: 1,
                        max_age: purpose.kept,
                        storage: StorageType::File,
                        num_replicas: settings.replicas,
                        ..Config::default()
                    };
                    let made = context.create_key_value(config).await;
                    made.map_err(|error| failed(purpose.what, &error))
                }
            })
            .await
        });
        let store = opened?;
        stream::check_beside(&store.stream.cached_info().config, settings, purpose.kept)?;
        Ok(Self {
            store,
            runtime: Some(runtime),
            what: purpose.what,
        })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Waits for what is asked of the store.
    pub(crate) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref();
        let runtime = runtime.expect("it is there until this is dropped");
        runtime.block_on(asked)
    }

    pub(crate) fn failed(&self, error: &dyn Display) -> Error {
        failed(self.what, error)
    }

    pub(crate) fn say(&self, key: &str, text: &str) -> Result<(), Error> {
        let put = self.wait(self.store.put(key, text.to_owned().into()));
        put.map(drop).map_err(|error| self.failed(&error))
    }

    /// What is said by whom, under keys that begin so; the rest of each key and what stands there. Asked
    /// without a consumer, of which there may be so many.
    pub(crate) fn said(&self, begin: &str) -> Result<Vec<(String, String)>, Error> {
        let prefix = format!("{}{begin}", self.store.prefix);
        self.wait(async {
            let subjects = self.store.stream.info_with_subjects(format!("{prefix}>"));
            let mut subjects = subjects.await.map_err(|error| self.failed(&error))?;
            let mut all = Vec::new();
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(|error| self.failed(&error))?;
                let Some(rest) = subject.strip_prefix(&prefix) else {
                    continue;
                };
                let value = self.store.get(format!("{begin}{rest}")).await;
                let value = value.map_err(|error| self.failed(&error))?;
                let text = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                all.extend(text.map(|text| (rest.to_owned(), text)));
            }
            Ok(all)
        })
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn failed(what: &str, error: &dyn Display) -> Error {
    Error::Unreachable(format!("{what} cannot be told or read: {error}"))
}
