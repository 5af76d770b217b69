//! What the original published about itself and its peers: 100,000 uniform vectors of 128 numbers,
//! 100 queries, on its own machine.

use super::quality::Quality;

/// Neighbours it asked for.
pub const KS: [usize; 4] = [1, 5, 10, 100];

/// One of its rows, a quality for each of [`KS`].
pub struct Row {
    /// What it measured.
    pub name: &'static str,
    /// For each of [`KS`].
    pub cells: [Quality; 4],
}

const fn row(name: &'static str, cells: [(f64, f64, f64); 4]) -> Row {
    let [a, b, c, d] = cells;
    Row {
        name,
        cells: [quality(a), quality(b), quality(c), quality(d)],
    }
}

const fn quality((chosen_position, in_10_best, dcg): (f64, f64, f64)) -> Quality {
    Quality {
        chosen_position,
        in_10_best,
        dcg,
    }
}

/// All of its rows.
pub const ROWS: [Row; 4] = [
    row(
        "KDTree",
        [
            (0.0, 1.0, 1.0),
            (0.0, 5.0, 1.667),
            (0.0, 10.0, 1.876),
            (0.0, 10.0, 2.336),
        ],
    ),
    row(
        "its own HNSW",
        [
            (0.34, 1.0, 0.875),
            (0.33, 4.98, 1.410),
            (0.32, 7.07, 1.579),
            (0.11, 8.33, 2.094),
        ],
    ),
    row(
        "nmslib",
        [
            (7.19, 0.77, 0.320),
            (7.19, 1.5, 0.453),
            (7.19, 1.51, 0.483),
            (7.19, 1.51, 0.526),
        ],
    ),
    row(
        "annoy",
        [
            (195.99, 0.1, 0.042),
            (195.99, 0.1, 0.050),
            (130.53, 0.16, 0.083),
            (14.92, 0.72, 0.333),
        ],
    ),
];
