//! What a set of vectors is worth for people who were not learned from, beside the vectors it was made
//! of: figures, and how much they differ, each with an interval over people.
//!
//! People are drawn again and again, as often as there are, with all their photos (Efron & Tibshirani
//! 1993); photos of one person are not independent of each other. Every set is measured on the same
//! draws, so that differences are of pairs.

mod figures;
mod nearest;

use crate::chance::Chance;
use crate::samples::Samples;
use figures::{Figures, Photos};
pub use nearest::{nearest, nearest_among};

/// A figure and the interval that 95 of 100 draws lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Of all people.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What is measured of a set of vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// The part of photos (of people with several) whose nearest other photo is of the same person.
    RankOne,
    /// The part of pairs that are told rightly, both kinds weighing the same, at the threshold that is
    /// best for the people who were watched.
    Verification,
    /// The part of pairs of one person that match where one pair of strangers in a thousand does.
    MatchedAtThousandth,
    /// The part of the original's ten nearest that are among the ten nearest.
    RecallAtTen,
}

/// All of them, as they are told.
pub const FIGURES: [Figure; 4] = [
    Figure::RankOne,
    Figure::Verification,
    Figure::MatchedAtThousandth,
    Figure::RecallAtTen,
];

/// A set of vectors with all its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is called.
    pub name: String,
    /// Numbers in a vector.
    pub dim: usize,
    /// In the order of [`FIGURES`].
    pub figures: [Measured; 4],
    /// Less those of the first set.
    pub differences: [Measured; 4],
}

/// Vectors of the people who are held out, and of those who were watched (for the threshold).
pub struct Set {
    /// What it is called.
    pub name: String,
    /// Of those who are held out.
    pub held_out: Vec<Vec<f32>>,
    /// Of those who were watched.
    pub watched: Vec<Vec<f32>>,
}

/// Measures sets of vectors; the first is the original. `draws` times people are drawn.
pub fn compare(
    sets: &[Set],
    (held_out, watched): (&Samples, &Samples),
    (draws, seed): (usize, u64),
) -> Vec<Row> {
    let Some(original) = sets.first() else {
        return Vec::new();
    };
    let photos = Photos::of(held_out.people());
    let true_nearest = nearest(&original.held_out);
    let all: Vec<Figures> = sets
        .iter()
        .map(|set| {
            let threshold = figures::threshold(&set.watched, watched.people());
            Figures::of(&set.held_out, &photos, threshold, &true_nearest)
        })
        .collect();
    let even = vec![1.0; photos.people()];
    let whole: Vec<[f64; 4]> = all.iter().map(|it| it.with(&photos, &even)).collect();
    let mut drawn: Vec<Vec<[f64; 4]>> = vec![Vec::new(); sets.len()];
    for weights in weights(&photos, (draws, seed)) {
        for (figures, drawn) in all.iter().zip(&mut drawn) {
            drawn.push(figures.with(&photos, &weights));
        }
    }
    let rows = sets.iter().enumerate().map(|(at, set)| {
        let measured = |figure: usize, less: bool| {
            let of = |draws: &[[f64; 4]], n: usize| draws[n][figure];
            let base = |n: usize| if less { of(&drawn[0], n) } else { 0.0 };
            let values = (0..draws).map(|n| of(&drawn[at], n) - base(n)).collect();
            let base = if less { whole[0][figure] } else { 0.0 };
            interval(whole[at][figure] - base, values)
        };
        Row {
            name: set.name.clone(),
            dim: set.held_out.first().map_or(0, Vec::len),
            figures: [0, 1, 2, 3].map(|figure| measured(figure, false)),
            differences: [0, 1, 2, 3].map(|figure| measured(figure, true)),
        }
    });
    rows.collect()
}

/// The mean of what was found of each photo, as it is of all and over people.
pub fn mean_over_people(people: &[u32], values: &[f64], draws: (usize, u64)) -> Measured {
    let photos = Photos::of(people);
    let mean = |weights: &[f64]| photos.mean(values, weights);
    let whole = mean(&vec![1.0; photos.people()]);
    let drawn = weights(&photos, draws).map(|weights| mean(&weights));
    interval(whole, drawn.collect())
}

