//! Grouping a collection's faces into people, as a job.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::CollectionInfo;
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::clustering::{self, Plan};
use crate::http;
use crate::likeness;
use crate::refusal::Refusal;
use crate::wire::clustering::{ClusterBody, ToCluster};
use crate::wire::envelope::Answer;
use crate::wire::job::JobOut;

/// Strangers that a face may meet, by chance, among all others.
const STRANGERS: f64 = 0.1;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "/admin/collections/{collection}/cluster",
            "clusterFaces",
            || web::to(start),
        )
        .about(
            "Begins a job that groups faces into people by the neighbours that each has in the \
             index, proposes the name that most of a group's faces have, and says how well the \
             groups agree with the names that there are. Writes names only if asked to.",
        )
        .takes::<ClusterBody>(json!({"min_faces": 2, "write": false}))
        .answers::<JobOut>(json!({
            "id": 1, "kind": "cluster", "collection": "faces", "status": "running",
            "done": 0, "of": 0, "started": "2026-11-25T06:55:40", "seconds": 0.0,
        }))
        .refuses(&[409]),
    ]
}

async fn start(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<Answer<JobOut>, Refusal> {
    let name = named(name.into_inner())?;
    let body: ClusterBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let info = app.describe(&name).await?;
    let using = compared(&info, body.using.as_deref())?;
    let wanted = ToCluster::try_from(body)?;
    let threshold = wanted.threshold.or_else(|| of_model(&app, &info, &using));
    let threshold = threshold.ok_or_else(|| {
        Refusal::wrong(
            "say from which cosine on two faces may be of one person with `threshold`: no model \
             whose threshold is known made these vectors",
        )
    })?;
    let plan = Plan {
        collection: info.name.clone(),
        using,
        threshold,
        neighbours: wanted.neighbours,
        min_faces: wanted.min_faces,
        write: wanted.write,
    };
    if plan.write {
        app.takes_writes()?;
    }
    let job = app.into_inner().begin(move |app, engine| {
        let engine = Arc::clone(engine);
        app.jobs.start("cluster", info.name, move |job| {
            let outcome = clustering::run(&engine, &plan, job)?;
            Ok(outcome.told(&plan))
        })
    });
    Ok(Answer(JobOut::from(&*job.await?)))
}

/// The vector that is compared.
fn compared(info: &CollectionInfo, using: Option<&str>) -> Result<String, Refusal> {
    let names: Vec<&String> = info.spec.vectors.keys().collect();
    let using = match (using, &names[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => (*only).clone(),
        (None, _) => {
            return Err(Refusal::wrong(
                "say which vectors are compared with `using`: the collection has none, or several",
            ));
        }
    };
    if !info.spec.vectors.contains_key(&using) {
        let given: String = using.chars().take(80).collect();
        return Err(Refusal::wrong(format!(
            "collection `{}` has no vector `{given}` for `using`",
            info.name
        )));
    }
    match likeness::is_cosine(info, &using) {
        true => Ok(using),
        false => Err(Refusal::conflict(format!(
            "collection `{}` compares these vectors by a distance; groups are made by cosines \
             (metric cosine or dot)",
            info.name
        ))),
    }
}

/// The cosine from which on a face is likely to meet less than a tenth of a stranger in the whole
/// collection, by how the model's strangers are spread. The threshold for one pair would not do: of
/// many strangers, some reach it.
fn of_model(app: &App, info: &CollectionInfo, using: &str) -> Option<f32> {
    let made_by = info.spec.vectors.get(using)?.embedder.as_ref()?;
    let pool = app.faces.maker(made_by).ok()?;
    let calibration = pool.model().calibration.as_ref()?;
    Some(seldom_reached(calibration.strangers.knots(), info.points))
}

/// The first knot that so few strangers reach, or the last.
fn seldom_reached(knots: &[(f32, f32)], points: usize) -> f32 {
    let seldom = knots
        .iter()
        .find(|(_, share)| f64::from(*share) * points as f64 <= STRANGERS);
    seldom.or(knots.last()).map_or(1.0, |(cosine, _)| *cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_faces_there_are_the_nearer_they_must_be() {
        let knots = [(0.1, 0.5), (0.4, 0.01), (0.6, 0.0001)];
        for (points, cosine) in [(0, 0.1), (9, 0.4), (11, 0.6), (1_000_000, 0.6)] {
            let got = seldom_reached(&knots, points);
            assert!((got - cosine).abs() < 1e-6, "{points}: {got}");
        }
    }
}
