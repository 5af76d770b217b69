//! How rare a likeness is: the scale on which cosines of different people become percentiles. Once
//! a collection has people enough, its own are compared with one another for it; until then it is
//! the model's. A scale is kept until the collection has grown or shrunk by a quarter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use embedder::Scale;
use engine::{CollectionInfo, Engine, Metric, Select, StoredPoint, Which};
use parking_lot::Mutex;

use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::face::person_of;

/// The scales of collections.
#[derive(Default)]
pub(crate) struct Scales {
    kept: Mutex<HashMap<Key, Kept>>,
}

/// A collection and one of its vectors.
type Key = (String, String);

struct Kept {
    /// Points of the collection when it was measured.
    points: usize,
    /// None where there were too few people.
    scale: Option<Arc<Scale>>,
}

impl Kept {
    fn still_holds(&self, points: usize) -> bool {
        points.abs_diff(self.points) * 4 <= self.points
    }
}

/// The scale of a collection's own people, if there are enough of them.
pub(crate) async fn own_scale(
    app: &App,
    info: &CollectionInfo,
    using: &str,
) -> Result<Option<Arc<Scale>>, Refusal> {
    if info.points < limits::SCALE_PEOPLE || !is_cosine(info, using) {
        return Ok(None);
    }
    let key = (info.name.clone(), using.to_owned());
    if let Some(kept) = app.scales.kept.lock().get(&key)
        && kept.still_holds(info.points)
    {
        return Ok(kept.scale.clone());
    }
    let (name, vector) = key.clone();
    let scale = app.read(move |engine| measured(engine, &name, &vector));
    let scale = scale.await?.map(Arc::new);
    let mut kept = app.scales.kept.lock();
    if kept.len() >= limits::SCALES {
        kept.clear();
    }
    let points = info.points;
    kept.insert(
        key,
        Kept {
            points,
            scale: scale.clone(),
        },
    );
    Ok(scale)
}

/// Whether the scores of a vector are cosines: a model's vectors have length 1.
pub(crate) fn is_cosine(info: &CollectionInfo, using: &str) -> bool {
    let vector = info.spec.vectors.get(using);
    vector.is_some_and(|vector| matches!(vector.metric, Metric::Cosine | Metric::Dot))
}

/// From one face of each person, as they come in the order of their ids.
fn measured(engine: &Engine, name: &str, using: &str) -> Result<Option<Scale>, engine::Error> {
    let (mut people, mut vectors) = (HashSet::new(), Vec::new());
    let (mut from, mut seen) = (None, 0);
    while seen < limits::SCALE_POINTS && vectors.len() < limits::SCALE_SAMPLE {
        let select = Select {
            payload: true,
            vectors: Which::Named(vec![using.to_owned()]),
        };
        let page = engine.scroll(name, from, limits::SCALE_SAMPLE, select)?;
        seen += page.points.len();
        for point in page.points {
            if let Some((person, vector)) = labelled(point, using)
                && people.insert(person)
            {
                vectors.push(vector);
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    vectors.truncate(limits::SCALE_SAMPLE);
    Ok(match vectors.len() >= limits::SCALE_PEOPLE {
        true => Scale::of(cosines(&vectors)),
        false => None,
    })
}

fn labelled(point: StoredPoint, using: &str) -> Option<(String, Vec<f32>)> {
    let person = person_of(point.payload.as_ref()?)?;
    Some((person, point.vectors?.get(using)?.to_vec()))
}

fn cosines(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut cosines = Vec::with_capacity(vectors.len() * vectors.len() / 2);
    for (at, a) in vectors.iter().enumerate() {
        let others = vectors[at + 1..].iter();
        cosines.extend(others.map(|b| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()));
    }
    cosines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_kept_until_a_quarter_has_changed() {
        let kept = Kept {
            points: 1_000,
            scale: None,
        };
        assert!(kept.still_holds(1_250) && kept.still_holds(750));
        assert!(!kept.still_holds(1_251) && !kept.still_holds(749));
    }

    #[test]
    fn every_pair_is_compared_once() {
        let vectors = [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.6, 0.8]];
        assert_eq!(cosines(&vectors), [0.0, 0.6, 0.8]);
    }
}
