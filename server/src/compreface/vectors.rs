//! The same questions asked with vectors that the client has already: of the model that the photos go
//! through, and of any length but 0.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Path, Payload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::collection;
use super::examples::{find, id_of};
use super::fault::Fault;
use super::params::{Params, prediction_count};
use super::recognize::{nearest, scale};
use super::similarity::Similarity;
use super::told::Alike;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::limits;
use crate::makers::searcher;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let several = json!({"embeddings": [[0.1, 0.2]]});
    let told = json!({"result": [{"embedding": [0.1, 0.2], "similarity": 0.55988}]});
    vec![
        Operation::post(
            "/api/v1/recognition/embeddings/recognize",
            "compreFaceRecognizeEmbeddings",
            || web::to(recognize),
        )
        .about("The nearest examples of each vector.")
        .params::<CountParams>()
        .takes::<Several>(several.clone())
        .answers_bare(json!({"result": [{
            "embedding": [0.1, 0.2],
            "similarities": [{"subject": "Ada", "similarity": 0.55988}],
        }]})),
        Operation::post(
            "/api/v1/recognition/embeddings/faces/{id}/verify",
            "compreFaceVerifyExampleEmbeddings",
            || web::to(verify_example),
        )
        .about("How like vectors are to an example, most of all first.")
        .takes::<Several>(several)
        .answers_bare(told.clone()),
        Operation::post(
            "/api/v1/verification/embeddings/verify",
            "compreFaceVerifyEmbeddings",
            || web::to(verify),
        )
        .about("How like vectors are to one, most of all first.")
        .takes::<OneAndSeveral>(json!({"source": [0.1, 0.2], "targets": [[0.1, 0.2]]}))
        .answers_bare(told),
    ]
}

/// How many examples are told.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct CountParams {
    /// 1 by default.
    prediction_count: Option<u32>,
}

/// Vectors. What else is sent is passed over.
#[derive(Debug, Deserialize, JsonSchema)]
struct Several {
    #[serde(default)]
    embeddings: Vec<Vec<f32>>,
}

/// A vector, and those that it is compared with. What else is sent is passed over.
#[derive(Debug, Deserialize, JsonSchema)]
struct OneAndSeveral {
    #[serde(default)]
    source: Vec<f32>,
    #[serde(default)]
    targets: Vec<Vec<f32>>,
}

/// A vector as it came, and the examples that it is like.
#[derive(Debug, Serialize)]
struct Recognized {
    embedding: Vec<f32>,
    similarities: Vec<Alike>,
}

/// A vector as it came, and how like it is to the one.
#[derive(Debug, Serialize)]
struct Compared {
    embedding: Vec<f32>,
    similarity: f64,
}

#[derive(Debug, Serialize)]
struct Told<T> {
    result: Vec<T>,
}

type Answer<T> = Result<Json<Told<T>>, Fault>;

async fn recognize(app: Data<App>, request: HttpRequest, payload: Payload) -> Answer<Recognized> {
    let count = prediction_count(&Params::of(&request)?)?;
    let info = app.describe(&collection(&app)?).await?;
    let (pool, using) = searcher(&app, &info, None)?;
    let scale = scale(&app, &info)?;
    let body: Several = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let dim = pool.model().dim;
    let mut result = Vec::with_capacity(body.embeddings.len());
    for (embedding, vector) in checked("embeddings", body.embeddings, dim)? {
        let alike = nearest(&app, &info, (&using, vector), count, scale).await?;
        result.push(Recognized {
            embedding,
            similarities: alike,
        });
    }
    Ok(Json(Told { result }))
}

async fn verify_example(
    app: Data<App>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answer<Compared> {
    let id = id_of(&path)?;
    let info = app.describe(&collection(&app)?).await?;
    let (pool, using) = searcher(&app, &info, None)?;
    let scale = scale(&app, &info)?;
    let body: Several = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let vectors = checked("embeddings", body.embeddings, pool.model().dim)?;
    let example = find(&app, vec![id.0]).await?.into_iter().next();
    let own = example
        .as_ref()
        .and_then(|it| it.vectors.as_ref()?.get(&using));
    Ok(told(vectors, |vector| {
        own.map_or(0.0, |own| scale.between(own, vector))
    }))
}

async fn verify(app: Data<App>, request: HttpRequest, payload: Payload) -> Answer<Compared> {
    let pool = app.faces.pool(None)?;
    let scale = Similarity::of(pool.model());
    let body: OneAndSeveral = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    if body.source.is_empty() {
        return Err(Fault::empty("source"));
    }
    let dim = pool.model().dim;
    let source = unit("source", &body.source, dim)?;
    let targets = checked("targets", body.targets, dim)?;
    Ok(told(targets, |vector| scale.between(&source, vector)))
}

/// Vectors as they came, and with length 1.
type Checked = Vec<(Vec<f32>, Vec<f32>)>;

fn checked(field: &str, embeddings: Vec<Vec<f32>>, dim: usize) -> Result<Checked, Fault> {
    if embeddings.is_empty() {
        return Err(Fault::empty(field));
    }
    let most = limits::SEARCHES_PER_BATCH;
    if embeddings.len() > most {
        return Err(Fault::argument(format!("{field} may be at most {most}")));
    }
    let both = embeddings.into_iter().map(|embedding| {
        let vector = unit(field, &embedding, dim)?;
        Ok((embedding, vector))
    });
    both.collect()
}

fn unit(field: &str, embedding: &[f32], dim: usize) -> Result<Vec<f32>, Fault> {
    if embedding.len() != dim {
        let got = embedding.len();
        return Err(Fault::argument(format!(
            "{field}: an embedding of the model has {dim} numbers, this one {got}"
        )));
    }
    let length = embedding
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt();
    if !length.is_normal() {
        return Err(Fault::argument(format!(
            "{field}: an embedding of length 0"
        )));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "numbers of a vector of length 1 lie within -1 and 1"
    )]
    let vector = embedding.iter().map(|x| (f64::from(*x) / length) as f32);
    Ok(vector.collect())
}

/// Most alike first.
fn told(vectors: Checked, similarity: impl Fn(&[f32]) -> f64) -> Json<Told<Compared>> {
    let all = vectors.into_iter().map(|(embedding, vector)| Compared {
        embedding,
        similarity: similarity(&vector),
    });
    let mut result: Vec<_> = all.collect();
    result.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    Json(Told { result })
}
