//! Points by their likeness, by their order, by their number.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use engine::{Query, ScoredPoint, Select, Which};

use super::named;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::id::Id;
use crate::wire::params::ReadParams;
use crate::wire::point::{Record, Scored};
use crate::wire::query::{
    CountBody, Counted, Hits, QueryBody, Scroll, ScrollBody, ScrollPage, Search, SearchBody, Target,
};

type Outcome<T> = Result<Answer<T>, Refusal>;

pub(super) async fn query(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Hits> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: QueryBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let points = find(&app, name, body.try_into()?).await?;
    Ok(Answer(Hits { points }))
}

pub(super) async fn search(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Vec<Scored>> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: SearchBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let points = find(&app, name, body.try_into()?).await?;
    Ok(Answer(points))
}

async fn find(app: &App, name: String, search: Search) -> Result<Vec<Scored>, Refusal> {
    let Search {
        target,
        using,
        limit,
        offset,
        options,
        filter,
        view,
    } = search;
    let query = |vector| Query {
        vector,
        using: using.clone(),
        limit,
        offset,
        ef: options.ef,
        exact: options.exact,
        score_threshold: options.score_threshold,
        filter: filter.clone(),
        select: view.select(),
    };
    let hits = match target {
        Target::Vector(vector) => app.search(name, query(vector)).await?,
        Target::Point(id) => {
            let vector = vector_of(app, name.clone(), id, &using).await?;
            like_point(app, name, id, query(vector)).await?
        }
    };
    let points = hits.into_iter().map(|hit| Scored::new(hit, &view));
    Ok(points.collect())
}

async fn vector_of(app: &App, name: String, id: Id, using: &str) -> Result<Vec<f32>, Refusal> {
    let select = Select {
        payload: false,
        vectors: Which::Named(vec![using.to_owned()]),
    };
    let points = app
        .read(move |engine| engine.get(&name, &[id.0], select))
        .await?;
    let point = points.into_iter().next();
    let point = point.ok_or_else(|| Refusal::not_found(format!("point {id} does not exist")))?;
    let vector = point.vectors.unwrap_or_default().into_iter().next();
    vector.map(|(_, vector)| vector).ok_or_else(|| {
        Refusal::wrong(match using {
            "" => format!("point {id} has no vector"),
            using => format!("point {id} has no vector `{using}`"),
        })
    })
}

/// One hit more is asked for, because the point itself is among them.
async fn like_point(
    app: &App,
    name: String,
    id: Id,
    mut query: Query,
) -> Result<Vec<ScoredPoint>, Refusal> {
    let (limit, offset) = (query.limit, query.offset);
    query.limit = (limit + offset + 1).min(crate::limits::HITS);
    query.offset = 0;
    let hits = app.search(name, query).await?;
    let others = hits.into_iter().filter(|hit| hit.point.id != id.0);
    Ok(others.skip(offset).take(limit).collect())
}

pub(super) async fn scroll(
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

pub(super) async fn count(
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
