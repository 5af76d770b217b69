//! What can go wrong between a command and its server, in words for the person at the terminal.

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not an address of a server.
    #[error("`{0}` is not the address of a server; it looks like http://127.0.0.1:6333")]
    BadUrl(String),
    /// Nobody answered.
    #[error("cannot reach {url}: is `doppel serve` running? ({reason})")]
    Unreachable { url: String, reason: String },
    /// The connection broke while a request was at work.
    #[error("the connection to {url} was lost: {reason}")]
    Lost { url: String, reason: String },
    /// The key is missing or wrong.
    #[error("the server wants an API key: set --api-key or DOPPEL_API_KEY ({0})")]
    Forbidden(String),
    /// The server said no.
    #[error("the server refused: {message} (status {status})")]
    Refused { status: u16, message: String },
    /// The server has no memory for all of it.
    #[error("the server refused: {0} (status 507)")]
    NoMemory(String),
    /// Vectors of two models cannot be compared.
    #[error("collection `{collection}` holds vectors of {own}, not of `{model}`")]
    OtherModel {
        collection: String,
        model: String,
        own: String,
    },
    /// A collection cannot be made without the size of its vectors.
    #[error(
        "there is no collection `{0}`, and nothing says how many numbers its vectors have: the rows have none, or several by name; make the collection first, or name the model that made them with --model"
    )]
    NoSize(String),
    /// The server stayed busy for longer than a command waits.
    #[error("the server was busy for {waited_s} s: {message}")]
    Busy { waited_s: u64, message: String },
    /// An answer that no doppel server gives.
    #[error("the server's answer was not understood: {0}")]
    Unexpected(String),
}

impl Error {
    /// Whether half of the request may be taken where all of it was not.
    pub(crate) fn is_of_size(&self) -> bool {
        matches!(self, Self::Refused { status: 413, .. } | Self::NoMemory(_))
    }
}
