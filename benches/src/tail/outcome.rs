//! What came of a simulated load.

/// Figures of the queries that were counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How long each query took, sorted.
    pub(super) times_ms: Vec<f64>,
    /// The part of their cores' time that nodes worked.
    pub busy: f64,
    /// Requests sent to a second node, of all that were sent to a first one.
    pub hedged: f64,
    /// The part of the queries that were answered without every shard.
    pub partial: f64,
    /// The part of the shards' answers that were not waited for.
    pub missing: f64,
}

impl Outcome {
    /// The mean time of a query.
    pub fn mean_ms(&self) -> f64 {
        self.times_ms.iter().sum::<f64>() / self.times_ms.len().max(1) as f64
    }

    /// The time below which this part of the queries were answered (nearest rank).
    pub fn percentile_ms(&self, part: f64) -> f64 {
        let rank = (part * self.times_ms.len() as f64).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank is a whole number, not below 0"
        )]
        let at = (rank as usize).clamp(1, self.times_ms.len().max(1)) - 1;
        self.times_ms.get(at).copied().unwrap_or(0.0)
    }
}
