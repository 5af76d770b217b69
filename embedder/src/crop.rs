//! Cutting faces out of photos: a square around the box's centre, resampled to what is wanted.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage};

use crate::error::Error;

/// A face's square in its photo, `margin` times as wide as the box's longer side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Square {
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) side: f32,
}

impl Square {
    pub(crate) fn around(bounding_box: [f32; 4], margin: f32) -> Self {
        let [x, y, width, height] = bounding_box;
        let side = (width.max(height) * margin).max(1.0);
        Self {
            left: x + (width - side) / 2.0,
            top: y + (height - side) / 2.0,
            side,
        }
    }
}

/// The square as an image of `size` x `size` pixels; what lies outside the photo is black. Takes no
/// more memory for a large face than for a small one.
pub(crate) fn cut(photo: &RgbImage, square: Square, size: u32) -> Result<RgbImage, Error> {
    let mut image = RgbImage::new(size, size);
    let side = whole(square.side).max(1);
    let across = Span::of(whole(square.left), side, photo.width());
    let down = Span::of(whole(square.top), side, photo.height());
    let (Some(across), Some(down)) = (across, down) else {
        return Ok(image);
    };
    let ((x, width), (y, height)) = (across.scaled(side, size), down.scaled(side, size));
    let options = bilinear().crop(
        f64::from(across.start),
        f64::from(down.start),
        f64::from(across.length),
        f64::from(down.length),
    );
    let visible = resized_with(photo, width, height, &options)?;
    image::imageops::replace(&mut image, &visible, x.into(), y.into());
    Ok(image)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded, and far below the limits of the type"
)]
fn whole(x: f32) -> i64 {
    x.round() as i64
}

/// The part of a square's side that lies in the photo, in pixels of the photo, and how much of the
/// side comes before it.
struct Span {
    start: u32,
    length: u32,
    before: u32,
}

impl Span {
    fn of(from: i64, side: i64, photo: u32) -> Option<Self> {
        let start = from.clamp(0, photo.into());
        let end = from.saturating_add(side).clamp(start, photo.into());
        let span = Self {
            start: u32::try_from(start).ok()?,
            length: u32::try_from(end - start).ok()?,
            before: u32::try_from(start - from).ok()?,
        };
        (span.length > 0).then_some(span)
    }

    /// Where it comes to lie when the side becomes `size`, and how long it is there: at least a
    /// pixel.
    fn scaled(&self, side: i64, size: u32) -> (u32, u32) {
        let (side, size) = (side.unsigned_abs(), u64::from(size));
        let scaled = |at: u64| u32::try_from((at * size + side / 2) / side).unwrap_or(0);
        let last = u32::try_from(size - 1).unwrap_or(0);
        let from = scaled(self.before.into()).min(last);
        let to = scaled(u64::from(self.before) + u64::from(self.length));
        (from, to.max(from + 1) - from)
    }
}

/// A piece of the photo (left, top, width, height, in its pixels) as an image of `size`.
pub(crate) fn piece(
    photo: &RgbImage,
    [left, top, width, height]: [f64; 4],
    size: (u32, u32),
) -> Result<RgbImage, Error> {
    // A sum that is rounded may come to lie a hair outside.
    let inside = |from: f64, side: f64, of: u32| {
        let of = f64::from(of);
        match from + side > of {
            true => (of - from).min(side) - 1e-6,
            false => side,
        }
    };
    let (width, height) = (
        inside(left, width, photo.width()),
        inside(top, height, photo.height()),
    );
    let options = bilinear().crop(left, top, width, height);
    resized_with(photo, size.0, size.1, &options)
}

/// Bilinear, widened when an image shrinks so that no pixel is passed over.
fn bilinear() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
}

pub(crate) fn resized(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, Error> {
    resized_with(image, width, height, &bilinear())
}

fn resized_with(
    image: &RgbImage,
    width: u32,
    height: u32,
    options: &ResizeOptions,
) -> Result<RgbImage, Error> {
    let fail = |error: &dyn std::fmt::Display| Error::Model(format!("cannot resize: {error}"));
    let source = ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        PixelType::U8x3,
    )
    .map_err(|e| fail(&e))?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    Resizer::new()
        .resize(&source, &mut target, options)
        .map_err(|e| fail(&e))?;
    RgbImage::from_raw(width, height, target.into_vec())
        .ok_or_else(|| fail(&"a buffer of the wrong size"))
}

