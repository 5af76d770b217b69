//! Projections that need no names: onto the directions in which samples reach farthest, and onto
//! random ones. They are what a head has to be better than.

use crate::chance::Chance;
use crate::error::Error;
use crate::head::narrow;
use crate::samples::Samples;

const SWEEPS: usize = 60;

/// The `count` directions (of length 1, at right angles) that keep most of the samples' inner
/// products: the eigenvectors of their second moments, the largest first. The mean is left in, because
/// cosines are about the origin.
///
/// # Errors
/// There are not so many.
pub fn principal(samples: &Samples, count: usize) -> Result<Vec<Vec<f32>>, Error> {
    let dim = samples.size();
    if count > dim {
        return Err(Error::Refused(format!(
            "vectors of {dim} numbers have no {count} directions"
        )));
    }
    let mut moments = vec![vec![0.0_f64; dim]; dim];
    for row in samples.rows() {
        for (moments, a) in moments.iter_mut().zip(row) {
            let a = f64::from(*a);
            moments
                .iter_mut()
                .zip(row)
                .for_each(|(sum, b)| *sum += a * f64::from(*b));
        }
    }
    let mut found = eigenvectors(moments);
    found.truncate(count);
    Ok(found
        .into_iter()
        .map(|direction| direction.into_iter().map(narrow).collect())
        .collect())
}

/// `count` directions of normal numbers: inner products are kept on average (Johnson & Lindenstrauss).
pub fn random_projection(dim: usize, count: usize, chance: &mut Chance) -> Vec<Vec<f32>> {
    let direction = |_| {
        (0..dim)
            .map(|_| narrow(chance.normal() / (count as f64).sqrt()))
            .collect()
    };
    (0..count).map(direction).collect()
}

/// Of a symmetric matrix, the largest eigenvalue's first, by Jacobi's rotations in cyclic order.
fn eigenvectors(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let dim = matrix.len();
    let mut vectors: Vec<Vec<f64>> = (0..dim)
        .map(|at| {
            (0..dim)
                .map(|other| f64::from(u8::from(at == other)))
                .collect()
        })
        .collect();
    let whole: f64 = matrix.iter().flatten().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off =
            |(at, row): (usize, &Vec<f64>)| -> f64 { row.iter().skip(at + 1).map(|x| x * x).sum() };
        if matrix.iter().enumerate().map(off).sum::<f64>() <= 1e-22 * whole {
            break;
        }
        for p in 0..dim {
            for q in p + 1..dim {
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|a, b| matrix[*b][*b].total_cmp(&matrix[*a][*a]).then(a.cmp(b)));
    order
        .into_iter()
        .map(|at| std::mem::take(&mut vectors[at]))
        .collect()
}

/// Turns rows and columns `p` and `q` so that their common element becomes 0. `vectors` has an
/// eigenvector in each row.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let common = matrix[p][q];
    if common.abs() < f64::MIN_POSITIVE {
        return;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * common);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let (c, s) = {
        let c = 1.0 / (t * t + 1.0).sqrt();
        (c, t * c)
    };
    for row in matrix.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    turn(matrix, (p, q), (c, s));
    turn(vectors, (p, q), (c, s));
}

fn turn(rows: &mut [Vec<f64>], (p, q): (usize, usize), (c, s): (f64, f64)) {
    let (before, after) = rows.split_at_mut(q);
    for (a, b) in before[p].iter_mut().zip(&mut after[0]) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_in_which_samples_reach_farthest_come_first() {
        let mut chance = Chance::new(8);
        // Three directions at right angles, of which the second reaches farthest.
        let base = [
            [0.6, 0.8, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [-0.8, 0.6, 0.0, 0.0],
        ];
        let mut values = Vec::new();
        for _ in 0..400 {
            let by = [
                2.0 * chance.normal(),
                5.0 * chance.normal(),
                0.1 * chance.normal(),
            ];
            let at = |column: usize| (0..3).map(|n| by[n] * base[n][column]).sum::<f64>();
            values.extend((0..4).map(|column| narrow(at(column))));
        }
        let samples = Samples::new(&[4], values, vec![0; 400]).unwrap();
        let found = principal(&samples, 2).unwrap();
        let along = |a: &[f32], b: &[f64; 4]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * b)
                .sum::<f64>()
                .abs()
        };
        assert!(along(&found[0], &base[1]) > 0.99, "{found:?}");
        assert!(along(&found[1], &base[0]) > 0.99, "{found:?}");
        assert!(principal(&samples, 5).is_err());
    }
}
