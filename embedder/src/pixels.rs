//! Sides of and places in photos as numbers of either kind.

#[expect(
    clippy::cast_precision_loss,
    reason = "sides of photos have few digits"
)]
pub(crate) fn float(n: u32) -> f32 {
    n as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a photo"
)]
pub(crate) fn floor(x: f32) -> u32 {
    x as u32
}
