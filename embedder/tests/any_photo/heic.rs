//! HEIC files: turned, mirrored, in tiles, transparent, and those that ask for more than they show.

use embedder::{Error, without_metadata};
use heifer::{EncodeOptions, Image, Metadata, encode_rgb8, encode_rgba8, encode_with_metadata};
use heifer_isobmff::HeifFile;
use heifer_isobmff::writer::{HeifWriter, ImageSpec};
use image::RgbImage;

use super::{analyze, photo, seen};

/// Pixels on a side of the encoder's tiles.
const TILE: u32 = 512;

fn options() -> EncodeOptions {
    EncodeOptions {
        quality: 95,
        max_threads: 1,
    }
}

pub(super) fn of(image: &RgbImage) -> Vec<u8> {
    encode_rgb8(image.width(), image.height(), image.as_raw(), &options()).unwrap()
}

/// One corner is clear.
pub(super) fn of_alpha(image: &RgbImage) -> Vec<u8> {
    let pixels = image.enumerate_pixels().flat_map(|(x, y, pixel)| {
        let alpha = if x < 4 && y < 4 { 0 } else { 255 };
        [pixel[0], pixel[1], pixel[2], alpha]
    });
    let pixels: Vec<_> = pixels.collect();
    encode_rgba8(image.width(), image.height(), &pixels, &options()).unwrap()
}

pub(super) fn of_ten_bits(image: &RgbImage) -> Vec<u8> {
    with_metadata(image, 10, &Metadata::default())
}

fn with_metadata(image: &RgbImage, bit_depth: u8, metadata: &Metadata) -> Vec<u8> {
    let most = (1_u16 << bit_depth) - 1;
    let samples = image.pixels().flat_map(|pixel| {
        let [r, g, b] = pixel.0.map(|shade| u16::from(shade) * (most / 255));
        [r, g, b, most]
    });
    let image = Image {
        width: image.width(),
        height: image.height(),
        bit_depth,
        has_alpha: false,
        data: samples.collect(),
    };
    encode_with_metadata(&image, metadata, &options()).unwrap()
}

/// Three tiles beside one another, of which the last two are dark; the last reaches over the edge.
pub(super) fn of_tiles() -> Vec<u8> {
    of(&RgbImage::from_fn(2 * TILE + 88, 40, |x, _| {
        image::Rgb([if x < TILE { 230 } else { 40 }; 3])
    }))
}

/// Where some bytes are in a file, once.
fn place(file: &[u8], what: &[u8]) -> usize {
    let mut places = file.windows(what.len()).enumerate();
    let (at, _) = places.find(|(_, bytes)| *bytes == what).unwrap();
    at
}

/// A photo with a property that turns or mirrors it, in the place of the one that tells how many bits
/// its colours have, which nobody needs.
fn changed(property: &[u8; 4], value: u8) -> Vec<u8> {
    let mut file = of(&photo());
    let at = place(&file, b"pixi");
    file[at..at + 4].copy_from_slice(property);
    file[at + 4] = value;
    file
}

#[test]
fn what_the_container_turns_or_mirrors_is_upright() {
    // Where the bright half lies afterwards (ISO/IEC 23008-12, 6.5.10 and 6.5.12: quarters against
    // the clock; 0 has top and bottom change places, 1 left and right).
    let bright = [
        (b"irot", 0, (8, 16)),
        (b"irot", 1, (16, 40)),
        (b"irot", 2, (40, 16)),
        (b"irot", 3, (16, 8)),
        (b"imir", 0, (8, 16)),
        (b"imir", 1, (40, 16)),
    ];
    for (property, value, (x, y)) in bright {
        let seen = seen(&changed(property, value)).unwrap();
        let turned = property == b"irot" && value % 2 == 1;
        let size = if turned { (32, 48) } else { (48, 32) };
        assert_eq!(seen.dimensions(), size, "{property:?} {value}");
        assert!(seen.get_pixel(x, y)[0] > 200, "{property:?} {value}");
        let (x, y) = (seen.width() - 1 - x, seen.height() - 1 - y);
        let opposite = seen.get_pixel(x, y)[0];
        assert!(opposite < 70, "{property:?} {value}: {opposite}");
    }
    // Blue rises from top to bottom.
    let mirrored = seen(&changed(b"imir", 0)).unwrap();
    let (top, bottom) = (mirrored.get_pixel(8, 2)[2], mirrored.get_pixel(8, 29)[2]);
    assert!(top > bottom + 10, "{top} {bottom}");
}

