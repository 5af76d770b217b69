//! How long searches take, what they cost and how much of the truth they find.

use engine::SearchTimes;
use prometheus::{GaugeVec, Histogram, HistogramVec, IntCounter, Registry};

use super::made::{counter, gauges, histogram, histograms};

const EF: &[f64] = &[
    16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0, 16_384.0,
];
const SEARCH_S: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];

pub(super) struct Searches {
    seconds: HistogramVec,
    stages: HistogramVec,
    efs: Histogram,
    recall: GaugeVec,
    samples: IntCounter,
    pub(super) compared: IntCounter,
}

impl Searches {
    /// Series that are known beforehand start at zero, so that their first event is a rise.
    pub(super) fn new(registry: &Registry) -> Self {
        let searches = Self {
            seconds: histograms(
                registry,
                "doppel_search_duration_seconds",
                "Searches in the engine.",
                &["mode"],
                SEARCH_S,
            ),
            stages: histograms(
                registry,
                "doppel_search_stage_duration_seconds",
                "Parts of searches: index = the indexes were asked, points = the hits were read.",
                &["stage"],
                SEARCH_S,
            ),
            efs: histogram(
                registry,
                "doppel_search_ef",
                "The ef that searches went by which did not look at all points.",
                EF,
            ),
            recall: gauges(
                registry,
                "doppel_search_recall_ratio",
                "The part of the true hits that the last searches found, by asking some again.",
                &["collection"],
            ),
            samples: counter(
                registry,
                "doppel_search_recall_samples_total",
                "Searches that were asked again exactly.",
            ),
            compared: counter(
                registry,
                "doppel_search_compared_points_total",
                "Points that searches compared with a query.",
            ),
        };
        for mode in ["hnsw", "exact"] {
            searches.seconds.with_label_values(&[mode]);
        }
        for stage in ["index", "points"] {
            searches.stages.with_label_values(&[stage]);
        }
        searches
    }

    pub(super) fn took(&self, exact: bool, times: SearchTimes) {
        let mode = if exact { "exact" } else { "hnsw" };
        let seconds = self.seconds.with_label_values(&[mode]);
        seconds.observe((times.index + times.points).as_secs_f64());
        if let Some(ef) = times.ef {
            #[expect(clippy::cast_precision_loss, reason = "ef has a limit far below")]
            self.efs.observe(ef as f64);
        }
        for (stage, took) in [("index", times.index), ("points", times.points)] {
            let seconds = self.stages.with_label_values(&[stage]);
            seconds.observe(took.as_secs_f64());
        }
    }

    pub(super) fn recall_is(&self, collection: &str, ratio: f64) {
        self.samples.inc();
        let recall = self.recall.with_label_values(&[collection]);
        recall.set(ratio);
    }

    pub(super) fn recall_unknown(&self, collection: &str) {
        // There may have been none.
        drop(self.recall.remove_label_values(&[collection]));
    }
}
