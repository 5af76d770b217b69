//! Points by their likeness, by their order, by their number.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::ask;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::id::Id;
use crate::wire::params::ReadParams;
use crate::wire::point::{Record, Scored};
use crate::wire::query::{
    BatchBody, CountBody, Counted, Hits, QueryBody, Scroll, ScrollBody, ScrollPage, Search,
    SearchBody,
};
use crate::wire::recommend::{FoundGroups, RecommendBody};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let searches = [
        of_query(),
        of_search(),
        of_recommend(),
        vec![
            Operation::post(
                "/collections/{collection}/points/scroll",
                "scrollPoints",
                || web::to(scroll),
            )
            .about("Points in the order of their ids, page by page.")
            .params::<ReadParams>()
            .takes::<ScrollBody>(json!({"limit": 100, "with_payload": true}))
            .answers::<ScrollPage>(
                json!({"points": [{"id": 1, "payload": {}}], "next_page_offset": 2}),
            ),
            Operation::post(
                "/collections/{collection}/points/count",
                "countPoints",
                || web::to(count),
            )
            .about("How many points there are; every count is exact.")
            .params::<ReadParams>()
            .takes::<CountBody>(json!({"exact": true}))
            .answers::<Counted>(json!({"count": 1000})),
        ],
    ];
    searches.into_iter().flatten().collect()
}

fn hit() -> Value {
    json!({"id": 1, "version": 0, "score": 0.93, "payload": {"person": "Ada"}})
}

fn groups() -> Value {
    json!({"groups": [{"id": "Ada", "hits": [hit()]}]})
}

fn of_query() -> Vec<Operation> {
    let body = json!({"query": [0.1, 0.2, 0.3, 0.4], "limit": 3, "with_payload": true});
    let mut grouped = body.clone();
    grouped["group_by"] = json!("person");
    vec![
        Operation::post(
            "/collections/{collection}/points/query",
            "queryPoints",
            || web::to(query),
        )
        .about("Points like a vector, like a point, or like some examples and unlike others.")
        .takes::<QueryBody>(body.clone())
        .answers::<Hits>(json!({"points": [hit()]})),
        Operation::post(
            "/collections/{collection}/points/query/batch",
            "queryBatchPoints",
            || web::to(query_batch),
        )
        .about("Many queries at once, answered in their order.")
        .takes::<BatchBody<QueryBody>>(json!({"searches": [body]}))
        .answers::<Vec<Hits>>(json!([{"points": [hit()]}])),
        Operation::post(
            "/collections/{collection}/points/query/groups",
            "queryPointsGroups",
            || web::to(grouped_by::<QueryBody>),
        )
        .about("The best hits of each value of a payload key.")
        .takes::<QueryBody>(grouped)
        .answers::<FoundGroups>(groups()),
    ]
    .into_iter()
    .map(Operation::params::<ReadParams>)
    .collect()
}

fn of_search() -> Vec<Operation> {
    let body = json!({"vector": [0.1, 0.2, 0.3, 0.4], "limit": 3});
    let mut grouped = body.clone();
    grouped["group_by"] = json!("person");
    vec![
        Operation::post(
            "/collections/{collection}/points/search",
            "searchPoints",
            || web::to(search::<SearchBody>),
        )
        .about("Points like a vector, as older clients ask for them.")
        .takes::<SearchBody>(body.clone())
        .answers::<Vec<Scored>>(json!([hit()])),
        Operation::post(
            "/collections/{collection}/points/search/batch",
            "searchBatchPoints",
            || web::to(search_batch::<SearchBody>),
        )
        .about("Many searches at once, answered in their order.")
        .takes::<BatchBody<SearchBody>>(json!({"searches": [body]}))
        .answers::<Vec<Vec<Scored>>>(json!([[hit()]])),
        Operation::post(
            "/collections/{collection}/points/search/groups",
            "searchPointsGroups",
            || web::to(grouped_by::<SearchBody>),
        )
        .about("The best hits of each value of a payload key, as older clients ask for them.")
        .takes::<SearchBody>(grouped)
        .answers::<FoundGroups>(groups()),
    ]
    .into_iter()
    .map(Operation::params::<ReadParams>)
    .collect()
}

