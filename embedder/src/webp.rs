//! A WebP file without what is no picture of it (RFC 9649): of the chunks of its container those that pixels and
//! colours are made of. Of several frames the first stays, as a file of one frame, with its bytes as they were.

use crate::icc::colours_only;

const IS_ANIMATED: u8 = 0b10;
const HAS_ALPHA: u8 = 0b1_0000;
const HAS_PROFILE: u8 = 0b10_0000;
const HAS_METADATA: u8 = 0b10_1100;
/// Of a frame before its chunks: where it lies, how large it is, how long it is shown.
const FRAME_HEADER_BYTES: usize = 16;

/// The same picture without metadata; `None` where the chunks make no sense, or the first frame is not all of
/// the picture.
pub(crate) fn without_metadata(file: &[u8]) -> Option<Vec<u8>> {
    let mut out = file.get(..12)?.to_vec();
    let (mut rest, mut header, mut has_profile) = (file.get(12..)?, None, false);
    let mut is_animated = false;
    while !rest.is_empty() {
        let chunk = Chunk::first_of(rest)?;
        rest = chunk.rest;
        match chunk.name {
            b"VP8X" => {
                header = Some((out.len() + 8, chunk.content.get(4..10)?));
                chunk.put(&mut out);
                let flags = out.get_mut(header?.0)?;
                is_animated = *flags & IS_ANIMATED != 0;
                *flags &= !(HAS_METADATA | IS_ANIMATED);
            }
            b"VP8 " | b"VP8L" | b"ALPH" if !is_animated => chunk.put(&mut out),
            b"ANMF" if is_animated => {
                let (flags, sides) = header?;
                let has_alpha = put_frame(chunk.content, sides, &mut out)?;
                let flags = out.get_mut(flags)?;
                match has_alpha {
                    Some(true) => *flags |= HAS_ALPHA,
                    Some(false) => *flags &= !HAS_ALPHA,
                    None => {}
                }
                // What follows are other frames.
                return with_length(out);
            }
            b"ICCP" if !has_profile => {
                has_profile = true;
                if let (Some(profile), Some((flags, _))) = (colours_only(chunk.content), header) {
                    chunk.with(&profile).put(&mut out);
                    *out.get_mut(flags)? |= HAS_PROFILE;
                }
            }
            _ => {}
        }
    }
    match is_animated {
        true => None,
        false => with_length(out),
    }
}

/// The chunks of a frame that is as large as the picture, and whether it has transparency, where its chunks say so.
fn put_frame(frame: &[u8], sides: &[u8], out: &mut Vec<u8>) -> Option<Option<bool>> {
    let is_whole = frame.get(..6)? == [0; 6] && frame.get(6..12)? == sides;
    let chunk = Chunk::first_of(frame.get(FRAME_HEADER_BYTES..).filter(|_| is_whole)?)?;
    chunk.put(out);
    match chunk.name {
        b"VP8 " => Some(Some(false)),
        b"VP8L" => Some(None),
        b"ALPH" => {
            let colours = Chunk::first_of(chunk.rest)?;
            colours.put(out);
            (colours.name == b"VP8 ").then_some(Some(true))
        }
        _ => None,
    }
}

/// A part of the container.
struct Chunk<'a> {
    name: &'a [u8; 4],
    content: &'a [u8],
    /// What follows it.
    rest: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn first_of(bytes: &'a [u8]) -> Option<Self> {
        let name = bytes.first_chunk()?;
        let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
        let end = 8_usize.checked_add(usize::try_from(length).ok()?)?;
        Some(Self {
            name,
            content: bytes.get(8..end)?,
            rest: bytes.get(end.checked_add(end % 2)?..)?,
        })
    }

    fn with<'b>(&self, content: &'b [u8]) -> Chunk<'b>
    where
        'a: 'b,
    {
        Chunk {
            name: self.name,
            content,
            rest: &[],
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(self.name);
        out.extend(length.to_le_bytes());
        out.extend_from_slice(self.content);
        out.extend(std::iter::repeat_n(0, self.content.len() % 2));
    }
}

