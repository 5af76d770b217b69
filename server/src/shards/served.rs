//! The shards that this node serves: each a server of its own within this one, with a log, a data folder
//! and gates of its own, at `/shards/{shard}`. Only nodes may ask there, which show the same key.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, ResponseError};
use config::Config;
use subtle::ConstantTimeEq;

use super::Shards;
use super::parts::MAKER;
use crate::access::{Denied, Grant, Ring};
use crate::app::App;
use crate::audit::Audit;
use crate::error;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::{routes, seen};

const PATH: &str = "/shards/";

/// Bodies between nodes are JSON, whatever the client sent, and that may be longer.
const LONGER: usize = 8;

/// The shards of a node, by number.
pub(crate) type Served = BTreeMap<u32, Arc<App>>;

/// The state of each shard that the settings name; not open yet.
pub(crate) fn serve(app: &App) -> Result<Served, error::Error> {
    let nats = app.config.nats.as_ref();
    let Some(shards) = nats.and_then(|nats| nats.shards.as_ref()) else {
        return Ok(Served::new());
    };
    let served = shards.served.iter().map(|shard| {
        let config = config_of(&app.config, *shard);
        let keys = Ring::of_nobody();
        let audit = Audit::open(&config.audit)?;
        let mut own = App::new(config, Metrics::new(), keys, audit, app.remote.clone());
        // One process, one account.
        own.memory = app.memory.clone();
        own.without_log = app.without_log;
        Ok((*shard, Arc::new(own)))
    });
    served.collect()
}

/// The settings of a shard: those of the node, with a stream and a folder of its own.
fn config_of(config: &Config, shard: u32) -> Config {
    let mut own = config.clone();
    own.data_dir = config.data_dir.join("shards").join(shard.to_string());
    own.server.max_body_mib = config.server.max_body_mib.saturating_mul(LONGER);
    own.audit.dir = None;
    own.compreface = None;
    if let Some(nats) = &mut own.nats {
        nats.stream = format!("{}-shard-{shard}", nats.stream);
        nats.shards = None;
    }
    own
}

/// Puts the shards where nodes ask them.
pub(crate) fn mount(served: &Served, site: &mut ServiceConfig) {
    for (shard, app) in served {
        let scope = web::scope(&format!("{PATH}{shard}"))
            .app_data(web::Data::from(Arc::clone(app)))
            .wrap(from_fn(within))
            .configure(|site| routes::configure(site, false));
        site.service(scope);
    }
}

/// Whether this is asked by a node, or would be.
pub(crate) fn is_between_nodes(app: &App, request: &ServiceRequest) -> bool {
    app.shards().is_some() && request.path().starts_with(PATH)
}

/// Whether a node asks, as it shows.
pub(crate) fn is_of_a_node(app: &App, request: &ServiceRequest) -> bool {
    is_between_nodes(app, request) && judge(app.shards(), request).is_ok()
}

/// What a node may do: everything in a shard, if it shows the key.
pub(crate) fn judge(shards: Option<&Shards>, request: &ServiceRequest) -> Result<Grant, Denied> {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.ok_or(Denied::Missing)?.as_bytes();
    let shown = shown.strip_prefix(b"Bearer ").ok_or(Denied::Wrong)?;
    let key = shards.map(|shards| shards.settings.key.as_str().as_bytes());
    let key = key.ok_or(Denied::Wrong)?;
    match bool::from(shown.ct_eq(key)) {
        true => Ok(Grant::of_node()),
        false => Err(Denied::Wrong),
    }
}

/// A part that is not there is not here, which says nothing of the points in it; and the clock of the
/// shard's own log.
async fn within(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let app = app.expect("a shard is mounted with its state");
    let awaited = seen::awaited(&app, request.headers()).await;
    if let Err(refusal) = awaited.and_then(|()| has_part(&app, request.path())) {
        return Ok(request.into_response(refusal.error_response()));
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    seen::tell(&app, response.headers_mut());
    Ok(response)
}

/// Refuses what is about a part that is not there, unless that is asked.
pub(super) fn has_part(app: &App, path: &str) -> Result<(), Refusal> {
    let mut words = path.split('/').skip(3);
    let (Some("collections"), Some(part)) = (words.next(), words.next()) else {
        return Ok(());
    };
    match app.engine().map(|engine| engine.metadata_of(part, MAKER)) {
        Some(Err(engine::Error::NoCollection(_))) if words.next() != Some("exists") => {
            let part: String = part.chars().take(80).collect();
            Err(Refusal::elsewhere(format!(
                "this shard has no part `{part}`"
            )))
        }
        _ => Ok(()),
    }
}
