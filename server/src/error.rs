//! Why a server does not start or stops. What a client is told is a `Refusal`, not one of these.

use std::net::SocketAddr;
use std::sync::Arc;

/// A failure of the server as a whole.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// The address of the settings.
        addr: SocketAddr,
        /// What the operating system said.
        reason: String,
    },
    /// The data folder cannot be opened, or not be closed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The data folder has a format that this program does not read.
    #[error(transparent)]
    Format(Arc<migrations::Error>),
    /// The operating system refused something else that a server needs.
    #[error("cannot {what}: {reason}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// What the operating system said.
        reason: String,
    },
    /// The file of API keys cannot be read or is damaged.
    #[error(
        "the API keys cannot be read: {0}; put the file back from a copy, or remove it and \
             make new keys"
    )]
    Keys(String),
    /// A log was to begin, and nothing says where.
    #[error(
        "the settings name no servers of NATS for the log: set `nats.servers`, in the file (`--config`) or as \
         DOPPEL_NATS__SERVERS"
    )]
    NoServers,
    /// Checkpoints cannot lie where the settings say.
    #[error("the store of checkpoints (`nats.checkpoints`) cannot be used: {0}")]
    CheckpointStore(String),
    /// What this node shows the servers of the log cannot be read.
    #[error("the credentials for the servers of NATS (`nats.credentials`) cannot be read: {0}")]
    Credentials(String),
    /// A certificate or a key cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// It has ended without being asked to.
    #[error("the server ended by itself")]
    Ended,
}

impl From<migrations::Error> for Error {
    fn from(error: migrations::Error) -> Self {
        Self::Format(Arc::new(error))
    }
}

impl Error {
    /// What a start waits for, where it may come to something a moment later.
    pub(crate) fn passes(&self) -> Option<&str> {
        match self {
            Self::Engine(
                engine::Error::Unreachable(why)
                | engine::Error::Checkpoints(why)
                | engine::Error::Busy(why),
            ) => Some(why.as_str()),
            _ => None,
        }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System {
            what,
            reason: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the operator's manual has an entry for. A new kind of error gets its words here.
    fn words(error: &Error) -> &'static str {
        match error {
            Error::Listen { .. } => "cannot listen on",
            Error::Engine(engine::Error::NoRoom { .. }) => "the disk is full",
            Error::Engine(engine::Error::ReadOnly(_)) => "writing has stopped until a restart",
            Error::Engine(_) => "another process has this data folder open",
            Error::Format(_) => "a newer doppel wrote it in format",
            Error::System { .. } => "cannot open the audit trail",
            Error::Keys(_) => "the API keys cannot be read",
            Error::Tls(_) => "TLS cannot be set up",
            Error::Credentials(_) => "the credentials for the servers of NATS",
            Error::CheckpointStore(_) => "the store of checkpoints",
            Error::NoServers => "the settings name no servers of NATS",
            Error::Ended => "the server ended by itself",
        }
    }

    #[test]
    fn whatever_keeps_a_server_from_starting_has_an_entry_in_the_manual_under_its_words() {
        let manual = include_str!("../../docs/OPERATIONS.md");
        let text = || String::from("x");
        let errors = [
            Error::Listen {
                addr: ([127, 0, 0, 1], 1).into(),
                reason: text(),
            },
            engine::Error::from(storage::Error::Locked("data".into())).into(),
            engine::Error::NoRoom {
                why: text(),
                wanted_bytes: 1,
            }
            .into(),
            engine::Error::ReadOnly(text()).into(),
            migrations::Error::Newer {
                path: "data".into(),
                found: 9,
                known: 1,
            }
            .into(),
            Error::system("open the audit trail")(std::io::ErrorKind::NotFound.into()),
            Error::Keys(text()),
            Error::Tls(text()),
            Error::CheckpointStore(text()),
            Error::Credentials(text()),
            Error::NoServers,
            Error::Ended,
        ];
        for error in errors {
            let words = words(&error);
            assert!(error.to_string().contains(words), "{error}");
            let rows = manual.lines().filter(|line| line.starts_with("| `"));
            let first = |row: &str| row.split(" | ").next().is_some_and(|it| it.contains(words));
            assert!(rows.into_iter().any(first), "{words}");
        }
    }
}
