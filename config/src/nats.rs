//! The log on NATS JetStream, which several nodes share; without an address of it a data folder has its
//! own log.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::error::Error;
use crate::limits;
use crate::reader::Reader;
use crate::shards::Shards;
use crate::tree::{ApiKey, file};

/// The log on NATS JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nats {
    /// Addresses of the servers, each `nats://host:port` or `tls://host:port`.
    pub servers: Vec<String>,
    /// The name of the stream.
    pub stream: String,
    /// How many servers keep each record, where the stream is made here.
    pub replicas: usize,
    /// Where the servers tell about themselves, each `http://host:port`.
    pub monitors: Vec<String>,
    /// Seconds after which a node puts a checkpoint into the store, if none has; 0 is never.
    pub checkpoint_interval_s: u64,
    /// Where checkpoints lie: `file:///folder` or `s3://bucket/folder`; absent: beside the stream.
    pub checkpoints: Option<String>,
    /// Seconds after which nodes compare what they hold; 0 is never.
    pub compare_interval_s: u64,
    /// Whether servers may acknowledge before they sync.
    pub lazy_sync: bool,
    /// A file of credentials.
    pub credentials: Option<PathBuf>,
    /// A user and the password.
    pub user: Option<(String, ApiKey)>,
    /// Authorities of the servers' certificates.
    pub ca: Option<PathBuf>,
    /// A certificate of this node and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Collections that are spread over nodes; absent: there are none.
    pub shards: Option<Shards>,
}

impl Nats {
    pub(crate) fn read(r: &mut Reader, listen: SocketAddr) -> Result<Option<Self>, Error> {
        let servers = r.text(
            "nats.servers",
            "",
            "addresses such as nats://10.0.0.1:4222 or tls://10.0.0.1:4222, separated by commas, without \
             a user or password",
            |text| addresses(text, &["nats://", "tls://"]),
        )?;
        let monitors = r.text(
            "nats.monitors",
            "",
            "addresses such as http://10.0.0.1:8222, separated by commas",
            |text| addresses(text, &["http://"]),
        )?;
        let stream = r.text(
            "nats.stream",
            "doppel",
            "a name of letters, digits, `_` and `-`",
            |text| {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                let named = (1..=limits::STREAM_CHARS).contains(&text.len());
                (named && text.bytes().all(fits)).then(|| text.to_owned())
            },
        )?;
        let replicas = r.number("nats.replicas", 3, limits::REPLICAS)?;
        let checkpoint_interval_s =
            r.number("nats.checkpoint_interval_s", 3600, limits::STORE_INTERVAL_S)?;
        let checkpoints = r.text(
            "nats.checkpoints",
            "",
            "a folder such as file:///mnt/checkpoints or s3://bucket/folder, without a user or password",
            store,
        )?;
        let compare_interval_s =
            r.number("nats.compare_interval_s", 3600, limits::STORE_INTERVAL_S)?;
        let lazy_sync = r.boolean("nats.lazy_sync", false)?;
        let credentials = file(r, "nats.credentials")?;
        let user = r.text("nats.user", "", "a user's name", |text| {
            Some(text.to_owned())
        })?;
        let password = r.secret("nats.password", limits::API_KEY_CHARS)?;
        let ca = file(r, "nats.ca")?;
        let (cert, key) = (file(r, "nats.cert")?, file(r, "nats.key")?);
        let user = match (user.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some((user, ApiKey::new(password))),
            (false, None) => return Err(r.half("nats.user", "nats.password")),
            (true, Some(_)) => return Err(r.half("nats.password", "nats.user")),
        };
        let certificate = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => return Err(r.half("nats.cert", "nats.key")),
            (None, Some(_)) => return Err(r.half("nats.key", "nats.cert")),
        };
        let shards = Shards::read(r, listen)?;
        Ok((!servers.is_empty()).then_some(Self {
            servers,
            stream,
            replicas,
            monitors,
            checkpoint_interval_s,
            checkpoints,
            compare_interval_s,
            lazy_sync,
            credentials,
            user,
            ca,
            certificate,
            shards,
        }))
    }
}

/// Addresses of these schemes, separated by commas; none of an empty text.
fn addresses(text: &str, schemes: &[&str]) -> Option<Vec<String>> {
    let all = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let all: Vec<String> = all.map(str::to_owned).collect();
    let fits = |address: &String| {
        let host = schemes.iter().find_map(|it| address.strip_prefix(it));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['@', '/', '?', '#', ' ']))
    };
    all.iter().all(fits).then_some(all)
}

/// Where checkpoints lie; nothing of an empty text.
fn store(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let plain = !text.contains(['@', '?', '#', ' ', '\\']) && !text.contains("..");
    let place = match (text.strip_prefix("file://"), text.strip_prefix("s3://")) {
        (Some(folder), _) => folder.len() > 1 && folder.starts_with('/'),
        (_, Some(bucket)) => !bucket.is_empty() && !bucket.starts_with('/'),
        _ => false,
    };
    (plain && place).then(|| Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_passwords_in_them_are_refused() {
        let of = |text| addresses(text, &["nats://", "tls://"]);
        let both = ["nats://a:4222", "tls://[::1]:4"].map(str::to_owned);
        assert_eq!(of("nats://a:4222, tls://[::1]:4").unwrap(), both);
        assert_eq!(of(""), Some(Vec::new()));
        for wrong in ["a:4222", "http://a:1", "nats://me:secret@a:1", "nats://"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn checkpoints_lie_in_a_folder_from_the_root_on_or_in_a_bucket() {
        assert_eq!(store(""), Some(None));
        for right in ["file:///mnt/it", "s3://bucket", "s3://bucket/a/b"] {
            assert_eq!(store(right), Some(Some(right.to_owned())));
        }
        for wrong in [
            "/mnt/it",
            "file://mnt/it",
            "file:///",
            "s3://",
            "s3:///it",
            "s3://key:secret@bucket",
            "https://bucket.s3.amazonaws.com",
            "file:///mnt/../etc",
        ] {
            assert_eq!(store(wrong), None, "{wrong}");
        }
    }
}
