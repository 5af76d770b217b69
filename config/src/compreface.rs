//! The settings of CompreFace's REST API, which is not spoken where they name no collection.

use crate::error::Error;
use crate::limits;
use crate::reader::Reader;

/// The REST API of CompreFace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompreFace {
    /// The collection whose faces it is about, unless a key is for another.
    pub collection: String,
    /// Whether the photos of examples are kept.
    pub keep_photos: bool,
}

impl CompreFace {
    pub(crate) fn read(r: &mut Reader) -> Result<Option<Self>, Error> {
        let expected = "the name of a collection: letters, digits, `_`, `-` and `.`, not first";
        let collection = r.text("compreface.collection", "", expected, |text| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let named = text.len() <= limits::NAME_CHARS && text.bytes().all(fits);
            (named && !text.starts_with('.')).then(|| text.to_owned())
        })?;
        let keep_photos = r.boolean("compreface.keep_photos", true)?;
        Ok((!collection.is_empty()).then_some(Self {
            collection,
            keep_photos,
        }))
    }
}
