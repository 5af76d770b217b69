//! Points in, whether they come as vectors or were made of photos.

use engine::{Ack, Point, PointId, Written};

use crate::app::App;
use crate::refusal::Refusal;
use crate::wire::point::UpdateMode;

/// What was written, and where those stay whose ids are there, these ids.
type Put = (Written, Option<Vec<PointId>>);

impl App {
    /// Puts points in.
    pub(crate) async fn upsert(
        &self,
        collection: String,
        points: Vec<Point>,
        ack: Ack,
    ) -> Result<Written, Refusal> {
        let put = self.put(collection, points, UpdateMode::Upsert, ack);
        Ok(put.await?.0)
    }

    /// Puts points in; where those stay whose ids are there, it gives these ids.
    pub(crate) async fn put(
        &self,
        collection: String,
        points: Vec<Point>,
        mode: UpdateMode,
        ack: Ack,
    ) -> Result<Put, Refusal> {
        let put = self.put_holding((), collection, points, mode, ack);
        Ok(put.await?.0)
    }

    /// Puts points in, and holds something until that has ended, also where nobody waits for it any
    /// more.
    pub(crate) async fn put_holding<H: Send + 'static>(
        &self,
        held: H,
        collection: String,
        points: Vec<Point>,
        mode: UpdateMode,
        ack: Ack,
    ) -> Result<(Put, H), Refusal> {
        let bytes = points.iter().map(Point::memory_bytes).sum();
        let outcome = self.write_taking(bytes, move |engine| {
            let put = match mode {
                UpdateMode::Upsert => (engine.upsert(&collection, points, ack)?, None),
                UpdateMode::InsertOnly => {
                    let (written, known) = engine.insert(&collection, points, ack)?;
                    (written, Some(known))
                }
            };
            Ok((put, held))
        });
        let outcome = outcome.await;
        self.metrics.wrote("upsert", &outcome);
        outcome
    }
}
