//! Recommendations: what is like some examples and unlike others.

use std::collections::HashMap;

use engine::{Metric, PointId, ScoredPoint};

use super::Prepared;
use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;

/// Vectors of what is wanted and of what is not.
pub(super) struct Likes {
    pub(super) positive: Vec<Vec<f32>>,
    pub(super) negative: Vec<Vec<f32>>,
}

impl Likes {
    /// The mean of the positive ones, moved away from the negative ones' mean by as much as it is
    /// away from it already.
    pub(super) fn average(&self) -> Result<Vec<f32>, Refusal> {
        let mut average = mean(&self.positive)?;
        if self.negative.is_empty() {
            return Ok(average);
        }
        let away = mean(&self.negative)?;
        if away.len() != average.len() {
            return Err(differing());
        }
        for (number, away) in average.iter_mut().zip(away) {
            *number += *number - away;
        }
        Ok(average)
    }

    /// The best `wanted` points by their best score: all are looked at where nothing is wanted. A point that is among them is among the
    /// nearest to some positive example, so those are looked at, and more of them until enough are
    /// liked or there are no more.
    pub(super) async fn best(
        &self,
        app: &App,
        search: &Prepared,
        wanted: usize,
    ) -> Result<Vec<ScoredPoint>, Refusal> {
        let info = app.describe(&search.name).await?;
        let using = &search.search.using;
        let Some(vector) = info.spec.vectors.get(using) else {
            return Err(Refusal::wrong(format!(
                "the collection has no vector `{using}`"
            )));
        };
        let metric = vector.metric;
        let of_metric = |vectors: &[Vec<f32>]| {
            let vectors = vectors.iter().cloned();
            vectors
                .map(|vector| as_stored(metric, vector))
                .collect::<Vec<_>>()
        };
        let (positive, negative) = (of_metric(&self.positive), of_metric(&self.negative));
        let scored = |vector: &[f32]| best_score(metric, vector, &positive, &negative);
        if positive.is_empty() {
            let (most, least) = (wanted.saturating_add(search.named.len()), search.least());
            return search.best_of_all(app, most, least, scored).await;
        }
        let enough = wanted.saturating_add(search.named.len());
        let mut reach = enough.min(limits::HITS);
        loop {
            let candidates = self.candidates(app, search, reach).await?;
            let mut hits: Vec<_> = candidates
                .into_values()
                .map(|mut hit| {
                    let vector = hit.point.vectors.as_ref().and_then(|all| all.get(using));
                    let vector = vector.unwrap_or_default();
                    hit.score = scored(vector);
                    hit
                })
                .collect();
            let liked = hits.iter().filter(|hit| hit.score > 0.0).count();
            if liked >= enough || reach >= info.points || reach >= limits::HITS {
                let least = search.least();
                hits.retain(|hit| least.is_none_or(|least| hit.score >= least));
                hits.sort_by(super::best_first);
                return Ok(hits);
            }
            reach = (reach * 4).min(limits::HITS);
        }
    }

    /// The nearest to each positive example, with their vectors.
    async fn candidates(
        &self,
        app: &App,
        search: &Prepared,
        reach: usize,
    ) -> Result<HashMap<PointId, ScoredPoint>, Refusal> {
        let mut all = HashMap::new();
        for vector in &self.positive {
            let hits = search.nearest_with_vectors(app, vector.clone(), reach);
            all.extend(hits.await?.into_iter().map(|hit| (hit.point.id, hit)));
        }
        Ok(all)
    }
}

fn mean(vectors: &[Vec<f32>]) -> Result<Vec<f32>, Refusal> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        if vector.len() != sum.len() {
            return Err(differing());
        }
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    #[expect(clippy::cast_precision_loss, reason = "examples are few")]
    let count = vectors.len() as f32;
    sum.iter_mut().for_each(|number| *number /= count);
    Ok(sum)
}

fn differing() -> Refusal {
    Refusal::wrong("the examples' vectors are not all of one size")
}

/// Between 0.5 and 1 for a point that is more like a positive example, the more the higher (for
/// scores above 0), and below 0 for one that is more like a negative one.
fn best_score(metric: Metric, vector: &[f32], positive: &[Vec<f32>], negative: &[Vec<f32>]) -> f32 {
    let best = |examples: &[Vec<f32>]| {
        let scores = examples.iter().map(|it| likeness(metric, vector, it));
        scores.fold(f32::NEG_INFINITY, f32::max)
    };
    let squashed = |score: f32| 0.5 * (score / (1.0 + score.abs()) + 1.0);
    let (liked, disliked) = (best(positive), best(negative));
    match liked > disliked {
        true => squashed(liked),
        false => -squashed(disliked),
    }
}

/// Higher is more alike, under every metric.
fn likeness(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    match metric {
        Metric::Cosine | Metric::Dot => pairs.map(|(a, b)| a * b).sum(),
        // Squared, as the dialect has it here.
        Metric::Euclid => -pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>(),
        Metric::Manhattan => -pairs.map(|(a, b)| (a - b).abs()).sum::<f32>(),
    }
}

/// Points keep their vectors normalised under cosine; what is compared with them must be, too.
fn as_stored(metric: Metric, mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if metric == Metric::Cosine && length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_moves_away_from_what_is_not_wanted() {
        let mut likes = Likes {
            positive: vec![vec![1.0, 3.0], vec![3.0, 1.0]],
            negative: Vec::new(),
        };
        assert_eq!(likes.average().unwrap(), [2.0, 2.0]);
        likes.negative = vec![vec![0.0, 3.0]];
        assert_eq!(likes.average().unwrap(), [4.0, 1.0]);
        likes.negative.push(vec![1.0]);
        assert!(likes.average().is_err());
    }

    #[test]
    fn the_best_score_is_negative_for_what_is_more_like_a_negative_example() {
        let (right, up) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        for metric in [
            Metric::Cosine,
            Metric::Dot,
            Metric::Euclid,
            Metric::Manhattan,
        ] {
            let score = |vector: &[f32]| {
                best_score(
                    metric,
                    vector,
                    std::slice::from_ref(&right),
                    std::slice::from_ref(&up),
                )
            };
            assert!(score(&[0.9, 0.1]) > score(&[0.6, 0.4]), "{metric:?}");
            assert!(score(&[0.6, 0.4]) > 0.0, "{metric:?}");
            assert!(score(&[0.4, 0.6]) < 0.0, "{metric:?}");
            assert!(score(&[0.1, 0.9]) < score(&[0.4, 0.6]), "{metric:?}");
        }
    }
}
