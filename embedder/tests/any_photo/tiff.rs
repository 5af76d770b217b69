//! TIFF files: of floats, and with places of 64 bits.

use std::io::Cursor;

use embedder::{Error, ImageKind, sniff, without_metadata};
use image::{DynamicImage, ImageFormat, Rgb, Rgb32FImage, RgbImage};

use super::{analyze, encoded, photo, seen};

pub(super) fn of_floats(image: &RgbImage) -> Vec<u8> {
    let floats = DynamicImage::from(image.clone()).into_rgb32f();
    encoded(floats, ImageFormat::Tiff)
}

/// BigTIFF, the design of Adobe, AWare Systems and others: one strip of red, green and blue behind its tags.
pub(super) fn big(image: &RgbImage) -> Vec<u8> {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    let (short, long) = (3_u16, 16_u16);
    let bits = u64::from_le_bytes([8, 0, 8, 0, 8, 0, 0, 0]);
    let tags = [
        (256_u16, short, 1_u64, width),
        (257, short, 1, height),
        (258, short, 3, bits),
        (259, short, 1, 1),
        (262, short, 1, 2),
        (273, long, 1, 16 + 8 + 9 * 20 + 8),
        (277, short, 1, 3),
        (278, short, 1, height),
        (279, long, 1, width * height * 3),
    ];
    let mut file = b"II\x2b\0\x08\0\0\0".to_vec();
    file.extend(16_u64.to_le_bytes());
    file.extend((tags.len() as u64).to_le_bytes());
    for (tag, kind, count, value) in tags {
        file.extend([tag, kind].map(u16::to_le_bytes).concat());
        file.extend([count, value].map(u64::to_le_bytes).concat());
    }
    file.extend([0; 8]);
    file.extend_from_slice(image.as_raw());
    file
}

#[test]
fn a_big_tiff_is_read_and_kept_as_any_tiff_is() {
    let file = big(&photo());
    assert_eq!(sniff(&file).unwrap(), ImageKind::Tiff);
    assert_eq!(
        seen(&file).unwrap(),
        seen(&encoded(photo(), ImageFormat::Tiff)).unwrap()
    );
    let kept = without_metadata(&file).unwrap();
    assert_eq!(image::load_from_memory(&kept).unwrap().into_rgb8(), photo());
    // Numbers of 64 bits that no file has are not believed.
    for at in [8, 16, 28, 48, 128, 188] {
        for number in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 31] {
            let mut bad = file.clone();
            bad[at..at + 8].copy_from_slice(&number.to_le_bytes());
            let refused = analyze(&bad);
            assert!(refused.is_err(), "{number} at {at}: {refused:?}");
        }
    }
    let mut huge = file.clone();
    huge[36..44].copy_from_slice(&60_000_u64.to_le_bytes());
    let refused = analyze(&huge).unwrap_err();
    assert!(
        matches!(refused, Error::TooLarge { width: 60_000, .. }),
        "{refused}"
    );
}

#[test]
fn of_a_tiff_of_floats_nought_is_black_one_is_white_and_what_is_beyond_is_cut_off() {
    let floats = Rgb32FImage::from_fn(8, 8, |x, _| match x {
        0..4 => Rgb([-3.0, 0.5, 7.0]),
        _ => Rgb([0.0, 1.0, f32::NAN]),
    });
    let mut file = Vec::new();
    DynamicImage::from(floats)
        .write_to(&mut Cursor::new(&mut file), ImageFormat::Tiff)
        .unwrap();
    let kept = without_metadata(&file).unwrap();
    let kept = image::load_from_memory(&kept).unwrap().into_rgb8();
    assert_eq!(kept.get_pixel(1, 1).0, [0, 128, 255]);
    assert_eq!(kept.get_pixel(6, 1).0, [0, 255, 255]);
}
