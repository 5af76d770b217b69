//! How many of the true neighbours an answer holds.
//!
//! A vector exactly as near as the last true neighbour counts as one, since the truth may hold only
//! some of several equal ones; a vector named twice counts once.

use super::dataset::Dataset;
use super::table::Table;

/// What a system's answers are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Share of the true neighbours found, 0 to 1.
    pub recall: f64,
    /// Queries answered without a single true neighbour.
    pub empty_handed: usize,
}

/// Relative difference of two costs that count as equal: what rounding to `f32` may do.
const EQUAL: f64 = 1e-6;

/// Compares answers to the first queries with the exact ones of `truth` over `data`'s vectors.
pub fn judge(answers: &Table<u32>, truth: &Table<u32>, k: usize, data: &Dataset) -> Judged {
    let k_true = k.min(truth.width());
    let (mut found, mut empty_handed) = (0, 0);
    for (at, (answer, truth)) in answers.rows().zip(truth.rows()).enumerate() {
        let truth = &truth[..k_true];
        let query = data.queries.row(at);
        let cost = |id: u32| data.metric.cost(query, data.base.row(id as usize));
        let mut ids: Vec<u32> = answer.iter().take(k).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| (*id as usize) < data.base.len());
        let worst = truth.last().map_or(f64::NEG_INFINITY, |id| cost(*id));
        let as_near = worst + worst.abs() * EQUAL;
        let right = |id: &&u32| truth.contains(id) || cost(**id) <= as_near;
        let hits = ids.iter().filter(right).count().min(k_true);
        found += hits;
        empty_handed += usize::from(hits == 0);
    }
    let wanted = answers.len() * k_true;
    Judged {
        recall: found as f64 / wanted.max(1) as f64,
        empty_handed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::formats::NO_ID;
    use super::super::truth::Metric;
    use super::*;

    #[test]
    fn equal_ones_count_but_doubles_and_missing_ones_do_not() {
        let data = Dataset {
            name: "points".to_owned(),
            metric: Metric::Euclid,
            base: Table::new(1, vec![1.0, 2.0, 2.0, 9.0]).unwrap(),
            queries: Table::new(1, vec![0.0, 0.0, 0.0, 0.0]).unwrap(),
            truth: Table::new(2, [0, 1].repeat(4)).unwrap(),
            identities: Vec::new(),
            dir: std::path::PathBuf::new(),
        };
        let answers = vec![0, 2, 0, 0, 1, NO_ID, 3, 17];
        let answers = Table::new(2, answers).unwrap();
        let judged = judge(&answers, &data.truth, 2, &data);
        assert_eq!(judged.recall, 4.0 / 8.0);
        assert_eq!(judged.empty_handed, 1);
    }
}
