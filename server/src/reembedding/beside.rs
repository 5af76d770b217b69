//! Vectors of a head that a collection has beside those of its base without having been moved: they too are made of
//! these, so that whoever changes one of the base's takes the head's of the point away.

use engine::{Engine, VectorSpec};

use crate::faces::Faces;

/// Notes for each such vector which one it is made of, where there is only one that it can be.
pub(crate) fn note_heads(
    faces: &Faces,
    engine: &Engine,
    collection: &str,
) -> Result<(), engine::Error> {
    let vectors = engine.describe(collection)?.spec.vectors;
    for (name, vector) in &vectors {
        let base = vector.embedder.as_ref().and_then(|it| faces.base_of(it));
        let Some(base) = base else { continue };
        let is_of_base = |(_, it): &(&String, &VectorSpec)| it.embedder.as_ref() == Some(&base);
        let mut of_base = vectors.iter().filter(is_of_base);
        if let (Some((of, _)), None) = (of_base.next(), of_base.next()) {
            engine.add_vector_made_of(collection, (of, name), vector.clone())?;
        }
    }
    Ok(())
}
