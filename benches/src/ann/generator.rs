//! Data made from a seed, so that everybody measures on the same.
//!
//! - `faces`: face-like unit vectors, the shape that real face embeddings have. 48 random axes span
//!   a manifold; an identity is a random direction in it (a normally distributed weight an axis).
//!   An identity has 1 to 30 photos, each number equally likely. A photo is
//!   `a * identity + sqrt(1 - a^2) * noise`, scaled to length 1, with `noise` a random unit vector
//!   of all dimensions and `a` normally distributed, 0.806 ± 0.06, within 0.5 to 0.98. So two photos
//!   of one identity have a cosine of 0.65 ± 0.07, and two strangers 0 ± 0.1. A query is one more
//!   photo of every so-many-th identity, not in the base; about 85 % of a true top 10 are the same
//!   person at 512 dimensions, the rest is a tail of look-alikes.
//! - `uniform`: every number uniform in [0, 1).
//! - `gaussian`: every number normally distributed; in many dimensions hopeless for every graph, and
//!   so a test of honesty, not a target.
//!
//! Invariant: the same arguments give the same bytes.

use anyhow::Result;
use clap::ValueEnum;

use super::random::Random;
use super::table::Table;

/// What the vectors look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Identities on a 48-dimensional manifold with 1 to 30 photos each.
    Faces,
    /// Every number uniform in [0, 1).
    Uniform,
    /// Every number normally distributed.
    Gaussian,
}

impl Shape {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faces => "faces",
            Self::Uniform => "uniform",
            Self::Gaussian => "gaussian",
        }
    }
}

/// Vectors, and queries that are not among them.
pub struct Generated {
    /// What is searched.
    pub base: Table<f32>,
    /// What is searched for.
    pub queries: Table<f32>,
    /// Whose photo each vector of the base is; of `faces` only, else empty.
    pub identities: Vec<u32>,
}

const AXES: usize = 48;
const MAX_PHOTOS: usize = 30;
const LIKENESS: f32 = 0.806;
const LIKENESS_SPREAD: f32 = 0.06;

/// Makes `n` vectors of `dim` numbers and `queries` queries.
///
/// # Errors
/// The dimension is 0.
pub fn generate(
    shape: Shape,
    n: usize,
    dim: usize,
    queries: usize,
    seed: u64,
) -> Result<Generated> {
    let mut random = Random::new(seed);
    match shape {
        Shape::Faces => faces(&mut random, n, dim, queries),
        Shape::Uniform => independent(n, dim, queries, |row| {
            row.iter_mut().for_each(|x| *x = random.unit());
        }),
        Shape::Gaussian => independent(n, dim, queries, |row| random.fill_normal(row)),
    }
}

fn independent(
    n: usize,
    dim: usize,
    queries: usize,
    mut fill: impl FnMut(&mut [f32]),
) -> Result<Generated> {
    let mut make = |rows: usize| {
        let mut values = vec![0.0; rows * dim];
        values.chunks_mut(dim.max(1)).for_each(&mut fill);
        Table::new(dim, values)
    };
    Ok(Generated {
        base: make(n)?,
        queries: make(queries)?,
        identities: Vec::new(),
    })
}

fn faces(random: &mut Random, n: usize, dim: usize, queries: usize) -> Result<Generated> {
    let mut axes = vec![0.0; AXES * dim];
    random.fill_normal(&mut axes);
    let axes = Table::new(dim, axes)?;
    let mut identities = Vec::with_capacity(n);
    let mut people = Vec::new();
    let mut base = Vec::with_capacity(n * dim);
    for identity in 0u32.. {
        if identities.len() == n {
            break;
        }
        let person = person(random, &axes);
        for _ in 0..(1 + random.below(MAX_PHOTOS)).min(n - identities.len()) {
            photo(random, &person, &mut base);
            identities.push(identity);
        }
        people.extend_from_slice(&person);
    }
    let people = Table::new(dim, people)?;
    let mut asked = Vec::with_capacity(queries * dim);
    for at in 0..queries.min(queries * people.len()) {
        photo(
            random,
            people.row(at * people.len() / queries % people.len()),
            &mut asked,
        );
    }
    Ok(Generated {
        base: Table::new(dim, base)?,
        queries: Table::new(dim, asked)?,
        identities,
    })
}

