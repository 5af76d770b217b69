//! A photo's file without what else is written in it: where and when it was taken, with what, by
//! whom, and the small pictures of it from before it was edited. Pixels and colours stay. What
//! cannot be cut out of its file is decoded and written anew as PNG.

use std::io::Cursor;

use image::ImageFormat;
use image::metadata::Orientation;

use crate::decode::{decode, orientation_of};
use crate::error::Error;
use crate::kind::{ImageKind, sniff};

/// The same photo without metadata but its orientation.
///
/// # Errors
/// It is no photo that [`sniff`] knows, damaged, or too large.
pub fn without_metadata(file: &[u8]) -> Result<Vec<u8>, Error> {
    let kind = sniff(file)?;
    let orientation = orientation_of(file, kind)?;
    let upright = orientation == Orientation::NoTransforms;
    let cut = match kind {
        ImageKind::Jpeg => jpeg(file, orientation),
        ImageKind::Png if upright => png(file),
        ImageKind::WebP if upright => webp(file),
        _ => None,
    };
    cut.map_or_else(|| anew(file), Ok)
}

fn anew(file: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    decode(file)?
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(|error| Error::Model(format!("cannot write the photo: {error}")))?;
    Ok(bytes)
}

/// Segments up to the end of the image (ITU T.81, annex B); `None` where they make no sense.
fn jpeg(file: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    let mut out = file.get(..2)?.to_vec();
    if orientation != Orientation::NoTransforms {
        out.extend(orientation_segment(orientation.to_exif()));
    }
    let mut at = 2;
    loop {
        while *file.get(at)? == 0xff && *file.get(at + 1)? == 0xff {
            at += 1;
        }
        let &[0xff, marker] = file.get(at..at + 2)? else {
            return None;
        };
        if marker == 0xd9 {
            out.extend([0xff, marker]);
            return Some(out);
        }
        let length = u16::from_be_bytes(*file.get(at + 2..)?.first_chunk()?);
        let end = at + 2 + usize::from(length);
        let segment = file.get(at..end)?;
        if is_kept(marker, segment.get(4..)?) {
            out.extend_from_slice(segment);
        }
        at = end;
        if marker == 0xda {
            let scan = scan_length(file.get(at..)?);
            out.extend_from_slice(file.get(at..at + scan)?);
            at += scan;
        }
    }
}

/// Of the segments for applications only those that say how colours are meant.
fn is_kept(marker: u8, content: &[u8]) -> bool {
    match marker {
        0xe0 => content.starts_with(b"JFIF\0") && content.len() == 14,
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        0xee => content.starts_with(b"Adobe"),
        0xe0..=0xef | 0xfe => false,
        _ => true,
    }
}

/// Compressed data goes up to a marker that is neither a stuffed byte nor a restart.
fn scan_length(data: &[u8]) -> usize {
    let ends =
        |pair: &[u8]| matches!(pair, [0xff, next] if !matches!(next, 0 | 0xd0..=0xd7 | 0xff));
    let end = data.windows(2).position(ends);
    end.unwrap_or(data.len())
}

/// An EXIF segment that holds the orientation alone.
fn orientation_segment(orientation: u8) -> Vec<u8> {
    let mut segment =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    segment.extend([0, orientation, 0, 0, 0, 0, 0, 0]);
    segment
}

/// Chunks up to the last (PNG specification, section 5).
fn png(file: &[u8]) -> Option<Vec<u8>> {
    const KEPT: [&[u8]; 13] = [
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT",
        b"bKGD", b"pHYs", b"cICP",
    ];
    let mut out = file.get(..8)?.to_vec();
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(*file.get(at..)?.first_chunk()?);
        let name = file.get(at + 4..at + 8)?;
        let end = at
            .checked_add(usize::try_from(length).ok()?)?
            .checked_add(12)?;
        if KEPT.contains(&name) {
            out.extend_from_slice(file.get(at..end)?);
        }
        if name == b"IEND" {
            return Some(out);
        }
        at = end;
    }
}

