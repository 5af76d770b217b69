//! Addresses of nodes. The library looks up the host of each request, on a thread made for that, also for connections
//! that are there already. Most nodes are named by an address, which says it itself; what a name stood for is
//! remembered for a moment.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long it is remembered: no longer than a connection that nobody uses.
const REMEMBERED: Duration = Duration::from_secs(2);

/// Looks up hosts, as seldom as may be.
#[derive(Debug, Default)]
pub(super) struct Known {
    default: DefaultResolver,
    names: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl Resolver for Known {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let place = uri.authority().map_or("", |it| it.as_str());
        if let Ok(address) = place.parse() {
            return Ok(self.these([address]));
        }
        let key = format!("{}://{place}", uri.scheme_str().unwrap_or_default());
        let known = self.names.lock().get(&key).cloned();
        if let Some((_, addresses)) = known.filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return Ok(self.these(addresses));
        }
        let found = self.default.resolve(uri, config, timeout)?;
        let addresses = found.iter().copied().collect();
        let mut names = self.names.lock();
        names.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        names.insert(key, (Instant::now(), addresses));
        Ok(found)
    }
}

impl Known {
    fn these(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> ResolvedSocketAddrs {
        let mut all = self.empty();
        addresses.into_iter().for_each(|it| all.push(it));
        all
    }
}

/// An agent that asks nodes.
pub(super) fn agent(settings: Config) -> ureq::Agent {
    let connector = ureq::unversioned::transport::DefaultConnector::default();
    ureq::Agent::with_parts(settings, connector, Known::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_itself_and_a_name_for_what_it_was_a_moment_ago() {
        let (known, settings) = (Known::default(), Config::default());
        let resolve = |uri: &str| {
            let found = known.resolve(&uri.parse().unwrap(), &settings, NextTimeout::default());
            found.map(|all| all.iter().copied().collect::<Vec<_>>())
        };
        for address in ["127.0.0.1:7", "[::1]:7"] {
            let found = resolve(&format!("https://{address}/shards/0")).unwrap();
            assert_eq!(found, [address.parse().unwrap()]);
        }
        assert!(known.names.lock().is_empty());
        let elsewhere: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let said = |age: Duration| {
            let at = Instant::now().checked_sub(age).unwrap();
            let mut names = known.names.lock();
            names.insert("http://localhost".to_owned(), (at, vec![elsewhere]));
        };
        said(Duration::ZERO);
        assert_eq!(resolve("http://localhost/").unwrap(), [elsewhere]);
        said(REMEMBERED);
        let anew = resolve("http://localhost/").unwrap();
        assert!(anew.iter().all(|it| it.ip().is_loopback()), "{anew:?}");
    }
}
