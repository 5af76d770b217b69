//! Under which names a server may be asked.

use std::net::IpAddr;

/// Names of a server, beside `localhost` and its addresses: `faces.lan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Only these.
    Listed(Vec<String>),
    /// Every one.
    Any,
}

impl Hosts {
    /// Whether a request may be for this name, which has no port. An address always may: whoever
    /// wrote it meant the machine that has it. A dot behind a name says that it is whole (RFC 1034, 3.1).
    pub fn allow(&self, host: &str) -> bool {
        let whole = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let host = whole(host);
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_address = bare.unwrap_or(&host).parse::<IpAddr>().is_ok();
        match self {
            Self::Any => true,
            Self::Listed(names) => {
                let mut names = names.iter().map(String::as_str).chain(["localhost"]);
                is_address || names.any(|name| whole(name) == host)
            }
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let names = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fine = names.iter().all(|name| name.bytes().all(plain));
        fine.then_some(Self::Listed(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_what_is_listed_are_allowed_and_no_other_name() {
        let hosts = Hosts::parse("faces.lan, doppel").unwrap();
        for fine in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "[::1]",
            "10.0.0.2",
            "Faces.lan",
            "doppel",
            "localhost.",
            "LocalHost.",
            "FACES.LAN.",
        ] {
            assert!(hosts.allow(fine), "{fine}");
        }
        for other in [
            "",
            "evil.example",
            "lan",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            ".",
            "localhost..",
            ".localhost",
            "evil.localhost",
            "[x]",
        ] {
            assert!(!hosts.allow(other), "{other}");
        }
        assert!(!Hosts::parse("").unwrap().allow("doppel"));
        let dotted = Hosts::parse("faces.lan.").unwrap();
        assert!(dotted.allow("faces.lan") && dotted.allow("faces.lan."));
        assert!(Hosts::parse("*").unwrap().allow("evil.example"));
        for wrong in ["http://a", "a:6333", "*.lan", "a b"] {
            assert_eq!(Hosts::parse(wrong), None, "{wrong}");
        }
    }
}
