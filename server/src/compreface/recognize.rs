//! Whose example each face of a photo is like, and how like the faces of a photo are to one example.

use std::num::NonZeroUsize;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Path, Payload};
use engine::{CollectionInfo, Query, Select, Which};
use serde_json::json;

use super::collection;
use super::examples::{find, id_of, subjects_of};
use super::fault::Fault;
use super::look;
use super::params::{Ask, LookParams, Params, RecognizeParams, prediction_count};
use super::pictures::{self, OnePicture};
use super::similarity::Similarity;
use super::subjects::somebodys;
use super::told::{self, Alike, Beside, Face};
use crate::api::Operation;
use crate::app::App;
use crate::likeness::is_cosine;
use crate::makers::{moved, searcher};

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let place = json!({
        "probability": 0.99, "x_max": 90, "y_max": 108, "x_min": 10, "y_min": 12,
    });
    let photo = json!({"file": "/9j/4AAQSkZJRg=="});
    vec![
        Operation::post(
            "/api/v1/recognition/recognize",
            "compreFaceRecognize",
            || web::to(recognize),
        )
        .about("The nearest examples of each face of a photo.")
        .params::<RecognizeParams>()
        .takes::<OnePicture>(photo.clone())
        .takes_form::<OnePicture>("multipart/form-data")
        .answers_bare(json!({"result": [
            {"box": place, "subjects": [{"subject": "Ada", "similarity": 0.97858}]},
        ]})),
        Operation::post(
            "/api/v1/recognition/faces/{id}/verify",
            "compreFaceVerifyExample",
            || web::to(verify),
        )
        .about("How like the faces of a photo are to an example.")
        .params::<LookParams>()
        .takes::<OnePicture>(photo)
        .takes_form::<OnePicture>("multipart/form-data")
        .answers_bare(json!({"result": [
            {"box": place, "subject": "Ada", "similarity": 0.97858},
        ]})),
    ]
}

type Answer = Result<Json<told::Result<Face>>, Fault>;

async fn recognize(app: Data<App>, request: HttpRequest, payload: Payload) -> Answer {
    let params = Params::of(&request)?;
    let (ask, count) = (Ask::of(&params)?, prediction_count(&params)?);
    let info = app.describe(&collection(&app)?).await?;
    let (pool, using) = searcher(&app, &info, None)?;
    let scale = scale(&app, &info)?;
    let photo = pictures::one(&app, &request, payload).await?;
    let seen = look::faces(&pool, photo, &ask, true).await?;
    let mut result = Vec::with_capacity(seen.analysis.faces.len());
    for face in &seen.analysis.faces {
        let mut told = Face::new(face, &seen.analysis.timings, &ask);
        let alike = nearest(&app, &info, (&using, face.vector.clone()), count, scale);
        told.subjects = Some(alike.await?);
        result.push(told);
    }
    let beside = Beside::new(pool.model(), ask);
    let faces_left_out = NonZeroUsize::new(seen.analysis.left_out);
    Ok(Json(told::Result {
        result,
        faces_left_out,
        beside,
    }))
}

/// What the cosines of a collection mean.
pub(super) fn scale(app: &App, info: &CollectionInfo) -> Result<Similarity, Fault> {
    let (pool, using) = searcher(app, info, None)?;
    match is_cosine(info, &using) {
        true => Ok(Similarity::of(pool.model())),
        false => Err(Fault::argument(format!(
            "collection `{}` compares vectors by another metric than their cosine",
            info.name
        ))),
    }
}

/// The nearest examples, best first: a subject may come more than once, and one of several comes for each of them.
pub(super) async fn nearest(
    app: &App,
    info: &CollectionInfo,
    (using, vector): (&str, Vec<f32>),
    count: usize,
    scale: Similarity,
) -> Result<Vec<Alike>, Fault> {
    let name = info.name.clone();
    let ignored = app.read(move |engine| engine.ignored(&name)).await?;
    let mut filter = somebodys();
    filter.must_not.extend(ignored);
    let query = Query {
        vector,
        using: using.to_owned(),
        limit: count,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: None,
        filter: Some(filter),
        select: Select {
            payload: true,
            vectors: Which::None,
        },
    };
    let hits = match app.search(info.name.clone(), query).await {
        Ok(hits) => hits.into_iter(),
        Err(refusal) => return Err(moved(app, info, refusal).await.into()),
    };
    let alike = hits.flat_map(|hit| {
        let similarity = scale.at(hit.score);
        let subjects = subjects_of(&hit.point).into_iter();
        subjects.map(move |subject| Alike {
            subject,
            similarity,
        })
    });
    Ok(alike.take(count).collect())
}

/// An example that is not there is like nobody.
async fn verify(
    app: Data<App>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answer {
    let id = id_of(&path)?;
    let ask = Ask::of(&Params::of(&request)?)?;
    let info = app.describe(&collection(&app)?).await?;
    let (pool, using) = searcher(&app, &info, None)?;
    let scale = scale(&app, &info)?;
    let photo = pictures::one(&app, &request, payload).await?;
    let seen = look::faces(&pool, photo, &ask, true).await?;
    let example = find(&app, vec![id.0]).await?.into_iter().next();
    let own = example
        .as_ref()
        .and_then(|it| it.vectors.as_ref()?.get(&using));
    let subjects = example.as_ref().map(subjects_of).unwrap_or_default();
    let subject = subjects.join(", ");
    let faces = seen.analysis.faces.iter().map(|face| {
        let mut told = Face::new(face, &seen.analysis.timings, &ask);
        told.subject = Some(subject.clone());
        let similarity = own.map(|own| scale.between(own, &face.vector));
        told.similarity = Some(similarity.unwrap_or_default());
        told
    });
    let result = faces.collect();
    let beside = Beside::new(pool.model(), ask);
    let faces_left_out = NonZeroUsize::new(seen.analysis.left_out);
    Ok(Json(told::Result {
        result,
        faces_left_out,
        beside,
    }))
}
