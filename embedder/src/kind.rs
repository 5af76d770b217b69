//! What kind of image some bytes are, by the first few of them; names of files are not believed.

use image::ImageFormat;

use crate::error::Error;

/// A kind of image file that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP
    WebP,
    /// GIF, of which the first frame counts
    Gif,
    /// BMP
    Bmp,
    /// TIFF or BigTIFF, of which the first page counts
    Tiff,
    /// HEIC, of which the primary picture counts
    Heic,
}

impl ImageKind {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self.format() {
            Some(format) => format.to_mime_type(),
            None => "image/heic",
        }
    }

    /// The usual end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            ImageKind::Jpeg => "jpg",
            ImageKind::Png => "png",
            ImageKind::WebP => "webp",
            ImageKind::Gif => "gif",
            ImageKind::Bmp => "bmp",
            ImageKind::Tiff => "tiff",
            ImageKind::Heic => "heic",
        }
    }

    /// What the decoder of most kinds calls it; HEIC has a decoder of its own.
    pub(crate) fn format(self) -> Option<ImageFormat> {
        match self {
            ImageKind::Jpeg => Some(ImageFormat::Jpeg),
            ImageKind::Png => Some(ImageFormat::Png),
            ImageKind::WebP => Some(ImageFormat::WebP),
            ImageKind::Gif => Some(ImageFormat::Gif),
            ImageKind::Bmp => Some(ImageFormat::Bmp),
            ImageKind::Tiff => Some(ImageFormat::Tiff),
            ImageKind::Heic => None,
        }
    }
}

/// Tells the kind of an image.
///
/// # Errors
/// [`Error::Unsupported`] for images that are known and not decoded, [`Error::NotAnImage`] for all
/// else.
pub fn sniff(bytes: &[u8]) -> Result<ImageKind, Error> {
    let unsupported = |format| Err(Error::Unsupported { format });
    let not_an_image = |seen: &str| Err(Error::NotAnImage { seen: seen.into() });
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Ok(ImageKind::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Ok(ImageKind::Png),
        [b'G', b'I', b'F', b'8', ..] => Ok(ImageKind::Gif),
        // Its name is short; four reserved bytes that are always 0 make it surer.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Ok(ImageKind::Bmp),
        // The second number is that of BigTIFF, whose places in the file have 64 bits.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(ImageKind::Tiff),
        _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Ok(ImageKind::WebP),
        _ if bytes.get(4..8) == Some(b"ftyp") => match brands(bytes) {
            brands if brands.contains(b"avif") || brands.contains(b"avis") => unsupported("AVIF"),
            brands if HEIF.iter().any(|brand| brands.contains(brand)) => Ok(ImageKind::Heic),
            _ => not_an_image(", this looks like a video"),
        },
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => unsupported("JPEG XL"),
        [b'%', b'P', b'D', b'F', ..] => not_an_image(", this looks like a PDF"),
        [] => not_an_image(", but the file is empty"),
        _ => not_an_image(""),
    }
}

const HEIF: [&[u8; 4]; 9] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1",
];

/// The brands in the first box of such a file (ISO/IEC 14496-12, 4.3): what it is and what else it
/// can be read as, with the minor version, which is nobody's brand, between them.
fn brands(bytes: &[u8]) -> Vec<[u8; 4]> {
    const MOST: usize = 32;
    let size = bytes
        .first_chunk()
        .map_or(0, |size| u32::from_be_bytes(*size));
    let end = usize::try_from(size).unwrap_or(0).min(bytes.len()).max(8);
    let (brands, _) = bytes.get(8..end).unwrap_or_default().as_chunks();
    brands.iter().take(MOST).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_told_apart_from_what_is_not_decoded() {
        let unsupported: [(&[u8], &str); 3] = [
            (b"\0\0\0\x1cftypavif....", "AVIF"),
            (b"\0\0\0\x18ftypmif1....miafavif", "AVIF"),
            (b"\xff\x0a......", "JPEG XL"),
        ];
        for (bytes, name) in unsupported {
            let error = sniff(bytes).unwrap_err();
            assert!(matches!(error, Error::Unsupported { format } if format == name));
        }
        let heic: [&[u8]; 3] = [
            b"\0\0\0\x18ftypheic....",
            b"\0\0\0\x18ftypmif1....mif1heic",
            b"\0\0\0\x18ftypmsf1",
        ];
        for bytes in heic {
            assert!(matches!(sniff(bytes), Ok(ImageKind::Heic)), "{bytes:?}");
        }
        let video = sniff(b"\0\0\0\x18ftypisom....mp41avc1").unwrap_err();
        assert!(video.to_string().contains("video"), "{video}");
        let nothing: [&[u8]; 5] = [b"", b"hello, world", b"%PDF-1.7", b"BM and so on", b"RIFF"];
        for bytes in nothing {
            let error = sniff(bytes).unwrap_err();
            assert!(matches!(error, Error::NotAnImage { .. }), "{bytes:?}");
        }
    }
}
