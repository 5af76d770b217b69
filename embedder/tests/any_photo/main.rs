//! Photos of every kind that people have, whole and damaged, through the public interface with the
//! stand-in for the models; a small picture of a photo shows what was decoded.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod heic;
mod tiff;

use std::io::Cursor;

use embedder::{
    Choice, Error, FaceEmbedder, FakeEmbedder, Want, memory_bytes, thumbnail, without_metadata,
};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder};

const WIDTH: u16 = 48;
const HEIGHT: u16 = 32;

/// Bright on the left, dark on the right, reddish.
fn photo() -> RgbImage {
    RgbImage::from_fn(WIDTH.into(), HEIGHT.into(), |x, y| {
        let shade = if x < 24 { 230 } else { 40 };
        Rgb([shade, shade / 2, u8::try_from(y).unwrap()])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .into()
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

fn jpeg(pixels: &[u8], color: ColorType, progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    encoder.set_progressive(progressive);
    encoder.encode(pixels, WIDTH, HEIGHT, color).unwrap();
    bytes
}

fn cmyk() -> Vec<u8> {
    let pixels = photo();
    let ink = pixels
        .pixels()
        .flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]);
    jpeg(&ink.collect::<Vec<_>>(), ColorType::Cmyk, false)
}

fn palette() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH.into(), HEIGHT.into());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette(vec![230, 115, 10, 40, 20, 10]);
    let row = [0, 0, 0, 255, 255, 255];
    let rows = row.repeat(HEIGHT.into());
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&rows)
        .unwrap();
    bytes
}

/// Every kind, and what it is called when it fails.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let plain = photo();
    let grey = DynamicImage::from(plain.clone()).into_luma8();
    let alpha = DynamicImage::from(plain.clone()).into_rgba8();
    vec![
        ("JPEG", jpeg(plain.as_raw(), ColorType::Rgb, false)),
        (
            "progressive JPEG",
            jpeg(plain.as_raw(), ColorType::Rgb, true),
        ),
        ("grey JPEG", jpeg(grey.as_raw(), ColorType::Luma, false)),
        ("CMYK JPEG", cmyk()),
        ("PNG", encoded(plain.clone(), ImageFormat::Png)),
        ("palette PNG", palette()),
        (
            "16-bit PNG",
            encoded(
                DynamicImage::from(plain.clone()).into_rgb16(),
                ImageFormat::Png,
            ),
        ),
        ("PNG with alpha", encoded(alpha, ImageFormat::Png)),
        ("WebP", encoded(plain.clone(), ImageFormat::WebP)),
        ("GIF", encoded(plain.clone(), ImageFormat::Gif)),
        ("BMP", encoded(plain.clone(), ImageFormat::Bmp)),
        ("TIFF", encoded(plain.clone(), ImageFormat::Tiff)),
        (
            "16-bit TIFF",
            encoded(
                DynamicImage::from(plain.clone()).into_rgb16(),
                ImageFormat::Tiff,
            ),
        ),
        ("TIFF of floats", tiff::of_floats(&plain)),
        ("BigTIFF", tiff::big(&plain)),
        ("HEIC", heic::of(&plain)),
        ("HEIC with alpha", heic::of_alpha(&plain)),
        ("10-bit HEIC", heic::of_ten_bits(&plain)),
    ]
}

/// What a photo looks like once it is decoded.
fn seen(file: &[u8]) -> Result<RgbImage, Error> {
    let small = thumbnail(file, 1_000)?;
    Ok(image::load_from_memory(&small).unwrap().into_rgb8())
}

#[test]
fn every_kind_of_photo_is_seen_as_it_is() {
    for (kind, file) in corpus() {
        let seen = seen(&file).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(seen.dimensions(), (48, 32), "{kind}");
        let (left, right) = (seen.get_pixel(8, 16), seen.get_pixel(40, 16));
        let close = |a: u8, b: u8| a.abs_diff(b) < 16;
        if kind == "grey JPEG" {
            assert!(left[0] > 120 && right[0] < 60, "{kind}: {left:?} {right:?}");
        } else {
            assert!(
                close(left[0], 230) && close(left[1], 115),
                "{kind}: {left:?}"
            );
            assert!(
                close(right[0], 40) && close(right[1], 20),
                "{kind}: {right:?}"
            );
        }
    }
}

#[test]
fn what_is_transparent_is_white() {
    let clear = RgbaImage::from_pixel(20, 20, Rgba([0, 0, 0, 0]));
    let seen = seen(&encoded(clear, ImageFormat::Png)).unwrap();
    assert!(
        seen.pixels()
            .all(|pixel| pixel.0.iter().all(|shade| *shade > 250))
    );
}

