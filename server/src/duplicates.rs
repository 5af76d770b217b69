//! Faces that are there already: the same file twice in one request, or a face so like one that is
//! kept that it comes from the same picture.

use std::collections::HashMap;

use actix_web::web::Bytes;
use engine::{CollectionInfo, PointId, Query, Select, Which};

use crate::app::App;
use crate::likeness::is_cosine;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::face::Duplicate;
use crate::wire::id::Id;

/// The photos of a request whose bytes an earlier one has too: that one's place, by theirs.
pub(crate) fn same_bytes<'a>(photos: impl Iterator<Item = &'a Bytes>) -> HashMap<usize, usize> {
    let (mut first, mut again) = (HashMap::new(), HashMap::new());
    for (place, bytes) in photos.enumerate() {
        match first.get(bytes) {
            Some(earlier) => {
                again.insert(place, *earlier);
            }
            None => {
                first.insert(bytes, place);
            }
        }
    }
    again
}

/// What is kept and is nearly the same as a vector; the point that it is for does not count.
pub(crate) async fn kept_already(
    app: &App,
    info: &CollectionInfo,
    using: &str,
    vector: &[f32],
    own: Option<PointId>,
) -> Result<Option<Duplicate>, Refusal> {
    if info.points == 0 || !is_cosine(info, using) {
        return Ok(None);
    }
    let query = Query {
        vector: vector.to_vec(),
        using: using.to_owned(),
        limit: 2,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: Some(limits::DUPLICATE_COSINE),
        filter: None,
        select: Select {
            payload: false,
            vectors: Which::None,
        },
    };
    let hits = app.search(info.name.clone(), query).await?;
    let other = hits.into_iter().find(|hit| Some(hit.point.id) != own);
    Ok(other.map(|hit| Duplicate {
        id: Id(hit.point.id),
        score: hit.score,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_again_is_told_by_its_first_place() {
        let photos = ["a", "b", "a", "c", "a"].map(|text| Bytes::from_static(text.as_bytes()));
        let again = same_bytes(photos.iter());
        assert_eq!(again, HashMap::from([(2, 0), (4, 0)]));
    }
}
