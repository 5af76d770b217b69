//! Collections that are spread over nodes: how many parts there may be, which of them a node serves, and
//! how nodes reach each other.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::error::Error;
use crate::limits;
use crate::reader::Reader;
use crate::tree::{ApiKey, file};

/// The shards of a cluster, as one node sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// How many there are; each has a stream of its own.
    pub count: u32,
    /// Those that this node serves, in order.
    pub served: Vec<u32>,
    /// Where other nodes reach this one, as `https://host:port`; absent: where it listens.
    pub url: Option<String>,
    /// What nodes show each other.
    pub key: ApiKey,
    /// Authorities of other nodes' certificates; absent: those that programs commonly trust.
    pub ca: Option<PathBuf>,
}

/// Which shards a node serves.
#[derive(Debug, Clone)]
enum Served {
    All,
    Named(Vec<u32>),
}

impl Shards {
    /// Nothing where there are no shards.
    pub(crate) fn read(r: &mut Reader, listen: SocketAddr) -> Result<Option<Self>, Error> {
        let count: u32 = r.number("nats.shards", 0, limits::SHARDS)?;
        let expected =
            "`all`, `none`, or numbers of shards below `nats.shards`, separated by commas";
        let served = r.text("nats.serve_shards", "all", expected, |text| {
            served(text, count)
        })?;
        let expected = "where other nodes reach this one, such as https://10.0.0.1:6333";
        let own = r.text("nats.node_url", "", expected, url)?;
        let key = r.secret("nats.node_key", limits::API_KEY_CHARS)?;
        let ca = file(r, "nats.node_ca")?;
        if count == 0 {
            return Ok(None);
        }
        let Some(key) = key else {
            return Err(r.half("nats.shards", "nats.node_key"));
        };
        if own.is_empty() && listen.ip().is_unspecified() {
            return Err(r.half("nats.shards", "nats.node_url"));
        }
        Ok(Some(Self {
            count,
            served: match served {
                Served::All => (0..count).collect(),
                Served::Named(named) => named,
            },
            url: (!own.is_empty()).then_some(own),
            key: ApiKey::new(key),
            ca,
        }))
    }
}

/// Where a doppel answers; or nothing, of an empty text.
pub(crate) fn url(text: &str) -> Option<String> {
    let mut parts = text.splitn(2, "://");
    let scheme = parts.next().is_some_and(|it| it == "http" || it == "https");
    let host = parts.next().is_some_and(|it| !it.is_empty());
    let fine = scheme && host && !text.contains(['@', '?', '#', ' ']);
    (text.is_empty() || fine).then(|| text.to_owned())
}

fn served(text: &str, count: u32) -> Option<Served> {
    match text {
        "all" => return Some(Served::All),
        "none" => return Some(Served::Named(Vec::new())),
        _ => {}
    }
    let numbers = text.split(',').map(|it| it.trim().parse().ok());
    let mut numbers: Vec<u32> = numbers.collect::<Option<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    let last = numbers.last()?;
    (*last < count).then_some(Served::Named(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_once_each_and_only_those_that_there_are() {
        let named = |text, count| match served(text, count) {
            Some(Served::Named(named)) => Some(named),
            _ => None,
        };
        assert_eq!(named("2, 0,2", 3), Some(vec![0, 2]));
        assert_eq!(named("none", 3), Some(Vec::new()));
        assert!(matches!(served("all", 3), Some(Served::All)));
        for wrong in ["3", "0,3", "-1", "", "0,", "some"] {
            assert!(served(wrong, 3).is_none(), "{wrong:?}");
        }
    }
}
