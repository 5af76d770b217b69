//! Requests about a sharded collection, answered by its shards. Those about any other pass. Bodies are read
//! here as a whole collection would read them, so that the same is refused and the key's scopes hold; a
//! node that is asked then may do everything.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::{self, Payload};
use actix_web::{Error, FromRequest, HttpRequest, ResponseError};
use engine::{Point, PointId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::Answers;
use super::heard::{self, Answered};
use super::peer::{Call, Kind};
use super::split::{Divided, Ids};
use super::way::{Way, about, not_there};
use super::{KEY, Sharded, Shards, is_there, merge, parts, split};
use crate::access::{Grant, Scope};
use crate::app::App;
use crate::http;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::exact::Object;
use crate::wire::id::Id;
use crate::wire::input::Input;
use crate::wire::kind::Target;
use crate::wire::params::{ReadParams, WriteParams};
use crate::wire::point::{Retrieve, UpdateMode, Upsert};
use crate::wire::query::{QueryBody, Scroll, ScrollBody, Search, SearchBody};

/// How long a shard may take for a read.
const READ: Duration = Duration::from_secs(30);

/// A request about a sharded collection.
struct Asked<'a> {
    app: &'a App,
    shards: &'a Shards,
    /// As it stands in the path.
    name: String,
    sharded: Sharded,
    request: &'a HttpRequest,
    lsns: BTreeMap<u32, u64>,
}

/// Answers what is about a sharded collection.
pub(crate) async fn route(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let app = app.expect("every worker is started with the state");
    let (name, sharded, way) = match about(&app, &request) {
        Ok(None | Some((_, _, Way::Entry))) => {
            return Ok(next.call(request).await?.map_into_boxed_body());
        }
        Ok(Some(about)) => about,
        Err(refusal) => return Ok(request.into_response(refusal.error_response())),
    };
    let (request, mut payload) = request.into_parts();
    let payload = Payload::from_request(&request, &mut payload).await?;
    let answered = async {
        let Some(shards) = app.shards() else {
            return Err(Refusal::not_set_up(format!(
                "the collection `{name}` is spread over shards, and this node knows of none: set \
                 nats.shards, or ask another node"
            )));
        };
        let asked = Asked {
            app: &app,
            shards,
            name,
            sharded,
            request: &request,
            lsns: heard::lsns(request.headers(), shards.settings.count)?,
        };
        let answered = asked.answer(way, payload).await;
        answered.map_err(|refusal| asked.named(refusal))
    };
    let response = match answered.await {
        Ok(answered) => answered.response(&request),
        Err(refusal) => refusal.error_response(),
    };
    Ok(ServiceResponse::new(request, response))
}

