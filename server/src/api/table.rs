//! The table of `docs/COMPATIBILITY.md`, made from the document: each endpoint of the dialect, each
//! option of it, and what becomes of it. A test holds the file against it.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};

/// The table; `refused` are the endpoints that answer 501, as method and path.
pub(crate) fn table(document: &Value, refused: &[(String, String)]) -> String {
    let mut out = "## Endpoints\n\n| endpoint | | parameters | body |\n| --- | --- | --- | --- |\n"
        .to_owned();
    let mut bodies = BTreeSet::new();
    for (path, methods) in entries(&document["paths"]).filter(|(path, _)| of_dialect(path)) {
        for (method, operation) in entries(methods) {
            let (method, params) = (method.to_uppercase(), parameters(operation));
            let body = body(operation);
            bodies.extend(body.map(str::to_owned));
            let body = body.map_or(String::new(), |name| {
                format!("[{name}](#{})", name.to_lowercase())
            });
            line(
                &mut out,
                &format!("`{method} {path}` | works | {params} | {body}"),
            );
        }
    }
    for (method, path) in refused {
        line(
            &mut out,
            &format!("`{method} {path}` | refused by name, 501 | |"),
        );
    }
    out.push_str("\n## Bodies\n");
    for name in reached(document, bodies) {
        let schema = &document["components"]["schemas"][&name];
        let fields = fields(schema);
        if fields.is_empty() {
            continue;
        }
        let head = format!("\n### {name}\n\n| field | | |\n| --- | --- | --- |\n");
        out.push_str(&head);
        for (field, schema) in fields {
            let about = schema["description"].as_str().unwrap_or_default();
            let about = about.replace(['\n', '|'], " ");
            let about = match state(&schema) {
                "works" => format!("works | {} {about}", words(document, &schema)),
                "no effect" => format!("accepted without effect | {}", hinted(&schema)),
                _ => "refused by name, 400 |".to_owned(),
            };
            line(&mut out, &format!("`{field}` | {}", about.trim()));
        }
    }
    out
}

fn line(out: &mut String, cells: &str) {
    writeln!(out, "| {} |", cells.trim_end_matches('|').trim()).expect("a text takes all");
}

/// What is ours alone is not in the table.
fn of_dialect(path: &str) -> bool {
    let ours = ["/admin/", "/docs", "/openapi.json", "/web/", "/style.css"];
    let ours = ours.iter().any(|start| path.starts_with(start));
    !ours && !path.contains("/faces") && !path.contains("/people") && !path.starts_with("/favicon")
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn parameters(operation: &Value) -> String {
    let list = operation["parameters"].as_array().into_iter().flatten();
    let of_url = list.filter(|it| it["in"] == "query");
    let told = of_url.map(|it| {
        let name = it["name"].as_str().unwrap_or_default();
        match state(&it["schema"]) {
            "works" => format!("`{name}`"),
            _ => format!("`{name}` (no effect)"),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

fn body(operation: &Value) -> Option<&str> {
    let content = &operation["requestBody"]["content"]["application/json"];
    content["schema"]["$ref"].as_str()?.rsplit('/').next()
}

/// Bodies and all that they are made of.
fn reached(document: &Value, names: BTreeSet<String>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<String> = names.into_iter().collect();
    while let Some(name) = left.pop() {
        let schema = document["components"]["schemas"][&name].to_string();
        if reached.insert(name) {
            let parts = schema.split("\"#/components/schemas/").skip(1);
            left.extend(parts.filter_map(|part| Some(part.split('"').next()?.to_owned())));
        }
    }
    reached
}

/// The fields of an object, or of the objects that may stand in one place.
fn fields(schema: &Value) -> Map<String, Value> {
    let own = schema["properties"].as_object().cloned();
    let mut fields = own.unwrap_or_default();
    if !fields.is_empty() {
        return fields;
    }
    let choices = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    for choice in choices.into_iter().flatten() {
        for (name, schema) in self::fields(choice) {
            let silent = fields
                .get(&name)
                .is_none_or(|known| state(known) == "refused");
            if silent {
                fields.insert(name, schema);
            }
        }
    }
    fields
}

fn state(schema: &Value) -> &'static str {
    if schema["x-effect"] == "none" {
        "no effect"
    } else if schema["type"] == "null" {
        "refused"
    } else {
        "works"
    }
}

/// The words that are all that may be said, where that is so.
fn words(document: &Value, schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| {
        let choices = schema["anyOf"].as_array()?.iter();
        choices.filter_map(|it| it["$ref"].as_str()).next()
    });
    let name = reference.and_then(|it| it.rsplit('/').next());
    let named = name.map(|name| &document["components"]["schemas"][name]);
    let schema = named.unwrap_or(schema);
    let list = |key: &str| schema[key].as_array().into_iter().flatten();
    let told = list("oneOf").map(|it| &it["const"]).chain(list("enum"));
    let told = told.filter(|it| !it.is_null());
    let told: Vec<_> = told.map(|it| format!("`{it}`")).collect();
    match told.is_empty() {
        true => String::new(),
        false => format!("{}.", told.join(", ")),
    }
}

/// Fields of a hint, and values that are the only ones to be taken.
fn hinted(schema: &Value) -> String {
    let names = entries(&schema["properties"]).map(|(name, _)| format!("`{name}`"));
    let names: Vec<_> = names.collect();
    let words = schema["enum"].as_array().into_iter().flatten();
    let words = words.filter(|it| !it.is_null()).map(|it| format!("`{it}`"));
    let words: Vec<_> = words.collect();
    match (names.is_empty(), words.is_empty()) {
        (false, _) => names.join(", "),
        (true, false) => format!("only {}", words.join(", ")),
        (true, true) => String::new(),
    }
}
