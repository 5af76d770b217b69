//! Faces as CompreFace tells them. What was not asked for is left out, and so is what there is no model
//! for.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use embedder::{ModelInfo, Timings};
use serde::Serialize;

use super::params::Ask;
use super::similarity::rounded;

/// Where a face is, in pixels of the photo.
#[derive(Debug, Serialize)]
struct Place {
    probability: f64,
    x_max: i64,
    y_max: i64,
    x_min: i64,
    y_min: i64,
}

/// Degrees.
#[derive(Debug, Serialize)]
struct Pose {
    pitch: f32,
    roll: f32,
    yaw: f32,
}

/// Whom a face is like, and how much.
#[derive(Debug, Serialize)]
pub(super) struct Alike {
    pub(super) subject: String,
    pub(super) similarity: f64,
}

/// A face of a photo.
#[derive(Debug, Serialize)]
pub(super) struct Face {
    #[serde(rename = "box")]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subjects: Option<Vec<Alike>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pose: Option<Pose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<[[i64; 2]; 5]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_time: Option<BTreeMap<&'static str, f64>>,
}

impl Face {
    pub(super) fn new(face: &embedder::Face, timings: &Timings, ask: &Ask) -> Self {
        let [x, y, width, height] = face.bounding_box;
        let quality = &face.quality;
        Self {
            place: Place {
                probability: rounded(f64::from(face.confidence)),
                x_max: pixel(x + width),
                y_max: pixel(y + height),
                x_min: pixel(x),
                y_min: pixel(y),
            },
            subjects: None,
            subject: None,
            similarity: None,
            pose: ask.pose.then_some(Pose {
                pitch: quality.pitch,
                roll: quality.roll,
                yaw: quality.yaw,
            }),
            landmarks: ask
                .landmarks
                .then(|| face.landmarks.map(|it| it.map(pixel))),
            embedding: ask.embedding.then(|| face.vector.clone()),
            execution_time: ask.status.then(|| times(timings)),
        }
    }
}

/// Milliseconds of each part, for the whole photo.
fn times(timings: &Timings) -> BTreeMap<&'static str, f64> {
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e3).round();
    BTreeMap::from([
        ("detector", ms(timings.decode + timings.detect)),
        ("calculator", ms(timings.embed)),
    ])
}

/// A face's box may reach over the edge of the photo, to the left and above too.
#[expect(
    clippy::cast_possible_truncation,
    reason = "pixels of a photo are few, and a cast of floats ends at the bounds"
)]
fn pixel(at: f32) -> i64 {
    at.round() as i64
}

/// What is told beside the faces.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    #[serde(skip_serializing_if = "Option::is_none")]
    plugins_versions: Option<BTreeMap<&'static str, String>>,
    /// Ours: plugins that were asked for and are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unsupported_plugins: Vec<&'static str>,
}

impl Beside {
    pub(super) fn new(model: &ModelInfo, ask: Ask) -> Self {
        let parts = [
            ("detector", true, "FaceDetector"),
            ("calculator", true, "Calculator"),
            ("landmarks", ask.landmarks, "LandmarksDetector"),
            ("pose", ask.pose, "PoseEstimator"),
        ];
        let there = parts.into_iter().filter(|(_, asked, _)| *asked);
        let versions = there.map(|(name, _, part)| (name, format!("{}.{part}", model.name)));
        Self {
            plugins_versions: ask.status.then(|| versions.collect()),
            unsupported_plugins: ask.unsupported,
        }
    }
}

/// Faces, and what is told beside them.
#[derive(Debug, Serialize)]
pub(super) struct Result<T> {
    pub(super) result: Vec<T>,
    /// Ours: faces of the photo beyond the 100 that are told of one at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) faces_left_out: Option<NonZeroUsize>,
    #[serde(flatten)]
    pub(super) beside: Beside,
}
