//! What every route answers before the data folder is open: that it is to be asked again.

use actix_web::App as Site;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::Data;
use config::{Config, Flag, Sources};

use super::operations_with_compreface;
use crate::access::Ring;
use crate::app::App;
use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::{access, middleware, routes};

const KEY: &str = "8b0cbd10-6f1c-4a11-9a5e-0d4f8ad8f0b7";
/// What can be told without the data, beside what is open to everyone.
const KNOWN: [&str; 3] = ["GET /admin/keys", "GET /cluster", "GET /metrics"];

fn config(dir: &std::path::Path) -> Config {
    let flag = |key, value: &str| Flag::new("test", key, value);
    let sources = Sources {
        flags: vec![
            flag("data_dir", dir.to_str().unwrap()),
            flag("api_key", KEY),
            flag("compreface.collection", "f"),
        ],
        ..Sources::default()
    };
    Config::load(&sources).unwrap()
}

#[test]
fn while_it_recovers_every_route_that_needs_the_data_says_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let audit = Audit::open(&config.audit).unwrap();
    let keys = Ring::open(Some(KEY), dir.path()).unwrap();
    let app = Data::new(App::new(config, Metrics::new(), keys, audit, None));
    actix_web::rt::System::new().block_on(async move {
        let site = Site::new()
            .app_data(app)
            .wrap(from_fn(middleware::guard))
            .wrap(from_fn(middleware::observe))
            .configure(|site| routes::configure(site, true));
        let site = init_service(site).await;
        let mut others = Vec::new();
        for operation in operations_with_compreface() {
            let (method, path) = (&operation.method, operation.path);
            if access::is_open(method, path) {
                continue;
            }
            let parts = path.split('/').map(|part| match part.starts_with('{') {
                true => "1",
                false => part,
            });
            let place = parts.collect::<Vec<_>>().join("/");
            let request = TestRequest::default()
                .method(method.clone())
                .uri(&place)
                .insert_header(("api-key", KEY))
                .insert_header(("x-api-key", KEY));
            let example = operation
                .bodies
                .iter()
                .find_map(|body| body.example.as_ref());
            let request = match example {
                Some(example) => request.set_json(example),
                None => request,
            };
            let answer = match try_call_service(&site, request.to_request()).await {
                Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
                Err(error) => error.error_response(),
            };
            let retry = answer.headers().contains_key(header::RETRY_AFTER);
            if (answer.status().as_u16(), retry) != (503, true) {
                others.push((format!("{method} {path}"), answer.status().as_u16()));
            }
        }
        let unknown = others.iter().filter(|(it, status)| {
            *status < 400 && !KNOWN.contains(&it.as_str()) || *status >= 500
        });
        let unknown: Vec<_> = unknown.collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        // The rest had no body that could be read.
        assert!(others.len() < 20, "{others:?}");
    });
}
