//! People: those that the faces of a collection are said to be of. Their faces are reassigned with
//! `PATCH .../faces/{id}` and taken out with `DELETE .../faces?person=`.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::params::WriteParams;
use crate::wire::person::{PeopleOut, PeopleParams, PersonOut, Rename, RenameBody, Renamed};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/collections/{collection}/people", "listPeople", || {
            web::to(list)
        })
        .about("The people whose faces a collection has, in the order of their names.")
        .params::<PeopleParams>()
        .answers::<PeopleOut>(json!({
            "people": [{
                "name": "Ada", "faces": 3, "best": 1, "image": "/collections/faces/faces/1/image",
            }],
            "next_page_offset": "Bob",
        })),
        Operation::post(
            "/collections/{collection}/people/rename",
            "renamePerson",
            || web::to(rename),
        )
        .about(
            "Gives all faces of a person another name, in one step; where somebody has that name, \
             both become one person if `merge` says so.",
        )
        .params::<WriteParams>()
        .takes::<RenameBody>(json!({"from": "unnamed-7", "to": "Ada", "merge": true}))
        .answers::<Renamed>(json!({"operation_id": 42, "status": "completed", "changed": 3}))
        .refuses(&[409]),
    ]
}

async fn list(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<PeopleOut> {
    let name = named(name.into_inner())?;
    let params: PeopleParams = http::query(request.query_string())?;
    let (limit, collection) = (params.limit()?, name.clone());
    let people = app.read(move |engine| {
        let (search, from) = (params.search.as_deref(), params.offset.as_deref());
        engine.people(&collection, search, from, limit)
    });
    let (people, next_page_offset) = people.await?;
    let people = people.into_iter();
    Ok(Answer(PeopleOut {
        people: people.map(|it| PersonOut::new(&name, it)).collect(),
        next_page_offset,
    }))
}

async fn rename(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Renamed> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: RenameBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let Rename { from, to, taken } = body.try_into()?;
    let ack = params.ack();
    let outcome = app.write(move |engine| engine.rename_person(&name, (&from, &to), taken, ack));
    let outcome = outcome.await;
    let (outcome, count) = outcome.map_or_else(
        |refusal| (Err(refusal), 0),
        |(written, count)| (Ok(written), count),
    );
    app.metrics.wrote("set_payload", &outcome);
    Ok(Answer(Renamed::new(outcome?, ack, count)))
}
