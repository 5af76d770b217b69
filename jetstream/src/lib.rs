//! The log on NATS JetStream: one stream, which several nodes append to and follow.
//!
//! The servers keep the order, the copies and the election; what is here says how records become
//! messages, and trusts none of them: each carries its own sequence, the checksum of the one before and
//! its own. Invariant: a message is only taken right after the last one that its writer knew, so that
//! one that is sent twice is kept once, however late, and all that were decided under a state stand
//! right behind it.
//!
//! It holds no state of the database, and decides nothing.

mod begin;
mod bucket;
mod checkpoints;
mod connection;
mod group;
mod known;
mod leases;
mod limits;
mod log;
mod lookout;
mod message;
mod position;
mod publisher;
mod settings;
mod store;
mod stream;
mod sums;
mod tail;
mod untaken;
mod varz;

pub use begin::{begin, begins_at};
pub use checkpoints::{Checkpoint, Checkpoints, StoreUse, check_store};
pub use connection::Waits;
pub use leases::Leases;
pub use log::{Before, JetStreamLog};
pub use position::messages_between;
pub use settings::{Access, Settings};
pub use sums::Sums;
