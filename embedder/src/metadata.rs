//! A photo's file without what else is written in it: where and when it was taken, with what, by
//! whom, and the small pictures of it from before it was edited. Pixels and colours stay: of a colour
//! profile what says how they are meant, of several frames or pages the first. What cannot be cut out of
//! its file is decoded and written anew as PNG.

use std::io::{Cursor, Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use image::ImageFormat;
use image::metadata::Orientation;

use crate::decode::{decode, orientation_of};
use crate::error::Error;
use crate::icc::colours_only;
use crate::kind::{ImageKind, sniff};
use crate::limits::PROFILE_BYTES;
use crate::webp;

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
        ImageKind::WebP if upright => webp::without_metadata(file),
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

/// The segment that a colour profile lies in, or a part of one (ICC.1:2022, annex B).
const PROFILE: &[u8] = b"ICC_PROFILE\0";

/// Segments up to the end of the image (ITU T.81, annex B); `None` where they make no sense.
fn jpeg(file: &[u8], orientation: Orientation) -> Option<Vec<u8>> {
    let mut out = file.get(..2)?.to_vec();
    if orientation != Orientation::NoTransforms {
        out.extend(orientation_segment(orientation.to_exif()));
    }
    let mut at = 2;
    let (mut profile, mut place) = (Vec::<&[u8]>::new(), None);
    loop {
        while *file.get(at)? == 0xff && *file.get(at + 1)? == 0xff {
            at += 1;
        }
        let &[0xff, marker] = file.get(at..at + 2)? else {
            return None;
        };
        if marker == 0xd9 {
            out.extend([0xff, marker]);
            if let Some(place) = place {
                out.splice(place..place, profile_segments(profile).unwrap_or_default());
            }
            return Some(out);
        }
        let length = u16::from_be_bytes(*file.get(at + 2..)?.first_chunk()?);
        let end = at + 2 + usize::from(length);
        let segment = file.get(at..end)?;
        let content = segment.get(4..)?;
        match marker {
            0xe2 if content.starts_with(PROFILE) => {
                profile.extend((profile.len() < MOST_PARTS).then_some(content));
                place.get_or_insert(out.len());
            }
            // By its last byte decoders tell how colours were mixed; more of it says nothing.
            0xee if content.starts_with(b"Adobe") => {
                out.extend([0xff, marker, 0, 14]);
                out.extend_from_slice(content.get(..12)?);
            }
            _ if is_kept(marker, content) => out.extend_from_slice(segment),
            _ => {}
        }
        at = end;
        if marker == 0xda {
            let scan = scan_length(file.get(at..)?);
            out.extend_from_slice(file.get(at..at + scan)?);
            at += scan;
        }
    }
}

/// What the picture is made of; of the segments for applications only the first, which says how large its
/// pixels are.
fn is_kept(marker: u8, content: &[u8]) -> bool {
    match marker {
        0xe0 => content.starts_with(b"JFIF\0") && content.len() == 14,
        0xc0..=0xcf | 0xda..=0xdd => true,
        _ => false,
    }
}

/// Parts of a profile at most: their numbers are bytes.
const MOST_PARTS: usize = 255;
/// Bytes of a profile in a segment.
const PART_BYTES: usize = 65_519;

/// The segments of a colour profile with its colours alone; `None` where the parts make no profile.
fn profile_segments(mut parts: Vec<&[u8]>) -> Option<Vec<u8>> {
    let numbers = |part: &[u8]| Some((*part.get(12)?, *part.get(13)?));
    parts.sort_by_key(|part| numbers(part));
    let count = u8::try_from(parts.len()).ok()?;
    let mut profile = Vec::new();
    for (number, part) in (1..=u8::MAX).zip(&parts) {
        if numbers(part)? != (number, count) {
            return None;
        }
        profile.extend_from_slice(part.get(14..)?);
    }
    let profile = colours_only(&profile)?;
    let parts = profile.chunks(PART_BYTES);
    let count = u8::try_from(parts.len()).ok()?;
    let mut segments = Vec::new();
    for (number, part) in (1..=u8::MAX).zip(parts) {
        let length = u16::try_from(2 + PROFILE.len() + 2 + part.len()).ok()?;
        segments.extend([0xff, 0xe2]);
        segments.extend(length.to_be_bytes());
        segments.extend_from_slice(PROFILE);
        segments.extend([number, count]);
        segments.extend_from_slice(part);
    }
    Some(segments)
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
    /// With the most bytes that make sense.
    const KEPT: [(&[u8], usize); 12] = [
        (b"IHDR", 13),
        (b"PLTE", 768),
        (b"IDAT", usize::MAX),
        (b"IEND", 0),
        (b"tRNS", 256),
        (b"gAMA", 4),
        (b"cHRM", 32),
        (b"sRGB", 1),
        (b"sBIT", 4),
        (b"bKGD", 6),
        (b"pHYs", 9),
        (b"cICP", 4),
    ];
    let mut out = file.get(..8)?.to_vec();
    let (mut at, mut has_profile) = (8, false);
    loop {
        let length = u32::from_be_bytes(*file.get(at..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let name = file.get(at + 4..at + 8)?;
        let end = at.checked_add(length)?.checked_add(12)?;
        let chunk = file.get(at..end)?;
        if KEPT
            .iter()
            .any(|(kept, most)| *kept == name && length <= *most)
        {
            out.extend_from_slice(chunk);
        }
        // There is one at most (section 11.3.2.3): of several, each of which may unpack to megabytes, the first.
        if name == b"iCCP" && !has_profile {
            has_profile = true;
            out.extend(png_profile(chunk.get(8..8 + length)?).unwrap_or_default());
        }
        if name == b"IEND" {
            return Some(out);
        }
        at = end;
    }
}

/// A chunk with the colours of a profile alone: a name, a zero, the way it is packed, which is always the
/// same.
fn png_profile(content: &[u8]) -> Option<Vec<u8>> {
    let name = content.iter().position(|byte| *byte == 0)?;
    let mut unpacked = Vec::new();
    let mut packed = ZlibDecoder::new(content.get(name + 2..)?).take(PROFILE_BYTES);
    packed.read_to_end(&mut unpacked).ok()?;
    let mut packed = ZlibEncoder::new(b"iCCPicc\0\0".to_vec(), Compression::default());
    packed.write_all(&colours_only(&unpacked)?).ok()?;
    let chunk = packed.finish().ok()?;
    let length = u32::try_from(chunk.len() - 4).ok()?.to_be_bytes();
    let mut sum = Crc::new();
    sum.update(&chunk);
    Some([&length[..], &chunk, &sum.sum().to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    use crate::icc::tests::{profile, tag};

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
    fn of_an_animated_png_the_first_picture_is_kept_and_no_other() {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 24, 16);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_animated(2, 0).unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(photo().as_raw()).unwrap();
        writer.write_image_data(&[7; 24 * 16 * 3]).unwrap();
        writer.finish().unwrap();
        let clean = without_metadata(&file).unwrap();
        assert_eq!(decode(&clean).unwrap(), photo());
        for gone in [b"acTL", b"fcTL", b"fdAT"] {
            let has = |file: &[u8]| file.windows(4).any(|part| part == gone);
            assert!(has(&file) && !has(&clean), "{gone:?}");
        }
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

    /// The curves and colours of the profile that is in a file, which starts so many bytes before its
    /// signature.
    fn colours(file: &[u8]) -> Vec<u8> {
        let at = file.windows(4).position(|window| window == b"acsp");
        let profile = &file[at.unwrap() - 36..];
        let colours = [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC"].map(|name| tag(profile, name));
        colours.map(Option::unwrap).concat()
    }

    #[test]
    fn a_jpeg_keeps_the_colours_of_its_profile_and_not_the_texts() {
        let plain = file(ImageFormat::Jpeg);
        let own = profile(2, SECRET);
        let part =
            |number: u8, bytes: &[u8]| segment(0xe2, &[PROFILE, &[number, 2], bytes].concat());
        let (first, second) = own.split_at(300);
        let tagged = with_segment(&plain, &part(1, first));
        let tagged = with_segment(&tagged, &part(2, second));
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged) && !holds_secret(&clean));
        assert_eq!(colours(&clean), colours(&own));
        assert_eq!(decode(&clean).unwrap(), decode(&plain).unwrap());
        // What is no profile goes.
        let broken = with_segment(&plain, &part(1, SECRET));
        assert_eq!(without_metadata(&broken).unwrap(), plain);
    }

    #[test]
    fn a_jpeg_keeps_how_its_colours_were_mixed_and_nothing_behind_it() {
        let plain = file(ImageFormat::Jpeg);
        // Not turned into brightness and two differences: other pixels.
        let mixed = b"Adobe\0\x64\0\0\0\0\0";
        let tagged = with_segment(&plain, &segment(0xee, &[mixed, SECRET].concat()));
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged) && !holds_secret(&clean));
        let pixels = decode(&clean).unwrap();
        assert_eq!(pixels, decode(&tagged).unwrap());
        assert_ne!(pixels, decode(&plain).unwrap());
        let odd = with_segment(&plain, &segment(0xf3, SECRET));
        assert_eq!(without_metadata(&odd).unwrap(), plain);
    }

    #[test]
    fn a_png_keeps_the_colours_of_its_profile_and_not_the_texts() {
        let plain = file(ImageFormat::Png);
        let own = profile(4, SECRET);
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
        packed.write_all(&own).unwrap();
        let content = [SECRET, b"\0\0", &packed.finish().unwrap()].concat();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let mut sum = Crc::new();
        sum.update(b"iCCP");
        sum.update(&content);
        let chunk = [&length[..], b"iCCP", &content, &sum.sum().to_be_bytes()].concat();
        let tagged = [&plain[..33], &chunk, &plain[33..]].concat();
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged) && !holds_secret(&clean));
        assert_eq!(decode(&clean).unwrap(), photo());
        let reader = image::ImageReader::with_format(Cursor::new(&clean), ImageFormat::Png);
        let kept = image::ImageDecoder::icc_profile(&mut reader.into_decoder().unwrap());
        assert_eq!(colours(&kept.unwrap().unwrap()), colours(&own));
        // Each may unpack to megabytes: only the first is looked at.
        let others = [chunk.as_slice(); 3].concat();
        let several = [&plain[..33], &chunk, &others, &plain[33..]].concat();
        assert_eq!(without_metadata(&several).unwrap(), clean);
        let broken = b"\0\0\0\x05iCCPicc\0\0\0\0\0\0".as_slice();
        let after_another = [&plain[..33], broken, &others, &plain[33..]].concat();
        assert_eq!(without_metadata(&after_another).unwrap(), plain);
        // A number that is longer than numbers are holds something else.
        let length = u32::try_from(SECRET.len()).unwrap().to_be_bytes();
        let gamma = [&length[..], b"gAMA", SECRET, &[0; 4]].concat();
        let odd = [&plain[..33], &gamma, &plain[33..]].concat();
        assert_eq!(without_metadata(&odd).unwrap(), plain);
    }

    #[test]
    fn a_webp_keeps_the_colours_of_its_profile_and_not_the_texts() {
        let plain = file(ImageFormat::WebP);
        let own = profile(4, SECRET);
        let chunk = |name: &[u8], content: &[u8]| {
            let length = u32::try_from(content.len()).unwrap().to_le_bytes();
            let odd = vec![0; content.len() % 2];
            [name, &length[..], content, &odd].concat()
        };
        let (width, height) = photo().dimensions();
        let side = |pixels: u32| (pixels - 1).to_le_bytes()[..3].to_vec();
        let header = |flags: u8| {
            chunk(
                b"VP8X",
                &[vec![flags, 0, 0, 0], side(width), side(height)].concat(),
            )
        };
        let whole = |chunks: &[&[u8]]| {
            let mut file = [&plain[..12], &chunks.concat(), &plain[12..]].concat();
            let total = u32::try_from(file.len() - 8).unwrap().to_le_bytes();
            file[4..8].copy_from_slice(&total);
            file
        };
        let tagged = whole(&[&header(0b10_0000), &chunk(b"ICCP", &own)]);
        let clean = without_metadata(&tagged).unwrap();
        assert!(holds_secret(&tagged) && !holds_secret(&clean));
        assert_eq!(colours(&clean), colours(&own));
        assert_eq!(decode(&clean).unwrap(), photo());
        let one = chunk(b"ICCP", &own);
        let several = whole(&[&header(0b10_0000), &one, &one, &one]);
        assert_eq!(without_metadata(&several).unwrap(), clean);
        let broken = whole(&[&header(0b10_0000), &chunk(b"ICCP", SECRET)]);
        assert_eq!(without_metadata(&broken).unwrap(), whole(&[&header(0)]));
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