/// A JPEG file without metadata.
pub(crate) fn jpeg(image: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 88)
        .encode(
            image.as_raw(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| Error::Model(format!("cannot write the crop: {error}")))?;
    Ok(bytes)
}

/// A PNG file.
pub(crate) fn png(image: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .map_err(|error| Error::Model(format!("cannot write the crop: {error}")))?;
    Ok(bytes.into_inner())
}

/// The photo scaled so that its longer side is `longest` pixels at most, or `None` where it is left
/// as it is; and the scale, which is at most `enlarge`.
pub(crate) fn fitted(
    photo: &RgbImage,
    longest: u32,
    enlarge: f32,
) -> Result<(Option<RgbImage>, f32), Error> {
    let side = photo.width().max(photo.height()).max(1);
    #[expect(
        clippy::cast_precision_loss,
        reason = "sides of photos have few digits"
    )]
    let (fitting, pixels) = (longest as f32 / side as f32, |n: u32| n as f32);
    let scale = fitting.min(enlarge.max(1.0));
    let scaled = |n: u32| {
        u32::try_from(whole(pixels(n) * scale))
            .unwrap_or(longest)
            .clamp(1, longest)
    };
    let (width, height) = (scaled(photo.width()), scaled(photo.height()));
    match (width, height) == photo.dimensions() {
        true => Ok((None, scale)),
        false => Ok((Some(resized(photo, width, height)?), scale)),
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_square_keeps_the_centre_of_its_box() {
        let square = Square::around([10.0, 20.0, 30.0, 50.0], 1.5);
        assert_eq!(
            square,
            Square {
                left: -12.5,
                top: 7.5,
                side: 75.0
            }
        );
    }

    #[test]
    fn what_lies_outside_the_photo_is_black_and_the_rest_is_the_photo() {
        let photo = RgbImage::from_pixel(10, 10, Rgb([200, 100, 50]));
        let cut = cut(
            &photo,
            Square {
                left: -10.0,
                top: 0.0,
                side: 20.0,
            },
            20,
        )
        .unwrap();
        assert_eq!(cut.get_pixel(2, 2), &Rgb([0, 0, 0]));
        assert_eq!(cut.get_pixel(15, 5), &Rgb([200, 100, 50]));
        assert_eq!(cut.get_pixel(15, 15), &Rgb([0, 0, 0]));
    }

    #[test]
    fn a_face_larger_than_any_photo_is_cut_to_scale() {
        let photo = RgbImage::from_pixel(10_000, 10, Rgb([200, 100, 50]));
        let square = Square {
            left: -5_000.0,
            top: -20_000.0,
            side: 40_000.0,
        };
        let cut = cut(&photo, square, 40).unwrap();
        let lit: Vec<_> = cut.enumerate_pixels().filter(|(.., p)| p[0] > 0).collect();
        let columns: Vec<_> = lit.iter().map(|(x, ..)| *x).collect();
        assert_eq!(columns, (5..15).collect::<Vec<_>>());
        assert!(lit.iter().all(|(_, y, _)| *y == 20));
    }

    #[test]
    fn a_square_beside_the_photo_is_black() {
        let photo = RgbImage::from_pixel(10, 10, Rgb([200, 100, 50]));
        for left in [-20.0, 10.0, 1e9, -1e9] {
            let square = Square {
                left,
                top: 0.0,
                side: 20.0,
            };
            let cut = cut(&photo, square, 8).unwrap();
            assert!(cut.pixels().all(|pixel| pixel.0 == [0; 3]), "{left}");
        }
    }

    #[test]
    fn a_large_photo_is_scaled_to_fit_and_a_small_one_is_left_alone() {
        let seen = |width, height, enlarge| {
            let (picture, scale) = fitted(&RgbImage::new(width, height), 640, enlarge).unwrap();
            (picture.map(|picture| picture.dimensions()), scale)
        };
        assert_eq!(seen(1_280, 640, 1.0), (Some((640, 320)), 0.5));
        assert_eq!(seen(100, 50, 1.0), (None, 1.0));
        assert_eq!(seen(100, 50, 2.0), (Some((200, 100)), 2.0));
        assert_eq!(seen(400, 50, 2.0), (Some((640, 80)), 1.6));
        assert_eq!(seen(16_000, 1, 1.0), (Some((640, 1)), 0.04));
    }
}