/// A JPEG with an EXIF segment that holds the orientation tag alone.
fn oriented(orientation: u8) -> Vec<u8> {
    let plain = jpeg(photo().as_raw(), ColorType::Rgb, false);
    let mut exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend([0, orientation, 0, 0, 0, 0, 0, 0]);
    [&plain[..2], &exif, &plain[2..]].concat()
}

#[test]
fn all_eight_orientations_are_turned_upright() {
    // Where the bright half lies afterwards, as EXIF 2.32 defines the values.
    let bright = [
        (1, (8, 16)),
        (2, (40, 16)),
        (3, (40, 16)),
        (4, (8, 16)),
        (5, (16, 8)),
        (6, (16, 8)),
        (7, (16, 40)),
        (8, (16, 40)),
    ];
    for (orientation, (x, y)) in bright {
        let seen = seen(&oriented(orientation)).unwrap();
        let size = if orientation < 5 { (48, 32) } else { (32, 48) };
        assert_eq!(seen.dimensions(), size, "orientation {orientation}");
        assert!(seen.get_pixel(x, y)[0] > 200, "orientation {orientation}");
        let (x, y) = (seen.width() - 1 - x, seen.height() - 1 - y);
        assert!(seen.get_pixel(x, y)[0] < 70, "orientation {orientation}");
    }
}

#[test]
fn of_a_gif_the_first_frame_counts() {
    let mut bytes = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for shade in [230, 10] {
            let frame = RgbaImage::from_pixel(16, 16, Rgba([shade, shade, shade, 255]));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    assert!(seen(&bytes).unwrap().get_pixel(8, 8)[0] > 220);
}

/// A generator of numbers that a failure can be repeated with.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn analyze(file: &[u8]) -> Result<usize, Error> {
    let want = Want {
        faces: Choice::All,
        vectors: true,
        crop: true,
        smallest: 0,
    };
    Ok(FakeEmbedder::new().analyze(file, want)?.faces.len())
}

#[test]
fn files_that_are_cut_short_or_altered_are_answered() {
    let seed = 20_261_125;
    let mut numbers = Numbers(seed);
    let mut corpus = corpus();
    corpus.push(("HEIC of tiles", heic::of_tiles()));
    for (kind, file) in corpus {
        for _ in 0..25 {
            let mut bad = file.clone();
            match numbers.below(3) {
                0 => bad.truncate(numbers.below(file.len())),
                1 => {
                    for _ in 0..=numbers.below(8) {
                        let at = numbers.below(bad.len());
                        bad[at] = u8::try_from(numbers.below(256)).unwrap();
                    }
                }
                _ => {
                    let at = numbers.below(bad.len());
                    let again = bad[at..].to_vec();
                    bad.extend(again);
                    bad.rotate_left(at % 5);
                }
            }
            let outcome = std::panic::catch_unwind(|| {
                (analyze(&bad).is_ok(), without_metadata(&bad).is_ok())
            });
            assert!(outcome.is_ok(), "{kind}, seed {seed}: {bad:02x?}");
        }
        let third = analyze(&file[..file.len() / 3]);
        assert!(third.is_err(), "a third of {kind}: {third:?}");
        let most = analyze(&file[..file.len() - 2]);
        let is_told = matches!(&most, Err(Error::Damaged(why)) if why.contains("ends before"));
        assert_eq!(is_told, kind.contains("JPEG"), "most of {kind}: {most:?}");
    }
}

