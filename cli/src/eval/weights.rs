//! What the weights of a model's two networks do, and which one is asked for by pairs other than those
//! it is told on: each half of the pairs chooses for the other. It is chosen where the cosines of one
//! person's pairs and of two people's lie furthest apart, by the distance of both means over the root of
//! the mean of both variances (Fisher's criterion), which is smoother than a count of mistakes.

use std::fmt::Write;

use anyhow::{Result, ensure};
use embedder::Manifest;

use super::figures::{Verification, best_threshold, count, ratio};
use super::lfw::{Lfw, Pair};
use super::spread::Spread;

/// Weights are tried in steps of one such part.
const STEPS: u16 = 20;
/// Every second one is told.
const TOLD: u16 = 2;

/// Whether it can be said of a model.
pub(super) fn check(manifest: &Manifest) -> Result<()> {
    ensure!(
        manifest.beside.len() == 1 && manifest.head.is_none(),
        "--weights is for models of two networks, {} is none",
        manifest.name
    );
    Ok(())
}

/// The cosines of all pairs at a weight of the first network.
struct Tried {
    weight: f32,
    cosines: Vec<f32>,
}

/// A table of weights, and what the halves choose.
pub(super) fn text(
    lfw: &Lfw,
    manifest: &Manifest,
    vectors: &[Option<&[f32]>],
    threads: usize,
) -> Result<String> {
    let first = manifest.parts()[0].dim;
    let mut text = "weight of the first network, verification, rank-1, apart\n".to_owned();
    let mut tried = Vec::new();
    for step in 0..=STEPS {
        let weight = f32::from(step) / f32::from(STEPS);
        let weighted: Vec<_> = vectors.iter().map(|it| of(*it, first, weight)).collect();
        let weighted: Vec<_> = weighted.iter().map(Option::as_deref).collect();
        let cosines = lfw.cosines(&weighted);
        if step % TOLD == 0 {
            let verification = Verification::of(&lfw.pairs, &cosines).accuracy;
            let spread = Spread::of(lfw, &weighted, threads)?;
            let rank_1 = ratio(spread.right, spread.asked);
            let apart = apart(lfw.pairs.iter().zip(&cosines));
            writeln!(
                text,
                "{weight:.1}  {verification:.4}  {rank_1:.4}  {apart:.3}"
            )?;
        }
        tried.push(Tried { weight, cosines });
    }
    let folds = lfw.pairs.iter().map(|pair| pair.fold + 1).max();
    let half = folds.unwrap_or(0) / 2;
    let (mut right, mut others) = (0, 0);
    for is_first in [true, false] {
        let chooses = |pair: &Pair| (pair.fold < half) == is_first;
        let (weight, told) = chosen(lfw, &tried, chooses);
        let name = if is_first { "first" } else { "second" };
        let rightly = told.iter().filter(|right| **right).count();
        writeln!(
            text,
            "the {name} half of the pairs chooses {weight:.2}: of the other {} {rightly} are told rightly",
            told.len()
        )?;
        (right, others) = (right + rightly, others + told.len());
    }
    let share = ratio(right, others);
    writeln!(text, "each half told as the other chooses  {share:.4}")?;
    Ok(text)
}

/// The weight that some pairs choose, and of the others whether each is told rightly with it, at the
/// threshold that is best for those.
fn chosen(lfw: &Lfw, tried: &[Tried], chooses: impl Fn(&Pair) -> bool) -> (f32, Vec<bool>) {
    let apart_at = |tried: &Tried| {
        let all = lfw.pairs.iter().zip(&tried.cosines);
        apart(all.filter(|(pair, _)| chooses(pair)))
    };
    let best = tried
        .iter()
        .max_by(|a, b| apart_at(a).total_cmp(&apart_at(b)));
    let Some(best) = best else {
        return (0.0, Vec::new());
    };
    let pairs = lfw.pairs.iter().zip(&best.cosines);
    let (own, others): (Vec<_>, Vec<_>) = pairs.partition(|(pair, _)| chooses(pair));
    let own = own.iter().map(|(pair, cosine)| (**cosine, pair.same));
    let threshold = best_threshold(own.collect());
    let told = others.iter();
    let told = told.map(|(pair, cosine)| (**cosine >= threshold) == pair.same);
    (best.weight, told.collect())
}

