//! People: those that the faces of a collection are said to be of, and what is known of them. Their
//! faces are reassigned with `PATCH .../faces/{id}` and taken out with `DELETE .../faces?person=`.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::PersonChange;
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::id::Id;
use crate::wire::params::WriteParams;
use crate::wire::person::{
    ChangePerson, PeopleOut, PeopleParams, PersonOut, Rename, RenameBody, Renamed,
};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let known = json!({
        "name": "Ada", "faces": 3, "best": 1, "image": "/collections/faces/faces/1/image",
        "id": "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b", "ignored": false,
        "attributes": {"born": 1815},
    });
    vec![
        Operation::patch("/collections/{collection}/people", "changePerson", || {
            web::to(change)
        })
        .about(
            "Says something of a person, on all of their faces in one step: attributes, the face \
             that is shown, whether they are left out of searches. Gives them an id that stays \
             through all renamings.",
        )
        .takes::<ChangePerson>(json!({"name": "Ada", "attributes": {"born": 1815}, "best": 1}))
        .answers::<PersonOut>(known.clone())
        .refuses(&[409]),
        Operation::get("/collections/{collection}/people", "listPeople", || {
            web::to(list)
        })
        .about("The people whose faces a collection has, in the order of their names.")
        .params::<PeopleParams>()
        .answers::<PeopleOut>(json!({
            "people": [known],
            "next_page_offset": "Bob",
        })),
        Operation::post(
            "/collections/{collection}/people/rename",
            "renamePerson",
            || web::to(rename),
        )
        .about(
            "Gives all faces of a person another name, in one step; where somebody has that name, \
             both become one person if `merge` says so, of whom holds what is known of the one who had it.",
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
        if let Some(id) = &params.id {
            let person = engine.person_of_id(&collection, id)?;
            return Ok((person.into_iter().collect(), None));
        }
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

async fn change(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<PersonOut> {
    let name = named(name.into_inner())?;
    let body: ChangePerson = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (person, fresh) = (body.name.clone(), Id::random().to_string());
    let change = PersonChange::try_from(body)?;
    let (collection, who) = (name.clone(), person.clone());
    let outcome = app.write(move |engine| engine.change_person(&collection, &who, change, fresh));
    let outcome = outcome.await;
    app.metrics.wrote("set_payload", &outcome);
    outcome?;
    let (collection, who) = (name.clone(), person.clone());
    let known = app.read(move |engine| engine.person(&collection, &who));
    let known = known.await?;
    let known = known.ok_or_else(|| {
        let who: String = person.chars().take(80).collect();
        Refusal::not_found(format!("there is no person `{who}` any more"))
    })?;
    Ok(Answer(PersonOut::new(&name, known)))
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
    let (ack, fresh) = (params.ack(), Id::random().to_string());
    let outcome =
        app.write(move |engine| engine.rename_person(&name, (&from, &to), taken, &fresh, ack));
    let outcome = outcome.await;
    let (outcome, count) = outcome.map_or_else(
        |refusal| (Err(refusal), 0),
        |(written, count)| (Ok(written), count),
    );
    app.metrics.wrote("set_payload", &outcome);
    Ok(Answer(Renamed::new(outcome?, ack, count)))
}
