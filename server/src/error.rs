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
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System {
            what,
            reason: error.to_string(),
        }
    }
}
