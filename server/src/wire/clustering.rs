//! Clustering, as it is asked for.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::limits;
use crate::refusal::Refusal;

/// The body of `POST /admin/collections/{c}/cluster`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterBody {
    /// The vectors that are compared, of metric cosine or dot; the only ones by default.
    pub(crate) using: Option<String>,
    /// The least cosine of two faces that may be of one person. By default that which so few of the
    /// model's strangers reach that a face meets less than a tenth of one in the collection.
    #[schemars(range(min = -1.0, max = 1.0))]
    threshold: Option<f32>,
    /// Neighbours that each face is asked for, 20 by default.
    #[schemars(range(min = 1, max = 100))]
    neighbours: Option<usize>,
    /// Faces of the smallest group that is proposed as a person, 2 by default.
    #[schemars(range(min = 1))]
    min_faces: Option<usize>,
    /// Whether faces without a person are given the name of their group; not by default.
    write: Option<bool>,
}

/// The numbers of it, checked.
#[derive(Debug)]
pub(crate) struct ToCluster {
    pub(crate) threshold: Option<f32>,
    pub(crate) neighbours: usize,
    pub(crate) min_faces: usize,
    pub(crate) write: bool,
}

impl TryFrom<ClusterBody> for ToCluster {
    type Error = Refusal;

    fn try_from(body: ClusterBody) -> Result<Self, Refusal> {
        let most = limits::CLUSTER_NEIGHBOURS;
        let to_cluster = Self {
            threshold: body.threshold,
            neighbours: body.neighbours.unwrap_or(20),
            min_faces: body.min_faces.unwrap_or(2),
            write: body.write.unwrap_or(false),
        };
        if !(1..=most).contains(&to_cluster.neighbours) {
            return Err(Refusal::wrong(format!("`neighbours` must be 1 to {most}")));
        }
        if to_cluster.min_faces == 0 {
            return Err(Refusal::wrong("`min_faces` must be at least 1"));
        }
        if to_cluster
            .threshold
            .is_some_and(|it| !(-1.0..=1.0).contains(&it))
        {
            return Err(Refusal::wrong("`threshold` is a cosine: -1 to 1"));
        }
        Ok(to_cluster)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<ToCluster, String> {
        let body: ClusterBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
        ToCluster::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let plain = read(json!({})).unwrap();
        assert_eq!(
            (plain.neighbours, plain.min_faces, plain.write),
            (20, 2, false)
        );
        let wrong = [
            (json!({"neighbours": 0}), "`neighbours` must be 1 to 100"),
            (json!({"neighbours": 101}), "`neighbours` must be 1 to 100"),
            (json!({"min_faces": 0}), "`min_faces`"),
            (json!({"threshold": 1.5}), "-1 to 1"),
            (json!({"names": true}), "`names`"),
        ];
        for (body, word) in wrong {
            let error = read(body.clone()).unwrap_err();
            assert!(error.contains(word), "{body}: {error}");
        }
    }
}
