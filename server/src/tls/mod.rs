//! HTTPS: which certificate the server shows, and whose it takes. All of it is read again when the
//! process is told to (SIGHUP), for connections from then on; files that do not fit leave the old ones
//! in use. TLS 1.2 and 1.3 (RFC 5246, RFC 8446).

mod client;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::connection::HTTP2;
use crate::error::Error;

pub use client::tls_of_client;

/// What connections are accepted with.
pub(crate) struct Certificate {
    files: config::Tls,
    current: RwLock<TlsAcceptor>,
}

impl Certificate {
    pub(crate) fn open(files: &config::Tls) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            files: files.clone(),
            current: RwLock::new(acceptor(files)?),
        }))
    }

    /// Reads the files again.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        let read = acceptor(&self.files)?;
        *self.current.write() = read;
        Ok(())
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().clone()
    }
}

/// By what the files hold now.
fn acceptor(files: &config::Tls) -> Result<TlsAcceptor, Error> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Tls(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                let added = roots.add(authority);
                added.map_err(|error| bad(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
            let verifier = verifier.build().map_err(|error| bad(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let shown = SingleCertAndKey::from(read(files)?);
    let mut config = builder.with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Reads the files with which a node shows the servers of the log who it is, so that a start is refused at once, by
/// the file's name.
pub(crate) fn check_nats(nats: &config::Nats) -> Result<(), Error> {
    if let Some(path) = &nats.ca {
        certificates(path)?;
    }
    if let Some((cert, key)) = &nats.certificate {
        read(&config::Tls {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: None,
        })?;
    }
    match &nats.credentials {
        Some(path) => fs::read(path).map(drop).map_err(|error| {
            let path = path.display();
            Error::Credentials(format!("{path}: {error}"))
        }),
        None => Ok(()),
    }
}

/// The certificate and its key, which must belong together.
fn read(files: &config::Tls) -> Result<CertifiedKey, Error> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?);
    let key = key.map_err(|error| bad(&files.key, error))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| bad(&files.key, error))
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = bytes(path)?;
    let all = CertificateDer::pem_slice_iter(&all).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| bad(path, error))?;
    match all.is_empty() {
        true => Err(bad(path, "there is no certificate in it")),
        false => Ok(all),
    }
}

/// A file as it is.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| bad(path, error))
}

fn bad(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Tls(format!("{}: {why}", path.display()))
}
