//! The three columns of the original's tables, by the place that each vector found has among all of
//! the base (0 is the nearest):
//!
//! - *chosen position*: the place of the first hit.
//! - *in 10 best*: how many hits have a place below 10.
//! - *dcg*: the sum over the hits of `1 / ((place + 1) * log2(i + 1))`, with `i` the hit's number in
//!   the answer from 1: the gain is the inverse of the true rank, the discount that of Järvelin &
//!   Kekäläinen (2002). It is the one definition that gives the exact rows as they were published:
//!   1.000, 1.667, 1.876 and 2.336 for 1, 5, 10 and 100 hits.
//!
//! All are means over the queries.

use crate::ann::dataset::Dataset;
use crate::ann::table::Table;

/// One cell of the tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// The place of the first hit among all, from 0.
    pub chosen_position: f64,
    /// Hits among the true ten nearest.
    pub in_10_best: f64,
    /// Discounted gain, as above.
    pub dcg: f64,
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (chosen, best, dcg) = (self.chosen_position, self.in_10_best, self.dcg);
        write!(f, "{chosen:.2} / {best:.2} / {dcg:.3}")
    }
}

/// The costs of all vectors for each query in rising order, from which a place is read.
pub struct Places<'a> {
    data: &'a Dataset,
    costs: Vec<Vec<f64>>,
}

impl<'a> Places<'a> {
    /// Compares every query with every vector.
    pub fn of(data: &'a Dataset) -> Self {
        let costs = data.queries.rows().map(|query| {
            let costs = data.base.rows().map(|row| data.metric.cost(query, row));
            let mut costs: Vec<f64> = costs.collect();
            costs.sort_unstable_by(f64::total_cmp);
            costs
        });
        Self {
            costs: costs.collect(),
            data,
        }
    }

    /// How many vectors are nearer than this one; one that is missing comes after all.
    fn place(&self, query: usize, id: u32) -> usize {
        if id as usize >= self.data.base.len() {
            return self.data.base.len();
        }
        let vector = self.data.base.row(id as usize);
        let cost = self.data.metric.cost(self.data.queries.row(query), vector);
        self.costs[query].partition_point(|other| *other < cost)
    }

    /// The means over the answers to the first queries, best hit first. Hits that are missing at the
    /// end of an answer gain nothing.
    pub fn judge(&self, answers: &Table<u32>) -> Quality {
        let mut sum = quality_of(&[], self.data.base.len());
        sum.chosen_position = 0.0;
        for (query, answer) in answers.rows().enumerate() {
            let given = answer
                .iter()
                .filter(|id| (**id as usize) < self.data.base.len());
            let places: Vec<usize> = given.map(|id| self.place(query, *id)).collect();
            let one = quality_of(&places, self.data.base.len());
            sum.chosen_position += one.chosen_position;
            sum.in_10_best += one.in_10_best;
            sum.dcg += one.dcg;
        }
        let queries = answers.len().max(1) as f64;
        Quality {
            chosen_position: sum.chosen_position / queries,
            in_10_best: sum.in_10_best / queries,
            dcg: sum.dcg / queries,
        }
    }
}

/// Of one answer, by the places of its hits; `last` is the place of none.
fn quality_of(places: &[usize], last: usize) -> Quality {
    let gain = |(at, place): (usize, &usize)| 1.0 / ((place + 1) as f64 * ((at + 2) as f64).log2());
    Quality {
        chosen_position: places.first().copied().unwrap_or(last) as f64,
        in_10_best: places.iter().filter(|place| **place < 10).count() as f64,
        dcg: places.iter().enumerate().map(gain).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::published::{KS, ROWS};
    use super::*;
    use crate::ann::formats::NO_ID;
    use crate::ann::truth::Metric;

    #[test]
    fn an_exact_answer_has_the_quality_that_was_published_for_the_exact_trees() {
        for (k, published) in KS.into_iter().zip(ROWS[0].cells) {
            let places: Vec<usize> = (0..k).collect();
            let quality = quality_of(&places, 1_000);
            assert_eq!(quality.chosen_position, published.chosen_position);
            assert_eq!(quality.in_10_best, published.in_10_best);
            assert!((quality.dcg - published.dcg).abs() < 5e-4, "{quality}");
        }
    }

    #[test]
    fn places_are_counted_among_all_and_what_is_missing_gains_nothing() {
        let data = Dataset {
            name: "points".to_owned(),
            metric: Metric::Euclid,
            base: Table::new(1, vec![3.0, 1.0, 2.0, 2.0]).unwrap(),
            queries: Table::new(1, vec![0.0, 0.0]).unwrap(),
            truth: Table::new(1, vec![1, 1]).unwrap(),
            identities: Vec::new(),
            dir: std::path::PathBuf::new(),
        };
        let places = Places::of(&data);
        // Places 1 and 3 (two are equal and share one), then nothing at all.
        let answers = Table::new(2, vec![3, 0, NO_ID, NO_ID]).unwrap();
        let quality = places.judge(&answers);
        assert_eq!(quality.chosen_position, (1.0 + 4.0) / 2.0);
        assert_eq!(quality.in_10_best, (2.0 + 0.0) / 2.0);
        let dcg = (1.0 / 2.0 + 1.0 / (4.0 * 3f64.log2())) / 2.0;
        assert!((quality.dcg - dcg).abs() < 1e-12);
    }
}
