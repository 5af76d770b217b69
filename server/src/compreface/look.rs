//! A photo looked at: its faces, as a client asked for them, or that there is none.

use actix_web::web::Bytes;
use embedder::{Choice, Want};

use super::fault::Fault;
use super::params::Ask;
use crate::access::{Grant, Scope};
use crate::embed_pool::{Pool, Seen};

/// The faces of a photo that are sure enough, the largest first and no more than asked; one at
/// least.
pub(super) async fn faces(
    pool: &Pool,
    photo: Bytes,
    ask: &Ask,
    vectors: bool,
) -> Result<Seen, Fault> {
    if ask.embedding {
        Grant::demand(Scope::Embeddings, "`calculator` shows vectors")?;
    }
    let want = Want {
        faces: Choice::All,
        vectors: vectors || ask.embedding,
        crop: false,
        smallest: 0,
    };
    let mut seen = pool.analyze(photo, want).await?;
    let faces = &mut seen.analysis.faces;
    faces.retain(|face| face.confidence >= ask.least_confidence);
    if ask.limit > 0 {
        faces.truncate(ask.limit);
    }
    match faces.is_empty() {
        true => Err(Fault::no_face()),
        false => Ok(seen),
    }
}
