//! Collections of points: written through a durable log, searched through an index in RAM.
//!
//! [`Engine::open`] recovers a data folder; its methods block until what they promise is done, so
//! call them from a thread that may block. The log is the truth; tables and indexes follow it (see
//! `ARCHITECTURE.md`).
//!
//! ```
//! use engine::{Ack, CollectionSpec, Engine, Metric, Options, Point, PointId, Query, Select, Which};
//!
//! # let folder = tempfile::tempdir()?;
//! let engine = Engine::open(Options::new(folder.path()))?;
//! engine.create_collection("colours", CollectionSpec::new(3, Metric::Euclid))?;
//! let point = |id, vector: [f32; 3]| Point {
//!     id: PointId::Num(id),
//!     vectors: vector.to_vec().into(),
//!     payload: serde_json::Map::new(),
//!     face: None,
//! };
//! engine.upsert("colours", vec![point(1, [1.0, 0.0, 0.0]), point(2, [0.0, 0.0, 1.0])], Ack::Applied)?;
//! let query = Query {
//!     vector: vec![0.9, 0.1, 0.0],
//!     using: String::new(),
//!     limit: 1,
//!     offset: 0,
//!     ef: None,
//!     exact: false,
//!     score_threshold: None,
//!     filter: None,
//!     select: Select { payload: true, vectors: Which::None },
//! };
//! assert_eq!(engine.search("colours", &query)?[0].point.id, PointId::Num(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod about;
mod again;
mod allow;
mod apply;
mod background;
mod backup;
mod brief;
mod catalog;
mod changes;
mod check;
mod checkpoint;
mod checksum;
mod collection;
mod commit;
mod compare;
mod convert;
mod decide;
mod engine;
mod error;
mod filter;
mod foresee;
mod grow;
mod index_work;
mod insert;
mod keep;
mod lent;
pub mod limits;
mod load;
mod log_of;
mod manage;
mod meant;
mod numbers;
mod options;
mod order;
mod payload;
mod payloads;
mod people;
mod point;
mod purge;
mod quarantine;
mod read;
mod recover;
mod refill;
mod reindex;
mod retention;
mod revise;
mod sample;
mod sections;
mod seed;
mod settings;
mod shared;
mod space;
mod spare;
mod spec;
mod sync;
mod tune;
mod upkeep;
mod usual;
mod vectors;
mod verify;
mod view;
mod watch;

pub use about::{ABOUT_PERSON, About, PersonChange};
pub use background::stand_back;
pub use backup::{Download, RestoreAs, RestoreReport};
pub use checksum::Checksum;
pub use compare::Marked;
pub use engine::{Engine, kernels};
pub use error::Error;
pub use filter::{
    Bounds, Condition, Filter, GeoBox, GeoPoint, GeoPolygon, KeyPath, MinShould, Scalar, Scalars,
    Test, TextOptions, Tokenizer, Words, parse_date,
};
pub use hnsw::give_back_freed;
pub use log_of::follows_shared_log;
pub use manage::{AliasChange, CollectionChange};
pub use meant::Meant;
pub use options::{CollectionInfo, Event, OpenLog, Options, Progress, RecoveryStep, Status};
pub use payload::{IndexInfo, IndexKind, PayloadChange, only, without};
pub use people::{OfSeveral, People, Person, Taken};
pub use point::{
    Ack, Chosen, Face, FaceImage, NewFace, Order, OrderFrom, PERSON, Page, Payload, Point, Query,
    ScoredPoint, SearchTimes, Select, StoredFace, StoredPoint, Which, Written,
};
pub use purge::{OldBackups, PurgeReport};
pub use refill::{Lacking, Refill, Remade, Retired};
pub use reindex::{Copied, IndexChange, Rebuild};
pub use retention::{INSERTED_AT_S, Swept, TTL_S};
pub use seed::{FetchSeed, Fetched, SeedFile, SeedHead, seed_of};
pub use spec::{CollectionSpec, EmbedderRef, Metric, Quantization, SHARDS, VectorSpec, check_name};
pub use storage::{BackupFile, Incoming, Lsn, PointId};
pub use tune::{Effort, Tuned};
pub use upkeep::{Compacted, Examined, Warmed};
pub use vectors::Vectors;
pub use verify::{CheckedCollection, Finding, Loss, Remedy, Step, Verdict, repair, verify};
