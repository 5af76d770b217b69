//! Photos that are looked at and forgotten: where the faces are, what their vectors are, whether
//! two are one person.

use std::num::NonZeroUsize;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use embedder::{Choice, ModelInfo, Want};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::Operation;
use crate::app::App;
use crate::embed_pool::Seen;
use crate::http::{self, Either, Form};
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::face::Place;
use crate::wire::look::{
    Compare, CompareBody, CompareForm, Compared, Detected, Embedded, EmbeddedFace, Look, LookBody,
    LookForm,
};
use crate::wire::params::ReadParams;
use crate::wire::photo::RawPhoto;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const PHOTO: &[u16] = &[422, 501];
    let place = json!({
        "box": [10, 12, 80, 96], "confidence": 0.99,
        "landmarks": [[30, 50], [62, 50], [46, 68], [33, 85], [60, 85]],
    });
    let photo = json!({"image": "/9j/4AAQSkZJRg==", "min_face_size": 40});
    let mut embedded = place.clone();
    embedded["vector"] = json!([0.1, 0.2]);
    vec![
        Operation::post("/faces/detect", "detectFaces", || web::to(detect))
            .about("Where the faces of a photo are. Nothing is kept; none is an empty list.")
            .takes::<LookBody>(photo.clone())
            .takes_form::<LookForm>("multipart/form-data")
            .takes_form::<RawPhoto>("image/jpeg")
            .answers::<Detected>(json!({"faces": [place], "width": 250, "height": 250})),
        Operation::post("/faces/embed", "embedFaces", || web::to(embed))
            .about("The vectors of a photo's faces. Nothing is kept.")
            .takes::<LookBody>(photo)
            .takes_form::<LookForm>("multipart/form-data")
            .takes_form::<RawPhoto>("image/jpeg")
            .answers::<Embedded>(json!({
                "model": "facenet-128", "faces": [embedded], "width": 250, "height": 250,
                "sha256": "92c3c3f568c43bef41c0e3d2d6ca50b91f46e103bf471acbca5a2d77ea1f17e3",
            })),
        Operation::post("/faces/compare", "compareFaces", || web::to(compare))
            .about("Whether the largest faces of two photos are of one person. Nothing is kept.")
            .takes::<CompareBody>(json!({"images": ["/9j/4AAQSkZJRg==", "/9j/4AAQSkZJRg=="]}))
            .takes_form::<CompareForm>("multipart/form-data")
            .answers::<Compared>(json!({
                "model": "facenet-128", "score": 0.83, "probability": 0.99, "threshold": 0.42,
                "false_match_rate": 0.002, "likeness": 99.99,
                "same_person": true, "faces": [place, place],
            })),
    ]
    .into_iter()
    .map(|operation| operation.params::<ReadParams>().refuses(PHOTO))
    .collect()
}

/// A photo, or two, in any of the forms.
async fn read<B, T>(app: &App, request: &HttpRequest, payload: Payload) -> Result<T, Refusal>
where
    B: DeserializeOwned + Send + 'static,
    T: TryFrom<B, Error = Refusal> + TryFrom<Form, Error = Refusal>,
{
    let _: ReadParams = http::query(request.query_string())?;
    let most = app.max_body_bytes();
    match http::multipart_or_json::<B>(request.headers(), payload, most).await? {
        Either::Json(body) => body.try_into(),
        Either::Form(form) => form.try_into(),
    }
}

/// What a model makes of a photo, and that model.
async fn seen(app: &App, look: Look, vectors: bool) -> Result<(Seen, ModelInfo), Refusal> {
    let want = Want {
        faces: look.faces,
        vectors,
        crop: look.with_crop,
        smallest: look.sieve.smallest(),
    };
    let pool = app.faces.pool(look.model.as_deref())?;
    let mut seen = pool.analyze(look.bytes, want).await?;
    seen.analysis.faces.retain(|face| look.sieve.keeps(face));
    Ok((seen, pool.model().clone()))
}

async fn detect(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<Detected> {
    let look = read::<LookBody, Look>(&app, &request, payload).await?;
    if look.with_crop {
        return Err(Refusal::wrong(
            "`with_crop` goes with `/faces/embed`; nothing is cut out where faces are only found",
        ));
    }
    let analysis = seen(&app, look, false).await?.0.analysis;
    Ok(Answer(Detected {
        faces: analysis.faces.iter().map(Place::from).collect(),
        faces_left_out: NonZeroUsize::new(analysis.left_out),
        width: analysis.width,
        height: analysis.height,
    }))
}

async fn embed(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<Embedded> {
    let look = read::<LookBody, Look>(&app, &request, payload).await?;
    let with_crop = look.with_crop;
    let (seen, model) = seen(&app, look, true).await?;
    let analysis = seen.analysis;
    let faces = analysis.faces.into_iter().map(|face| EmbeddedFace {
        place: Place::from(&face),
        vector: face.vector,
        crop: with_crop.then(|| BASE64_STANDARD.encode(&face.crop_jpeg)),
    });
    Ok(Answer(Embedded {
        model: model.name,
        sha256: model.sha256,
        faces: faces.collect(),
        faces_left_out: NonZeroUsize::new(analysis.left_out),
        width: analysis.width,
        height: analysis.height,
    }))
}

async fn compare(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<Compared> {
    let compare = read::<CompareBody, Compare>(&app, &request, payload).await?;
    let pool = app.faces.pool(compare.model.as_deref())?;
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: false,
        smallest: compare.sieve.smallest(),
    };
    let outcomes = pool.analyze_all(compare.images.to_vec(), want).await?;
    let mut faces = Vec::with_capacity(2);
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let place = format!("photo {}", number + 1);
        let seen = outcome.map_err(|refusal| refusal.at(&place))?;
        let mut found = seen.analysis.faces;
        found.truncate(1);
        let expected = compare.sieve.expect_one(&found, Choice::Largest);
        expected.map_err(|refusal| refusal.at(&place))?;
        faces.extend(found);
    }
    let score = match &faces[..] {
        [a, b] => a.vector.iter().zip(&b.vector).map(|(a, b)| a * b).sum(),
        _ => {
            return Err(Refusal::internal(
                "two photos have given other than two faces",
            ));
        }
    };
    let model = pool.model();
    let calibration = model.calibration.as_ref();
    let threshold = compare.threshold.or(calibration.map(|it| it.threshold));
    let false_match_rate = calibration.zip(threshold);
    Ok(Answer(Compared {
        model: model.name.clone(),
        score,
        probability: calibration.map(|it| it.probability(score)),
        threshold,
        false_match_rate: false_match_rate.map(|(it, at)| it.false_match_rate(at)),
        likeness: calibration.map(|it| it.strangers.percentile(score)),
        same_person: threshold.map(|threshold| score >= threshold),
        faces: faces.iter().map(Place::from).collect(),
    }))
}
