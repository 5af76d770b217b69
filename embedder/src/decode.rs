//! From the bytes of an image file to upright pixels. Sizes are checked before anything is decoded.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::Error;
use crate::heic;
use crate::jpeg;
use crate::kind::{ImageKind, sniff};
use crate::limits::{MAX_IMAGE_BYTES, check_size};
use crate::photo::Photo;
use crate::reduced::reduced;

/// Decodes a photo and turns it upright as its EXIF orientation says. What is transparent is white;
/// of several frames or pages the first counts.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    let Some(format) = limited(bytes)?.format() else {
        return heic::decode(bytes).map(on_white);
    };
    let mut decoder = opened(bytes, format)?;
    let orientation = upright_or_said(&mut decoder);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(on_white(image))
}

/// The same of a JPEG so large that no more than half of its pixels on a side are needed for its
/// longer side to be `least_side`: as few as that takes, with the width and height of the whole
/// upright photo. `None` where the whole photo must be decoded.
pub(crate) fn decode_reduced(bytes: &[u8], least_side: u32) -> Result<Option<Photo>, Error> {
    if limited(bytes)? != ImageKind::Jpeg {
        return Ok(None);
    }
    let mut decoder = opened(bytes, ImageFormat::Jpeg)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) / 2 < least_side {
        return Ok(None);
    }
    // What this decoder cannot read, the other one may, and else it says what is wrong.
    let Some(pixels) = reduced(bytes, least_side) else {
        return Ok(None);
    };
    let orientation = upright_or_said(&mut decoder);
    let size = match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    };
    let mut image = DynamicImage::from(pixels);
    image.apply_orientation(orientation);
    Ok(Some(Photo::of(image.into_rgb8(), size)))
}

/// The most that a PNG's chunks beside its pixels unpack to: they are, before its size can be asked for.
const MAX_BESIDE_BYTES: u64 = 16 << 20;
/// How many copies of a photo's pixels there are at most: as it is, and turned in two ways to look for
/// faces, or what its decoder makes on the way, or what is turned upright or made opaque.
const COPIES: u64 = 3;
/// Bytes that a pixel of a HEIC file's pictures takes while they are decoded: planes of 16 bits, copies of
/// one for its filters, and what is made of them.
const HEIC_BYTES: u64 = 16;

/// The most memory that looking at a photo, or making another picture of it, takes; by what its file says
/// of itself, before anything is decoded. A JPEG that is decoded in part at first may be decoded
/// whole after all.
///
/// # Errors
/// It is no photo that [`sniff`] knows, damaged, or too large.
pub fn memory_bytes(image: &[u8]) -> Result<u64, Error> {
    let pixels = match limited(image)?.format() {
        None => heic::pixels(image)?.saturating_mul(HEIC_BYTES),
        Some(format) => decoded_bytes(&opened(image, format)?).saturating_mul(COPIES),
    };
    // Decoders keep the file, and what stands in it beside the pixels.
    Ok(pixels.saturating_add(2 * image.len() as u64))
}

/// The kind of a file that has not too many bytes.
fn limited(bytes: &[u8]) -> Result<ImageKind, Error> {
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(Error::TooManyBytes {
            got: bytes.len(),
            limit: MAX_IMAGE_BYTES,
        });
    }
    sniff(bytes)
}

