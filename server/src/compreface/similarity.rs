//! CompreFace's similarity of two faces: `(tanh((c0 - d) c1) + 1) / 2`, d the Euclidean distance of
//! their vectors, which have length 1. CompreFace has c0 and c1 of its own models, made so that one
//! person is as likely as two at 0.5; here they follow from what was measured of ours.

use embedder::ModelInfo;

/// c0 and c1 of CompreFace's FaceNet, for a model of which nothing was measured.
const UNMEASURED: (f64, f64) = (1.181_796_1, 5.291_995_557);

/// What distances of a model's vectors mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Similarity {
    c0: f64,
    c1: f64,
}

impl Similarity {
    /// Both curves are logistic, ours over cosines: c0 is the distance at which ours says one half,
    /// and c1 makes both as steep there.
    pub(super) fn of(model: &ModelInfo) -> Self {
        let (c0, c1) = model.calibration.as_ref().map_or(UNMEASURED, |it| {
            let c0 = distance(it.threshold);
            (c0, f64::from(it.slope) * c0 / 2.0)
        });
        Self { c0, c1 }
    }

    /// From the cosine, rounded to five decimals as CompreFace does.
    pub(super) fn at(self, cosine: f32) -> f64 {
        let similarity = (((self.c0 - distance(cosine)) * self.c1).tanh() + 1.0) / 2.0;
        rounded(similarity)
    }

    /// Of two vectors of length 1.
    pub(super) fn between(self, a: &[f32], b: &[f32]) -> f64 {
        self.at(a.iter().zip(b).map(|(a, b)| a * b).sum())
    }
}

fn distance(cosine: f32) -> f64 {
    (2.0 - 2.0 * f64::from(cosine)).max(0.0).sqrt()
}

/// To five decimals.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1e5).round() / 1e5
}

#[cfg(test)]
mod tests {
    use embedder::{Calibration, Manifest, Scale};

    use super::*;

    fn model(threshold: f32, slope: f32) -> ModelInfo {
        let strangers = Scale::try_from(vec![(0.0, 0.5), (0.5, 0.01)]).unwrap();
        ModelInfo {
            name: "m".into(),
            dim: 2,
            sha256: String::new(),
            calibration: Some(Calibration {
                threshold,
                threshold_error: 0.0,
                slope,
                slope_error: 0.0,
                pairs: 1,
                strangers,
            }),
            base: None,
        }
    }

    #[test]
    fn half_is_where_one_person_is_as_likely_as_two_and_both_curves_are_as_steep_there() {
        let model = model(0.4172, 28.2448);
        let similarity = Similarity::of(&model);
        assert_eq!(similarity.at(0.4172), 0.5);
        let step = 0.002;
        let told = |cosine| similarity.at(cosine);
        let steep = (told(0.4172 + step) - told(0.4172 - step)) / f64::from(2.0 * step);
        assert!((steep - 28.2448 / 4.0).abs() < 0.05, "{steep}");
        assert!(told(1.0) == 1.0 && told(0.0) < 0.01);
        assert!(told(0.5) > 0.9 && told(0.3) < 0.1);
    }

    #[test]
    fn the_numbers_of_the_models_are_those_of_the_documentation() {
        let text = include_str!("../../../docs/COMPATIBILITY.md");
        for manifest in Manifest::builtins() {
            let Similarity { c0, c1 } = Similarity::of(&manifest.info());
            let row = format!("| `{}` | {c0:.4} | {c1:.3} |", manifest.name);
            assert!(text.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_model_that_was_not_measured_has_the_numbers_of_facenet() {
        let unmeasured = ModelInfo {
            calibration: None,
            ..model(0.0, 0.0)
        };
        let similarity = Similarity::of(&unmeasured);
        // A distance of 1: (tanh(0.1817961 * 5.291995557) + 1) / 2.
        assert_eq!(similarity.at(0.5), 0.8726);
        assert_eq!(similarity.between(&[1.0, 0.0], &[1.0, 0.0]), 1.0);
    }
}
