//! A photo that can be imported, and what is known of it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::kinds;
use super::report::{Refused, Skipped};

/// Ids are version-5 UUIDs (RFC 9562) in this namespace, of the path below the folder. Changing it
/// would make every import of the past start over.
const NAMESPACE: Uuid = Uuid::from_u128(0x0c1d_5c0e_6f0b_5e0e_9a55_d099_e100_face);

/// A photo that can be imported.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Photo {
    pub(crate) path: PathBuf,
    /// Its path below the folder, with `/`.
    pub(crate) file: String,
    pub(crate) person: Option<String>,
    pub(crate) id: PhotoId,
    pub(crate) about: About,
    /// Where a list names it.
    pub(crate) row: Option<usize>,
    pub(crate) bytes: u64,
}

/// The id that a photo's face gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub(crate) enum PhotoId {
    Number(u64),
    Uuid(Uuid),
}

impl TryFrom<Value> for PhotoId {
    type Error = String;

    fn try_from(id: Value) -> Result<Self, String> {
        let known = match &id {
            Value::Number(number) => number.as_u64().map(Self::Number),
            Value::String(text) => Uuid::try_parse(text).ok().map(Self::Uuid),
            _ => None,
        };
        known.ok_or_else(|| format!("{id} is no id: an unsigned integer or a UUID"))
    }
}

impl fmt::Display for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}

/// What else is known of a photo.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum About {
    Nothing,
    /// Which of the attributes that have these names it has, and what comes beside them.
    Flags {
        names: Arc<[String]>,
        has: u64,
        beside: Vec<(&'static str, Value)>,
    },
    /// Keys and values, as JSON text.
    Json(Box<str>),
}

impl About {
    /// The payload that comes of it, beside the name of the file.
    pub(crate) fn payload(&self, file: &str) -> Map<String, Value> {
        let mut payload = match self {
            Self::Nothing => Map::new(),
            Self::Flags { names, has, beside } => {
                let flags = names.iter().enumerate();
                let flags = flags.map(|(at, name)| (name.clone(), (has >> at & 1 == 1).into()));
                let beside = beside
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone()));
                flags.chain(beside).collect()
            }
            Self::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        };
        let file = Value::String(file.to_owned());
        payload.entry("file").or_insert(file);
        payload
    }
}

/// A file that a source names.
#[derive(Debug)]
pub(crate) enum Found {
    Photo(Photo),
    Skipped(Skipped),
}

impl Found {
    pub(crate) fn skipped(file: String, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self::Skipped(Skipped {
            file,
            row: None,
            reason,
        })
    }
}

/// What the file of a photo turned out to be.
#[derive(Debug)]
pub(crate) enum OnDisk {
    Photo(Photo),
    /// It only has the name of one.
    Skipped(Skipped),
    /// It was to come in and cannot.
    Refused(Refused),
}

impl Photo {
    /// With its size, if its file is one of a kind that is read and can be asked for it. A link to a photo is as
    /// good as the photo. What a list names is meant to be a photo.
    pub(crate) fn sized(self) -> OnDisk {
        let why = match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => match kinds::why_unread(&self.path) {
                Some(why) => why,
                None => {
                    return OnDisk::Photo(Self {
                        bytes: metadata.len(),
                        ..self
                    });
                }
            },
            Ok(metadata) => {
                let why = if metadata.is_dir() {
                    kinds::LINK
                } else {
                    kinds::NO_FILE
                };
                if self.row.is_none() {
                    return OnDisk::Skipped(Skipped {
                        file: self.file,
                        row: None,
                        reason: why.to_owned(),
                    });
                }
                why.to_owned()
            }
            Err(error) => format!("cannot be read: {error}"),
        };
        OnDisk::Refused(Refused {
            file: self.file,
            row: self.row,
            status: None,
            reason: why,
        })
    }
}

/// The id of a photo, by its path below the folder.
pub(crate) fn id_of(file: &str) -> PhotoId {
    PhotoId::Uuid(Uuid::new_v5(&NAMESPACE, file.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_the_same_on_every_machine() {
        // From another implementation: python3, uuid.uuid5(namespace, path).
        let id = serde_json::to_value(id_of("Ada_Lovelace/Ada_Lovelace_0001.jpg")).unwrap();
        assert_eq!(id, "cd24641f-ecac-5bfb-9fe8-f3383d77bb2e");
        assert_ne!(id_of("a/1.jpg"), id_of("a/2.jpg"));
    }

    #[test]
    fn attributes_become_keys_of_the_payload_beside_the_file() {
        let names: Arc<[String]> = ["bald".to_owned(), "smiling".to_owned()].into();
        let about = About::Flags {
            names,
            has: 0b10,
            beside: vec![("identity", 2880.into())],
        };
        let expected = json!({"bald": false, "smiling": true, "identity": 2880, "file": "1.jpg"});
        assert_eq!(Value::Object(about.payload("1.jpg")), expected);
        let named = About::Json(r#"{"file": "own"}"#.into());
        assert_eq!(
            Value::Object(named.payload("1.jpg")),
            json!({"file": "own"})
        );
    }
}
