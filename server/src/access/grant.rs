//! What the request at work may do, for what is only seen while it is at work.

use std::future::Future;
use std::sync::Arc;

use super::key::{Key, Limits};
use super::scope::Scope;
use crate::refusal::Refusal;

tokio::task_local! {
    static GRANT: Grant;
}

/// What a request may do.
#[derive(Debug, Clone)]
pub(crate) struct Grant(Given);

#[derive(Debug, Clone)]
enum Given {
    Everything,
    Nothing,
    ByKey(Arc<Key>),
}

impl Grant {
    /// The server is open.
    pub(super) fn everything() -> Self {
        Self(Given::Everything)
    }

    /// Another node asks, which has looked itself what its client may do.
    pub(crate) fn of_node() -> Self {
        Self::everything()
    }

    /// What anyone may see.
    pub(super) fn nothing() -> Self {
        Self(Given::Nothing)
    }

    /// What a key is good for.
    pub(super) fn by(key: Arc<Key>) -> Self {
        Self(Given::ByKey(key))
    }

    /// Runs a request with its grant.
    pub(crate) async fn scope<F: Future>(self, work: F) -> F::Output {
        GRANT.scope(self, work).await
    }

    /// That of the request at work. Where there is none, nothing is granted.
    pub(crate) fn current() -> Self {
        GRANT.try_with(Clone::clone).unwrap_or(Self(Given::Nothing))
    }

    /// Id and name of its key, if it came with one.
    pub(crate) fn key(&self) -> Option<(String, String)> {
        match &self.0 {
            Given::ByKey(key) => Some((key.id.clone(), key.name.clone())),
            Given::Everything | Given::Nothing => None,
        }
    }

    /// How far it goes.
    pub(crate) fn limits(&self) -> Limits {
        match &self.0 {
            Given::Everything => Limits::everything(),
            Given::ByKey(key) => key.limits.clone(),
            Given::Nothing => Limits {
                scopes: [].into(),
                collections: Some(Vec::new()),
                expires_at: None,
            },
        }
    }

    /// Refuses with 403 what concerns all collections to one that is for some. `what` is as in
    /// [`Grant::demand`].
    pub(crate) fn demand_all(what: &str) -> Result<(), Refusal> {
        match Self::current().limits().collections {
            None => Ok(()),
            Some(_) => Err(Refusal::forbidden(format!(
                "{what}, and this key is for some collections only"
            ))),
        }
    }

    /// Refuses with 403 what takes a scope that the request lacks. `what` is led by a capital-less
    /// subject: "`with_vector` shows vectors".
    pub(crate) fn demand(scope: Scope, what: &str) -> Result<(), Refusal> {
        let allowed = GRANT.try_with(|grant| match &grant.0 {
            Given::Everything => true,
            Given::Nothing => false,
            Given::ByKey(key) => key.limits.has(scope),
        });
        match allowed {
            Ok(true) => Ok(()),
            _ => Err(Refusal::forbidden(format!(
                "{what}, and this key lacks the scope `{}`",
                scope.word()
            ))),
        }
    }
}
