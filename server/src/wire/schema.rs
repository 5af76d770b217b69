//! What a JSON Schema says beyond the names and types of fields, so that the document refuses what
//! the server refuses: one of several fields, a second name of a field.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// Exactly one of these fields says something; the others are absent or null.
pub(crate) fn one_of(names: &'static [&'static str]) -> impl FnMut(&mut Schema) {
    move |schema| {
        let choices = names.iter().map(|name| {
            let mut properties: Map<String, Value> = names
                .iter()
                .map(|other| ((*other).to_owned(), json!({"type": "null"})))
                .collect();
            let said = json!({"not": {"type": "null"}});
            properties.insert((*name).to_owned(), said);
            json!({"required": [name], "properties": properties})
        });
        let choices: Vec<Value> = choices.collect();
        schema.insert("anyOf".to_owned(), choices.into());
    }
}

/// The field that says whether vectors are shown, under the name that some clients give it.
pub(crate) fn with_vectors_too(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties
        && let Some(field) = properties.get("with_vector").cloned()
    {
        let mut field = match field {
            Value::Object(map) => map,
            other => return drop(properties.insert("with_vectors".to_owned(), other)),
        };
        let about = "Another name of `with_vector`; only one of both may be there.";
        field.insert("description".to_owned(), about.into());
        properties.insert("with_vectors".to_owned(), field.into());
    }
}

/// A text that is cut into steps, as in `camera.maker` or `tags[]`.
pub(crate) fn key(schema: &mut Schema) {
    schema.insert("minLength".to_owned(), 1.into());
    schema.insert("maxLength".to_owned(), engine::limits::MAX_KEY_LEN.into());
}

/// A field that is taken and changes nothing.
pub(crate) fn no_effect(schema: &mut Schema) {
    schema.insert("x-effect".to_owned(), "none".into());
    let about = schema.get("description").and_then(Value::as_str);
    let about = match about {
        Some(about) => format!("{about} Taken; it has no effect here."),
        None => "Taken; it has no effect here.".to_owned(),
    };
    schema.insert("description".to_owned(), about.into());
}

/// An object of which only the names are known, and which changes nothing.
pub(crate) fn hints(names: &'static [&'static str]) -> impl FnMut(&mut Schema) {
    move |schema| {
        let properties = names.iter().map(|name| ((*name).to_owned(), json!({})));
        let properties: Map<String, Value> = properties.collect();
        let hints = json!({
            "type": ["object", "null"], "properties": properties, "additionalProperties": false,
        });
        *schema = Schema::try_from(hints).unwrap_or_default();
        no_effect(schema);
    }
}
