//! Changes of payloads and indexes between the domain and the log.

use storage::{IndexConfig, TextConfig, decode_payload, encode_payload};

use super::{IndexKind, PayloadChange};
use crate::error::Error;
use crate::filter::{KeyPath, TextOptions, Tokenizer};

/// As the log keeps it.
pub(crate) fn change_record(change: &PayloadChange) -> Result<storage::PayloadChange, Error> {
    Ok(match change {
        PayloadChange::Set { payload, key } => storage::PayloadChange::Set {
            payload: encode_payload(payload)?,
            key: key.as_ref().map(KeyPath::to_string),
        },
        PayloadChange::Overwrite { payload, key } => storage::PayloadChange::Overwrite {
            payload: encode_payload(payload)?,
            key: key.as_ref().map(KeyPath::to_string),
        },
        PayloadChange::Delete(keys) => storage::PayloadChange::Delete {
            keys: keys.iter().map(KeyPath::to_string).collect(),
        },
        PayloadChange::Clear => storage::PayloadChange::Clear,
    })
}

/// The reverse of [`change_record`].
pub(crate) fn change_of(change: &storage::PayloadChange) -> Result<PayloadChange, Error> {
    let path = |key: &Option<String>| key.as_deref().map(path).transpose();
    Ok(match change {
        storage::PayloadChange::Set { payload, key } => PayloadChange::Set {
            payload: decode_payload(payload)?,
            key: path(key)?,
        },
        storage::PayloadChange::Overwrite { payload, key } => PayloadChange::Overwrite {
            payload: decode_payload(payload)?,
            key: path(key)?,
        },
        storage::PayloadChange::Delete { keys } => {
            let keys = keys.iter().map(|key| self::path(key));
            PayloadChange::Delete(keys.collect::<Result<_, _>>()?)
        }
        storage::PayloadChange::Clear => PayloadChange::Clear,
    })
}

/// A path that the log has.
pub(crate) fn path(key: &str) -> Result<KeyPath, Error> {
    KeyPath::parse(key).map_err(Error::Corrupt)
}

/// An index as the log keeps it.
pub(crate) fn index_config((key, kind): &(KeyPath, IndexKind)) -> IndexConfig {
    let (number, text) = match kind {
        IndexKind::Keyword => (0, None),
        IndexKind::Integer => (1, None),
        IndexKind::Float => (2, None),
        IndexKind::Bool => (3, None),
        IndexKind::Datetime => (4, None),
        IndexKind::Uuid => (5, None),
        IndexKind::Text(options) => (6, Some(text_config(options))),
        IndexKind::Geo => (7, None),
    };
    IndexConfig {
        key: key.to_string(),
        kind: number,
        text,
    }
}

fn text_config(options: &TextOptions) -> TextConfig {
    TextConfig {
        tokenizer: match options.tokenizer {
            Tokenizer::Word => 0,
            Tokenizer::Whitespace => 1,
            Tokenizer::Prefix => 2,
        },
        lowercase: options.lowercase,
        min_len: options.min_len,
        max_len: options.max_len,
    }
}

/// The reverse of [`index_config`].
pub(crate) fn index_of(config: &IndexConfig) -> Result<(KeyPath, IndexKind), Error> {
    let kind = match (config.kind, &config.text) {
        (0, None) => IndexKind::Keyword,
        (1, None) => IndexKind::Integer,
        (2, None) => IndexKind::Float,
        (3, None) => IndexKind::Bool,
        (4, None) => IndexKind::Datetime,
        (5, None) => IndexKind::Uuid,
        (6, Some(text)) => IndexKind::Text(text_options(text)?),
        (7, None) => IndexKind::Geo,
        (kind, _) => {
            let key = &config.key;
            return Err(Error::Corrupt(format!(
                "the index of `{key}` is of kind {kind}, which is unknown or lacks its settings"
            )));
        }
    };
    Ok((path(&config.key)?, kind))
}

fn text_options(config: &TextConfig) -> Result<TextOptions, Error> {
    Ok(TextOptions {
        tokenizer: match config.tokenizer {
            0 => Tokenizer::Word,
            1 => Tokenizer::Whitespace,
            2 => Tokenizer::Prefix,
            other => return Err(Error::Corrupt(format!("tokenizer {other} is unknown"))),
        },
        lowercase: config.lowercase,
        min_len: config.min_len,
        max_len: config.max_len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_keeps_is_what_was_decided() {
        let key = KeyPath::parse("a[].\"b.c\"").unwrap();
        let payload = serde_json::json!({"x": [1, null, "ä"], "y": {"z": 1.5}});
        let payload = payload.as_object().cloned().unwrap();
        let changes = [
            PayloadChange::Set {
                payload: payload.clone(),
                key: Some(key.clone()),
            },
            PayloadChange::Overwrite { payload, key: None },
            PayloadChange::Delete(vec![key.clone(), KeyPath::of("d.e")]),
            PayloadChange::Clear,
        ];
        for change in changes {
            let kept = change_record(&change).unwrap();
            assert_eq!(change_of(&kept).unwrap(), change);
        }
        let options = TextOptions {
            tokenizer: Tokenizer::Prefix,
            lowercase: false,
            min_len: Some(2),
            max_len: None,
        };
        let kinds = [
            IndexKind::Keyword,
            IndexKind::Integer,
            IndexKind::Float,
            IndexKind::Bool,
            IndexKind::Datetime,
            IndexKind::Uuid,
            IndexKind::Text(options),
            IndexKind::Geo,
        ];
        for kind in kinds {
            let index = (key.clone(), kind);
            assert_eq!(index_of(&index_config(&index)).unwrap(), index);
        }
    }
}
