//! A search of a shard that is open on this node, which is answered without a request to itself: most of what a
//! small search takes is the way there and back. Anything else goes the way of all.

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Shards;
use super::peer::{self, Call, Lost, Said};
use super::served::has_part;
use crate::app::App;
use crate::refusal::Refusal;
use crate::wire::point::Scored;
use crate::wire::query::{QueryBody, Search, SearchBody};
use crate::{ask, seen};

impl Shards {
    /// What is found here; nothing if this is to be asked like any node.
    pub(super) async fn found_here(
        &self,
        shard: u32,
        url: &str,
        call: &Call,
    ) -> Option<Result<Said, Lost>> {
        if !self.nodes.is_this(url) {
            return None;
        }
        let app = self.served.get(&shard)?;
        let path = call.path.split('?').next()?;
        let (collection, kind) = path.rsplit_once("/points/")?;
        let (_, part) = collection.rsplit_once("/collections/")?;
        let body = call.body.as_deref()?;
        let search = match kind {
            "search" => read::<SearchBody>(body)?,
            "query" => read::<QueryBody>(body)?,
            _ => return None,
        };
        let found = timeout(call.patience, found(app, (path, part), search, call.lsn));
        let Ok(found) = found.await else {
            return Some(Err(Lost::Unknown("it takes too long".to_owned())));
        };
        Some(found.map_or_else(|refusal| Ok(refused(&refusal)), |hits| said(app, &hits)))
    }
}

fn read<B: DeserializeOwned>(body: &str) -> Option<Search>
where
    Search: TryFrom<B, Error = Refusal>,
{
    let body: B = serde_json::from_str(body).ok()?;
    Search::try_from(body).ok()?.ungrouped().ok()
}

async fn found(
    app: &App,
    (path, part): (&str, &str),
    search: Search,
    lsn: Option<u64>,
) -> Result<Vec<Scored>, Refusal> {
    has_part(app, path)?;
    if let Some(lsn) = lsn {
        seen::reached(app, lsn).await?;
    }
    ask::find(app, part, search).await
}

/// As the answer of another node is read, into memory that is promised for it.
fn said(app: &App, hits: &[Scored]) -> Result<Said, Lost> {
    let written = serde_json::to_vec(hits);
    let written = written.map_err(|error| Lost::Unknown(error.to_string()))?;
    let (hits, room) = peer::read(written.as_slice(), &app.memory)?;
    Ok(Said {
        status: 200,
        lsn: app.engine().map(|engine| engine.durable_lsn().0),
        body: json!({ "result": hits }),
        room,
    })
}

fn refused(refusal: &Refusal) -> Said {
    let body = refusal.error_response().into_body().try_into_bytes();
    let body = body.map_or(Value::Null, |bytes| {
        serde_json::from_slice(&bytes).unwrap_or_default()
    });
    Said {
        status: refusal.status().as_u16(),
        lsn: None,
        body,
        room: None,
    }
}
