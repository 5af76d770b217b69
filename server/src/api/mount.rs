//! Mounting: operations become actix resources. Each path answers `OPTIONS`, each `GET` is a `HEAD`
//! too, and a method that nobody serves is told which ones are.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpResponse, ResponseError, Route, guard};

use super::operation::{Answer, Operation};
use crate::compreface;
use crate::refusal::Refusal;

/// What is asked for most, most of all first. actix compares a path with one pattern after the other,
/// once to find who answers and again for every question what was matched.
pub(crate) const FIRST: [&str; 6] = [
    "/collections/{collection}/points/query",
    "/collections/{collection}/points/search",
    "/collections/{collection}/points",
    "/collections/{collection}/faces/search",
    "/collections/{collection}/faces",
    "/collections/{collection}/points/query/batch",
];

/// Mounts operations. Of two paths that both match, the one with fewer names in braces wins.
pub(crate) fn mount(operations: Vec<Operation>, routes: &mut ServiceConfig) {
    let mut paths: Vec<&'static str> = operations.iter().map(|it| it.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.sort_by_key(|path| {
        let first = FIRST.iter().position(|first| first == path);
        (first.unwrap_or(FIRST.len()), path.matches('{').count())
    });
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
            resource = resource.route(route(operation, operation.method.clone()));
            if operation.method == Method::GET {
                resource = resource.route(route(operation, Method::HEAD));
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
        if compreface::is_of(path) {
            let no_method =
                |method: Method| async move { compreface::no_method(&method).error_response() };
            routes.service(resource.default_service(web::to(no_method)));
            continue;
        }
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

/// Where nothing may stand behind the question mark, something there is refused as it is elsewhere;
/// clients of CompreFace, pages, probes and documents bear what others append to their addresses.
fn route(operation: &Operation, method: Method) -> Route {
    let route = (operation.route)().method(method);
    let of_data = matches!(operation.answer, Answer::Framed(..)) || operation.path.contains('{');
    let of_data = of_data && !compreface::is_of(operation.path);
    match operation.params {
        None if of_data => route.wrap(from_fn(without_parameters)),
        _ => route,
    }
}

async fn without_parameters(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let query = request.query_string();
    if !query.is_empty() {
        let query: String = query.chars().take(80).collect();
        let message = format!("in the URL: `{query}` is unknown: this path takes no parameters");
        return Err(Refusal::wrong(message).into());
    }
    Ok(next.call(request).await?.map_into_boxed_body())
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
