//! The points that a write is about: a list of ids, or a filter.

use engine::Chosen;
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::WireFilter;
use super::id::Id;
use super::unsupported::{self, Absent};
use super::{list, schema};
use crate::refusal::Refusal;

/// The body of `POST /collections/{c}/points/delete` and `.../payload/clear`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "filter"]))]
pub(crate) struct ChosenBody {
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
    shard_key: Absent,
}

impl TryFrom<ChosenBody> for Chosen {
    type Error = Refusal;

    fn try_from(body: ChosenBody) -> Result<Self, Refusal> {
        unsupported::refuse(&[("shard_key", &body.shard_key)])?;
        chosen(body.points, body.filter)
    }
}

/// One of both: a request that has neither might mean every point, and none may be meant so.
pub(crate) fn chosen(
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
) -> Result<Chosen, Refusal> {
    match (points, filter) {
        (Some(points), None) => Ok(Chosen::Ids(points.into_iter().map(|id| id.0).collect())),
        (None, Some(filter)) => Ok(Chosen::Filter(filter.0)),
        _ => Err(Refusal::wrong(
            "give either `points`, the list of the ids that are meant, or a `filter`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use engine::PointId;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<Chosen, String> {
        let body: ChosenBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Chosen::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn either_ids_or_a_filter_and_never_everything_by_mistake() {
        assert_eq!(
            read(json!({"points": [7], "filter": null})).unwrap(),
            Chosen::Ids(vec![PointId::Num(7)])
        );
        let filter = read(json!({"filter": {"must": {"has_id": [7]}}})).unwrap();
        assert!(matches!(filter, Chosen::Filter(filter) if filter.must.len() == 1));
        for wrong in [json!({}), json!({"points": [1], "filter": {}})] {
            assert!(read(wrong).unwrap_err().contains("either"));
        }
        assert!(
            read(json!({"filter": {"musst": []}}))
                .unwrap_err()
                .contains("musst")
        );
        assert!(
            read(json!({"points": [1], "shard_key": "a"}))
                .unwrap_err()
                .contains("shard_key")
        );
    }
}