fn person(random: &mut Random, axes: &Table<f32>) -> Vec<f32> {
    let mut weights = [0.0; AXES];
    random.fill_normal(&mut weights);
    let mut person = vec![0.0; axes.width()];
    for (weight, axis) in weights.iter().zip(axes.rows()) {
        person
            .iter_mut()
            .zip(axis)
            .for_each(|(x, a)| *x += weight * a);
    }
    scale(&mut person);
    person
}

fn photo(random: &mut Random, person: &[f32], out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + person.len(), 0.0);
    let photo = &mut out[start..];
    random.fill_normal(photo);
    scale(photo);
    let [normal, _] = random.normals();
    let likeness = (LIKENESS + LIKENESS_SPREAD * normal).clamp(0.5, 0.98);
    let rest = (1.0 - likeness * likeness).sqrt();
    photo
        .iter_mut()
        .zip(person)
        .for_each(|(x, p)| *x = likeness * p + rest * *x);
    scale(photo);
}

fn scale(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    }

    fn mean_and_spread(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, (variance / values.len() as f64).sqrt())
    }

    #[test]
    fn faces_have_the_cosines_that_are_promised() {
        let made = generate(Shape::Faces, 3_000, 256, 100, 7).unwrap();
        assert_eq!((made.base.len(), made.queries.len()), (3_000, 100));
        let (mut same, mut strangers) = (Vec::new(), Vec::new());
        for a in (0..3_000).step_by(3) {
            for b in (a + 1)..(a + 40).min(3_000) {
                let cosine = cosine(made.base.row(a), made.base.row(b));
                if made.identities[a] == made.identities[b] {
                    same.push(cosine);
                } else {
                    strangers.push(cosine);
                }
            }
        }
        let (mean, spread) = mean_and_spread(&same);
        assert!((mean - 0.65).abs() < 0.02, "{mean}");
        assert!((spread - 0.07).abs() < 0.015, "{spread}");
        let (mean, spread) = mean_and_spread(&strangers);
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((spread - 0.1).abs() < 0.02, "{spread}");
        for row in made.base.rows().chain(made.queries.rows()) {
            assert!((cosine(row, row) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn an_identity_has_1_to_30_photos_and_queries_are_photos_of_identities_in_the_base() {
        let made = generate(Shape::Faces, 5_000, 64, 50, 1).unwrap();
        let people = usize::try_from(*made.identities.last().unwrap()).unwrap() + 1;
        let mut photos = vec![0; people];
        for identity in &made.identities {
            photos[*identity as usize] += 1;
        }
        assert!(photos.iter().all(|count| (1..=30).contains(count)));
        assert!((250..420).contains(&people), "{people}");
        for query in made.queries.rows() {
            let best = made.base.rows().map(|row| cosine(query, row));
            assert!(best.fold(-1.0, f64::max) > 0.4);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_vectors_and_another_seed_others() {
        for shape in [Shape::Faces, Shape::Uniform, Shape::Gaussian] {
            let make = |seed| generate(shape, 40, 7, 5, seed).unwrap().base;
            assert_eq!(make(3), make(3));
            assert_ne!(make(3), make(4));
        }
    }

    #[test]
    fn uniform_and_gaussian_numbers_have_their_moments() {
        let moments = |shape| {
            let made = generate(shape, 500, 40, 1, 9).unwrap();
            let values: Vec<f64> = made.base.values().iter().map(|x| f64::from(*x)).collect();
            mean_and_spread(&values)
        };
        let (mean, spread) = moments(Shape::Uniform);
        assert!((mean - 0.5).abs() < 0.01 && (spread - 0.2887).abs() < 0.01);
        let (mean, spread) = moments(Shape::Gaussian);
        assert!(mean.abs() < 0.03 && (spread - 1.0).abs() < 0.03);
    }

    #[test]
    fn no_vectors_and_no_queries_are_made_when_none_are_wanted() {
        let made = generate(Shape::Faces, 0, 8, 3, 1).unwrap();
        assert!(made.base.is_empty() && made.queries.is_empty());
        assert!(generate(Shape::Uniform, 3, 0, 3, 1).is_err());
    }
}
