//! What becomes of photos, and how long each step takes.

use std::time::Duration;

use embedder::Analysis;
use prometheus::{Histogram, HistogramVec, IntCounterVec, Registry};

use super::made::{counters, histogram, histograms};
use crate::refusal::Refusal;

const STAGE_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
const FACES: &[f64] = &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

pub(super) struct Photos {
    stages: HistogramVec,
    outcomes: IntCounterVec,
    waits: Histogram,
    batches: Histogram,
    faces: Histogram,
}

impl Photos {
    /// Series that are known beforehand start at zero, so that their first event is a rise.
    pub(super) fn new(registry: &Registry) -> Self {
        let photos = Self {
            stages: histograms(
                registry,
                "doppel_pipeline_stage_duration_seconds",
                "From a photo to its faces' vectors.",
                &["stage"],
                STAGE_S,
            ),
            outcomes: counters(
                registry,
                "doppel_pipeline_images_total",
                "Photos looked at.",
                &["outcome"],
            ),
            waits: histogram(
                registry,
                "doppel_pipeline_queue_wait_seconds",
                "How long photos waited for a worker.",
                STAGE_S,
            ),
            batches: histogram(
                registry,
                "doppel_pipeline_batch_images",
                "Photos that a worker looked at together.",
                BATCH,
            ),
            faces: histogram(
                registry,
                "doppel_pipeline_image_faces",
                "Faces of a photo.",
                FACES,
            ),
        };
        for stage in ["decode", "detect", "embed"] {
            photos.stages.with_label_values(&[stage]);
        }
        for outcome in ["ok", "no_face", "refused", "failed"] {
            photos.outcomes.with_label_values(&[outcome]);
        }
        photos
    }

    pub(super) fn waited(&self, waited: Duration) {
        self.waits.observe(waited.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    pub(super) fn together(&self, photos: usize) {
        self.batches.observe(photos as f64);
    }

    pub(super) fn done(&self, outcome: &Result<Analysis, Refusal>) {
        let word = match outcome {
            Ok(analysis) if analysis.faces.is_empty() => "no_face",
            Ok(_) => "ok",
            Err(refusal) if refusal.status().is_client_error() => "refused",
            Err(_) => "failed",
        };
        self.outcomes.with_label_values(&[word]).inc();
        let Ok(analysis) = outcome else { return };
        #[expect(clippy::cast_precision_loss, reason = "a photo has few faces")]
        self.faces.observe(analysis.faces.len() as f64);
        let timings = &analysis.timings;
        let stages = [
            ("decode", timings.decode),
            ("detect", timings.detect),
            ("embed", timings.embed),
        ];
        for (stage, took) in stages {
            let seconds = self.stages.with_label_values(&[stage]);
            seconds.observe(took.as_secs_f64());
        }
    }
}
