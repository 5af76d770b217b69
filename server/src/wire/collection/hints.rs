//! Settings of the dialect that are taken and have no effect here. Their names are known, so that
//! a slip is still told.

use engine::TTL_S;
use engine::limits::MAX_TTL_S;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::reembedding;
use crate::refusal::Refusal;
use crate::shards;
use crate::wire::schema::no_effect;

/// An object of hints.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Hints(Map<String, Value>);

pub(super) const OPTIMIZERS: &[&str] = &[
    "deleted_threshold",
    "vacuum_min_vector_number",
    "default_segment_number",
    "max_segment_size",
    "memmap_threshold",
    "indexing_threshold",
    "flush_interval_sec",
    "max_optimization_threads",
    "prevent_unoptimized",
];
pub(super) const WAL: &[&str] = &["wal_capacity_mb", "wal_segments_ahead", "wal_retain_closed"];
pub(super) const MEMORY: &[&str] = &["memory"];

/// What the server keeps in a collection's metadata for itself, nobody else may put there.
pub(super) fn own_metadata(metadata: Option<&Map<String, Value>>) -> Result<(), Refusal> {
    let has = |key: &str| metadata.is_some_and(|metadata| metadata.contains_key(key));
    if has(reembedding::KEY) {
        return Err(Refusal::wrong(format!(
            "`metadata.{}` is the server's own: it says how far a move to another model is",
            reembedding::KEY
        )));
    }
    if has(shards::KEY) {
        return Err(Refusal::wrong(format!(
            "`metadata.{}` is the server's own: say `shards` beside `metadata` when the collection is made",
            shards::KEY
        )));
    }
    match has(TTL_S) {
        true => Err(Refusal::wrong(format!(
            "`metadata.{TTL_S}` is the server's own: say `{TTL_S}` beside `metadata`"
        ))),
        false => Ok(()),
    }
}

/// How long points live, as it stands in the metadata; a null takes it away.
pub(super) fn ttl(ttl_s: Option<u64>) -> Result<Option<Value>, Refusal> {
    match ttl_s {
        None => Ok(None),
        Some(0) => Ok(Some(Value::Null)),
        Some(seconds) if seconds <= MAX_TTL_S => Ok(Some(seconds.into())),
        Some(seconds) => Err(Refusal::wrong(format!(
            "`{TTL_S}` is {seconds}, it may be up to {MAX_TTL_S}; 0 keeps points for good"
        ))),
    }
}

impl Hints {
    fn are(this: Option<&Self>, place: &str, known: &[&str]) -> Result<(), Refusal> {
        let mut names = this.into_iter().flat_map(|hints| hints.0.keys());
        match names.find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Refusal::wrong(format!(
                "`{place}.{name}` is not known; there are `{}`",
                known.join("`, `")
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn optimizers(this: Option<&Self>) -> Result<(), Refusal> {
        Self::are(this, "optimizers_config", OPTIMIZERS)
    }

    pub(super) fn wal(this: Option<&Self>) -> Result<(), Refusal> {
        Self::are(this, "wal_config", WAL)
    }

    /// Where payloads or ids are kept.
    pub(super) fn memory(this: Option<&Self>, place: &str) -> Result<(), Refusal> {
        Self::are(this, place, MEMORY)
    }
}

/// Limits that a collection's users asked for. They are not kept, so they must not be switched on:
/// whoever does so counts on them.
pub(super) fn strict_mode(config: Option<&Map<String, Value>>) -> Result<(), Refusal> {
    match config.and_then(|config| config.get("enabled")) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(_) => Err(Refusal::wrong(
            "`strict_mode_config.enabled` is not supported: the server's own limits hold for \
             every collection",
        )),
    }
}

/// The same as the document tells it: whatever limits are named, they are not switched on.
pub(super) fn switched_off(schema: &mut Schema) {
    let off = json!({"enabled": {"enum": [false, null]}});
    schema.insert("properties".to_owned(), off);
    no_effect(schema);
}

/// A number that only 1 makes sense for, because there is one copy of everything.
pub(super) fn one_copy(numbers: &[(&str, Option<u32>)]) -> Result<(), Refusal> {
    match numbers.iter().find(|(_, n)| n.is_some_and(|n| n != 1)) {
        Some((name, _)) => Err(Refusal::wrong(format!(
            "`{name}` can only be 1: this server is one node and keeps one copy"
        ))),
        None => Ok(()),
    }
}

/// Sparse vectors, of which there are none.
pub(super) fn no_sparse(sparse: Option<&Map<String, Value>>) -> Result<(), Refusal> {
    match sparse.is_some_and(|sparse| !sparse.is_empty()) {
        true => Err(Refusal::wrong("`sparse_vectors` is not supported")),
        false => Ok(()),
    }
}