/// A decoder that has read the header of a photo within all limits.
fn opened(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, Error> {
    if let (ImageFormat::Png, Some(declared)) = (format, declared_by_png(bytes)) {
        // Its decoder gives up on the hugest without saying how large they are.
        check_size(declared, None)?;
    }
    let decoder = decoder(bytes, format)?;
    if format == ImageFormat::Jpeg {
        jpeg::check(bytes)?;
    }
    let whole = (format != ImageFormat::Jpeg).then(|| decoded_bytes(&decoder));
    check_size(decoder.dimensions(), whole)?;
    Ok(decoder)
}

/// Width and height as the first chunk of a PNG says them.
fn declared_by_png(bytes: &[u8]) -> Option<(u32, u32)> {
    let sides = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let (width, sides) = sides.split_first_chunk()?;
    let (height, _) = sides.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// What all pixels are as they are stored, as they are decoded or as red, green and blue, whichever is the most.
fn decoded_bytes(decoder: &impl ImageDecoder) -> u64 {
    let (width, height) = decoder.dimensions();
    let stored = u64::from(decoder.original_color_type().bits_per_pixel().div_ceil(8));
    let decoded = u64::from(decoder.color_type().bytes_per_pixel());
    (u64::from(width) * u64::from(height)).saturating_mul(stored.max(decoded).max(3))
}

/// How the photo must be turned to be upright once it is decoded.
pub(crate) fn orientation_of(bytes: &[u8], kind: ImageKind) -> Result<Orientation, Error> {
    match kind.format() {
        Some(format) => Ok(upright_or_said(&mut decoder(bytes, format)?)),
        None => Ok(Orientation::NoTransforms),
    }
}

/// Beside the pixels it may allocate what the file has: a GIF's frame may be larger than the picture that it says to be
/// in. A TIFF's decoder reads what is not packed into a second copy, and a file that is cut has less than that.
fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder, Error> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BESIDE_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let pixels = decoded_bytes(&decoder);
    let beside = match format {
        ImageFormat::Tiff => pixels.max(bytes.len() as u64),
        _ => bytes.len() as u64,
    };
    limits.max_alloc = Some(pixels.saturating_add(beside));
    decoder.set_limits(limits).map_err(damaged)?;
    Ok(decoder)
}

/// A photo whose orientation cannot be read is taken as upright.
fn upright_or_said(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn damaged(error: image::ImageError) -> Error {
    // Some end with a line's end.
    let what = error.to_string().trim_end().to_owned();
    match error {
        image::ImageError::Unsupported(_) => Error::UnsupportedForm(what),
        image::ImageError::Limits(_) => Error::TooMuchMemory(what),
        _ => Error::Damaged(what),
    }
}

/// What lies behind transparent pixels is arbitrary, and often black.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let over = |shade: u32| (shade * alpha + 255 * (255 - alpha) + 127) / 255;
        image::Rgb([r, g, b].map(|shade| u8::try_from(over(shade)).unwrap_or(u8::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use crate::limits::MAX_SIDE;

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

    #[test]
    fn a_form_that_is_not_read_is_told_as_that_and_not_as_damage() {
        let mut bytes = Vec::new();
        image::GrayImage::new(8, 8)
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Tiff)
            .unwrap();
        // Its numbers become places in a palette (tag 262, a short).
        let tag = [6, 1, 3, 0, 1, 0, 0, 0];
        let at = bytes.windows(8).position(|eight| eight == tag).unwrap();
        bytes[at + 8] = 3;
        let refused = decode(&bytes).expect_err("palettes are not read");
        assert!(matches!(refused, Error::UnsupportedForm(_)), "{refused:?}");
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
    fn a_png_of_the_hugest_size_that_there_is_is_refused_with_its_size() {
        let side = i32::MAX.unsigned_abs();
        for (width, height) in [(side, side), (side, 1), (1, side)] {
            let refused = decode(&bomb(width, height)).expect_err("it is too large");
            let told = refused.to_string();
            for part in [width, height, MAX_SIDE].map(|it| it.to_string()) {
                assert!(told.contains(&part), "{told}");
            }
        }
    }

    #[test]
    fn a_tiff_that_is_not_packed_and_cut_is_damaged_and_not_too_large() {
        let (width, height) = (64_u16, 64_u16);
        let bytes = u32::from(width) * u32::from(height) * 3;
        let tag = |tag: u16, kind: u16, count: u32, value: u32| {
            let head = [tag, kind].map(u16::to_le_bytes).concat();
            [head, [count, value].map(u32::to_le_bytes).concat()].concat()
        };
        // Header, nine tags, the end of the list, bits of each colour, pixels.
        let (bits, strip) = (8 + 2 + 9 * 12 + 4, 8 + 2 + 9 * 12 + 4 + 6);
        let tags = [
            tag(256, 3, 1, width.into()),
            tag(257, 3, 1, height.into()),
            tag(258, 3, 3, bits),
            tag(259, 3, 1, 1),
            tag(262, 3, 1, 2),
            tag(273, 4, 1, strip),
            tag(277, 3, 1, 3),
            tag(278, 3, 1, height.into()),
            tag(279, 4, 1, bytes),
        ];
        let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
        file.extend(tags.concat());
        file.extend([0; 4]);
        file.extend([8, 0, 8, 0, 8, 0]);
        file.extend((0..bytes).map(|at| u8::try_from(at % 251).unwrap()));
        let whole = decode(&file).expect("it is whole");
        assert_eq!(whole.get_pixel(1, 0).0, [3, 4, 5]);
        for cut in [1, 6_000, 12_000] {
            let refused = decode(&file[..file.len() - cut]).expect_err("it is cut");
            assert!(matches!(refused, Error::Damaged(_)), "{cut}: {refused:?}");
        }
    }

    #[test]
    fn a_colour_profile_of_a_png_that_unpacks_to_more_than_any_has_is_left_alone() {
        let with_profile = |zeros: usize| {
            let mut packed = ZlibEncoder::new(b"iCCPicc\0\0".to_vec(), Compression::fast());
            packed.write_all(&vec![0; zeros]).unwrap();
            let chunk = packed.finish().unwrap();
            let length = u32::try_from(chunk.len() - 4).unwrap().to_be_bytes();
            let mut bytes = png(3, 2);
            let chunk = [&length[..], &chunk, &crc32(&chunk).to_be_bytes()].concat();
            bytes.splice(33..33, chunk);
            bytes
        };
        let unpacked = |bytes: &[u8]| {
            let profile = decoder(bytes, ImageFormat::Png).unwrap().icc_profile();
            profile.unwrap().map(|profile| profile.len())
        };
        assert_eq!(unpacked(&with_profile(1 << 20)), Some(1 << 20));
        let bomb = with_profile(64 << 20);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(unpacked(&bomb), None);
        assert_eq!(decode(&bomb).unwrap(), decode(&png(3, 2)).unwrap());
    }

    /// A JPEG whose red rises to the right and whose green rises downwards, with an orientation.
    fn jpeg(width: u32, height: u32, orientation: u8) -> Vec<u8> {
        let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([shade(x, width), shade(y, height), 90])
        });
        let mut bytes = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
            .unwrap();
        let mut exif =
            b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        bytes.splice(2..2, exif);
        bytes
    }

    #[test]
    fn a_photo_says_what_it_takes_before_it_is_decoded() {
        let (small, large) = (png(100, 100), bomb(7_000, 7_000));
        let of = |image: &[u8]| memory_bytes(image).unwrap() - 2 * image.len() as u64;
        assert_eq!((of(&small), of(&large)), (90_000, 9 * 49_000_000));
        assert_eq!(of(&jpeg(800, 400, 6)), 9 * 320_000);
        let mut bytes = Vec::new();
        let deep = DynamicImage::new_rgba16(10, 10);
        deep.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        assert_eq!(of(&bytes), 24 * 100);
        assert!(memory_bytes(&bomb(50_000, 50_000)).is_err() && memory_bytes(b"no photo").is_err());
    }

    #[test]
    fn a_huge_jpeg_is_decoded_in_part_and_shows_the_same_picture() {
        for orientation in 1..=8 {
            let bytes = jpeg(800, 400, orientation);
            let whole = decode(&bytes).unwrap();
            let photo = decode_reduced(&bytes, 100).unwrap().unwrap();
            let (reduced, size) = (photo.pixels, photo.size);
            assert_eq!(size, whole.dimensions(), "{orientation}");
            assert_eq!(reduced.dimensions(), (size.0 / 8, size.1 / 8));
            for (x, y) in [(2, 3), (40, 30), (20, 45)] {
                let (part, all) = (
                    reduced.get_pixel(x, y),
                    whole.get_pixel(x * 8 + 4, y * 8 + 4),
                );
                let near = part.0.iter().zip(all.0).all(|(a, b)| a.abs_diff(b) < 8);
                assert!(near, "{orientation} at {x}, {y}: {part:?} {all:?}");
            }
        }
        let quarter = decode_reduced(&jpeg(800, 400, 1), 101).unwrap().unwrap();
        assert_eq!(quarter.pixels.dimensions(), (200, 100));
        assert!(decode_reduced(&jpeg(800, 400, 1), 401).unwrap().is_none());
        assert!(decode_reduced(&png(800, 400), 100).unwrap().is_none());
    }
}
