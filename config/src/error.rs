//! What can be wrong with settings, and where a setting came from. Each message names the key, its
//! origin and what would be right. Secrets never appear in a message.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Variable(String),
    /// A flag of the command line, such as `--listen`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("the default"),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Variable(name) => write!(out, "environment variable {name}"),
            Self::Flag(name) => write!(out, "flag {name}"),
        }
    }
}

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// The line.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// The key, with its section: `section.key`.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The nearest key, or where to find all.
        hint: String,
    },
    /// A value that its key does not take.
    #[error("{origin}: `{key}` is {got}, but must be {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The value, quoted, or for a secret what it looks like.
        got: String,
        /// What would be right.
        expected: String,
    },
    /// A certificate without its key, or authorities without both.
    #[error("`tls.cert` and `tls.key` belong together, and `tls.client_ca` beside both")]
    HalfTls,
    /// Of two settings that belong together there is only one.
    #[error(
        "{origin}: `{set}` and `{missing}` belong together, and only the first is set: set both, or neither"
    )]
    Half {
        /// The one that is set.
        set: &'static str,
        /// The other.
        missing: &'static str,
        /// Where the first was set.
        origin: Origin,
    },
    /// The server would be open to other machines without any protection.
    #[error(
        "{origin}: `listen` is {listen}, which other machines can reach, and there is no `api_key`; \
         set `api_key` (DOPPEL_API_KEY), listen on 127.0.0.1, or say `insecure = true` if open \
         access to faces is what you mean"
    )]
    Exposed {
        /// The address.
        listen: std::net::SocketAddr,
        /// Where it was set.
        origin: Origin,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the operator's manual has an entry for. A new kind of error gets its words here.
    fn words(error: &Error) -> &'static str {
        match error {
            Error::Read { .. } => "cannot read the configuration file",
            Error::Syntax { .. } => "not valid TOML",
            Error::UnknownKey { .. } => "unknown key",
            Error::BadValue { .. } => ", but must be",
            Error::HalfTls | Error::Half { .. } => "belong together",
            Error::Exposed { .. } => "which other machines can reach, and there is no",
        }
    }

    #[test]
    fn whatever_is_wrong_with_settings_has_an_entry_in_the_manual_under_its_words() {
        let manual = include_str!("../../docs/OPERATIONS.md");
        let text = || String::from("x");
        let errors = [
            Error::Read {
                path: "x.toml".into(),
                source: std::io::ErrorKind::NotFound.into(),
            },
            Error::Syntax {
                origin: Origin::Default,
                message: text(),
            },
            Error::UnknownKey {
                key: text(),
                origin: Origin::Default,
                hint: text(),
            },
            Error::BadValue {
                key: text(),
                origin: Origin::Default,
                got: text(),
                expected: text(),
            },
            Error::HalfTls,
            Error::Half {
                set: "a",
                missing: "b",
                origin: Origin::Default,
            },
            Error::Exposed {
                listen: ([0, 0, 0, 0], 1).into(),
                origin: Origin::Default,
            },
        ];
        for error in errors {
            let words = words(&error);
            assert!(error.to_string().contains(words), "{error}");
            let rows = manual.lines().filter(|line| line.starts_with("| `"));
            assert!(rows.map(first).any(|it| it.contains(words)), "{words}");
        }
    }

    /// The first cell of a row.
    fn first(row: &str) -> &str {
        row.split(" | ").next().unwrap_or_default()
    }
}
