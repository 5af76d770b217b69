//! Points as the engine's callers give and get them.

use storage::{Lsn, PointId};

use crate::filter::{Filter, KeyPath};
use crate::vectors::Vectors;

/// The payload key that says whose face a point is.
pub const PERSON: &str = "person";

/// A point's JSON metadata.
pub type Payload = serde_json::Map<String, serde_json::Value>;

/// Where a face was found in a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// `x, y, width, height` in pixels of the upright photo.
    pub bounding_box: [f32; 4],
    /// Eyes, nose tip and mouth corners, `[x, y]` in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// The detector's confidence, 0 to 1.
    pub confidence: f32,
}

/// A face to be kept with its point.
#[derive(Debug, Clone)]
pub struct NewFace {
    /// Where it was found.
    pub face: Face,
    /// The cut-out face as a JPEG file.
    pub crop_jpeg: Option<Vec<u8>>,
    /// The whole photo, as it was sent.
    pub photo: Option<Vec<u8>>,
}

/// A point to be inserted; an existing point of the same id is replaced whole.
#[derive(Debug, Clone)]
pub struct Point {
    /// Its id within the collection.
    pub id: PointId,
    /// Any of the collection's vectors, each of its size; none is fine too.
    pub vectors: Vectors,
    /// Its metadata.
    pub payload: Payload,
    /// The face it came from, if it came from a photo.
    pub face: Option<NewFace>,
}

impl Point {
    /// About how many bytes of memory it takes at most where it is put in.
    pub fn memory_bytes(&self) -> u64 {
        let pictures = self
            .face
            .iter()
            .flat_map(|face| [&face.crop_jpeg, &face.photo]);
        let pictures = pictures.flatten().map(Vec::len).sum::<usize>();
        let payload = self.payload.iter();
        let payload = payload.map(|(key, value)| key.len() + value_bytes(value));
        self.vectors.memory_bytes() + (payload.sum::<usize>() + pictures) as u64
    }
}

fn value_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(values) => {
            let values = values.iter();
            values
                .map(|(key, value)| key.len() + value_bytes(value))
                .sum()
        }
        _ => 0,
    };
    inside + 64
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Once its record is on disk (`wait=false`).
    Durable,
    /// Once it is on disk and every search sees it (`wait=true`).
    Applied,
}

/// The answer to a write.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Its place in the log.
    pub lsn: Lsn,
}

/// What a search cost.
#[derive(Debug, Clone, Copy)]
pub struct SearchTimes {
    /// How far it walked, by the query or by what is usual, where nothing was filtered; none where it
    /// looked at all points.
    pub ef: Option<usize>,
    /// The indexes were asked, and payloads looked at for a filter that they do not know.
    pub index: std::time::Duration,
    /// The hits were read.
    pub points: std::time::Duration,
}

/// What to bring along with a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The payload.
    pub payload: bool,
    /// The vectors, as stored (normalised under cosine).
    pub vectors: Which,
}

/// Which of a point's vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// None.
    None,
    /// All it has.
    All,
    /// Those of these names that it has.
    Named(Vec<String>),
}

impl Which {
    /// Whether a vector of this name is one of them.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Which::None => false,
            Which::All => true,
            Which::Named(names) => names.iter().any(|known| known == name),
        }
    }
}

/// A face as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFace {
    /// Where it was found.
    pub face: Face,
    /// Whether the cut-out can be fetched.
    pub has_crop: bool,
    /// Whether the whole photo can be fetched.
    pub has_photo: bool,
}

/// A point as it is kept; `payload` and `vectors` are there if they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPoint {
    /// Its id.
    pub id: PointId,
    /// Its metadata.
    pub payload: Option<Payload>,
    /// Those of its vectors that were asked for.
    pub vectors: Option<Vectors>,
    /// The face it came from.
    pub face: Option<StoredFace>,
}

/// A search hit.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPoint {
    /// Exact similarity (cosine, dot: higher is better) or distance (Euclid, Manhattan).
    pub score: f32,
    /// The point.
    pub point: StoredPoint,
}

/// A search for the points nearest to a vector.
#[derive(Debug, Clone)]
pub struct Query {
    /// What to search for.
    pub vector: Vec<f32>,
    /// The name of the vectors to compare it with; "" for those without one.
    pub using: String,
    /// How many hits at most.
    pub limit: usize,
    /// How many of the best to skip.
    pub offset: usize,
    /// Candidates kept while walking the graph; higher is slower and finds more.
    pub ef: Option<usize>,
    /// Compare with every point instead of walking the graph.
    pub exact: bool,
    /// Leave out hits that are worse than this score.
    pub score_threshold: Option<f32>,
    /// Only points that it lets through are found.
    pub filter: Option<Filter>,
    /// What to bring along.
    pub select: Select,
}

/// Points that a write is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    /// These.
    Ids(Vec<PointId>),
    /// Those that a filter lets through when the write is decided.
    Filter(Filter),
}

/// Points in the order of a payload value.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Where the value is; its index must be of numbers or dates.
    pub key: KeyPath,
    /// The greatest first.
    pub descending: bool,
    /// The first value, that and all behind it.
    pub start_from: Option<OrderFrom>,
}

/// A value to start from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OrderFrom {
    /// A whole number; of dates, microseconds since 1970.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A date, in microseconds since 1970.
    Date(i64),
}

/// A page of a scroll through a collection in the order of ids.
#[derive(Debug, Clone)]
pub struct Page {
    /// The points of this page.
    pub points: Vec<StoredPoint>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<PointId>,
}

/// Which picture of a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaceImage {
    /// The cut-out face.
    Crop,
    /// The whole photo.
    Photo,
}
