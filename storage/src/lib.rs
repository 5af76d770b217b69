//! Every byte doppel keeps on disk: the log, the sled tables, blob files, snapshots, the manifest
//! and the folder that holds them.
//!
//! The log is the truth; everything else is a follower of it. This crate knows how to write and
//! read each kind of file safely (`FORMAT.md` has the layouts and the crash analysis); *when* to do
//! so is the engine's business. It knows nothing of indexes: a snapshot's sections are streams of
//! bytes to it.
//!
//! Calls block and nothing runs in the background.

mod backup;
mod backups;
mod blobs;
mod bytes;
mod change;
mod config;
mod digest;
mod disk;
mod draft;
mod error;
mod folder;
mod ids;
mod incoming;
pub mod limits;
mod log;
mod manifest;
mod payload;
mod plans;
mod record;
mod record_bytes;
mod rows;
mod sections;
mod snapshot;
mod tables;
mod trail;
mod whole;

pub use backup::{BackupReader, BackupWriter, Contents, Origin};
pub use backups::{BackupFile, Backups, Shelf};
pub use blobs::{BlobKind, BlobRef, Blobs};
pub use bytes::checksum;
pub use change::{IndexConfig, PayloadChange, TextConfig};
pub use config::{
    CollectionConfig, EmbedderConfig, Metric, Quantization, VectorConfig, VectorsConfig,
};
pub use digest::Digest;
pub use disk::{Disk, DiskFile, Fault, OsDisk, SimDisk};
pub use draft::Draft;
pub use error::Error;
pub use folder::{DataFolder, FORMAT_VERSION, FolderLock, read_format, write_format};
pub use ids::{CollectionId, Lsn, PointId, VectorId};
pub use incoming::Incoming;
pub use log::{
    Bookmark, CopiedLog, CopyState, Cut, FileLog, GivenUp, History, Log, LogState, MemoryLog,
    RECORD_HEAD, Records, SeveredLog, ends_early, examine_log, forget_given_up, give_up_damaged,
    keeps_log_contract, keeps_shared_log_contract,
};
pub use manifest::{CollectionEntry, Manifest, Manifests, OpenedManifests, SnapshotRef};
pub use payload::{decode_payload, encode_payload};
pub use plans::{PlanKey, Plans};
pub use record::{FaceRecord, NamedVectors, PointRecord, Record, Restored};
pub use rows::{PointRow, read_rows, write_row};
pub use sections::{Part, SectionReader, section_checksum};
pub use snapshot::{SnapshotReader, SnapshotWriter, sync_snapshots};
pub use tables::{Expectation, FaceRow, OpenedTables, Spare, TableChange, Tables};
pub use trail::{Trail, now_ms};
pub use whole::{read_whole, replace_whole};
