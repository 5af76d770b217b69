//! JPEG at a half, a quarter or an eighth of its size: the inverse transform of each block makes
//! fewer pixels of its lower frequencies (ITU-T T.81 stores the blocks so that this is possible).

use image::RgbImage;
use jpeg_decoder::{Decoder, PixelFormat};

use crate::limits::MAX_DECODE_BYTES;

/// The pixels as they are stored, reduced as far as leaves the longer side `least_side`; `None`
/// where this decoder cannot read the file, or its colours are not red, green and blue, or grey.
pub(crate) fn reduced(bytes: &[u8], least_side: u32) -> Option<RgbImage> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(usize::try_from(MAX_DECODE_BYTES).ok()?);
    decoder.read_info().ok()?;
    let whole = decoder.info()?;
    let longest = u32::from(whole.width.max(whole.height));
    let fitting = |side: u16| {
        let fitting = (u32::from(side) * least_side).div_ceil(longest.max(1));
        u16::try_from(fitting).ok()
    };
    decoder
        .scale(fitting(whole.width)?, fitting(whole.height)?)
        .ok()?;
    let pixels = decoder.decode().ok()?;
    let info = decoder.info()?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    match info.pixel_format {
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels),
        PixelFormat::L8 => {
            let pixels = pixels.into_iter().flat_map(|grey| [grey; 3]);
            RgbImage::from_raw(width, height, pixels.collect())
        }
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    }
}
