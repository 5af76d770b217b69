//! Points as they travel: what is put in, asked for, deleted, and what is told.

use engine::{Chosen, Point, PointId, ScoredPoint, StoredPoint, Vectors, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::choose::chosen;
use super::exact::{self, Object};
use super::filter::WireFilter;
use super::id::Id;
use super::select::{View, WithPayload, WithVector};
use super::unsupported::{self, Absent};
use super::vector::{Columns, VectorsIn, VectorsOut};
use super::{list, reserved, schema};
use crate::refusal::Refusal;

/// The body of `PUT /collections/{c}/points`, in either of the dialect's forms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "batch"]))]
pub(crate) struct Upsert {
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<PutPoint>>,
    batch: Option<Batch>,
    shard_key: Absent,
    update_filter: Absent,
    /// `insert_only` leaves points that are there as they are, and the answer tells which those are.
    #[serde(default)]
    update_mode: Option<UpdateMode>,
}

/// What becomes of points whose ids are there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateMode {
    /// They are replaced.
    #[default]
    Upsert,
    /// They stay.
    InsertOnly,
}

impl Upsert {
    pub(crate) fn mode(&self) -> UpdateMode {
        self.update_mode.unwrap_or_default()
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PutPoint {
    id: Id,
    vector: VectorsIn,
    #[serde(default, deserialize_with = "exact::optional_map")]
    payload: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(deserialize_with = "list::numbered")]
    ids: Vec<Id>,
    vectors: Columns,
    #[serde(default, deserialize_with = "list::optional")]
    #[schemars(with = "Option<Vec<Option<Map<String, Value>>>>")]
    payloads: Option<Vec<Option<Object>>>,
}

impl TryFrom<Upsert> for Vec<Point> {
    type Error = Refusal;

    fn try_from(body: Upsert) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("shard_key", &body.shard_key),
            ("update_filter", &body.update_filter),
        ])?;
        let points: Self = match (body.points, body.batch) {
            (Some(points), None) => points.into_iter().map(Point::from).collect(),
            (None, Some(batch)) => batch.rows()?,
            _ => return Err(Refusal::wrong("give either `points` or `batch`")),
        };
        for point in &points {
            reserved::payload(&point.payload)
                .map_err(|refusal| refusal.at(&format!("point {}", point.id)))?;
        }
        Ok(points)
    }
}

impl From<PutPoint> for Point {
    fn from(point: PutPoint) -> Self {
        Self {
            id: point.id.0,
            vectors: point.vector.0,
            payload: point.payload.unwrap_or_default(),
            face: None,
        }
    }
}

impl Batch {
    fn rows(self) -> Result<Vec<Point>, Refusal> {
        let count = self.ids.len();
        let payloads = match self.payloads {
            Some(payloads) => payloads,
            None => vec![None; count],
        };
        if payloads.len() != count {
            return Err(Refusal::wrong(format!(
                "`batch` has {count} ids and {} payloads",
                payloads.len()
            )));
        }
        let columns = self.ids.into_iter().zip(self.vectors.rows(count)?);
        let rows = columns.zip(payloads).map(|((id, vectors), payload)| Point {
            id: id.0,
            vectors,
            payload: payload.unwrap_or_default().0,
            face: None,
        });
        Ok(rows.collect())
    }
}

/// The body of `POST /collections/{c}/points`: points by their ids.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::with_vectors_too)]
pub(crate) struct Retrieve {
    #[serde(deserialize_with = "list::numbered")]
    pub(crate) ids: Vec<Id>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    shard_key: Absent,
}

impl Retrieve {
    /// The ids and what to show of each.
    pub(crate) fn parts(self) -> Result<(Vec<engine::PointId>, View), Refusal> {
        unsupported::refuse(&[("shard_key", &self.shard_key)])?;
        let view = View::new(self.with_payload, true, self.with_vector)?;
        Ok((self.ids.into_iter().map(|id| id.0).collect(), view))
    }
}

/// The body of `PUT /collections/{c}/points/vectors`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateVectors {
    #[serde(deserialize_with = "list::numbered")]
    points: Vec<PointVectors>,
    shard_key: Absent,
    update_filter: Absent,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PointVectors {
    id: Id,
    vector: VectorsIn,
}

impl TryFrom<UpdateVectors> for Vec<(engine::PointId, Vectors)> {
    type Error = Refusal;

    fn try_from(body: UpdateVectors) -> Result<Self, Refusal> {
        unsupported::refuse(&[
            ("shard_key", &body.shard_key),
            ("update_filter", &body.update_filter),
        ])?;
        let points = body.points.into_iter();
        Ok(points.map(|point| (point.id.0, point.vector.0)).collect())
    }
}

/// The body of `POST /collections/{c}/points/vectors/delete`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "filter"]))]
pub(crate) struct DeleteVectors {
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    vector: Vec<String>,
    filter: Option<WireFilter>,
    shard_key: Absent,
}

impl DeleteVectors {
    /// Of which points, and which vectors.
    pub(crate) fn parts(self) -> Result<(Chosen, Vec<String>), Refusal> {
        unsupported::refuse(&[("shard_key", &self.shard_key)])?;
        Ok((chosen(self.points, self.filter)?, self.vector))
    }
}

