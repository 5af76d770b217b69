//! How long a search takes that goes to many nodes at once and waits for the last: a simulation,
//! discrete in events, whose times follow from a seed.
//!
//! Queries come at random (Poisson). Each is sent to one node of every shard; a node answers so many
//! at once as it has cores and lets the rest wait in order. What a node needs for a request is drawn
//! from a [`Service`]. Left out, because it is the same for all requests and adds to every figure:
//! the way over the network and merging the answers. Left out, because it cannot be guessed: nodes
//! that are slow together. None of it is built: doppel has no shards.

mod chance;
mod cluster;
mod outcome;
mod service;

pub use cluster::{Choice, Cluster, Load, simulate};
pub use outcome::Outcome;
pub use service::Service;
