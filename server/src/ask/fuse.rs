//! Merging the hits of several searches into one list.

use std::collections::HashMap;

use engine::ScoredPoint;

use crate::wire::kind::Fusion;

/// All hits, best first. A point that several lists have gets the sum of what each gives it.
pub(super) fn merged(fusion: Fusion, lists: Vec<Vec<ScoredPoint>>) -> Vec<ScoredPoint> {
    let mut all = HashMap::new();
    for list in lists {
        let marks = match fusion {
            Fusion::Ranks { k } => by_rank(list.len(), k),
            Fusion::Scores => by_score(&list),
        };
        for (hit, mark) in list.into_iter().zip(marks) {
            let place = all.entry(hit.point.id);
            let merged = place.or_insert(ScoredPoint { score: 0.0, ..hit });
            merged.score += mark;
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|a, b| {
        let order = b.score.total_cmp(&a.score);
        order.then_with(|| a.point.id.cmp(&b.point.id))
    });
    all
}

#[expect(clippy::cast_precision_loss, reason = "lists are short")]
fn by_rank(count: usize, k: f32) -> Vec<f32> {
    (0..count).map(|rank| 1.0 / (k + rank as f32)).collect()
}

/// 0..1 for scores within three standard deviations of the list's mean; the middle where all are
/// the same. A list is best first, so its ends say whether higher is better.
#[expect(clippy::cast_precision_loss, reason = "lists are short")]
fn by_score(list: &[ScoredPoint]) -> Vec<f32> {
    let ends = list.first().zip(list.last());
    let sign = match ends {
        Some((best, worst)) if best.score < worst.score => -1.0,
        _ => 1.0,
    };
    let scores: Vec<f32> = list.iter().map(|hit| sign * hit.score).collect();
    let mean = scores.iter().sum::<f32>() / scores.len() as f32;
    let squares = scores.iter().map(|score| (score - mean) * (score - mean));
    let freedom = scores.len().saturating_sub(1).max(1) as f32;
    let deviation = (squares.sum::<f32>() / freedom).sqrt();
    let place = |score: &f32| match deviation > 0.0 {
        true => (score - mean) / (6.0 * deviation) + 0.5,
        false => 0.5,
    };
    scores.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use engine::{PointId, StoredPoint};

    use super::*;

    fn list(hits: &[(u64, f32)]) -> Vec<ScoredPoint> {
        let hits = hits.iter().map(|(id, score)| ScoredPoint {
            score: *score,
            point: StoredPoint {
                id: PointId::Num(*id),
                payload: None,
                vectors: None,
                face: None,
            },
        });
        hits.collect()
    }

    fn ids(hits: &[ScoredPoint]) -> Vec<u64> {
        let ids = hits.iter().map(|hit| match hit.point.id {
            PointId::Num(id) => id,
            PointId::Uuid(_) => panic!("all ids are numbers"),
        });
        ids.collect()
    }

    #[test]
    fn by_ranks_a_point_that_is_second_twice_wins_over_those_that_are_first_once() {
        let lists = vec![list(&[(1, 9.0), (2, 8.0)]), list(&[(3, 0.2), (2, 0.1)])];
        let merged = merged(Fusion::Ranks { k: 2.0 }, lists);
        assert_eq!(ids(&merged), [2, 1, 3]);
        assert!((merged[0].score - 2.0 / 3.0).abs() < 1e-6);
        assert!((merged[1].score - 0.5).abs() < 1e-6);
    }

    #[test]
    fn by_scores_distances_and_likenesses_are_brought_to_one_measure() {
        let likenesses = list(&[(1, 0.9), (2, 0.5), (3, 0.1)]);
        let distances = list(&[(3, 1.0), (2, 5.0), (1, 9.0)]);
        let both = merged(Fusion::Scores, vec![likenesses.clone(), distances]);
        assert!(both.iter().all(|hit| (hit.score - 1.0).abs() < 1e-6));
        let one = merged(Fusion::Scores, vec![likenesses]);
        assert_eq!(ids(&one), [1, 2, 3]);
        assert!((one[1].score - 0.5).abs() < 1e-6);
        let alone = merged(Fusion::Scores, vec![list(&[(7, 3.0)]), Vec::new()]);
        assert_eq!(alone[0].score, 0.5);
    }
}