/// The file with its length in its first header.
fn with_length(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::try_from(file.len() - 8).ok()?;
    file.get_mut(4..8)?.copy_from_slice(&length.to_le_bytes());
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

    use crate::decode::decode;
    use crate::kind::{ImageKind, sniff};
    use crate::metadata::without_metadata;

    /// How long a frame is shown, and that it takes the place of what is below: decoders round what they blend.
    const NOT_BLENDED: [u8; 4] = [100, 0, 0, 0b10];

    fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        let odd = vec![0; content.len() % 2];
        [name, &length[..], content, &odd].concat()
    }

    /// Frames one after the other, each with how many of its pixels it lies from the left.
    fn animated(sides: (u32, u32), frames: &[(&DynamicImage, u8)]) -> Vec<u8> {
        let side = |pixels: u32| (pixels - 1).to_le_bytes()[..3].to_vec();
        let frame = |(image, left): &(&DynamicImage, u8)| {
            let mut still = Vec::new();
            image
                .write_to(&mut Cursor::new(&mut still), ImageFormat::WebP)
                .unwrap();
            let place = [left / 2, 0, 0, 0, 0, 0];
            let sides = [side(image.width()), side(image.height())].concat();
            chunk(
                b"ANMF",
                &[&place[..], &sides, &NOT_BLENDED, &still[12..]].concat(),
            )
        };
        // Animated, with transparency.
        let head = [vec![0b1_0010, 0, 0, 0], side(sides.0), side(sides.1)].concat();
        let frames: Vec<_> = frames.iter().map(frame).collect();
        let head = [chunk(b"VP8X", &head), chunk(b"ANIM", &[0; 6])].concat();
        let chunks = [
            b"WEBP",
            &head[..],
            &frames.concat(),
            &chunk(b"XMP ", b"secret"),
        ]
        .concat();
        chunk(b"RIFF", &chunks)
    }

    fn of(shade: u8, width: u32) -> DynamicImage {
        RgbImage::from_fn(width, 16, |x, y| {
            Rgb([
                shade,
                u8::try_from(x * 9).unwrap(),
                u8::try_from(y * 9).unwrap(),
            ])
        })
        .into()
    }

    #[test]
    fn of_an_animated_webp_the_first_frame_is_kept_and_no_other() {
        let (first, second) = (of(200, 24), of(40, 24));
        let mut clear = first.to_rgba8();
        clear.put_pixel(3, 3, image::Rgba([9, 9, 9, 0]));
        let clear = DynamicImage::from(clear);
        for first in [&first, &clear] {
            let file = animated((24, 16), &[(first, 0), (&second, 0)]);
            let kept = without_metadata(&file).unwrap();
            assert_eq!(sniff(&kept).unwrap(), ImageKind::WebP);
            let still = image::load_from_memory(&kept).unwrap();
            assert_eq!(still.to_rgba8(), first.to_rgba8());
            assert_eq!(decode(&kept).unwrap(), decode(&file).unwrap());
            for gone in [&b"ANMF"[..], b"ANIM", b"XMP "] {
                assert!(!kept.windows(4).any(|part| part == gone), "{gone:?}");
            }
            assert_eq!(without_metadata(&kept).unwrap(), kept);
        }
        // A first frame that is smaller than the picture is not all of it.
        let file = animated((24, 16), &[(&of(200, 12), 4), (&second, 0)]);
        let kept = without_metadata(&file).unwrap();
        assert_eq!(sniff(&kept).unwrap(), ImageKind::Png);
        assert_eq!(decode(&kept).unwrap(), decode(&file).unwrap());
        assert_eq!(decode(&kept).unwrap().dimensions(), (24, 16));
        assert!(without_metadata(&animated((24, 16), &[])).is_err());
    }
}
