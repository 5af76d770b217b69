//! What a client of another server trusts and shows over TLS, from files in PEM. All of it is checked
//! here, by name: a client that is handed what does not fit would break down over its first request.

use std::path::Path;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::{bad, bytes, certificates, provider};
use crate::error::Error;

/// Trusts the authorities of a file, or else the public ones, and shows a certificate with its key, if
/// there is one.
///
/// # Errors
/// A file cannot be read or holds something else, or a key is not its certificate's.
pub fn tls_of_client(
    ca: Option<&Path>,
    certificate: Option<(&Path, &Path)>,
) -> Result<TlsConfig, Error> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = ca {
        tls = tls.root_certs(RootCerts::from(chain(path)?));
    }
    if let Some((cert, key)) = certificate {
        let pem = bytes(key)?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| bad(key, error))?;
        let fits = CertifiedKey::from_der(certificates(cert)?, der, &provider());
        fits.map_err(|error| bad(key, error))?;
        let secret = PrivateKey::from_pem(&pem).map_err(|error| bad(key, error))?;
        let shown = ClientCert::new_with_certs(&chain(cert)?, secret);
        tls = tls.client_cert(Some(shown));
    }
    Ok(tls.build())
}

fn chain(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let all = certificates(path)?.into_iter();
    Ok(all
        .map(|one| Certificate::from_der(&one).to_owned())
        .collect())
}
