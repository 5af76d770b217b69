//! Measuring what a wanted recall takes, as it travels.

use engine::Tuned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options::{checked_limit, checked_recall};
use crate::limits;
use crate::refusal::Refusal;

/// The body of `POST /collections/{c}/tune`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TuneBody {
    /// The part of the true hits that is wanted.
    #[schemars(range(min = 0.5, max = 1.0))]
    target_recall: f32,
    /// How many hits are asked for, 10 by default.
    k: Option<usize>,
    /// The vectors that are compared; those without a name by default.
    using: Option<String>,
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct ToTune {
    pub(crate) recall: f32,
    pub(crate) k: usize,
    pub(crate) using: String,
}

impl TryFrom<TuneBody> for ToTune {
    type Error = Refusal;

    fn try_from(body: TuneBody) -> Result<Self, Refusal> {
        let k = body.k.unwrap_or(limits::DEFAULT_LIMIT);
        checked_limit(k, None)
            .map_err(|_| Refusal::wrong(format!("`k` must be 1 to {}, got {k}", limits::HITS)))?;
        Ok(Self {
            recall: checked_recall(body.target_recall)?,
            k,
            using: body.using.unwrap_or_default(),
        })
    }
}

/// What was measured.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TunedOut {
    /// The `hnsw_ef` that searches with this `target_recall` use from now on, unless `exact`.
    ef: usize,
    /// The recall measured with it.
    recall: f32,
    /// Hits that it was measured at: `k`, rounded up to 1, 2 or 5 times a power of ten.
    k: usize,
    /// Points that were asked for.
    sample: usize,
    /// Points there were.
    points: usize,
    /// Time of a search in the index, without HTTP.
    median_ms: f64,
    p99_ms: f64,
    /// Walks that find as much are more work than to look at all points: searches do that.
    exact: bool,
}

impl TunedOut {
    pub(crate) fn new(tuned: &Tuned) -> Self {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
        Self {
            ef: tuned.ef,
            recall: tuned.recall,
            k: tuned.k,
            sample: tuned.sample,
            points: tuned.points,
            median_ms: ms(tuned.median),
            p99_ms: ms(tuned.p99),
            exact: tuned.exact,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<ToTune, String> {
        let body: TuneBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        ToTune::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_name() {
        let good = read(json!({"target_recall": 0.5})).unwrap();
        assert_eq!((good.k, good.using.as_str()), (10, ""));
        let wrong = [
            (json!({}), "target_recall"),
            (json!({"target_recall": 0.49}), "0.5 to 1"),
            (json!({"target_recall": 1.01}), "0.5 to 1"),
            (json!({"target_recall": 0.9, "k": 0}), "`k` must be 1"),
            (json!({"target_recall": 0.9, "k": 10_001}), "`k` must be 1"),
            (json!({"target_recall": 0.9, "ef": 3}), "`ef`"),
        ];
        for (body, word) in wrong {
            let error = read(body.clone()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
    }
}
