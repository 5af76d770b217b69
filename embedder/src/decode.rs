//! From the bytes of an image file to upright pixels. Sizes are checked before anything is decoded.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::Error;
use crate::limits::{MAX_DECODE_BYTES, MAX_IMAGE_BYTES, MAX_PIXELS, MAX_SIDE};

/// A kind of image file that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP
    WebP,
}

impl ImageKind {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            ImageKind::Jpeg => "image/jpeg",
            ImageKind::Png => "image/png",
            ImageKind::WebP => "image/webp",
        }
    }

    fn format(self) -> ImageFormat {
        match self {
            ImageKind::Jpeg => ImageFormat::Jpeg,
            ImageKind::Png => ImageFormat::Png,
            ImageKind::WebP => ImageFormat::WebP,
        }
    }
}

/// What kind of image the bytes are, by their first few; names of files are not believed.
pub fn sniff(bytes: &[u8]) -> Result<ImageKind, Error> {
    let brand = bytes.get(4..12).unwrap_or_default();
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Ok(ImageKind::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Ok(ImageKind::Png),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Ok(ImageKind::WebP),
        [b'G', b'I', b'F', b'8', ..] => Err(Error::Unsupported { format: "GIF" }),
        [b'B', b'M', ..] => Err(Error::Unsupported { format: "BMP" }),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => {
            Err(Error::Unsupported { format: "TIFF" })
        }
        _ if brand.starts_with(b"ftypavif") => Err(Error::Unsupported { format: "AVIF" }),
        _ if [&b"ftypheic"[..], b"ftypheix", b"ftypmif1", b"ftypheif"].contains(&brand) => {
            Err(Error::Unsupported { format: "HEIC" })
        }
        [] => Err(Error::NotAnImage {
            seen: ", but the file is empty".into(),
        }),
        [b'%', b'P', b'D', b'F', ..] => Err(Error::NotAnImage {
            seen: ", this looks like a PDF".into(),
        }),
        _ => Err(Error::NotAnImage {
            seen: String::new(),
        }),
    }
}

/// Decodes a photo and turns it upright as its EXIF orientation says.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(Error::TooManyBytes {
            got: bytes.len(),
            limit: MAX_IMAGE_BYTES,
        });
    }
    let kind = sniff(bytes)?;
    let damaged = |error: image::ImageError| Error::Damaged(error.to_string());
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), kind.format())
        .into_decoder()
        .map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::TooLarge {
            width,
            height,
            max_side: MAX_SIDE,
            max_pixels: MAX_PIXELS,
        });
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    decoder.set_limits(limits).map_err(damaged)?;
    // A photo whose orientation cannot be read is taken as upright.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([
                u8::try_from(x % 256).unwrap(),
                u8::try_from(y % 256).unwrap(),
                90,
            ])
        });
        image
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        bytes
    }

    /// The header of a PNG of any size, with nothing behind it.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = png(1, 1);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                }
            })
        })
    }

    #[test]
    fn a_png_that_declares_fifty_thousand_pixels_a_side_is_refused_from_its_header() {
        let refused = decode(&bomb(50_000, 50_000));
        assert!(
            matches!(
                refused,
                Err(Error::TooLarge {
                    width: 50_000,
                    height: 50_000,
                    ..
                })
            ),
            "{refused:?}"
        );
        assert!(matches!(
            decode(&bomb(16_000, 16_000)),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn what_is_no_image_is_told_apart_from_what_is_not_supported() {
        assert!(matches!(decode(b""), Err(Error::NotAnImage { .. })));
        assert!(matches!(
            decode(b"hello, world"),
            Err(Error::NotAnImage { .. })
        ));
        assert!(matches!(
            decode(b"GIF89a........"),
            Err(Error::Unsupported { format: "GIF" })
        ));
        assert!(matches!(
            decode(b"\0\0\0\x18ftypheic...."),
            Err(Error::Unsupported { format: "HEIC" })
        ));
        assert!(matches!(
            decode(&vec![0; MAX_IMAGE_BYTES + 1]),
            Err(Error::TooManyBytes { .. })
        ));
    }

    #[test]
    fn damaged_files_are_errors_and_never_panics() {
        let good = png(40, 30);
        for len in 0..good.len() {
            assert!(
                decode(&good[..len]).is_err() || len > good.len() - 13,
                "cut at {len}"
            );
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            let _ = decode(&bad);
        }
    }

    #[test]
    fn a_photo_taken_sideways_is_turned_upright() {
        let image = RgbImage::from_fn(20, 10, |x, _| {
            image::Rgb([if x < 10 { 250 } else { 5 }, 0, 0])
        });
        let mut jpeg = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg)
            .unwrap();
        // An APP1 segment with an EXIF block that holds the orientation tag alone, value 6.
        let mut exif =
            b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let mut segment = vec![0xff, 0xe1];
        segment.extend_from_slice(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
        segment.append(&mut exif);
        jpeg.splice(2..2, segment);
        let upright = decode(&jpeg).unwrap();
        assert_eq!(upright.dimensions(), (10, 20));
        assert!(upright.get_pixel(5, 2)[0] > 200 && upright.get_pixel(5, 17)[0] < 60);
    }
}
