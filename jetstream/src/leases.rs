//! Who is there: what each node says of itself, which is forgotten unless it is said again in time.

use std::time::Duration;

use async_nats::jetstream::kv::CreateErrorKind;
use storage::Error;

use crate::bucket::{Bucket, Purpose};
use crate::settings::Settings;

/// What is said by those who are there.
pub struct Leases(Bucket);

impl Leases {
    /// Connects, and finds or makes the bucket, in which a lease ends after so long.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn open(settings: &Settings, lease: Duration) -> Result<Self, Error> {
        let purpose = Purpose {
            name: "nodes",
            description: "which nodes of doppel are there",
            what: "who is there",
            kept: lease,
        };
        Bucket::open(settings, &purpose).map(Self)
    }

    /// Says that a node is there, for the time of a lease.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn say(&self, node: &str, what: &str) -> Result<(), Error> {
        self.0.say(node, what)
    }

    /// Says what one node at a time says, for the time of a lease; or what another says under this key.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn say_alone(&self, key: &str, what: &str) -> Result<Option<String>, Error> {
        let store = self.0.store();
        let said = self.0.wait(store.create(key, what.to_owned().into()));
        match said {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => self.said(key),
            Err(error) => Err(self.0.failed(&error)),
        }
    }

    /// What is said under a key now.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn said(&self, key: &str) -> Result<Option<String>, Error> {
        let said = self.0.wait(self.0.store().get(key));
        let said = said.map_err(|error| self.0.failed(&error))?;
        Ok(said.map(|said| String::from_utf8_lossy(&said).into_owned()))
    }

    /// Says that it goes.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn end(&self, node: &str) -> Result<(), Error> {
        let gone = self.0.wait(self.0.store().delete(node));
        gone.map_err(|error| self.0.failed(&error))
    }

    /// What is said now, by node.
    ///
    /// # Errors
    /// No server answers in time.
    pub fn all(&self) -> Result<Vec<(String, String)>, Error> {
        self.0.said("")
    }
}
