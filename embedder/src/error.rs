//! What can go wrong between a photo and its faces.

/// A failure of the pipeline; `Display` is a sentence fit for whoever sent the photo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no image.
    #[error("this is not an image: JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC is expected{seen}")]
    NotAnImage {
        /// What it looks like, as ", this looks like ...", or nothing.
        seen: String,
    },
    /// An image of a kind that is not decoded.
    #[error("{format} images cannot be read; send JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC")]
    Unsupported {
        /// Its format.
        format: &'static str,
    },
    /// An image in a form of its kind that is not decoded.
    #[error(
        "this form of image cannot be read ({0}); save it as a JPEG or PNG in red, green and blue"
    )]
    UnsupportedForm(String),
    /// More pixels than allowed.
    #[error(
        "the image of {width} x {height} pixels is too large: at most {max_side} on a side and {max_pixels} in all"
    )]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The longest side allowed.
        max_side: u32,
        /// The most pixels allowed.
        max_pixels: u64,
    },
    /// More bytes than allowed once it is decoded, of a kind that is always decoded whole.
    #[error(
        "the image of {width} x {height} pixels is too large: it is {bytes} bytes once it is decoded, at most {limit} \
         are allowed; a JPEG may have more pixels"
    )]
    TooLargeWhole {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// What its pixels would be.
        bytes: u64,
        /// The most allowed.
        limit: u64,
    },
    /// More memory than a photo of its size and file takes; with what its decoder says.
    #[error(
        "the image is too large: it needs more memory to be decoded than the size and the file that it says to have \
         account for ({0})"
    )]
    TooMuchMemory(String),
    /// More bytes than allowed.
    #[error("the image file of {got} bytes is too large, at most {limit} are allowed")]
    TooManyBytes {
        /// Its bytes.
        got: usize,
        /// The most allowed.
        limit: usize,
    },
    /// An image that cannot be decoded.
    #[error("the image is damaged or incomplete: {0}")]
    Damaged(String),
    /// The models are not there.
    #[error("the face models are not installed: {0}")]
    NotInstalled(String),
    /// Another server, which looks at the photos, could not or would not.
    #[error("{message}")]
    Remote {
        /// The status of HTTP that tells it best.
        status: u16,
        /// A sentence about it.
        message: String,
    },
    /// Whoever sent the photo has gone, so that no more was made of it.
    #[error("nobody waits for the photo any more")]
    NotAwaited,
    /// It takes much longer than the photos it came with, so that nothing was made of it yet.
    #[error("the photo takes longer than those it came with: it is to be looked at alone")]
    TakesLong,
    /// The models or the runtime failed.
    #[error("the face models failed: {0}")]
    Model(String),
}

impl From<ort::Error> for Error {
    fn from(error: ort::Error) -> Self {
        Error::Model(error.to_string())
    }
}
