//! Records: the decided facts that the log holds. `record_bytes` is how they are written down.

use crate::change::{IndexConfig, PayloadChange};
use crate::config::{CollectionConfig, VectorsConfig};
use crate::ids::{CollectionId, PointId, VectorId};

/// A decided fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A collection is made.
    CreateCollection {
        /// Its number.
        id: CollectionId,
        /// Its settings.
        config: CollectionConfig,
    },
    /// A collection goes, with all its points.
    DropCollection {
        /// Its number.
        id: CollectionId,
    },
    /// Points are put, each replacing what had its id.
    Upsert {
        /// Into which collection.
        collection: CollectionId,
        /// The points.
        points: Vec<PointRecord>,
    },
    /// Points go; ids that are not there are passed over.
    Delete {
        /// From which collection.
        collection: CollectionId,
        /// Which.
        ids: Vec<PointId>,
    },
    /// Payloads of points change; points that are not there are passed over.
    ChangePayload {
        /// In which collection.
        collection: CollectionId,
        /// Of which points.
        ids: Vec<PointId>,
        /// How.
        change: PayloadChange,
    },
    /// A key of payloads is given an index, instead of the one it has.
    PutIndex {
        /// In which collection.
        collection: CollectionId,
        /// The index.
        index: IndexConfig,
    },
    /// The index of a key goes, if there is one.
    DropIndex {
        /// In which collection.
        collection: CollectionId,
        /// The path of the key.
        key: String,
    },
    /// Vectors of points are put, their other vectors and all else of them stay, but for what was
    /// [made of](crate::VectorConfig::made_of) a vector that is put; points that are not there are passed over.
    UpdateVectors {
        /// In which collection.
        collection: CollectionId,
        /// The vectors by point.
        points: Vec<(PointId, NamedVectors)>,
    },
    /// Vectors of points go; what is not there is passed over.
    DeleteVectors {
        /// From which collection.
        collection: CollectionId,
        /// From which points.
        ids: Vec<PointId>,
        /// Which.
        vectors: Vec<VectorId>,
    },
    /// Vectors of points are put into an index that is to replace another, as they stand there;
    /// points that have none there, or one here already, are passed over.
    CopyVectors {
        /// In which collection.
        collection: CollectionId,
        /// The vector that [rebuilds](crate::VectorConfig::rebuilds) another.
        into: VectorId,
        /// Of which points.
        ids: Vec<PointId>,
    },
    /// An index that was to replace another does so, and there is only the one again.
    SwapVector {
        /// In which collection.
        collection: CollectionId,
        /// The vector that [rebuilds](crate::VectorConfig::rebuilds) another. That one keeps its
        /// number and gets this one's index and settings.
        from: VectorId,
    },
    /// Aliases change, all at once.
    ChangeAliases {
        /// What each stands for from now on; `None` for one that goes.
        changes: Vec<(String, Option<CollectionId>)>,
    },
    /// Settings of a collection change; what is `None` stays.
    Configure {
        /// Of which.
        collection: CollectionId,
        /// The vectors that points may have; those of others go from all points.
        vectors: Option<VectorsConfig>,
        /// As in [`CollectionConfig`].
        metadata: Option<Vec<u8>>,
    },
    /// Collections come out of a backup, all in one step. The backup was made durable before, and
    /// stays as long as this record may be replayed.
    Restore {
        /// The backup's name in the folder of restores.
        file: String,
        /// What comes out of it.
        collections: Vec<Restored>,
        /// Aliases that stand for these collections from now on.
        aliases: Vec<(String, CollectionId)>,
    },
    /// What was deleted from a collection is to be in no file any more. Changes nothing that can
    /// be seen: it marks the place in the log up to which files are rewritten.
    Purge {
        /// Which.
        collection: CollectionId,
    },
    /// Changes nothing: nodes that follow the same log compare what they hold here.
    Mark,
}

/// A collection that comes out of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its number in the backup.
    pub part: u32,
    /// The number that it gets here.
    pub id: CollectionId,
    /// Its settings, under the name that it gets here.
    pub config: CollectionConfig,
    /// The collection in whose place it comes; that one goes with all its points.
    pub replaces: Option<CollectionId>,
}

/// Vectors of one point, by number.
pub type NamedVectors = Vec<(VectorId, Vec<f32>)>;

/// A point as it enters the log.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRecord {
    /// Its id.
    pub id: PointId,
    /// Its vectors; on disk packed little-endian bytes.
    pub vectors: NamedVectors,
    /// Its payload, a MessagePack map.
    pub payload: Vec<u8>,
    /// The face it came from.
    pub face: Option<FaceRecord>,
}

/// A face as it enters the log, pictures and all.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceRecord {
    /// `x, y, width, height` in pixels.
    pub bounding_box: [f32; 4],
    /// Five points in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// The detector's confidence.
    pub confidence: f32,
    /// The cut-out face.
    pub crop: Option<Vec<u8>>,
    /// The whole photo.
    pub photo: Option<Vec<u8>>,
}