impl Asked<'_> {
    async fn answer(&self, way: Way, payload: Payload) -> Result<Answered, Refusal> {
        match way {
            Way::Entry => Err(Refusal::internal("an entry has a handler of its own")),
            Way::Describe => self.describe().await,
            Way::Point => self.point().await,
            Way::Points => self.points(payload).await,
            Way::Upsert => self.upsert(payload).await,
            Way::Write => {
                let body = self.body(payload).await?;
                let divided = split::by_ids(body, "points", self.sharded.count)?;
                self.write(divided).await
            }
            Way::Change => {
                let body = self.body(payload).await?;
                let divided = split::by_ids(body, "points", self.sharded.count)?;
                self.know_all(&divided.ids).await?;
                self.write(divided).await
            }
            Way::Everywhere => self.everywhere(payload).await,
            Way::Query => {
                let body = self.body(payload).await?;
                let search = Search::try_from(typed::<QueryBody>(&body)?)?;
                let answered = self.search(body, search).await?;
                Ok(answered.map(|hits| json!({ "points": hits })))
            }
            Way::Search => {
                let body = self.body(payload).await?;
                let search = Search::try_from(typed::<SearchBody>(&body)?)?;
                self.search(body, search).await
            }
            Way::Count => {
                let body = self.body(payload).await?;
                let (told, heard) = self.read_all(merge::text(body)).await?.apart();
                Ok(heard.with(merge::count(&told)?))
            }
            Way::Scroll => self.scroll(payload).await,
        }
    }

    async fn body(&self, payload: Payload) -> Result<Map<String, Value>, Refusal> {
        let (headers, most) = (self.request.headers(), self.app.max_body_bytes());
        let body: Object = http::values(headers, payload, most).await?;
        Ok(body.0)
    }

    /// The same path, of the part.
    fn path(&self) -> String {
        let path = self.request.path();
        let rest = path.splitn(4, '/').nth(3);
        let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
        let query = match self.request.query_string() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        format!("/collections/{}{rest}{query}", self.sharded.part)
    }

    fn call(&self, shard: u32, method: &'static str, body: Option<Arc<str>>) -> (u32, Call) {
        let call = Call {
            method,
            path: self.path(),
            body,
            room: None,
            lsn: self.lsns.get(&shard).copied(),
            patience: READ,
        };
        (shard, call)
    }

    /// What a shard says of a part is told of the collection.
    fn named(&self, refusal: Refusal) -> Refusal {
        let message = refusal.message().replace(&self.sharded.part, &self.name);
        refusal.instead(message)
    }

    /// Sends the same to all shards.
    async fn read_all(&self, body: String) -> Result<Answers, Refusal> {
        let (all, body) = (0..self.sharded.count, Arc::from(body));
        let calls = all.map(|shard| self.call(shard, "POST", Some(Arc::clone(&body))));
        self.read(calls.collect()).await
    }

    /// What is missing is refused, unless the client would rather have a part of the answer.
    async fn read(&self, calls: Vec<(u32, Call)>) -> Result<Answers, Refusal> {
        let params: ReadParams = http::query(self.request.query_string())?;
        if !params.allows_partial() {
            self.wait_served(&calls).await;
        }
        let _place = self.shards.searches.enter()?;
        let answers = self.shards.ask_all(calls, Kind::Read).await;
        answers.read(params.allows_partial())
    }

    /// Before there is a place: whoever waits takes none from others.
    async fn wait_served(&self, calls: &[(u32, Call)]) {
        let shards = calls.iter().map(|(shard, _)| *shard);
        self.shards.wait_served(shards).await;
    }

    async fn write(&self, divided: Divided) -> Result<Answered, Refusal> {
        let _: WriteParams = http::query(self.request.query_string())?;
        let method = match *self.request.method() {
            Method::PUT => "PUT",
            _ => "POST",
        };
        let calls = divided.bodies.into_iter();
        let calls = calls.map(|(shard, body)| self.written(shard, method, Some(body)));
        self.wrote(calls.collect(), &divided.ids).await
    }

    async fn everywhere(&self, payload: Payload) -> Result<Answered, Refusal> {
        let _: WriteParams = http::query(self.request.query_string())?;
        let (method, body) = match *self.request.method() {
            Method::DELETE => ("DELETE", None),
            _ => ("PUT", Some(merge::text(self.body(payload).await?).into())),
        };
        let all = 0..self.sharded.count;
        let calls = all.map(|shard| self.written(shard, method, body.clone()));
        self.wrote(calls.collect(), &Ids::new()).await
    }

    fn written(&self, shard: u32, method: &'static str, body: Option<Arc<str>>) -> (u32, Call) {
        let (shard, call) = self.call(shard, method, body);
        let patience = Duration::from_secs(self.app.config.server.request_timeout_s);
        (shard, Call { patience, ..call })
    }

    /// `ids`: of the points that each shard is to change.
    async fn wrote(&self, mut calls: Vec<(u32, Call)>, ids: &Ids) -> Result<Answered, Refusal> {
        self.wait_served(&calls).await;
        let _place = self.shards.writes.enter()?;
        // What the body has become is on its way; who takes it asks for memory anew.
        let mut room = http::Room::release();
        let bodies = calls.iter().filter_map(|(_, call)| call.body.as_ref());
        let bytes = bodies.map(|body| body.len() as u64).sum();
        // Small ones, deletes among them, go on however little memory there is.
        if bytes > limits::INLINE_PARSE_BYTES as u64 {
            self.app.memory.promise_body(bytes, false, &mut room)?;
        }
        let room = room.map(Arc::new);
        for (_, call) in &mut calls {
            call.room.clone_from(&room);
        }
        let answers = self.shards.ask_all(calls, Kind::Write).await;
        let (told, heard) = answers.written(ids)?.apart();
        match is_there(self.app, &self.name, &self.sharded)? {
            true => Ok(heard.with(merge::written(told))),
            false => Err(gone(&self.name)),
        }
    }

    /// Refuses what names points that are not there, before any shard has done its part. Where only one is
    /// concerned it says so itself.
    async fn know_all(&self, named: &Ids) -> Result<(), Refusal> {
        if named.len() < 2 {
            return Ok(());
        }
        let calls = named.iter().map(|(shard, ids)| {
            let ids: Vec<Id> = ids.iter().copied().map(Id).collect();
            let body = json!({"ids": ids, "with_payload": false, "with_vector": false});
            let (shard, call) = self.call(*shard, "POST", Some(body.to_string().into()));
            (shard, self.of_points(call))
        });
        let calls: Vec<_> = calls.collect();
        self.wait_served(&calls).await;
        let _place = self.shards.searches.enter()?;
        let answers = self.shards.ask_all(calls, Kind::Read).await;
        let mut there = HashSet::new();
        for told in answers.read(false)?.told {
            for point in merge::listed(told.result)? {
                there.insert(split::id_of(&point)?);
            }
        }
        match named.values().flatten().find(|id| !there.contains(*id)) {
            Some(id) => Err(engine::Error::NoPoint(*id).into()),
            None => Ok(()),
        }
    }

    /// The same call, of points by their ids.
    fn of_points(&self, call: Call) -> Call {
        let path = format!("/collections/{}/points", self.sharded.part);
        Call { path, ..call }
    }

    /// All points are looked at here first, so that one that is wrong keeps the others of all shards out.
    async fn upsert(&self, payload: Payload) -> Result<Answered, Refusal> {
        let body = self.body(payload).await?;
        if body.contains_key("batch") {
            return Err(not_there(&self.name, "`batch` (send `points`)"));
        }
        let (name, count) = (self.name.clone(), self.sharded.count);
        let divided = self.app.write(move |engine| {
            let typed = typed::<Upsert>(&body)?;
            if typed.mode() == UpdateMode::InsertOnly {
                return Err(not_there(&name, "`update_mode` `insert_only`"));
            }
            let points = Vec::<Point>::try_from(typed)?;
            engine.check_points(&name, &points)?;
            // Before there are the bodies.
            drop(points);
            split::by_ids(body, "points", count)
        });
        let divided = divided.await?;
        self.write(divided).await
    }

    async fn points(&self, payload: Payload) -> Result<Answered, Refusal> {
        let body = self.body(payload).await?;
        let (ids, _) = typed::<Retrieve>(&body)?.parts()?;
        self.by_ids(body, &ids).await
    }

    async fn by_ids(&self, body: Map<String, Value>, ids: &[PointId]) -> Result<Answered, Refusal> {
        let count = self.sharded.count;
        let bodies = split::by_ids(body, "ids", count)?.bodies.into_iter();
        let calls = bodies.map(|(shard, body)| {
            let (shard, call) = self.call(shard, "POST", Some(body));
            (shard, self.of_points(call))
        });
        let (told, heard) = self.read(calls.collect()).await?.apart();
        Ok(heard.with(merge::in_order(ids, told, count)?))
    }

    async fn point(&self) -> Result<Answered, Refusal> {
        let path = self.request.path().rsplit('/').next().unwrap_or_default();
        let id = Id::parse(path)?;
        let vector = Grant::demand(Scope::Embeddings, "a vector is shown").is_ok();
        let body = json!({"ids": [id], "with_payload": true, "with_vector": vector});
        let Value::Object(body) = body else {
            return Err(Refusal::internal("an object is no object"));
        };
        let answered = self.by_ids(body, &[id.0]).await?;
        match answered.first() {
            Some(point) => Ok(answered.map(|_| point)),
            None => Err(Refusal::not_found(format!("point {id} does not exist"))),
        }
    }

    /// Each shard is asked for as many as are wanted before and in the page: all may be in one of them.
    async fn search(
        &self,
        mut body: Map<String, Value>,
        search: Search,
    ) -> Result<Answered, Refusal> {
        let search = search.ungrouped()?;
        let Target::Nearest(Input::Vector(_)) = search.target else {
            return Err(not_there(&self.name, "a query for anything but a vector"));
        };
        if !search.prefetch.is_empty() {
            return Err(not_there(&self.name, "`prefetch`"));
        }
        let info = self.app.describe(&self.name).await?;
        if info.spec.metadata.get(KEY) != Some(&self.sharded.written()) {
            return Err(gone(&self.name));
        }
        // Shards say what is wrong with a name that there is not.
        let metric = info.spec.vectors.get(&search.using).map(|it| it.metric);
        let higher = metric.is_none_or(engine::Metric::higher_is_better);
        let most = search.limit.saturating_add(search.offset);
        body.insert("limit".to_owned(), most.into());
        body.remove("offset");
        let (told, heard) = self.read_all(merge::text(body)).await?.apart();
        let lists = told.into_iter().map(|it| merge::listed(it.result));
        let lists = lists.collect::<Result<_, _>>()?;
        let hits = merge::hits(lists, higher, (search.offset, search.limit))?;
        Ok(heard.with(Value::Array(hits)))
    }

    async fn scroll(&self, payload: Payload) -> Result<Answered, Refusal> {
        let body = self.body(payload).await?;
        let scroll = Scroll::try_from(typed::<ScrollBody>(&body)?)?;
        if scroll.order.is_some() {
            return Err(not_there(&self.name, "`order_by`"));
        }
        let (told, heard) = self.read_all(merge::text(body)).await?.apart();
        Ok(heard.with(merge::page(told, scroll.limit)?))
    }

    async fn describe(&self) -> Result<Answered, Refusal> {
        let all = 0..self.sharded.count;
        let calls = all.map(|shard| self.call(shard, "GET", None));
        let (told, heard) = self.read(calls.collect()).await?.apart();
        let mut whole = merge::description(told, self.sharded.count);
        merge::own_metadata(&mut whole, &[parts::MAKER]);
        Ok(heard.with(whole))
    }
}

fn gone(name: &str) -> Refusal {
    Refusal::not_found(format!(
        "the collection `{name}` was dropped, or stands for another now, while this was on its way"
    ))
}

/// The body as a whole collection would read it, and without another of its own.
fn typed<'de, T: Deserialize<'de>>(body: &'de Map<String, Value>) -> Result<T, Refusal> {
    let read = T::deserialize(body);
    read.map_err(|error| Refusal::wrong(format!("the JSON body is wrong: {error}")))
}
