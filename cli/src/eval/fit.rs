//! A logistic curve fitted to the pairs by Newton's method: the most likely threshold and slope,
//! with their standard errors from the curvature there.

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::lfw::Pair;
use super::spread::Spread;

/// What goes into a model's manifest as `calibration`.
#[derive(Debug, Serialize)]
pub(crate) struct Fitted {
    threshold: f64,
    threshold_error: f64,
    slope: f64,
    slope_error: f64,
    pairs: usize,
    strangers: Vec<(f64, f64)>,
}

const STEPS: usize = 100;

/// Fits to all pairs in which faces were found.
pub(crate) fn calibration(pairs: &[Pair], cosines: &[f32], spread: &Spread) -> Result<Fitted> {
    let samples: Vec<(f64, f64)> = pairs
        .iter()
        .zip(cosines)
        .filter(|(_, cosine)| **cosine > -1.0)
        .map(|(pair, cosine)| (f64::from(*cosine), if pair.same { 1.0 } else { 0.0 }))
        .collect();
    let ((slope, slope_error), (threshold, threshold_error)) = logistic(&samples)?;
    let scale = spread.strangers.as_ref();
    let scale = scale.context("there are too few people for a scale of strangers")?;
    let knots = scale.knots().iter();
    Ok(Fitted {
        threshold: rounded(threshold),
        threshold_error: rounded(threshold_error),
        slope: rounded(slope),
        slope_error: rounded(slope_error),
        pairs: samples.len(),
        strangers: knots
            .map(|(cosine, share)| (rounded(f64::from(*cosine)), f64::from(*share)))
            .map(|(cosine, share)| (cosine, (share * 1e6).round() / 1e6))
            .collect(),
    })
}

fn rounded(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}

/// Slope and threshold, each with its standard error.
fn logistic(samples: &[(f64, f64)]) -> Result<((f64, f64), (f64, f64))> {
    let (mut slope, mut offset) = (10.0, -5.0);
    for _ in 0..STEPS {
        let (gradient, [aa, ab, bb]) = derivatives(samples, slope, offset);
        let determinant = aa * bb - ab * ab;
        ensure!(
            determinant > 1e-12,
            "the pairs of one person and those of two do not overlap: no curve fits best"
        );
        let step = (
            (bb * gradient.0 - ab * gradient.1) / determinant,
            (aa * gradient.1 - ab * gradient.0) / determinant,
        );
        (slope, offset) = (slope + step.0, offset + step.1);
        if step.0.abs() + step.1.abs() < 1e-10 {
            let (var_slope, var_offset, covariance) =
                (bb / determinant, aa / determinant, -ab / determinant);
            let threshold = -offset / slope;
            // The delta method: how much the quotient moves with both.
            let variance =
                var_offset + 2.0 * threshold * covariance + threshold * threshold * var_slope;
            let threshold_error = variance.max(0.0).sqrt() / slope.abs();
            return Ok(((slope, var_slope.sqrt()), (threshold, threshold_error)));
        }
    }
    anyhow::bail!("no curve fits the pairs: too few of them are on the wrong side")
}

/// Of the logarithm of the likelihood: the gradient, and the negative second derivatives.
fn derivatives(samples: &[(f64, f64)], slope: f64, offset: f64) -> ((f64, f64), [f64; 3]) {
    let (mut gradient, mut curvature) = ((0.0, 0.0), [0.0; 3]);
    for (x, y) in samples {
        let p = 1.0 / (1.0 + (-(slope * x + offset)).exp());
        let weight = p * (1.0 - p);
        gradient = (gradient.0 + (y - p) * x, gradient.1 + y - p);
        curvature[0] += weight * x * x;
        curvature[1] += weight * x;
        curvature[2] += weight;
    }
    (gradient, curvature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_that_made_the_pairs_is_found_again() {
        let mut samples = Vec::new();
        for step in 0..200_u32 {
            let x = f64::from(step) / 200.0;
            let p = 1.0 / (1.0 + (-20.0 * (x - 0.4)).exp());
            // Of a hundred pairs at each cosine as many are of one person as the curve says.
            let same = (p * 100.0).round();
            for pair in 0..100_u32 {
                samples.push((x, if f64::from(pair) < same { 1.0 } else { 0.0 }));
            }
        }
        let ((slope, slope_error), (threshold, threshold_error)) = logistic(&samples).unwrap();
        assert!((slope - 20.0).abs() < 0.5, "{slope}");
        assert!((threshold - 0.4).abs() < 0.002, "{threshold}");
        assert!(slope_error > 0.05 && slope_error < 1.0, "{slope_error}");
        assert!(
            threshold_error > 1e-4 && threshold_error < 0.01,
            "{threshold_error}"
        );
    }

    #[test]
    fn pairs_that_do_not_overlap_have_no_best_curve() {
        assert!(logistic(&[(0.1, 0.0), (0.2, 0.0), (0.8, 1.0), (0.9, 1.0)]).is_err());
    }
}
