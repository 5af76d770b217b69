//! Every limit of the pipeline, checked before a photo is decoded.

use std::ops::RangeInclusive;

use crate::error::Error;

/// Bytes of an image file.
pub const MAX_IMAGE_BYTES: usize = 32 << 20;
/// Pixels on a side.
pub const MAX_SIDE: u32 = 16_384;
/// Pixels in all, of a JPEG, which can be decoded at a part of its size.
pub const MAX_PIXELS: u64 = 64 << 20;
/// Bytes that the pixels of any other photo are once it is decoded, 3 a pixel at least: 55 megapixels, or 28 of 16
/// bits a colour. A few kilobytes can declare as many as may be.
pub const MAX_WHOLE_BYTES: u64 = 160 << 20;
/// Scans of a JPEG; encoders write 10 of a progressive one, and some 20 where they try for the fewest bytes.
pub(crate) const MAX_SCANS: usize = 32;
/// Bytes that a JPEG's decoder may allocate for a part of its size.
pub const MAX_DECODE_BYTES: u64 = 512 << 20;
/// Pixels in all the pictures that a HEIC file's own is made of, and in those that are put together
/// for it: tiles reach over its edges, transparency doubles both.
pub(crate) const MAX_HEIC_PIXELS: u64 = 4 * MAX_WHOLE_BYTES / 3;
/// Pixels that count for a picture in a HEIC file at least, so that not too many are named.
pub(crate) const HEIC_ITEM_LEAST_PIXELS: u64 = 128 * 128;
/// Bytes of the list of contents of a HEIC file; an iPhone's has about 5,000.
pub(crate) const HEIC_META_BYTES: usize = 256 << 10;
/// Pictures within pictures of a HEIC file.
pub(crate) const HEIC_NESTED: u8 = 3;
/// Bytes of a photo's colour profile; those of printers have half a million.
pub(crate) const PROFILE_BYTES: u64 = 4 << 20;
/// Parts of a photo that are looked at one by one for small faces: as many as the largest photos have at about
/// half their size.
pub(crate) const MAX_PARTS: usize = 80;
/// The same where it is only to be found out which way a photo lies, which each is looked at in three ways for: as
/// many as photos of 24 megapixels have.
pub(crate) const MAX_TURNED_PARTS: usize = 24;
/// Faces answered for one photo.
pub const MAX_FACES: usize = 100;
/// Faces that a part of a photo has at most, the surest; so that one with thousands leaves room for the others.
pub(crate) const MAX_FACES_OF_PART: usize = 250;
/// The same of all parts; each is compared with all others.
pub(crate) const MAX_FACES_OF_PARTS: usize = 4_000;
/// Faces that go through the model at once.
pub(crate) const FACES_AT_ONCE: usize = 16;
/// Vectors that go through a head at once.
pub(crate) const VECTORS_AT_ONCE: usize = 256;
/// Networks of one model.
pub(crate) const NETWORKS: usize = 4;
/// Numbers in a model's vector.
pub const VECTOR_NUMBERS: RangeInclusive<usize> = 2..=4_096;
/// Pixels on a side of what a model sees of a face.
pub(crate) const INPUT_SIDES: RangeInclusive<u32> = 16..=1_024;
/// Characters of a model's name, and of the names of its files.
pub(crate) const MODEL_NAME_CHARS: usize = 100;
/// Bytes of a manifest.
pub(crate) const MANIFEST_BYTES: u64 = 1 << 20;
/// Bytes of a model that is taken out of a package.
pub(crate) const MODEL_BYTES: u64 = 4 << 30;

/// Whether a photo of this size is decoded; `whole_bytes` is what its pixels are then, where nothing less can be made of
/// its kind.
///
/// # Errors
/// It is too large, or nothing.
pub(crate) fn check_size(
    (width, height): (u32, u32),
    whole_bytes: Option<u64>,
) -> Result<(), Error> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        let what = format!("it says to be {width} x {height} pixels");
        return Err(Error::Damaged(what));
    }
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(Error::TooLarge {
            width,
            height,
            max_side: MAX_SIDE,
            max_pixels: MAX_PIXELS,
        });
    }
    match whole_bytes {
        Some(bytes) if bytes > MAX_WHOLE_BYTES => Err(Error::TooLargeWhole {
            width,
            height,
            bytes,
            limit: MAX_WHOLE_BYTES,
        }),
        _ => Ok(()),
    }
}
