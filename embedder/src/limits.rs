//! Every limit of the pipeline, checked before a photo is decoded.

/// Bytes of an image file.
pub const MAX_IMAGE_BYTES: usize = 32 << 20;
/// Pixels on a side.
pub const MAX_SIDE: u32 = 16_384;
/// Pixels in all.
pub const MAX_PIXELS: u64 = 64 << 20;
/// Bytes the decoder may allocate.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;
/// Faces answered for one photo.
pub const MAX_FACES: usize = 100;
/// Faces that go through the model at once.
pub(crate) const FACES_AT_ONCE: usize = 16;