/// A vector with another weight of its first numbers, of length 1; each network's own has the same
/// share of it whatever length it was given.
fn of(vector: Option<&[f32]>, first: usize, weight: f32) -> Option<Vec<f32>> {
    let (a, b) = vector?.split_at_checked(first)?;
    let scaled = |part: &[f32], weight: f32| -> Vec<f32> {
        let length = part.iter().map(|x| x * x).sum::<f32>().sqrt();
        let factor = weight.sqrt() / length.max(f32::MIN_POSITIVE);
        part.iter().map(|x| x * factor).collect()
    };
    Some([scaled(a, weight), scaled(b, 1.0 - weight)].concat())
}

/// How far apart the cosines of both kinds of pairs lie.
fn apart<'a>(pairs: impl Iterator<Item = (&'a Pair, &'a f32)>) -> f64 {
    let mut kinds = [Vec::new(), Vec::new()];
    for (pair, cosine) in pairs {
        kinds[usize::from(pair.same)].push(f64::from(*cosine));
    }
    let [(other, spread), (same, spread_too)] = kinds.map(|cosines| {
        let of = count(cosines.len()).max(1.0);
        let mean = cosines.iter().sum::<f64>() / of;
        let variance = cosines.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / of;
        (mean, variance)
    });
    (same - other)
        / f64::midpoint(spread, spread_too)
            .max(f64::MIN_POSITIVE)
            .sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::lfw::Missing;
    use super::*;

    #[test]
    fn another_weight_gives_the_cosine_that_it_says() {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        // Of two networks of weight 0.5, whose cosines are 0.6 and 0.8.
        let root = 0.5_f32.sqrt();
        let a = [root, 0.0, root, 0.0];
        let b = [0.6 * root, 0.8 * root, 0.8 * root, 0.6 * root];
        for (weight, due) in [(1.0, 0.6), (0.0, 0.8), (0.25, 0.75), (0.5, 0.7)] {
            let [a, b] = [a, b].map(|it| of(Some(&it), 2, weight).unwrap());
            assert!((dot(&a, &b) - due).abs() < 1e-6, "{weight}");
            assert!((dot(&a, &a) - 1.0).abs() < 1e-6);
        }
        assert_eq!(of(None, 2, 0.5), None);
    }

    #[test]
    fn pairs_lie_further_apart_the_less_each_kind_is_spread() {
        let pair = |same| Pair {
            a: 0,
            b: 1,
            same,
            fold: 0,
        };
        let pairs = [pair(true), pair(true), pair(false), pair(false)];
        let of = |cosines: [f32; 4]| apart(pairs.iter().zip(&cosines));
        let near = of([0.7, 0.9, 0.1, 0.3]);
        assert!((near - 6.0).abs() < 1e-5, "{near}");
        assert!(of([0.79, 0.81, 0.19, 0.21]) > near);
    }

    #[test]
    fn a_weight_is_chosen_by_some_pairs_and_told_of_the_others() {
        let pairs = [
            (true, 0),
            (false, 0),
            (true, 0),
            (false, 0),
            (true, 1),
            (false, 1),
        ];
        let pairs = pairs.map(|(same, fold)| Pair {
            a: 0,
            b: 1,
            same,
            fold,
        });
        let lfw = Lfw {
            photos: Vec::new(),
            pairs: pairs.into(),
            missing: Missing::default(),
        };
        let tried = |weight, cosines: [f32; 6]| Tried {
            weight,
            cosines: cosines.into(),
        };
        // The last pairs would choose the first weight.
        let tried = [
            tried(0.2, [0.6, 0.4, 0.7, 0.5, 0.9, 0.0]),
            tried(0.8, [0.9, 0.1, 0.8, 0.2, 0.4, 0.3]),
        ];
        let (weight, told) = chosen(&lfw, &tried, |pair| pair.fold == 0);
        assert_eq!((weight, told), (0.8, vec![false, true]));
    }
}