/// The answer to a write.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Updated {
    operation_id: u64,
    #[schemars(with = "UpdateStatus")]
    status: &'static str,
}

/// As the document tells it.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum UpdateStatus {
    /// Durable.
    Acknowledged,
    /// Durable, and seen by searches.
    Completed,
}

impl Updated {
    /// A durable write, seen by searches or about to be.
    pub(crate) fn new(written: engine::Written, ack: engine::Ack) -> Self {
        let Written { lsn } = written;
        Self {
            operation_id: lsn.0,
            status: match ack {
                engine::Ack::Durable => "acknowledged",
                engine::Ack::Applied => "completed",
            },
        }
    }
}

/// The answer to a write, which may have been of points that are put in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Put {
    #[serde(flatten)]
    updated: Updated,
    /// With `insert_only`, the ids that were there: their points are as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<Vec<Id>>,
}

impl Put {
    pub(crate) fn new(updated: Updated, known: Option<Vec<PointId>>) -> Self {
        let known = known.map(|known| known.into_iter().map(Id).collect());
        Self { updated, known }
    }
}

/// A point as it is told.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Record {
    id: Id,
    payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<VectorsOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_value: Option<Value>,
}

impl Record {
    /// A point and the value that put it in its place.
    pub(crate) fn placed(point: StoredPoint, value: Value, view: &View) -> Self {
        Self {
            order_value: Some(value),
            ..Self::new(point, view)
        }
    }

    pub(crate) fn new(point: StoredPoint, view: &View) -> Self {
        Self {
            id: Id(point.id),
            payload: view.payload.of(point.payload),
            vector: point.vectors.map(VectorsOut),
            order_value: None,
        }
    }
}

/// A hit as it is told. The dialect wants a `version`; points here carry none.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Scored {
    id: Id,
    version: u64,
    score: f32,
    payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<VectorsOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_value: Option<Value>,
}

impl Scored {
    /// A point that is where it is by a value, not by a score.
    pub(crate) fn placed(point: StoredPoint, value: Value, view: &View) -> Self {
        let hit = ScoredPoint { score: 0.0, point };
        Self {
            order_value: Some(value),
            ..Self::new(hit, view)
        }
    }

    pub(crate) fn new(hit: ScoredPoint, view: &View) -> Self {
        Self {
            id: Id(hit.point.id),
            version: 0,
            score: hit.score,
            payload: view.payload.of(hit.point.payload),
            vector: hit.point.vectors.map(VectorsOut),
            order_value: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::PointId;
    use serde_json::json;

    use super::*;

    fn points(body: Value) -> Result<Vec<Point>, String> {
        let body: Upsert =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        Vec::try_from(body).map_err(|refusal: Refusal| refusal.to_string())
    }

    #[test]
    fn both_forms_of_a_batch_are_the_same_points() {
        let rows = points(json!({"points": [
            {"id": 1, "vector": [1, 2], "payload": {"a": 1}}, {"id": 2, "vector": [3.5, 4]},
        ]}));
        let columns = points(json!({"batch": {
            "ids": [1, 2], "vectors": [[1, 2], [3.5, 4]], "payloads": [{"a": 1}, null],
        }}));
        let (rows, columns) = (rows.unwrap(), columns.unwrap());
        assert_eq!(format!("{rows:?}"), format!("{columns:?}"));
        assert_eq!(rows[1].id, PointId::Num(2));
        assert_eq!(rows[1].vectors, vec![3.5, 4.0].into());
    }

    #[test]
    fn both_forms_of_a_batch_take_vectors_by_name() {
        let rows = points(json!({"points": [
            {"id": 1, "vector": {"a": [1], "b": [2, 3]}}, {"id": 2, "vector": {"a": [4], "b": [5, 6]}},
        ]}));
        let columns = points(json!({"batch": {
            "ids": [1, 2], "vectors": {"a": [[1], [4]], "b": [[2, 3], [5, 6]]},
        }}));
        assert_eq!(
            format!("{:?}", rows.unwrap()),
            format!("{:?}", columns.unwrap())
        );
        let short = json!({"batch": {"ids": [1, 2], "vectors": {"a": [[1], [4]], "b": [[2]]}}});
        let error = points(short).unwrap_err();
        assert!(error.contains("2 ids, 1 vectors `b`"), "{error}");
    }

    #[test]
    fn a_mistake_says_which_point() {
        let wrong = [
            (
                json!({"points": [{"id": 1, "vector": []}, {"id": "x", "vector": []}]}),
                "item 1",
            ),
            (
                json!({"points": [{"id": 1, "vector": {"a": {"indices": [1]}}}]}),
                "`a`",
            ),
            (
                json!({"points": [{"id": 1, "vector": [1], "score": 2}]}),
                "`score`",
            ),
            (
                json!({"batch": {"ids": [1, 2], "vectors": [[1]]}}),
                "2 ids, 1 vectors",
            ),
            (
                json!({"points": [], "batch": {"ids": [], "vectors": []}}),
                "either",
            ),
            (json!({}), "either"),
            (json!({"points": [], "shard_key": "a"}), "`shard_key`"),
            (
                json!({"points": [], "update_filter": {}}),
                "`update_filter`",
            ),
        ];
        for (body, word) in wrong {
            let error = points(body.clone()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
    }
}
