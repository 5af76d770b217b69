//! Between pixels and the embedding network.

use image::RgbImage;

use crate::manifest::{Channels, Input, Layout, Values};

/// What the network is given of a crop.
pub(crate) fn numbers(face: &RgbImage, input: &Input) -> Vec<f32> {
    let values = match input.values {
        Values::Standardised => standardised(face),
        Values::Scaled { minus, over } => {
            let raw = face.as_raw().iter();
            raw.map(|x| (f32::from(*x) - minus) / over).collect()
        }
    };
    let colours = match input.channels {
        Channels::Rgb => [0, 1, 2],
        Channels::Bgr => [2, 1, 0],
    };
    let pixels = values.as_chunks::<3>().0;
    match input.layout {
        Layout::ChannelsLast if colours == [0, 1, 2] => values,
        Layout::ChannelsLast => {
            let turned = pixels
                .iter()
                .map(|pixel| colours.map(|colour| pixel[colour]));
            turned.flatten().collect()
        }
        Layout::ChannelsFirst => {
            let plane = |colour: usize| pixels.iter().map(move |pixel| pixel[colour]);
            colours.into_iter().flat_map(plane).collect()
        }
    }
}

/// Per-image standardisation, as FaceNet was trained: zero mean, unit variance over all channels.
fn standardised(face: &RgbImage) -> Vec<f32> {
    let raw = face.as_raw();
    let count = raw.len() as f64;
    let mean = raw.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = raw
        .iter()
        .map(|x| (f64::from(*x) - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = variance.sqrt().max(1.0 / count.sqrt());
    raw.iter()
        .map(|x| narrow((f64::from(*x) - mean) / deviation))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a standardised pixel is a small number"
)]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// Scales a vector to length 1; a zero vector stays.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
}

/// Of vectors of `dim` numbers that lie one after the other: where their directions point together.
pub(crate) fn mean_direction(numbers: &[f32], dim: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dim];
    for vector in numbers.chunks_exact(dim) {
        let mut direction = vector.to_vec();
        normalise(&mut direction);
        sum.iter_mut()
            .zip(&direction)
            .for_each(|(sum, x)| *sum += x);
    }
    normalise(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_pixels_have_mean_zero_and_deviation_one() {
        let face = RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb([
                u8::try_from(x * 9).unwrap(),
                u8::try_from(y * 7).unwrap(),
                30,
            ])
        });
        let pixels = standardised(&face);
        let mean = pixels.iter().sum::<f32>() / 768.0;
        let variance = pixels.iter().map(|x| x * x).sum::<f32>() / 768.0;
        assert!(
            mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3,
            "{mean} {variance}"
        );
        assert!(
            standardised(&RgbImage::new(4, 4)).iter().all(|x| *x == 0.0),
            "a flat image divides by no zero"
        );
    }

    #[test]
    fn numbers_come_in_the_order_that_the_model_takes_them() {
        let face = RgbImage::from_fn(2, 1, |x, _| {
            let shade = u8::try_from(x).unwrap() * 100;
            image::Rgb([shade, shade + 10, shade + 20])
        });
        let of = |channels, layout| {
            let input = Input {
                side: 2,
                crop: crate::manifest::Crop::Box { margin: 1.0 },
                channels,
                layout,
                values: Values::Scaled {
                    minus: 10.0,
                    over: 2.0,
                },
            };
            numbers(&face, &input)
        };
        let rgb = [-5.0, 0.0, 5.0, 45.0, 50.0, 55.0];
        assert_eq!(of(Channels::Rgb, Layout::ChannelsLast), rgb);
        let bgr = [5.0, 0.0, -5.0, 55.0, 50.0, 45.0];
        assert_eq!(of(Channels::Bgr, Layout::ChannelsLast), bgr);
        let planes = [-5.0, 45.0, 0.0, 50.0, 5.0, 55.0];
        assert_eq!(of(Channels::Rgb, Layout::ChannelsFirst), planes);
        let planes = [5.0, 55.0, 0.0, 50.0, -5.0, 45.0];
        assert_eq!(of(Channels::Bgr, Layout::ChannelsFirst), planes);
    }

    #[test]
    fn vectors_of_any_length_count_alike_for_their_mean_direction() {
        let mean = mean_direction(&[10.0, 0.0, 0.0, 0.1], 2);
        assert!((mean[0] - 0.5_f32.sqrt()).abs() < 1e-6 && (mean[1] - mean[0]).abs() < 1e-6);
        assert_eq!(mean_direction(&[0.0, 3.0], 2), [0.0, 1.0]);
    }
}