#[test]
fn what_a_file_declares_is_refused_before_it_is_decoded() {
    // Headers alone: a GIF, a BMP, a TIFF and a JPEG of 60,000 pixels a side.
    let gif = b"GIF89a\x60\xea\x60\xea\0\0\0,\0\0\0\0\x60\xea\x60\xea\0\x02\x02D\x01\0;".to_vec();
    let mut bmp = encoded(photo(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
    let mut jpeg = jpeg(photo().as_raw(), ColorType::Rgb, false);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    for (kind, file) in [("GIF", gif), ("BMP", bmp), ("JPEG", jpeg)] {
        let refused = analyze(&file).unwrap_err();
        let large = matches!(refused, Error::TooLarge { width: 60_000, .. });
        assert!(
            large || matches!(refused, Error::Damaged(_)),
            "{kind}: {refused}"
        );
        assert!(without_metadata(&file).is_err() || kind == "JPEG", "{kind}");
    }
}

/// A TIFF whose tags for its sides and for the rows of its only strip say another size.
fn tiff_of(side: u32) -> Vec<u8> {
    let mut file = encoded(photo(), ImageFormat::Tiff);
    let number = |file: &[u8], at: usize| usize::from(file[at]) + 256 * usize::from(file[at + 1]);
    let first = number(&file, 4) + 65_536 * number(&file, 6);
    for entry in 0..number(&file, first) {
        let at = first + 2 + 12 * entry;
        if matches!(number(&file, at), 256 | 257 | 278) {
            file[at + 8..at + 12].copy_from_slice(&side.to_le_bytes());
        }
    }
    file
}

/// A PNG of 16 bits a colour, with transparency, whose header says another size.
fn deep_png_of(side: u32) -> Vec<u8> {
    let deep = DynamicImage::from(photo()).into_rgba16();
    png_of(encoded(deep, ImageFormat::Png), (side, side))
}

/// A PNG whose header says another size.
fn png_of(mut file: Vec<u8>, (width, height): (u32, u32)) -> Vec<u8> {
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&file[12..29]);
    file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    file
}

/// A BMP of 8 bits, packed by runs, whose header says another size.
fn packed_bmp_of(side: u32) -> Vec<u8> {
    let grey = DynamicImage::from(photo()).into_luma8();
    let mut file = encoded(grey, ImageFormat::Bmp);
    file[18..22].copy_from_slice(&side.to_le_bytes());
    file[22..26].copy_from_slice(&side.to_le_bytes());
    file[30..34].copy_from_slice(&1_u32.to_le_bytes());
    file
}

/// A GIF of one frame, larger or smaller than the picture that it is in.
fn gif_of(side: u16, frame: u16) -> Vec<u8> {
    let sides = |side: u16| [side.to_le_bytes(), side.to_le_bytes()].concat();
    let (screen, frame) = (sides(side), sides(frame));
    let start: &[&[u8]] = &[b"GIF89a", &screen, b"\0\0\0,\0\0\0\0", &frame];
    [
        &start.concat()[..],
        b"\x80\0\0\0\xff\xff\xff\x02\x02D\x01\0;",
    ]
    .concat()
}

#[test]
fn a_small_file_that_declares_eight_thousand_pixels_a_side_is_refused_but_for_a_jpeg() {
    let kinds = [
        ("BMP", packed_bmp_of(8_000), 3),
        ("GIF", gif_of(8_000, 8_000), 4),
        ("TIFF", tiff_of(8_000), 3),
        ("PNG", deep_png_of(8_000), 8),
        ("HEIC", heic::repeated(16, 16, 8_000, 8_000), 3),
    ];
    for (kind, file, bytes_of_pixel) in kinds {
        for refused in [analyze(&file).map(|_| ()), memory_bytes(&file).map(|_| ())] {
            let Err(Error::TooLargeWhole {
                width: 8_000,
                height: 8_000,
                bytes,
                limit,
            }) = refused
            else {
                panic!("{kind}: {refused:?}");
            };
            assert_eq!(bytes, 64_000_000 * bytes_of_pixel, "{kind}");
            let told = refused.unwrap_err().to_string();
            let figures = ["8000 x 8000", &bytes.to_string(), &limit.to_string()];
            assert!(figures.iter().all(|it| told.contains(it)), "{told}");
        }
    }
    let mut jpeg = jpeg(photo().as_raw(), ColorType::Rgb, false);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0x40, 0x1f, 0x40]);
    assert!(memory_bytes(&jpeg).unwrap() > 9 * 64_000_000);
    // As many as may be, of each kind.
    for file in [
        packed_bmp_of(7_000),
        gif_of(6_000, 6_000),
        tiff_of(7_000),
        deep_png_of(4_500),
    ] {
        memory_bytes(&file).unwrap();
    }
}

#[test]
fn a_frame_of_a_gif_takes_no_more_than_the_picture_that_it_says_to_be_in() {
    for side in [8_000, u16::MAX] {
        let refused = analyze(&gif_of(10, side)).unwrap_err();
        assert!(matches!(refused, Error::TooMuchMemory(_)), "{refused}");
        assert!(refused.to_string().contains("too large"), "{refused}");
    }
}

#[test]
fn a_gif_whose_picture_has_no_pixels_is_damaged() {
    for frame in [0, 4] {
        for refused in [
            analyze(&gif_of(0, frame)).map(|_| ()),
            memory_bytes(&gif_of(0, frame)).map(|_| ()),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, Error::Damaged(_)), "{refused}");
            assert!(refused.to_string().contains("0 x 0"), "{refused}");
        }
    }
}

#[test]
fn a_png_of_one_endless_row_is_too_large_and_not_damaged() {
    for size in [(55_000_000, 1), (1, 55_000_000), (20_000, 20_000)] {
        let refused = analyze(&png_of(encoded(photo(), ImageFormat::Png), size)).unwrap_err();
        let large =
            matches!(refused, Error::TooLarge { width, height, .. } if (width, height) == size);
        assert!(large, "{size:?}: {refused}");
    }
}
