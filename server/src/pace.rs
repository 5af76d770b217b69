//! How many requests a second a key, or an address, may make: a bucket each, which fills at that
//! rate and holds what comes in a second. Who finds it empty is told to come back.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use parking_lot::Mutex;

use crate::access::Grant;
use crate::refusal::Refusal;

/// Buckets that are remembered; those that are full again are forgotten first.
const REMEMBERED: usize = 100_000;

/// One rate for each of many.
struct Rate<K> {
    /// A second; 0 is any.
    most: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn filled(self, most: f64, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since * most).min(most)
    }
}

impl<K: Eq + Hash> Rate<K> {
    fn new(most: u32) -> Self {
        Self {
            most: f64::from(most),
            buckets: Mutex::default(),
        }
    }

    /// Whether one more may come now.
    fn admits(&self, who: K, now: Instant) -> bool {
        if self.most == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock();
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| bucket.filled(self.most, now) < self.most);
        }
        let full = Bucket {
            left: self.most,
            at: now,
        };
        let bucket = buckets.entry(who).or_insert(full);
        let left = bucket.filled(self.most, now);
        let admitted = left >= 1.0;
        *bucket = Bucket {
            left: left - f64::from(u8::from(admitted)),
            at: now,
        };
        admitted
    }
}

/// The rates of the settings.
pub(crate) struct Pace {
    keys: Rate<String>,
    addresses: Rate<IpAddr>,
}

impl Pace {
    pub(crate) fn new(config: &config::Server) -> Self {
        Self {
            keys: Rate::new(config.requests_per_key_s),
            addresses: Rate::new(config.requests_per_address_s),
        }
    }

    /// Before anybody knows whose key it is.
    pub(crate) fn from(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        let network = address.map(network);
        match network.is_none_or(|network| self.addresses.admits(network, Instant::now())) {
            true => Ok(()),
            false => Err(Refusal::too_many(format!(
                "more than {} requests a second from one address (server.requests_per_address_s)",
                self.addresses.most
            ))),
        }
    }

    /// Once it is known.
    pub(crate) fn by(&self, grant: &Grant) -> Result<(), Refusal> {
        if self.keys.most == 0.0 {
            return Ok(());
        }
        let key = grant.key();
        match key.is_none_or(|(id, _)| self.keys.admits(id, Instant::now())) {
            true => Ok(()),
            false => Err(Refusal::too_many(format!(
                "more than {} requests a second with one key (server.requests_per_key_s)",
                self.keys.most
            ))),
        }
    }
}

/// Who has one address of IPv6 has 2^64 of them (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_fills_and_is_of_one_alone() {
        let rate = Rate::new(2);
        let start = Instant::now();
        let later = |ms| start + Duration::from_millis(ms);
        let admitted = |who: &'static str, ms| rate.admits(who, later(ms));
        assert!(admitted("a", 0) && admitted("a", 0) && !admitted("a", 0));
        assert!(admitted("b", 0));
        assert!(!admitted("a", 400));
        assert!(admitted("a", 500) && !admitted("a", 500));
        // However long it rests, it holds no more than a second's.
        assert!(admitted("a", 60_000) && admitted("a", 60_000) && !admitted("a", 60_000));
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        let any = Rate::new(0);
        assert!((0..1_000).all(|_| any.admits("a", start)));
    }
}
