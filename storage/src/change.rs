//! Changes of payloads and payload indexes as the log keeps them.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Error;

/// What becomes of the payloads of some points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadChange {
    /// Keys are given values; a null takes its key away.
    Set {
        /// The keys and values, a MessagePack map.
        payload: Vec<u8>,
        /// The path of the object that they go into; the payload itself if there is none.
        key: Option<String>,
    },
    /// The payload, or the value at a path, is replaced.
    Overwrite {
        /// What is there afterwards, a MessagePack map.
        payload: Vec<u8>,
        /// The path.
        key: Option<String>,
    },
    /// The values at paths go.
    Delete {
        /// The paths.
        keys: Vec<String>,
    },
    /// Everything goes.
    Clear,
}

/// An index of a key of payloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexConfig {
    /// The path of the key.
    pub key: String,
    /// What the index is of, by its number.
    pub kind: u8,
    /// How the texts of a text index are cut.
    pub text: Option<TextConfig>,
}

/// How texts are cut into words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Where, by its number.
    pub tokenizer: u8,
    /// Whether `A` is `a`.
    pub lowercase: bool,
    /// Shorter words are not looked for.
    pub min_len: Option<u32>,
    /// Longer words are not looked for.
    pub max_len: Option<u32>,
}

const SET: u8 = 1;
const OVERWRITE: u8 = 2;
const DELETE: u8 = 3;
const CLEAR: u8 = 4;

/// A change on disk: what is done, the map, the path it goes to, the paths that go.
#[derive(Serialize, Deserialize)]
pub(crate) struct ChangeBody {
    what: u8,
    payload: ByteBuf,
    key: Option<String>,
    keys: Vec<String>,
}

impl From<&PayloadChange> for ChangeBody {
    fn from(change: &PayloadChange) -> Self {
        let mut body = Self {
            what: CLEAR,
            payload: ByteBuf::new(),
            key: None,
            keys: Vec::new(),
        };
        match change {
            PayloadChange::Set { payload, key } => {
                body.what = SET;
                body.payload = ByteBuf::from(payload.clone());
                body.key.clone_from(key);
            }
            PayloadChange::Overwrite { payload, key } => {
                body.what = OVERWRITE;
                body.payload = ByteBuf::from(payload.clone());
                body.key.clone_from(key);
            }
            PayloadChange::Delete { keys } => {
                body.what = DELETE;
                body.keys.clone_from(keys);
            }
            PayloadChange::Clear => {}
        }
        body
    }
}

impl TryFrom<ChangeBody> for PayloadChange {
    type Error = Error;

    fn try_from(body: ChangeBody) -> Result<Self, Error> {
        let (payload, key) = (body.payload.into_vec(), body.key);
        match body.what {
            SET => Ok(Self::Set { payload, key }),
            OVERWRITE => Ok(Self::Overwrite { payload, key }),
            DELETE => Ok(Self::Delete { keys: body.keys }),
            CLEAR => Ok(Self::Clear),
            other => Err(Error::Decode {
                what: "a record",
                reason: format!("change {other} of payloads is unknown"),
            }),
        }
    }
}
