//! Cutting faces out of photos: a square around the box's centre, resampled to what is wanted.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, Rgb, RgbImage};

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

/// The square as an image of `size` x `size` pixels; what lies outside the photo is black.
pub(crate) fn cut(photo: &RgbImage, square: Square, size: u32) -> Result<RgbImage, Error> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded, and far below the limits of a photo's sides"
    )]
    let whole = |x: f32| x.round() as i64;
    let side = u32::try_from(whole(square.side).clamp(1, 32_768)).unwrap_or(1);
    let (left, top) = (whole(square.left), whole(square.top));
    let mut region = RgbImage::new(side, side);
    image::imageops::replace(&mut region, photo, -left, -top);
    resized(&region, size, size)
}

/// Bilinear, widened when an image shrinks so that no pixel is passed over.
pub(crate) fn resized(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, Error> {
    let fail = |error: &dyn std::fmt::Display| Error::Model(format!("cannot resize: {error}"));
    let source = ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        PixelType::U8x3,
    )
    .map_err(|e| fail(&e))?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &options)
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

/// The photo scaled down to fit a square of `size`, at its top left; and the scale.
pub(crate) fn letterbox(photo: &RgbImage, size: u32) -> Result<(RgbImage, f32), Error> {
    let longest = photo.width().max(photo.height()).max(1);
    #[expect(
        clippy::cast_precision_loss,
        reason = "sides of photos have few digits"
    )]
    let scale = (size as f32 / longest as f32).min(1.0);
    let mut canvas = RgbImage::from_pixel(size, size, Rgb([0, 0, 0]));
    if scale < 1.0 {
        let side = |n: u32| (u64::from(n) * u64::from(size) / u64::from(longest)).max(1);
        let fit = |n: u32| u32::try_from(side(n)).unwrap_or(size);
        let small = resized(photo, fit(photo.width()), fit(photo.height()))?;
        image::imageops::replace(&mut canvas, &small, 0, 0);
    } else {
        image::imageops::replace(&mut canvas, photo, 0, 0);
    }
    Ok((canvas, scale))
}

#[cfg(test)]
mod tests {
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
    fn a_large_photo_is_scaled_to_fit_and_a_small_one_is_left_alone() {
        let (canvas, scale) = letterbox(&RgbImage::new(1_280, 640), 640).unwrap();
        assert_eq!((canvas.dimensions(), scale), ((640, 640), 0.5));
        let (_, scale) = letterbox(&RgbImage::new(100, 50), 640).unwrap();
        assert!((scale - 1.0).abs() < f32::EPSILON);
    }
}
