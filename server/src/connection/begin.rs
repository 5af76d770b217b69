//! How a connection begins: a handshake of TLS or none, and which protocol is spoken on it.

use std::io;

use actix_http::Protocol;
use actix_web::rt::net::TcpStream;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The beginning of what a client of HTTP/2 sends first (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2";
/// Its name in a handshake of TLS (RFC 7301).
pub(crate) const HTTP2: &[u8] = b"h2";

/// What bytes go through.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Waits for as many bytes as it takes to tell the protocol; gives them too.
pub(super) async fn begin(
    mut io: TcpStream,
    tls: Option<TlsAcceptor>,
) -> io::Result<(Io, Vec<u8>, Protocol)> {
    let of = |is_http2| match is_http2 {
        true => Protocol::Http2,
        false => Protocol::Http1,
    };
    let Some(tls) = tls else {
        let first = first(&mut io).await?;
        let protocol = of(first == PREFACE);
        return Ok((Io::Plain(io), first, protocol));
    };
    let io = tls.accept(io).await?;
    let protocol = of(io.get_ref().1.alpn_protocol() == Some(HTTP2));
    Ok((Io::Tls(Box::new(io)), Vec::new(), protocol))
}

/// As many bytes as it takes to know whether they are the preface, in however many pieces they come.
async fn first(io: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    let mut io = io.take(PREFACE.len() as u64);
    while PREFACE.starts_with(&first) && io.read_buf(&mut first).await? > 0 {}
    Ok(first)
}