/// What rank-1 would be if the nearest were anybody: the mean part of the other photos that are of the same
/// person, of people with several.
pub fn rank_one_by_chance(people: &[u32]) -> f64 {
    Photos::of(people).rank_one_by_chance()
}

/// How often each person is drawn, each time that as many are drawn as there are.
fn weights(photos: &Photos, (draws, seed): (usize, u64)) -> impl Iterator<Item = Vec<f64>> + use<> {
    let people = photos.people();
    let mut chance = Chance::new(seed);
    (0..draws).map(move |_| {
        let mut weights = vec![0.0; people];
        (0..people).for_each(|_| weights[chance.below(people)] += 1.0);
        weights
    })
}

/// The middle 95 of 100.
fn interval(value: f64, mut drawn: Vec<f64>) -> Measured {
    drawn.sort_by(f64::total_cmp);
    let at = |per_thousand: usize| drawn.get(drawn.len() * per_thousand / 1_000).copied();
    let (low, high) = (
        at(25).unwrap_or(value),
        at(975).or(drawn.last().copied()).unwrap_or(value),
    );
    Measured { value, low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_circle(angles: &[f32]) -> Vec<Vec<f32>> {
        angles.iter().map(|x| vec![x.cos(), x.sin()]).collect()
    }

    fn people(people: &[u32]) -> Samples {
        Samples::new(&[1], vec![0.0; people.len()], people.to_vec()).unwrap()
    }

    /// Two people of two photos each; in the second set one photo has gone over to the other person.
    #[test]
    fn figures_are_those_that_can_be_counted_and_differences_are_of_the_first_set() {
        let who = people(&[1, 1, 2, 2]);
        let clear = on_circle(&[0.0, 0.1, 1.5, 1.6]);
        let mixed = on_circle(&[0.0, 1.45, 1.5, 1.6]);
        let set = |name: &str, held_out: &Vec<Vec<f32>>| Set {
            name: name.to_owned(),
            held_out: held_out.clone(),
            watched: clear.clone(),
        };
        let rows = compare(
            &[set("clear", &clear), set("mixed", &mixed)],
            (&who, &who),
            (200, 1),
        );
        let values = |row: &Row| row.figures.map(|it| it.value);
        assert_eq!(values(&rows[0]), [1.0; 4]);
        // 1.45 and 1.5 have each other nearest, who are strangers; 0 and 1.6 are right.
        let mixed = values(&rows[1]);
        assert_eq!(mixed[0], 0.5);
        // Of pairs of one person one of two matches; of four pairs of strangers two do.
        assert_eq!(mixed[1], 0.5);
        assert_eq!(mixed[2], 0.0);
        assert!((rows[1].differences[0].value + 0.5).abs() < 1e-12);
        assert!(rows[1].figures[0].low <= 0.5 && rows[1].figures[0].high >= 0.5);
        assert_eq!(
            rows[0].differences[0],
            Measured {
                value: 0.0,
                low: 0.0,
                high: 0.0
            }
        );
    }

    #[test]
    fn nobody_is_drawn_with_half_of_their_photos() {
        // All photos of one person are right and all of the other wrong: draws are of whole people.
        let who = people(&[1, 1, 2, 2]);
        let vectors = on_circle(&[0.0, 0.1, 1.0, 3.0]);
        let set = Set {
            name: "one".into(),
            held_out: vectors.clone(),
            watched: vectors,
        };
        let row = &compare(&[set], (&who, &who), (400, 7))[0];
        assert_eq!(
            row.figures[0],
            Measured {
                value: 0.75,
                low: 0.5,
                high: 1.0
            }
        );
    }

    #[test]
    fn a_mean_is_over_photos_and_its_interval_over_people() {
        let who = [1, 1, 2, 2];
        let found = mean_over_people(&who, &[1.0, 1.0, 0.5, 0.0], (400, 7));
        assert_eq!(
            found,
            Measured {
                value: 0.625,
                low: 0.25,
                high: 1.0
            }
        );
        // Of three others one is the same person's; of somebody with one photo nothing is asked.
        assert_eq!(rank_one_by_chance(&who), 1.0 / 3.0);
        assert_eq!(rank_one_by_chance(&[1, 1, 2]), 0.5);
    }
}
