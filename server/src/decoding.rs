//! A photo that is decoded for one request alone, on a thread that may block, once there is memory for it:
//! whoever waits for that holds no such thread.

use actix_web::web;

use crate::http::Room;
use crate::memory::Memory;
use crate::refusal::Refusal;

/// What comes of a photo.
pub(crate) async fn decoded<P, T>(
    memory: &Memory,
    photo: P,
    work: impl FnOnce(&P) -> Result<T, embedder::Error> + Send + 'static,
) -> Result<T, Refusal>
where
    P: AsRef<[u8]> + Send + 'static,
    T: Send + 'static,
{
    let sized = blocking(move || {
        let bytes = embedder::memory_bytes(photo.as_ref())?;
        Ok((photo, bytes))
    });
    let (photo, bytes) = sized.await?;
    let room = memory.room_for_photo((bytes, Room::held_bytes())).await?;
    blocking(move || {
        let _room = room;
        work(&photo)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, embedder::Error> + Send + 'static,
) -> Result<T, Refusal> {
    match web::block(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Refusal::internal("a thread of the server broke down")),
    }
}
