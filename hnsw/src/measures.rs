//! The three measures of quality that doppel's ancestor judged its index by.
//!
//! Each compares what an index answered with the true order of all points, the nearest first.

/// The true rank of the first answer (0 is right); the number of points if it is not among them.
/// Averaged over queries this is *chosen position*.
pub fn chosen_position<T: PartialEq>(answers: &[T], truth: &[T]) -> usize {
    let first = answers
        .first()
        .and_then(|first| truth.iter().position(|other| other == first));
    first.unwrap_or(truth.len())
}

/// How many of the true ten nearest were answered: *in 10 best*.
pub fn in_10_best<T: PartialEq>(answers: &[T], truth: &[T]) -> usize {
    truth
        .iter()
        .take(10)
        .filter(|near| answers.contains(near))
        .count()
}

/// Discounted cumulative gain over the true ten best: the sum of `rel / log2(2 + position)` over
/// the answers, where an answer of true rank `r` has `rel = 1 / (1 + r)` and others have none.
pub fn dcg<T: PartialEq>(answers: &[T], truth: &[T]) -> f64 {
    let gain = |(position, answer): (usize, &T)| {
        let rank = truth.iter().take(10).position(|other| other == answer)?;
        Some(1.0 / (1.0 + rank as f64) / (2.0 + position as f64).log2())
    };
    answers.iter().enumerate().filter_map(gain).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_answer_reaches_the_known_best_values() {
        let truth: Vec<u32> = (0..100).collect();
        let best = [(1, 1.0), (5, 1.667), (10, 1.876), (100, 1.876)];
        for (k, expected) in best {
            assert_eq!(chosen_position(&truth[..k], &truth), 0);
            assert_eq!(in_10_best(&truth[..k], &truth), k.min(10));
            assert!(
                (dcg(&truth[..k], &truth) - expected).abs() < 0.001,
                "{}",
                dcg(&truth[..k], &truth)
            );
        }
        assert_eq!(chosen_position(&[7, 0], &truth), 7);
        assert_eq!(in_10_best(&[7, 50], &truth), 1);
    }
}
