//! Every limit of a training, checked before it begins.

use std::ops::RangeInclusive;

/// Samples that are learned from.
pub const SAMPLES: usize = 2_000_000;
/// Numbers of all samples together: 8 GiB.
pub const NUMBERS: usize = 1 << 31;
/// Numbers in a vector that a head takes or makes.
pub const VECTOR_NUMBERS: RangeInclusive<usize> = 2..=4_096;
/// Numbers in a hidden layer.
pub const HIDDEN_NUMBERS: RangeInclusive<usize> = 1..=4_096;
/// Pixels on a side of what a network sees.
pub const SIDES: RangeInclusive<usize> = 8..=256;
/// Blocks of a convolutional network.
pub const BLOCKS: RangeInclusive<usize> = 1..=100;
/// Its channels, and how many times as many a block has within.
pub const CHANNELS: RangeInclusive<usize> = 1..=1_024;
/// What its numbers of channels may be divided by.
pub const NARROWER: RangeInclusive<usize> = 1..=8;
/// People in a batch who have several photos.
pub const PEOPLE_IN_A_BATCH: RangeInclusive<usize> = 3..=1_024;
/// Photos of one person in a batch.
pub const PHOTOS_OF_A_PERSON: RangeInclusive<usize> = 2..=64;
/// People of a batch of whom one photo is taken.
pub const STRANGERS_IN_A_BATCH: RangeInclusive<usize> = 0..=4_096;
/// Batches in an epoch.
pub const BATCHES: RangeInclusive<usize> = 1..=100_000;
/// Epochs.
pub const EPOCHS: RangeInclusive<usize> = 1..=100_000;
/// Bytes of a checkpoint that is read.
pub(crate) const CHECKPOINT_BYTES: u64 = 4 << 30;
/// Vectors that go through a head together.
pub(crate) const VECTORS_AT_ONCE: usize = 256;
/// Photos that go through a network together.
pub(crate) const PHOTOS_AT_ONCE: usize = 8;
