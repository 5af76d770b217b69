//! Collections as they travel: the bodies that make and change one, and what is told about one.
//!
//! Hints about where bytes lie, how work is spread and when files are tidied (`on_disk_payload`,
//! `optimizers_config`, `wal_config`, `shard_number`, ...) change no answer and are taken as hints.
//! What would change an answer or break a promise and is not there is refused by name.

mod create;
mod hints;
mod quantization;
mod reindex;
mod told;
mod update;
mod vector;

pub(crate) use create::CreateCollection;
pub(crate) use reindex::ReindexBody;
pub(crate) use told::{Collections, Described, Exists, Named};
pub(crate) use update::UpdateCollection;
pub(crate) use vector::NewVector;
