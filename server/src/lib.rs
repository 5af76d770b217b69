//! REST, metrics and the web page: the one place where engine, embedder and settings are joined.
//!
//! The vector half speaks a subset of the REST dialect that existing vector-database clients speak;
//! the face half extends the same tree with `/collections/{c}/faces`. Invariants: no request runs
//! the engine or a model on a thread that answers requests; every queue, body and number has a
//! limit and a refusal; a field that would be ignored is refused by name. It holds no data itself.
//!
//! ```no_run
//! let config = config::Config::load(&config::Sources::default())?;
//! let signals = server::Signals::catch()?;
//! let server = server::start(config)?;
//! println!("http://{}/", server.addr());
//! server.wait(signals)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod api;
mod app;
mod ask;
mod at_work;
mod audit;
mod clock;
mod clustering;
mod comparison;
mod compreface;
mod connection;
mod connections;
mod cors;
mod decoding;
mod duplicates;
mod embed_pool;
mod embed_queue;
mod embed_worker;
mod error;
mod faces;
mod folder;
mod gate;
mod hosts;
mod http;
mod interrupted;
mod jobs;
mod likeness;
mod limits;
mod maintain;
mod makers;
mod memory;
mod metrics;
mod middleware;
mod models_task;
mod pace;
mod pause;
mod places;
mod purged;
mod put;
mod recall;
mod recovery;
mod reembedding;
mod refusal;
mod reindexing;
mod remote;
mod retention;
mod routes;
mod seen;
mod shards;
mod shared_log;
mod signals;
mod slow;
mod start;
mod tls;
mod wire;

pub use embed_pool::Factory;
pub use engine::{CheckedCollection, Finding, Loss, Remedy, Step, Verdict};
pub use error::Error;
pub use maintain::{repair, verify};
pub use models_task::Embedding;
pub use shared_log::begin_log;
pub use signals::Signals;
pub use start::{Running, run, start, start_alone, start_with};
pub use tls::tls_of_client;