/// Chunks of the container (RFC 9649); its header says no longer that there is metadata.
fn webp(file: &[u8]) -> Option<Vec<u8>> {
    const KEPT: [&[u8]; 7] = [
        b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF",
    ];
    const EXIF_AND_XMP: u8 = 0b1100;
    let mut out = file.get(..12)?.to_vec();
    let mut at = 12;
    while at < file.len() {
        let name = file.get(at..at + 4)?;
        let length = u32::from_le_bytes(*file.get(at + 4..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let end = at
            .checked_add(8)?
            .checked_add(length)?
            .checked_add(length % 2)?;
        if KEPT.contains(&name) {
            let start = out.len();
            out.extend_from_slice(file.get(at..end)?);
            if name == b"VP8X" {
                *out.get_mut(start + 8)? &= !EXIF_AND_XMP;
            }
        }
        at = end;
    }
    let length = u32::try_from(out.len() - 8).ok()?;
    out.get_mut(4..8)?.copy_from_slice(&length.to_le_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    const SECRET: &[u8] = b"N 48.8584 E 2.2945";

    fn photo() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| {
            let shade = |n: u32| u8::try_from(n * 10 % 256).unwrap();
            Rgb([shade(x), shade(y), shade(x + y)])
        })
    }

    fn file(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        photo()
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        bytes
    }

    fn holds_secret(bytes: &[u8]) -> bool {
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    }

    fn with_segment(jpeg: &[u8], segment: &[u8]) -> Vec<u8> {
        [&jpeg[..2], segment, &jpeg[2..]].concat()
    }

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], content].concat()
    }

    #[test]
    fn a_jpeg_loses_its_metadata_and_what_follows_it_and_no_pixel() {
        let plain = file(ImageFormat::Jpeg);
        let exif = segment(0xe1, &[b"Exif\0\0", SECRET].concat());
        let comment = segment(0xfe, SECRET);
        let mut tagged = with_segment(&with_segment(&plain, &exif), &comment);
        tagged.extend_from_slice(SECRET);
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged) && !holds_secret(&clean));
        assert_eq!(clean, plain);
    }

    #[test]
    fn a_sideways_jpeg_stays_sideways() {
        let tagged = with_segment(&file(ImageFormat::Jpeg), &orientation_segment(6));
        let clean = without_metadata(&tagged).unwrap();
        assert_eq!(decode(&clean).unwrap(), decode(&tagged).unwrap());
        assert_eq!(decode(&clean).unwrap().dimensions(), (16, 24));
    }

    #[test]
    fn a_png_loses_its_texts_and_no_pixel() {
        let plain = file(ImageFormat::Png);
        let length = u32::try_from(SECRET.len()).unwrap().to_be_bytes();
        let text = [&length[..], b"tEXt", SECRET, &[0; 4]].concat();
        let tagged = [&plain[..33], &text, &plain[33..], SECRET].concat();
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged));
        assert_eq!(clean, plain);
    }

    #[test]
    fn a_webp_loses_its_metadata_and_no_pixel() {
        let plain = file(ImageFormat::WebP);
        let length = u32::try_from(SECRET.len()).unwrap().to_le_bytes();
        let mut tagged = [&plain[..], b"XMP ", &length, SECRET].concat();
        let total = u32::try_from(tagged.len() - 8).unwrap().to_le_bytes();
        tagged[4..8].copy_from_slice(&total);
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged));
        assert_eq!(clean, plain);
    }

    #[test]
    fn what_cannot_be_cut_is_written_anew() {
        for format in [ImageFormat::Tiff, ImageFormat::Bmp] {
            let clean = without_metadata(&file(format)).unwrap();
            assert_eq!(sniff(&clean).unwrap(), ImageKind::Png);
            assert_eq!(decode(&clean).unwrap(), photo());
        }
        assert!(without_metadata(b"no photo").is_err());
    }
}
