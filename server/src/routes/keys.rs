//! API keys: made, listed and revoked while the server runs. A key makes and revokes only keys that
//! may do no more than it may itself.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpMessage, HttpRequest};
use serde_json::json;

use crate::access::{Grant, Key, NotMade};
use crate::api::Operation;
use crate::app::App;
use crate::audit::Changed;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::key::{KeptKey, KeptKeys, MadeKey, NewKey, Revoked};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let key = json!({
        "id": "5f0c8a3b91de", "name": "phone app", "scopes": ["search", "images"],
        "collections": ["stars"], "made_at": 1_795_000_000, "made_by": "settings",
        "expires_at": 1_800_000_000,
    });
    vec![
        Operation::get("/admin/keys", "listKeys", || web::to(list))
            .about("The keys that were made and may do no more than the one that asks.")
            .answers::<KeptKeys>(json!({"keys": [key.clone()]})),
        Operation::post("/admin/keys", "makeKey", || web::to(make))
            .about(
                "Makes a key that may do no more than the one that asks. Its secret is shown once.",
            )
            .takes::<NewKey>(json!({
                "name": "phone app", "scopes": ["search", "images"], "collections": ["stars"],
                "expires_at": 1_800_000_000,
            }))
            .answers::<MadeKey>(json!({"secret": "dpl_", "key": key}))
            .refuses(&[409, 507]),
        Operation::delete("/admin/keys/{key_id}", "revokeKey", || web::to(revoke))
            .about(
                "Revokes a key at once, if it may do no more than the one that asks. Keys that it has made \
                 stay good, and are told.",
            )
            .answers::<Revoked>(json!({"revoked": "5f0c8a3b91de", "remaining": []}))
            .refuses(&[507]),
    ]
}

async fn list(app: Data<App>) -> Outcome<KeptKeys> {
    let own = Grant::current().limits();
    let keys = app.keys.list();
    let within = keys.iter().filter(|key| own.lacks(&key.limits).is_none());
    let keys = within.map(|key| KeptKey::from(&**key)).collect();
    Ok(Answer(KeptKeys { keys }))
}

async fn make(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<MadeKey> {
    let body: NewKey = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (name, limits, service) = body.parts()?;
    if !app.keys.has_root() {
        return Err(Refusal::conflict(
            "the settings have no `api_key`: the first key made would lock everyone else out; set \
             `api_key` (DOPPEL_API_KEY) and start the server again",
        ));
    }
    if let Some(more) = Grant::current().limits().lacks(&limits) {
        return Err(Refusal::forbidden(format!(
            "the new key would have {more}, which this one has not"
        )));
    }
    let by = Grant::current().key().map(|(id, _)| id);
    let made = app.change_keys(move |keys| keys.add(&name, limits, service, by));
    let (secret, key) = made.await?;
    let changed = Changed::Made(key.id.clone(), key.name.clone());
    request.extensions_mut().insert(changed);
    let key = KeptKey::from(&*key);
    Ok(Answer(MadeKey { secret, key }))
}

async fn revoke(app: Data<App>, request: HttpRequest, id: Path<String>) -> Outcome<Revoked> {
    let id = id.into_inner();
    let none = || Refusal::not_found("there is no key of this id");
    let keys = app.keys.list();
    let key = keys.iter().find(|key| key.id == id).ok_or_else(none)?;
    if let Some(more) = Grant::current().limits().lacks(&key.limits) {
        return Err(Refusal::forbidden(format!(
            "that key has {more}, which this one has not"
        )));
    }
    let of = id.clone();
    if !app.change_keys(move |keys| keys.remove(&of)).await? {
        return Err(none());
    }
    let changed = Changed::Revoked(key.id.clone(), key.name.clone());
    request.extensions_mut().insert(changed);
    let remaining = made_by(&app.keys.list(), &id);
    Ok(Answer(Revoked {
        revoked: id,
        remaining: remaining.iter().map(|key| KeptKey::from(&**key)).collect(),
    }))
}

/// The keys that one has made, and those that they have made.
fn made_by(keys: &[Arc<Key>], id: &str) -> Vec<Arc<Key>> {
    let mut makers = HashSet::from([id]);
    // One is made before it makes others.
    let of_them = keys.iter().filter(|key| {
        let theirs = key.made_by.as_deref().is_some_and(|by| makers.contains(by));
        theirs && makers.insert(&key.id)
    });
    of_them.cloned().collect()
}

impl From<NotMade> for Refusal {
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::TooMany => Self::conflict(format!(
                "there are {} keys already: revoke one first",
                crate::limits::KEYS
            )),
            NotMade::Disk(error) => Self::read_only(format!(
                "the keys cannot be kept: {error}; nothing has changed"
            )),
        }
    }
}