fn of_recommend() -> Vec<Operation> {
    let body = json!({"positive": [1, 2], "negative": [3], "limit": 3});
    let mut grouped = body.clone();
    grouped["group_by"] = json!("person");
    vec![
        Operation::post(
            "/collections/{collection}/points/recommend",
            "recommendPoints",
            || web::to(search::<RecommendBody>),
        )
        .about("Points like some examples and unlike others, as older clients ask for them.")
        .takes::<RecommendBody>(body.clone())
        .answers::<Vec<Scored>>(json!([hit()])),
        Operation::post(
            "/collections/{collection}/points/recommend/batch",
            "recommendBatchPoints",
            || web::to(search_batch::<RecommendBody>),
        )
        .about("Many recommendations at once, answered in their order.")
        .takes::<BatchBody<RecommendBody>>(json!({"searches": [body]}))
        .answers::<Vec<Vec<Scored>>>(json!([[hit()]])),
        Operation::post(
            "/collections/{collection}/points/recommend/groups",
            "recommendPointsGroups",
            || web::to(grouped_by::<RecommendBody>),
        )
        .about("The best recommendations of each value of a payload key.")
        .takes::<RecommendBody>(grouped)
        .answers::<FoundGroups>(groups()),
    ]
    .into_iter()
    .map(Operation::params::<ReadParams>)
    .collect()
}

/// The collection's name and the body of a read.
async fn asked<B: DeserializeOwned + Send + 'static>(
    app: &App,
    request: &HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<(String, B), Refusal> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    Ok((name, body))
}

async fn query(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Hits> {
    let (name, body) = asked::<QueryBody>(&app, &request, name, payload).await?;
    let search = Search::try_from(body)?.ungrouped()?;
    let points = ask::find(&app, &name, search).await?;
    Ok(Answer(Hits { points }))
}

async fn query_batch(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Vec<Hits>> {
    let (name, body) = asked::<BatchBody<QueryBody>>(&app, &request, name, payload).await?;
    let all = ask::find_all(&app, &name, body.searches()?).await?;
    Ok(Answer(
        all.into_iter().map(|points| Hits { points }).collect(),
    ))
}

async fn search<B>(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Vec<Scored>>
where
    B: DeserializeOwned + Send + 'static,
    Search: TryFrom<B, Error = Refusal>,
{
    let (name, body) = asked::<B>(&app, &request, name, payload).await?;
    let search = Search::try_from(body)?.ungrouped()?;
    Ok(Answer(ask::find(&app, &name, search).await?))
}

async fn search_batch<B>(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Vec<Vec<Scored>>>
where
    B: DeserializeOwned + Send + 'static,
    Search: TryFrom<B, Error = Refusal>,
{
    let (name, body) = asked::<BatchBody<B>>(&app, &request, name, payload).await?;
    let all = ask::find_all(&app, &name, body.searches()?).await?;
    Ok(Answer(all))
}

async fn grouped_by<B>(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<FoundGroups>
where
    B: DeserializeOwned + Send + 'static,
    Search: TryFrom<B, Error = Refusal>,
{
    let (name, body) = asked::<B>(&app, &request, name, payload).await?;
    let groups = ask::find_groups(&app, &name, Search::try_from(body)?).await?;
    Ok(Answer(groups))
}

async fn scroll(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<ScrollPage> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: ScrollBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let Scroll {
        from,
        filter,
        order,
        limit,
        view,
    } = body.try_into()?;
    let select = view.select();
    if let Some(order) = order {
        let points = app
            .read(move |engine| engine.scroll_by(&name, &filter, &order, limit, &select))
            .await?
            .into_iter();
        let points = points.map(|(point, value)| Record::placed(point, value, &view));
        return Ok(Answer(ScrollPage {
            points: points.collect(),
            next_page_offset: None,
        }));
    }
    let page = app
        .read(move |engine| engine.scroll_where(&name, &filter, from, limit, select))
        .await?;
    let records = page
        .points
        .into_iter()
        .map(|point| Record::new(point, &view));
    Ok(Answer(ScrollPage {
        points: records.collect(),
        next_page_offset: page.next.map(Id),
    }))
}

async fn count(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Counted> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: CountBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let filter = body.filter()?;
    let count = app
        .read(move |engine| engine.count_where(&name, &filter))
        .await?;
    Ok(Answer(Counted { count }))
}
