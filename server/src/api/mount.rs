//! Mounting: operations become actix resources. Each path answers `OPTIONS`, each `GET` is a `HEAD`
//! too, and a method that nobody serves is told which ones are.

use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError, guard};

use super::operation::Operation;
use crate::refusal::Refusal;

/// Mounts operations. Of two paths that both match, the one with fewer names in braces wins.
pub(crate) fn mount(operations: Vec<Operation>, routes: &mut ServiceConfig) {
    let mut paths: Vec<&'static str> = operations.iter().map(|it| it.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.sort_by_key(|path| path.matches('{').count());
    for path in paths {
        let of_path: Vec<_> = operations.iter().filter(|it| it.path == path).collect();
        let allowed = allowed(&of_path);
        let mut resource = web::resource(path);
        if let [only] = of_path[..]
            && only.beside_a_name
        {
            let method = only.method.clone();
            resource = resource.guard(guard::Method(method));
        }
        for operation in of_path {
            let route = (operation.route)().method(operation.method.clone());
            resource = resource.route(route);
            if operation.method == Method::GET {
                resource = resource.route((operation.route)().method(Method::HEAD));
            }
        }
        let options = allowed.clone();
        resource = resource.route(web::method(Method::OPTIONS).to(move || {
            let allowed = options.clone();
            async move {
                HttpResponse::NoContent()
                    .insert_header((header::ALLOW, allowed))
                    .finish()
            }
        }));
        routes.service(resource.default_service(web::to(move || {
            let allowed = allowed.clone();
            async move {
                let mut response = Refusal::method(&allowed).error_response();
                if let Ok(value) = allowed.parse() {
                    response.headers_mut().insert(header::ALLOW, value);
                }
                response
            }
        })));
    }
}

/// The value of `Allow`.
fn allowed(operations: &[&Operation]) -> String {
    let mut methods: Vec<&str> = vec!["OPTIONS"];
    for operation in operations {
        methods.push(operation.method.as_str());
        if operation.method == Method::GET {
            methods.push("HEAD");
        }
    }
    methods.sort_unstable();
    methods.join(", ")
}
