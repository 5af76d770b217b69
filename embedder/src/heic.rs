//! HEIC, the photos of iPhones and of many other phones: pictures of HEVC (ITU-T H.265) in a container
//! (ISO/IEC 23008-12), one alone or many as the tiles of a grid.
//!
//! The decoder is written without `unsafe`. What a file may ask of it is summed up before it is
//! asked, from the sizes that the container and the coded pictures declare: a few kilobytes can
//! name one picture ten thousand times. Pictures laid over one another (`iovl`) are refused for that;
//! no camera writes them. Turning and mirroring are the container's; as its standard says, an EXIF
//! orientation beside them only tells what they do. Colours stay as they are coded, as in a JPEG.

use std::collections::HashMap;

use heifer::Options;
use heifer_hevc_dec::nal::{NalUnit, NalUnitType, split_annex_b};
use heifer_hevc_dec::params::Sps;
use heifer_isobmff::boxes::Property;
use heifer_isobmff::{BoxIter, HeifFile, ItemId};
use image::{DynamicImage, RgbImage, RgbaImage};

use crate::error::Error;
use crate::limits::{
    self, HEIC_ITEM_LEAST_PIXELS, HEIC_META_BYTES, HEIC_NESTED, MAX_HEIC_PIXELS, MAX_PIXELS,
};

/// How many pixels are decoded or put together for the primary picture.
pub(crate) fn pixels(bytes: &[u8]) -> Result<u64, Error> {
    let file = container(bytes)?;
    let mut pictures = Pictures {
        file: &file,
        known: HashMap::new(),
    };
    let pixels = pictures.pixels(file.primary_id, 0)?;
    match pixels > MAX_HEIC_PIXELS {
        true => Err(damaged("its pictures have more pixels than it shows")),
        false => Ok(pixels),
    }
}

/// The upright pixels of the primary picture.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, Error> {
    pixels(bytes)?;
    let options = Options {
        max_threads: 1,
        max_pixels: MAX_PIXELS,
    };
    let image = heifer::decode_rgba8(bytes, &options).map_err(undecoded)?;
    check_size(image.width, image.height)?;
    let (width, height) = (image.width, image.height);
    let decoded = match image.has_alpha {
        true => RgbaImage::from_raw(width, height, image.data).map(DynamicImage::from),
        false => RgbImage::from_raw(width, height, image.into_rgb8()).map(DynamicImage::from),
    };
    decoded.ok_or_else(|| damaged("it has not as many pixels as it says"))
}

/// The list of what is in a file, which must be short: it is gone through again and again.
fn container(bytes: &[u8]) -> Result<HeifFile<'_>, Error> {
    for part in BoxIter::new(bytes) {
        let part = part.map_err(damaged)?;
        if part.header.box_type.0 == *b"meta" && part.content.len() > HEIC_META_BYTES {
            return Err(damaged(format!(
                "its list of contents has {} bytes, at most {HEIC_META_BYTES} are read",
                part.content.len()
            )));
        }
    }
    HeifFile::parse(bytes).map_err(damaged)
}

/// What it takes to decode the pictures of a file.
struct Pictures<'a> {
    file: &'a HeifFile<'a>,
    /// By picture: many may show the same.
    known: HashMap<ItemId, u64>,
}

impl Pictures<'_> {
    /// How many pixels are decoded or put together for a picture, those of its transparency and of
    /// all it is made of included.
    fn pixels(&mut self, id: ItemId, depth: u8) -> Result<u64, Error> {
        if let Some(pixels) = self.known.get(&id) {
            return Ok(*pixels);
        }
        if depth > HEIC_NESTED {
            return Err(damaged("its pictures are made of one another"));
        }
        let mut pixels = match &self.file.item(id).map_err(damaged)?.item_type.0 {
            b"hvc1" => self.coded(id)?,
            b"grid" => {
                let grid = self.file.grid(id).map_err(damaged)?;
                let shown = check_size(grid.output_width, grid.output_height)?;
                self.parts(id, depth)?.saturating_add(shown)
            }
            b"iden" => self.parts(id, depth)?,
            b"av01" => return Err(Error::Unsupported { format: "AVIF" }),
            _ => return Err(Error::Unsupported { format: ODD }),
        };
        for beside in self.file.referencing_items(id, b"auxl") {
            if beside != id && self.is_decoded_beside(beside) {
                pixels = pixels.saturating_add(self.pixels(beside, depth + 1)?);
            }
        }
        self.known.insert(id, pixels);
        Ok(pixels)
    }

    fn parts(&mut self, id: ItemId, depth: u8) -> Result<u64, Error> {
        let mut sum = 0_u64;
        for part in self.file.referenced_items(id, b"dimg") {
            sum = sum.saturating_add(self.pixels(*part, depth + 1)?);
            if sum > MAX_HEIC_PIXELS {
                break;
            }
        }
        Ok(sum)
    }

    /// The pixels of a coded picture, by whichever of the sizes that are told of it is the largest.
    fn coded(&self, id: ItemId) -> Result<u64, Error> {
        let mut most = HEIC_ITEM_LEAST_PIXELS;
        if let Some((width, height)) = self.file.image_size(id).map_err(damaged)? {
            most = most.max(check_size(width, height)?);
        }
        let stream = self.file.hevc_bitstream(id).map_err(damaged)?;
        for unit in split_annex_b(&stream) {
            let unit = NalUnit::parse(unit).map_err(damaged)?;
            if unit.header.unit_type == NalUnitType::Sps {
                let sps = Sps::parse(&unit.rbsp).map_err(damaged)?;
                let (width, height) = (
                    sps.pic_width_in_luma_samples,
                    sps.pic_height_in_luma_samples,
                );
                most = most.max(check_size(width, height)?);
            }
        }
        Ok(most)
    }

    /// Of what stands beside a picture only its transparency is decoded; maps of depth and
    /// brightness, which phones write too, are left alone.
    fn is_decoded_beside(&self, id: ItemId) -> bool {
        const KINDS: [&str; 2] = [
            "urn:mpeg:hevc:2015:auxid:1",
            "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
        ];
        let Ok(mut properties) = self.file.item_properties(id) else {
            return false;
        };
        properties.any(|property| {
            matches!(property, Property::AuxiliaryType(kind) if KINDS.contains(&kind.as_str()))
        })
    }
}

const ODD: &str = "HEIC (not coded as HEVC, or of pictures laid over one another)";

/// Its pixels, where they are not too many.
fn check_size(width: u32, height: u32) -> Result<u64, Error> {
    let pixels = u64::from(width) * u64::from(height);
    limits::check_size((width, height), Some(pixels.saturating_mul(3)))?;
    Ok(pixels)
}

fn undecoded(error: heifer::Error) -> Error {
    match error {
        heifer::Error::Unsupported(_) => Error::Unsupported { format: ODD },
        other => damaged(other),
    }
}

fn damaged(error: impl ToString) -> Error {
    Error::Damaged(error.to_string())
}
