//! What CompreFace has and is not safe: it is known, so that a client is told what to do instead.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use super::fault::Fault;
use crate::api::Operation;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::refused(Method::POST, "/api/v1/migrate", || web::to(migrate)),
        Operation::refused(Method::GET, "/api/v1/static/{api_key}/images/{id}", || {
            web::to(image)
        }),
        Operation::refused(Method::DELETE, "/api/v1/recognition/subjects", || {
            web::to(everybody)
        }),
    ]
}

async fn migrate() -> Result<HttpResponse, Fault> {
    Err(Fault::off(
        "a migration that anyone may begin is off: move the collection with a key, POST \
         /admin/collections/{collection}/reembed",
    ))
}

async fn image() -> Result<HttpResponse, Fault> {
    Err(Fault::off(
        "pictures with the key in the URL are off, where logs and histories keep it: GET \
         /api/v1/recognition/faces/{image_id}/img with the header x-api-key",
    ))
}

async fn everybody() -> Result<HttpResponse, Fault> {
    Err(Fault::forbidden(
        "taking out all subjects in one request is off: name one, DELETE \
         /api/v1/recognition/subjects/{subject}, or drop the whole collection, DELETE \
         /collections/{collection}",
    ))
}
