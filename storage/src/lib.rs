//! Every byte doppel keeps on disk: the log, the sled tables, blob files, snapshots, the manifest
//! and the folder that holds them.
//!
//! The log is the truth; everything else is a follower of it. This crate knows how to write and
//! read each kind of file safely (`FORMAT.md` has the layouts and the crash analysis); *when* to do
//! so is the engine's business. It knows nothing of indexes: a snapshot's sections are streams of
//! bytes to it.
//!
//! Calls block and nothing runs in the background.

mod blobs;
mod bytes;
mod change;
mod config;
mod disk;
mod draft;
mod error;
mod folder;
mod ids;
pub mod limits;
mod log;
mod manifest;
mod payload;
mod record;
mod snapshot;
mod tables;

pub use blobs::{BlobKind, BlobRef, Blobs};
pub use change::{IndexConfig, PayloadChange, TextConfig};
pub use config::{
    CollectionConfig, EmbedderConfig, Metric, Quantization, VectorConfig, VectorsConfig,
};
pub use disk::{Disk, DiskFile, Fault, OsDisk, SimDisk};
pub use draft::Draft;
pub use error::Error;
pub use folder::{DataFolder, FORMAT_VERSION, FolderLock, read_format};
pub use ids::{CollectionId, Lsn, PointId, VectorId};
pub use log::{
    Cut, FileLog, GivenUp, Log, LogState, MemoryLog, Records, examine_log, give_up_damaged,
};
pub use manifest::{CollectionEntry, Manifest, Manifests, OpenedManifests, SnapshotRef};
pub use payload::{decode_payload, encode_payload};
pub use record::{FaceRecord, NamedVectors, PointRecord, Record};
pub use snapshot::{PointRow, SectionReader, SnapshotReader, SnapshotWriter, read_rows, write_row};
pub use tables::{Expectation, FaceRow, OpenedTables, TableChange, Tables};
