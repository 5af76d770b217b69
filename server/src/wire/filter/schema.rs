//! Filters as the document tells them: what is read by hand is told by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::WireFilter;
use crate::limits::{FILTER_CONDITIONS, POLYGON_CORNERS};
use crate::wire::id::Id;

impl JsonSchema for WireFilter {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Condition>();
        let clause = json!({"anyOf": [
            condition,
            {"type": "array", "items": condition, "maxItems": FILTER_CONDITIONS},
            {"type": "null"},
        ]});
        let min_should = generator.subschema_for::<MinShould>();
        let mut schema = object(
            &[],
            json!({
                "must": clause, "should": clause, "must_not": clause,
                "min_should": {"anyOf": [min_should, {"type": "null"}]},
            }),
        );
        schema["description"] =
            json!("All of `must`, one of `should`, none of `must_not`, some of `min_should`.");
        of(schema)
    }
}

/// One condition: a test of a key, a question about the point, or a filter of its own.
struct Condition;

impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let filter = generator.subschema_for::<WireFilter>();
        let nested = generator.subschema_for::<Nested>();
        let id = generator.subschema_for::<Id>();
        let test = generator.subschema_for::<KeyTest>();
        let of_key = object(&["key"], json!({"key": key()}));
        let questions = json!({
            "has_id": {"type": "array", "items": id},
            "has_vector": {"type": "string"},
            "is_empty": of_key,
            "is_null": of_key,
            "nested": nested,
        });
        let mut choices = vec![json!(test), json!(filter)];
        choices.extend(one_said(&questions, &Map::new()));
        json_schema!({"anyOf": choices})
    }
}

/// A key and one test of what is there.
struct KeyTest;

impl JsonSchema for KeyTest {
    fn schema_name() -> Cow<'static, str> {
        "FieldCondition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tests = json!({
            "match": generator.subschema_for::<Match>(),
            "range": generator.subschema_for::<Range>(),
            "values_count": generator.subschema_for::<ValuesCount>(),
            "geo_radius": generator.subschema_for::<GeoRadius>(),
            "geo_bounding_box": generator.subschema_for::<GeoBoundingBox>(),
            "geo_polygon": generator.subschema_for::<GeoPolygon>(),
            "is_empty": {"type": "boolean"},
            "is_null": {"type": "boolean"},
        });
        let beside = Map::from_iter([("key".to_owned(), key())]);
        json_schema!({"anyOf": one_said(&tests, &beside)})
    }
}

/// Parts with a name of their own, so that the table of what is compatible tells their fields.
macro_rules! parts {
    ($($name:ident = $told:expr;)*) => {$(
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let told: fn(&mut SchemaGenerator) -> Value = $told;
                of(told(generator))
            }
        }
    )*};
}

parts! {
    MinShould = |generator| {
        let condition = generator.subschema_for::<Condition>();
        object(
            &["conditions", "min_count"],
            json!({
                "conditions": {"anyOf": [
                    condition,
                    {"type": "array", "items": condition, "maxItems": FILTER_CONDITIONS},
                ]},
                "min_count": {"type": "integer", "minimum": 0},
            }),
        )
    };
    Nested = |generator| {
        let filter = generator.subschema_for::<WireFilter>();
        object(&["key", "filter"], json!({"key": key(), "filter": filter}))
    };
    Match = |_| match_test();
    Range = |_| json!({"anyOf": [
        bounds(&json!({"type": ["number", "null"]})),
        bounds(&json!({"type": ["string", "null"], "format": "date-time"})),
    ]});
    ValuesCount = |_| bounds(&json!({"type": ["integer", "null"], "minimum": 0}));
    GeoRadius = |generator| object(
        &["center", "radius"],
        json!({
            "center": generator.subschema_for::<GeoPoint>(),
            "radius": {"type": "number", "minimum": 0, "description": "Metres."},
        }),
    );
    GeoBoundingBox = |generator| {
        let place = generator.subschema_for::<GeoPoint>();
        object(&["top_left", "bottom_right"], json!({"top_left": place, "bottom_right": place}))
    };
    GeoPolygon = |generator| {
        let ring = generator.subschema_for::<GeoLineString>();
        let rings = json!({"type": ["array", "null"], "items": ring});
        object(&["exterior"], json!({"exterior": ring, "interiors": rings}))
    };
    GeoLineString = |generator| {
        let place = generator.subschema_for::<GeoPoint>();
        object(
            &["points"],
            json!({"points": {
                "type": "array", "items": place, "minItems": 3, "maxItems": POLYGON_CORNERS,
            }}),
        )
    };
    GeoPoint = |_| {
        let degrees =
            |most: u32| json!({"type": "number", "minimum": -i64::from(most), "maximum": most});
        object(&["lon", "lat"], json!({"lon": degrees(180), "lat": degrees(90)}))
    };
}

fn match_test() -> Value {
    let text = json!({"type": "string"});
    let whole = json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX});
    let list = json!({"anyOf": [
        {"type": "array", "items": text},
        {"type": "array", "items": whole},
    ]});
    let tests = json!({
        "value": {"anyOf": [text, whole, {"type": "boolean"}]},
        "any": list,
        "except": list,
        "text": text,
        "text_any": text,
        "phrase": text,
        "prefix": text,
    });
    json!({"anyOf": one_said(&tests, &Map::new())})
}

/// Objects in which one of these names says something and the others are absent or null.
fn one_said(tests: &Value, beside: &Map<String, Value>) -> Vec<Value> {
    let tests = tests.as_object().cloned().unwrap_or_default();
    let choices = tests.iter().map(|(name, test)| {
        let mut properties = beside.clone();
        let silent = tests
            .keys()
            .map(|name| (name.clone(), json!({"type": "null"})));
        properties.extend(silent);
        properties.insert(name.clone(), test.clone());
        let mut required: Vec<&str> = beside.keys().map(String::as_str).collect();
        required.push(name);
        object(&required, Value::Object(properties))
    });
    choices.collect()
}

fn bounds(bound: &Value) -> Value {
    object(
        &[],
        json!({"lt": bound, "lte": bound, "gt": bound, "gte": bound}),
    )
}

fn key() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": engine::limits::MAX_KEY_LEN})
}

fn object(required: &[&str], properties: Value) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object.insert("additionalProperties".to_owned(), json!(false));
    Value::Object(object)
}

fn of(object: Value) -> Schema {
    match object {
        Value::Object(map) => map.into(),
        _ => Schema::default(),
    }
}
