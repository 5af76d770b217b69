//! Small pictures of what is kept. The file that comes in may be anything that a client has sent, so
//! it goes through the same checks as a photo does.

use crate::crop::{jpeg, resized};
use crate::decode::decode;
use crate::error::Error;

/// A picture scaled down so that its longer side is at most `side` pixels, as a JPEG file without
/// metadata; one that is smaller keeps its size.
///
/// # Errors
/// It is no picture that [`crate::sniff`] knows, damaged, or too large.
pub fn thumbnail(image: &[u8], side: u32) -> Result<Vec<u8>, Error> {
    let picture = decode(image)?;
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= side {
        return jpeg(&picture);
    }
    let scaled = |length: u32| {
        let scaled = u64::from(length) * u64::from(side) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    jpeg(&resized(&picture, scaled(width), scaled(height))?)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn the_longer_side_is_as_long_as_asked_and_nothing_is_enlarged() {
        for (size, side, expected) in [
            ((400, 100), 40, (40, 10)),
            ((100, 400), 40, (10, 40)),
            ((300, 1), 30, (30, 1)),
            ((20, 30), 64, (20, 30)),
        ] {
            let picture = jpeg(&RgbImage::new(size.0, size.1)).unwrap();
            let small = decode(&thumbnail(&picture, side).unwrap()).unwrap();
            assert_eq!(small.dimensions(), expected);
        }
        assert!(thumbnail(b"no picture", 10).is_err());
    }
}
