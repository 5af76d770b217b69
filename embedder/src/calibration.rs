//! What a model's cosines mean, on two scales: how likely two faces are one person, and how rare
//! such a likeness is among different people. The first is nearly 0 for every look-alike.

use serde::{Deserialize, Serialize};

/// What a model's cosines mean, measured on pairs of photos. It says nothing about how often two
/// faces are one person where it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The cosine at which one person is as likely as two, where half of all pairs are one person.
    pub threshold: f32,
    /// Its standard error.
    pub threshold_error: f32,
    /// How quickly one becomes more likely than the other: the slope of the logistic curve.
    pub slope: f32,
    /// Its standard error.
    pub slope_error: f32,
    /// The pairs that the curve was fitted to.
    pub pairs: u32,
    /// The cosines of different people.
    pub strangers: Scale,
}

impl Calibration {
    /// How likely it is that two faces with this cosine are of one person, where half of all pairs
    /// are.
    pub fn probability(&self, cosine: f32) -> f32 {
        1.0 / (1.0 + (-self.slope * (cosine - self.threshold)).exp())
    }

    /// The share of different people's pairs that are taken for one person at this threshold.
    pub fn false_match_rate(&self, threshold: f32) -> f32 {
        self.strangers.share_above(threshold)
    }
}

/// How the cosines of different people's pairs are spread: knots of a cosine and the share of pairs
/// that reach it, cosines rising, shares falling. Between them the logarithm of the share is taken
/// as straight, and beyond the last it goes on as before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f32, f32)>", into = "Vec<(f32, f32)>")]
pub struct Scale {
    knots: Vec<(f32, f32)>,
}

/// The shares that a scale has knots at, if there are pairs enough for them.
const SHARES: [f32; 22] = [
    0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 1e-3, 5e-4, 2e-4, 1e-4,
    5e-5, 2e-5, 1e-5, 5e-6, 2e-6, 1e-6,
];
/// A share is not told from fewer pairs than these that reach its cosine.
const PAIRS_OF_A_KNOT: usize = 5;

impl Scale {
    /// From the cosines of pairs of different people; `None` if they are too few, or all the same.
    pub fn of(mut cosines: Vec<f32>) -> Option<Self> {
        cosines.sort_by(f32::total_cmp);
        let mut knots: Vec<(f32, f32)> = Vec::new();
        for share in SHARES {
            let above = pairs_above(cosines.len(), share);
            if above < PAIRS_OF_A_KNOT {
                break;
            }
            let cosine = *cosines.get(cosines.len() - above)?;
            if knots.last().is_none_or(|(last, _)| cosine > *last) {
                knots.push((cosine, share));
            }
        }
        Self::try_from(knots).ok()
    }

    /// The share of pairs of different people that are at least so alike.
    pub fn share_above(&self, cosine: f32) -> f32 {
        let after = self.knots.partition_point(|(knot, _)| *knot < cosine);
        let Some(at) = after.checked_sub(1) else {
            return self.before_first(cosine);
        };
        let at = at.min(self.knots.len() - 2);
        let ((a, share_a), (b, share_b)) = (self.knots[at], self.knots[at + 1]);
        let part = (cosine - a) / (b - a);
        (share_a.ln() + part * (share_b.ln() - share_a.ln())).exp()
    }

    /// The share rises to 1 at a cosine of -1.
    fn before_first(&self, cosine: f32) -> f32 {
        let (knot, share) = self.knots[0];
        let part = (knot - cosine) / (knot + 1.0).max(f32::MIN_POSITIVE);
        share + (1.0 - share) * part.clamp(0.0, 1.0)
    }

    /// 0 to 100: the percentage of pairs of different people that are less alike.
    pub fn percentile(&self, cosine: f32) -> f32 {
        100.0 * (1.0 - self.share_above(cosine))
    }

    /// The knots: cosines and the shares of pairs that reach them.
    pub fn knots(&self) -> &[(f32, f32)] {
        &self.knots
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a count, rounded"
)]
fn pairs_above(count: usize, share: f32) -> usize {
    (count as f64 * f64::from(share)).round() as usize
}

impl From<Scale> for Vec<(f32, f32)> {
    fn from(scale: Scale) -> Self {
        scale.knots
    }
}

impl TryFrom<Vec<(f32, f32)>> for Scale {
    type Error = &'static str;

    fn try_from(knots: Vec<(f32, f32)>) -> Result<Self, Self::Error> {
        let ordered = knots
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1);
        let shares = knots.iter().all(|(_, share)| *share > 0.0 && *share < 1.0);
        match knots.len() >= 2 && ordered && shares {
            true => Ok(Self { knots }),
            false => Err("a scale has at least two knots, cosines rising, shares falling"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evenly(count: u16) -> Vec<f32> {
        (0..count)
            .map(|n| f32::from(n) / f32::from(count))
            .collect()
    }

    #[test]
    fn a_scale_says_how_many_pairs_are_less_alike() {
        let scale = Scale::of(evenly(10_000)).unwrap();
        for (cosine, percentile) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (0.999, 99.9)] {
            let told = scale.percentile(cosine);
            assert!((told - percentile).abs() < 0.01, "{cosine}: {told}");
        }
        let mut last = -1.0;
        for step in -100_i8..=100 {
            let told = scale.percentile(f32::from(step) / 100.0);
            assert!(
                told >= last && (0.0..=100.0).contains(&told),
                "{step}: {told}"
            );
            last = told;
        }
    }

    #[test]
    fn too_few_pairs_make_no_scale_and_disorder_is_refused() {
        assert_eq!(Scale::of(evenly(5)), None);
        assert_eq!(Scale::of(vec![0.5; 1_000]), None);
        assert!(Scale::try_from(vec![(0.1, 0.5), (0.1, 0.4)]).is_err());
        assert!(Scale::try_from(vec![(0.1, 0.5), (0.2, 0.6)]).is_err());
        assert!(Scale::try_from(vec![(0.1, 0.5)]).is_err());
    }

    #[test]
    fn at_the_threshold_one_person_is_as_likely_as_two() {
        let calibration = Calibration {
            threshold: 0.4,
            threshold_error: 0.01,
            slope: 20.0,
            slope_error: 1.0,
            pairs: 100,
            strangers: Scale::of(evenly(1_000)).unwrap(),
        };
        assert!((calibration.probability(0.4) - 0.5).abs() < 1e-6);
        assert!(calibration.probability(0.6) > 0.98 && calibration.probability(0.2) < 0.02);
        assert!((calibration.false_match_rate(0.9) - 0.1).abs() < 1e-3);
    }
}
