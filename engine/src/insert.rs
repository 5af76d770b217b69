//! Points that go in only where nobody has their ids yet.
//!
//! Who was there is decided while no other write of the collection can come in between, on this node or
//! on another (`decide`), so that of all who put one id at once one does. The log is told what was
//! decided, an upsert of those that are new; whoever replays it looks at nothing.

use crate::collection::Collection;
use crate::engine::{Engine, few, rename_missing};
use crate::error::Error;
use crate::point::{Ack, Point, Written};
use storage::PointId;

impl Engine {
    /// Puts those points whose ids nobody has, all or none of them, and gives the ids that somebody has;
    /// of several new ones with one id the last stands.
    ///
    /// # Errors
    /// The same as of [`Engine::upsert`].
    pub fn insert(
        &self,
        collection: &str,
        points: Vec<Point>,
        ack: Ack,
    ) -> Result<(Written, Vec<PointId>), Error> {
        let target = self.holder(collection)?;
        few(&points)?;
        let inserted = match self.shared().log_is_shared {
            true => self.decided(|| self.insert_once(&target, points.clone(), ack)),
            false => self.insert_once(&target, points, ack),
        };
        inserted.map_err(|error| rename_missing(error, collection))
    }

    fn insert_once(
        &self,
        target: &Collection,
        points: Vec<Point>,
        ack: Ack,
    ) -> Result<(Written, Vec<PointId>), Error> {
        let deciding = self.alone(target);
        self.shared().wait_applied()?;
        let points = points.into_iter();
        let (known, new): (Vec<_>, Vec<_>) = points.partition(|point| target.contains(&point.id));
        let written = match new.is_empty() {
            true => self.nothing_written(),
            false => self.put(target, deciding.basis, new, ack)?,
        };
        Ok((written, known.into_iter().map(|point| point.id).collect()))
    }
}
