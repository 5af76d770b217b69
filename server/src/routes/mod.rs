//! Paths and what answers them. Handlers are short: parse, call, frame; each file lists its
//! operations beside them.

mod admin;
mod aliases;
mod batch;
mod cluster;
mod clustering;
mod collections;
mod docs;
mod faces;
mod health;
mod jobs;
mod keys;
mod look;
mod page;
mod payload;
mod people;
mod photos;
mod pictures;
mod points;
mod query;
#[cfg(test)]
mod recovering;
mod reembedding;
mod refused;
mod reindex;
mod snapshots;
mod tune;
mod vectors;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Error, HttpRequest};

use crate::access;
use crate::api::{self, Operation};
use crate::compreface::{self, Fault};
use crate::refusal::Refusal;

/// All routes, those for clients of CompreFace if they are spoken to.
pub(crate) fn configure(routes: &mut ServiceConfig, speaks_compreface: bool) {
    let paths = web::PathConfig::default().error_handler(|error, _| {
        Refusal::wrong(format!("the path cannot be read: {error}")).into()
    });
    routes.app_data(paths);
    let mut all = operations();
    all.extend(refused::operations());
    if speaks_compreface {
        all.extend(compreface::operations());
        all.extend(compreface::refused());
    }
    api::mount(all, routes);
    routes.default_service(web::to(move |request| nowhere(request, speaks_compreface)));
}

/// Whether somebody answers this method of a path, if only by saying what there is not.
pub(crate) fn is_answered(method: &Method, template: &str) -> bool {
    method == Method::OPTIONS
        || access::needs(method, template).is_some()
        || refused::is_known(method, template)
}

/// Everything that this server answers.
fn operations() -> Vec<Operation> {
    let of_files = [
        page::operations(),
        health::operations(),
        docs::operations(),
        cluster::operations(),
        collections::operations(),
        aliases::operations(),
        vectors::operations(),
        points::operations(),
        query::operations(),
        photos::operations(),
        tune::operations(),
        faces::operations(),
        people::operations(),
        pictures::operations(),
        look::operations(),
        payload::operations(),
        batch::operations(),
        snapshots::operations(),
        admin::operations(),
        jobs::operations(),
        clustering::operations(),
        reindex::operations(),
        reembedding::operations(),
        keys::operations(),
    ];
    of_files.into_iter().flatten().collect()
}

/// The same where CompreFace's API is spoken.
fn operations_with_compreface() -> Vec<Operation> {
    let mut all = operations();
    all.extend(compreface::operations());
    all
}

/// A path with `..` in it is told apart: it is no mere slip. Clients of CompreFace are told in their form.
async fn nowhere(request: HttpRequest, speaks_compreface: bool) -> Result<String, Error> {
    let path = request.path();
    let goes_through_dots = path.split('/').any(|part| part == ".." || part == ".");
    let refusal = match goes_through_dots {
        true => Refusal::wrong("a path must not go through `.` or `..`"),
        false => Refusal::not_found("there is nothing at this path"),
    };
    match speaks_compreface && compreface::is_of(path) {
        true => Err(Fault::from(refusal).into()),
        false => Err(refusal.into()),
    }
}

/// A collection's name as it stands in a path, checked before anything else is.
fn named(name: String) -> Result<String, Refusal> {
    engine::check_name(&name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Reach;

    #[test]
    fn every_operation_says_what_it_does_and_its_examples_are_read_as_bodies() {
        let operations = operations_with_compreface();
        for operation in &operations {
            assert!(operation.about.ends_with('.'), "{}", operation.id);
            for body in &operation.bodies {
                if let Some(example) = &body.example {
                    let read = (body.read)(&example.to_string());
                    assert_eq!(read, Ok(()), "{}: {example}", operation.id);
                }
            }
        }
        let mut ids: Vec<_> = operations.iter().map(|it| it.id).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    }

    #[test]
    fn what_every_operation_needs_stands_in_the_table_of_access() {
        for operation in operations_with_compreface() {
            let needs = access::needs(&operation.method, operation.path);
            let needs = needs.unwrap_or_else(|| {
                let (method, path) = (&operation.method, operation.path);
                panic!("{method} {path} is missing in server/src/access/table.rs")
            });
            let named = operation.path.contains("{collection}");
            assert_eq!(named, needs.reach == Reach::Named, "{}", operation.path);
        }
    }

    #[test]
    fn what_is_compared_first_is_there() {
        let operations = operations();
        for path in api::FIRST {
            assert!(operations.iter().any(|it| it.path == path), "{path}");
        }
    }

    #[test]
    fn every_example_is_what_its_schema_says() {
        let document = api::document(&operations_with_compreface());
        let judge = api::Judge::new(&document);
        let mut judged = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let asked = &operation["requestBody"]["content"]["application/json"];
                let told = &operation["responses"]["200"]["content"]["application/json"];
                for media in [asked, told] {
                    let Some(example) = media.get("example") else {
                        continue;
                    };
                    let judged_by = judge.judge(&media["schema"], example);
                    assert_eq!(judged_by, Ok(()), "{method} {path}: {example}");
                    judged += 1;
                }
            }
        }
        assert!(judged > 80, "{judged}");
    }

    /// With `UPDATE` set the file is written anew.
    #[test]
    fn the_table_of_compatibility_is_what_the_server_does() {
        const MARK: &str = "<!-- What follows is made from the server's own document. -->\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPATIBILITY.md");
        let refused = refused::operations();
        let refused: Vec<_> = refused
            .iter()
            .map(|it| (it.method.to_string(), it.path.to_owned()))
            .collect();
        let table = api::table(&api::document(&operations()), &refused);
        let text = std::fs::read_to_string(path).unwrap();
        let (head, rest) = text.split_once(MARK).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, format!("{head}{MARK}\n{table}")).unwrap();
            return;
        }
        assert!(
            rest.trim_start() == table,
            "docs/COMPATIBILITY.md is not what the server does; write it anew with \
             `UPDATE=1 cargo test -p server table_of_compatibility`"
        );
    }

    #[test]
    fn no_schema_of_a_body_says_that_anything_may_come() {
        let document = api::document(&operations_with_compreface());
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let asked = &operation["requestBody"]["content"]["application/json"]["schema"];
                let told = &operation["responses"]["200"]["content"]["application/json"]["schema"];
                for schema in [asked, &told["properties"]["result"]] {
                    assert_ne!(*schema, true, "{method} {path}");
                    let empty = schema.as_object().is_some_and(serde_json::Map::is_empty);
                    assert!(!empty, "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn the_document_has_every_operation_and_refers_to_nothing_that_is_not_in_it() {
        let operations = operations_with_compreface();
        let document = api::document(&operations);
        for operation in &operations {
            let method = operation.method.as_str().to_ascii_lowercase();
            let entry = &document["paths"][operation.path][method];
            assert_eq!(entry["operationId"], operation.id);
        }
        let text = document.to_string();
        let references = text.split("\"#/components/schemas/").skip(1);
        for reference in references {
            let name = reference.split('"').next().unwrap();
            let there = &document["components"]["schemas"][name];
            assert!(there.is_object(), "{name}");
        }
    }
}
