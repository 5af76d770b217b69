//! Numbers drawn from distributions.

use crate::chance::Chance;

/// Between 0 and 1, neither of them.
pub(super) fn share(chance: &mut Chance) -> f64 {
    ((chance.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Exponential, of mean 1.
pub(super) fn exponential(chance: &mut Chance) -> f64 {
    -share(chance).ln()
}

/// Normal, of mean 0 and deviation 1 (Box & Muller 1958).
pub(super) fn normal(chance: &mut Chance) -> f64 {
    let radius = (2.0 * exponential(chance)).sqrt();
    radius * (std::f64::consts::TAU * share(chance)).cos()
}
