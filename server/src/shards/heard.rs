//! What a client is told beside the result: how far each shard's log was known, and which are missing.

use std::collections::BTreeMap;
use std::fmt::Write;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::peer::Room;
use crate::refusal::Refusal;
use crate::wire::envelope;

/// How far each shard's log was known: `0=65536,2=131072`.
const LSNS: HeaderName = HeaderName::from_static("x-doppel-shard-lsns");

/// What stands beside a result.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) lsns: Vec<(u32, u64)>,
    pub(super) missing: Vec<u32>,
    /// What the answers take of memory, until the client has been given what was made of them.
    pub(super) _rooms: Vec<Room>,
}

/// What the shards of a collection have come to.
pub(super) struct Answered {
    result: Value,
    heard: Heard,
}

impl Heard {
    pub(super) fn with(self, result: Value) -> Answered {
        Answered {
            result,
            heard: self,
        }
    }
}

impl Answered {
    pub(super) fn map(self, change: impl FnOnce(Value) -> Value) -> Self {
        self.heard.with(change(self.result))
    }

    /// The first of a list.
    pub(super) fn first(&self) -> Option<Value> {
        self.result.get(0).cloned()
    }

    pub(super) fn response(self, request: &HttpRequest) -> HttpResponse {
        let mut response = envelope::framed(self.result, &self.heard.missing, request);
        let lsns = self.heard.lsns.into_iter();
        let text = lsns.fold(String::new(), |mut text, (shard, lsn)| {
            let comma = if text.is_empty() { "" } else { "," };
            write!(text, "{comma}{shard}={lsn}").expect("a text takes all");
            text
        });
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(LSNS, value);
        }
        response
    }
}

/// How far a client has seen each shard, of which there are so many.
pub(super) fn lsns(headers: &HeaderMap, count: u32) -> Result<BTreeMap<u32, u64>, Refusal> {
    let Some(value) = headers.get(LSNS) else {
        return Ok(BTreeMap::new());
    };
    let pairs = value.to_str().unwrap_or("?").split(',').map(|pair| {
        let (shard, lsn) = pair.split_once('=')?;
        Some((shard.trim().parse().ok()?, lsn.trim().parse().ok()?))
    });
    let pairs: Option<Vec<(u32, u64)>> = pairs.collect();
    let pairs = pairs.ok_or_else(|| {
        Refusal::wrong("`x-doppel-shard-lsns` must be as an answer had it: `0=65536,2=131072`")
    })?;
    let mut lsns = BTreeMap::new();
    for (shard, lsn) in pairs {
        if shard >= count {
            return Err(Refusal::wrong(format!(
                "`x-doppel-shard-lsns` names shard {shard}, and there are {count} (nats.shards), from 0 on"
            )));
        }
        if lsns.insert(shard, lsn).is_some() {
            return Err(Refusal::wrong(format!(
                "`x-doppel-shard-lsns` names shard {shard} twice"
            )));
        }
    }
    Ok(lsns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsns_are_read_as_they_are_told() {
        let read = |text: &str| {
            let headers = [(LSNS, HeaderValue::from_str(text).unwrap())];
            lsns(&headers.into_iter().collect(), 3)
        };
        assert_eq!(read("0=5, 2=7").unwrap(), [(0, 5), (2, 7)].into());
        for wrong in ["", "5", "0=", "a=1", "0=1,,2", "3=1", "1=1,1=2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
