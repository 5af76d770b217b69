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
    /// TIFF, of which the first page counts
    Tiff,
}

impl ImageKind {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        self.format().to_mime_type()
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
        }
    }

    pub(crate) fn format(self) -> ImageFormat {
        match self {
            ImageKind::Jpeg => ImageFormat::Jpeg,
            ImageKind::Png => ImageFormat::Png,
            ImageKind::WebP => ImageFormat::WebP,
            ImageKind::Gif => ImageFormat::Gif,
            ImageKind::Bmp => ImageFormat::Bmp,
            ImageKind::Tiff => ImageFormat::Tiff,
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
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Ok(ImageKind::Tiff),
        _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Ok(ImageKind::WebP),
        _ if bytes.get(4..8) == Some(b"ftyp") => match bytes.get(8..12).unwrap_or_default() {
            b"avif" | b"avis" => unsupported("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" | b"heif" => {
                unsupported("HEIC")
            }
            _ => not_an_image(", this looks like a video"),
        },
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => unsupported("JPEG XL"),
        [b'%', b'P', b'D', b'F', ..] => not_an_image(", this looks like a PDF"),
        [] => not_an_image(", but the file is empty"),
        _ => not_an_image(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_told_apart_from_what_is_not_decoded() {
        let unsupported: [(&[u8], &str); 4] = [
            (b"\0\0\0\x18ftypheic....", "HEIC"),
            (b"\0\0\0\x1cftypavif....", "AVIF"),
            (b"\xff\x0a......", "JPEG XL"),
            (b"\0\0\0\x18ftypmif1....", "HEIC"),
        ];
        for (bytes, name) in unsupported {
            let error = sniff(bytes).unwrap_err();
            assert!(matches!(error, Error::Unsupported { format } if format == name));
        }
        let nothing: [&[u8]; 5] = [b"", b"hello, world", b"%PDF-1.7", b"BM and so on", b"RIFF"];
        for bytes in nothing {
            let error = sniff(bytes).unwrap_err();
            assert!(matches!(error, Error::NotAnImage { .. }), "{bytes:?}");
        }
    }
}
