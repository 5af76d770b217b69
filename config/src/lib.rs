//! Settings of a doppel server: defaults, then a TOML file, then `DOPPEL_*` variables, then flags,
//! each layer winning over the one before.
//!
//! Invariant: a [`Config`] that exists is valid as a whole; nothing below checks a setting again.
//! A key that nobody knows and a value that does not fit are refused at start, by name and with
//! the place they came from. This crate is the only one that knows TOML, and the only one that
//! reads `DOPPEL_*` settings. It starts nothing and touches no folder it names.
//!
//! ```
//! let config = config::Config::load(&config::Sources {
//!     flags: vec![config::Flag::new("--listen", "listen", "127.0.0.1:0")],
//!     ..config::Sources::default()
//! })?;
//! assert_eq!(config.listen.port(), 0);
//! assert_eq!(config.checkpoint.interval_s, 300);
//! # Ok::<(), config::Error>(())
//! ```

mod compreface;
mod embedding;
mod error;
mod file;
mod hosts;
mod layers;
mod limits;
mod nats;
mod origins;
mod reader;
mod retention;
mod shards;
mod tree;

pub use compreface::CompreFace;
pub use embedding::{Embedding, Remote};
pub use error::{Error, Origin};
pub use hosts::Hosts;
pub use layers::{Flag, Sources};
pub use nats::Nats;
pub use origins::Origins;
pub use retention::Retention;
pub use shards::Shards;
pub use tree::{
    ApiKey, Audit, Checkpoint, Config, Level, Log, LogFormat, LogOutput, Models, Server, Tls,
};
