//! Where the servers are, and what a stream of theirs is to be like.

use std::path::PathBuf;

/// A log on JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of servers of one cluster, such as `nats://10.0.0.1:4222`; `tls://` demands TLS. One that
    /// answers tells of the others.
    pub servers: Vec<String>,
    /// The name of the stream.
    pub stream: String,
    /// How many servers keep each record, where the stream is made here.
    pub replicas: usize,
    /// Where servers tell about themselves, such as `http://10.0.0.1:8222`.
    pub monitors: Vec<String>,
    /// Whether servers that acknowledge before they sync are good enough.
    pub lazy_sync: bool,
    /// Where checkpoints lie: `file:///folder` or `s3://bucket/folder`; absent: beside the stream.
    pub checkpoints: Option<String>,
    /// How this node shows who it is, and knows who they are.
    pub access: Access,
}

/// Who is who. Its `Debug` does not tell the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// A file of credentials (`.creds`).
    pub credentials: Option<PathBuf>,
    /// A user and a password.
    pub user: Option<(String, String)>,
    /// Authorities, in PEM, of the servers' certificates; absent: the system's.
    pub ca: Option<PathBuf>,
    /// A certificate of this node and its key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access")
            .field("credentials", &self.credentials)
            .field("user", &self.user.as_ref().map(|(user, _)| user))
            .field("ca", &self.ca)
            .field("certificate", &self.certificate)
            .finish()
    }
}
