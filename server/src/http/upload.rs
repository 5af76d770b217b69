//! A backup on its way in: streamed to a file piece by piece, never held in memory.

use actix_multipart::Multipart;
use actix_web::http::header::HeaderMap;
use actix_web::web::{self, Bytes, BytesMut, Payload};
use engine::Incoming;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::body::media_type;
use crate::limits;
use crate::refusal::Refusal;

/// The name of the part that is the backup.
const SNAPSHOT: &str = "snapshot";

/// Reads a backup: a form with a file in the part `snapshot`, or nothing but the file.
pub(crate) async fn backup(
    headers: &HeaderMap,
    payload: Payload,
    incoming: Incoming,
) -> Result<Incoming, Refusal> {
    match media_type(headers).as_str() {
        "application/octet-stream" => stream(payload, incoming).await,
        "multipart/form-data" => form(Multipart::new(headers, payload), incoming).await,
        _ => Err(Refusal::content_type(
            "send a backup as multipart/form-data (field `snapshot`) or as \
             application/octet-stream",
        )),
    }
}

async fn form(mut parts: Multipart, incoming: Incoming) -> Result<Incoming, Refusal> {
    let part = next(&mut parts).await?;
    let part = part.ok_or_else(|| Refusal::wrong("the form has no part `snapshot`"))?;
    let name = part.name().unwrap_or_default().to_owned();
    if name != SNAPSHOT {
        let name: String = name.chars().take(80).collect();
        return Err(Refusal::wrong(format!(
            "unknown field `{name}`: the backup goes in the field `snapshot`"
        )));
    }
    let incoming = stream(part, incoming).await?;
    match next(&mut parts).await? {
        Some(_) => Err(Refusal::wrong("the form must have one part, `snapshot`")),
        None => Ok(incoming),
    }
}

async fn stream<E: std::fmt::Display>(
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    mut incoming: Incoming,
) -> Result<Incoming, Refusal> {
    let mut buffer = BytesMut::new();
    while let Some(piece) = next(&mut pieces).await? {
        buffer.extend_from_slice(&piece);
        if incoming.bytes() + buffer.len() as u64 > limits::BACKUP_BYTES {
            return Err(Refusal::too_large("the backup is over the limit of 1 TiB"));
        }
        if buffer.len() >= limits::BACKUP_PIECE_BYTES {
            incoming = write(incoming, buffer.split().freeze()).await?;
        }
    }
    write(incoming, buffer.freeze()).await
}

/// What comes next; whoever sends nothing for too long is given up.
async fn next<T, E: std::fmt::Display>(
    stream: &mut (impl Stream<Item = Result<T, E>> + Unpin),
) -> Result<Option<T>, Refusal> {
    let next = timeout(limits::BODY_TIMEOUT, stream.next()).await;
    let next = next.map_err(|_| Refusal::slow_body())?;
    next.transpose()
        .map_err(|error| Refusal::wrong(format!("the body broke off: {error}")))
}

async fn write(mut incoming: Incoming, bytes: Bytes) -> Result<Incoming, Refusal> {
    let written = web::block(move || incoming.write(&bytes).map(|()| incoming)).await;
    let written = written.map_err(|_| Refusal::internal("a thread of the server broke down"))?;
    Ok(written.map_err(engine::Error::from)?)
}