#[test]
fn an_exif_orientation_turns_nothing_a_second_time_and_is_not_kept() {
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0".to_vec();
    let metadata = Metadata {
        exif: Some(exif),
        ..Metadata::default()
    };
    let mut file = with_metadata(&photo(), 8, &metadata);
    let tag = b"\x01\x12\0\x03\0\0\0\x01\0";
    let at = place(&file, tag) + tag.len();
    file[at] = 6;
    assert_eq!(seen(&file).unwrap().dimensions(), (48, 32));
    let kept = without_metadata(&file).unwrap();
    assert!(kept.starts_with(b"\x89PNG") && !kept.windows(4).any(|part| part == b"eXIf"));
    assert_eq!(seen(&kept).unwrap().dimensions(), (48, 32));
}

#[test]
fn tiles_lie_where_they_belong() {
    let seen = seen(&of_tiles()).unwrap();
    let (width, x) = (seen.width(), |part: u32| {
        part * seen.width() / (2 * TILE + 88)
    });
    assert!(width <= 2 * TILE + 88 && seen.height() < 41);
    let shades =
        [10, TILE - 20, TILE + 20, 2 * TILE + 60].map(|part| seen.get_pixel(x(part), 10)[0]);
    assert!(shades[0] > 220 && shades[1] > 220, "{shades:?}");
    assert!(shades[2] < 50 && shades[3] < 50, "{shades:?}");
}

#[test]
fn what_is_transparent_in_a_heic_is_white() {
    let dark = RgbImage::from_pixel(64, 64, image::Rgb([20, 20, 20]));
    let seen = seen(&of_alpha(&dark)).unwrap();
    assert!(seen.get_pixel(1, 1)[0] > 230 && seen.get_pixel(40, 40)[0] < 40);
}

/// One tile, named again and again.
pub(super) fn repeated(rows: u16, columns: u16, width: u32, height: u32) -> Vec<u8> {
    let grey = RgbImage::from_pixel(TILE, TILE, image::Rgb([99, 99, 99]));
    let source = of(&grey);
    let file = HeifFile::parse(&source).unwrap();
    let config = file.hevc_config(file.primary_id).unwrap().unwrap().clone();
    let data = file.item_data(file.primary_id).unwrap();
    let slices = [data[4..].to_vec()];
    let mut writer = HeifWriter::new();
    let tile = writer.add_image(&ImageSpec::new(TILE, TILE, config, &slices));
    let tiles = vec![tile; usize::from(rows) * usize::from(columns)];
    writer.add_grid(rows, columns, width, height, &tiles, None, None);
    writer.finish()
}

#[test]
fn a_heic_that_asks_for_more_than_it_shows_is_refused_before_it_is_decoded() {
    // Some 20,000 bytes that would take more than two billion pixels to decode.
    let refused = analyze(&repeated(100, 100, 7_000, 7_000)).unwrap_err();
    assert!(
        matches!(&refused, Error::Damaged(why) if why.contains("more pixels")),
        "{refused}"
    );
    // As many tiles as a grid can have, of which most lie beyond its edge.
    let refused = analyze(&repeated(255, 255, 600, 600)).unwrap_err();
    let much = matches!(&refused, Error::Damaged(why) if why.contains("more pixels"));
    assert!(much, "{refused}");
    // A list of contents beyond any camera's.
    let mut padded = of(&photo());
    let at = place(&padded, b"meta");
    padded[at - 4..at].copy_from_slice(&300_000_u32.to_be_bytes());
    padded.resize(400_000, 0);
    let refused = analyze(&padded).unwrap_err();
    assert!(
        matches!(&refused, Error::Damaged(why) if why.contains("list of contents")),
        "{refused}"
    );
    let mut large = of(&photo());
    let at = place(&large, b"ispe") + 8;
    large[at..at + 8].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let refused = analyze(&large).unwrap_err();
    assert!(
        matches!(refused, Error::TooLarge { width: 60_000, .. }),
        "{refused}"
    );
    assert!(analyze(&repeated(2, 2, 1_000, 1_000)).is_ok());
}

#[test]
fn pictures_laid_over_one_another_are_refused_by_name() {
    let mut overlay = repeated(2, 2, 1_000, 1_000);
    let at = place(&overlay, b"grid");
    overlay[at..at + 4].copy_from_slice(b"iovl");
    let refused = analyze(&overlay).unwrap_err();
    assert!(
        matches!(refused, Error::Unsupported { format } if format.contains("HEIC")),
        "{refused}"
    );
}

#[test]
fn pictures_that_are_made_of_one_another_are_refused() {
    let mut circle = repeated(1, 1, 500, 500);
    // The tile becomes a picture that is the same as another, which is the grid, which is made of it.
    let at = place(&circle, b"hvc1");
    circle[at..at + 4].copy_from_slice(b"iden");
    let refused = analyze(&circle).unwrap_err();
    assert!(matches!(refused, Error::Damaged(_)), "{refused}");
}
