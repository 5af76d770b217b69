//! What the sections of a snapshot are called.

use storage::VectorId;

/// The ids, number by number; in snapshots of version 1 slot by slot of the only index.
pub(crate) const IDS: &str = "ids";
/// A row for each point.
pub(crate) const POINTS: &str = "points";
/// The index of a snapshot of version 1.
pub(crate) const ONLY_INDEX: &str = "index";

/// The index of a vector.
pub(crate) fn index(of: VectorId) -> String {
    format!("index-{}", of.0)
}

/// The numbers of a vector's points, slot by slot of its index.
pub(crate) fn numbers(of: VectorId) -> String {
    format!("numbers-{}", of.0)
}
