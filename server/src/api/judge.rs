//! Whether a value is what a schema of the document says: as much of JSON Schema as the document
//! uses, for the tests that hold the document against what the server reads and tells.

use serde_json::{Map, Value};

/// Judges values by the schemas of one document.
pub(crate) struct Judge<'a> {
    document: &'a Value,
}

/// Words that say nothing about a value.
const NOTES: &[&str] = &[
    "description",
    "default",
    "format",
    "example",
    "deprecated",
    "contentEncoding",
    "contentMediaType",
    "title",
    "x-effect",
];

impl<'a> Judge<'a> {
    pub(crate) fn new(document: &'a Value) -> Self {
        Self { document }
    }

    /// What is wrong with the value, first of all.
    pub(crate) fn judge(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(schema) => schema,
            other => return Err(format!("{value} is refused by {other}")),
        };
        for (word, rule) in schema {
            self.word(schema, word, rule, value)
                .map_err(|why| match why.is_empty() {
                    true => format!("{value}: {word} {rule}"),
                    false => why,
                })?;
        }
        Ok(())
    }

    fn word(
        &self,
        schema: &Map<String, Value>,
        word: &str,
        rule: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let holds = |held: bool| if held { Ok(()) } else { Err(String::new()) };
        match word {
            "$ref" => self.judge(self.named(rule), value),
            "type" => holds(list(rule).iter().any(|name| is(value, name))),
            "const" => holds(rule == value),
            "enum" => holds(list(rule).contains(value)),
            "anyOf" => self.any(rule, value),
            "oneOf" => {
                let held = list(rule)
                    .iter()
                    .filter(|one| self.judge(one, value).is_ok());
                holds(held.count() == 1)
            }
            "allOf" => list(rule).iter().try_for_each(|one| self.judge(one, value)),
            "not" => holds(self.judge(rule, value).is_err()),
            "minimum" => holds(number(value).is_none_or(|it| Some(it) >= number(rule))),
            "maximum" => holds(number(value).is_none_or(|it| Some(it) <= number(rule))),
            "minLength" => holds(value.as_str().is_none_or(|it| it.len() >= count(rule))),
            "maxLength" => holds(value.as_str().is_none_or(|it| it.len() <= count(rule))),
            "maxProperties" => holds(value.as_object().is_none_or(|it| it.len() <= count(rule))),
            "minItems" => holds(value.as_array().is_none_or(|it| it.len() >= count(rule))),
            "maxItems" => holds(value.as_array().is_none_or(|it| it.len() <= count(rule))),
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.try_for_each(|item| self.judge(rule, item))
            }
            "required" => match value.as_object() {
                None => Ok(()),
                Some(map) => holds(list(rule).iter().all(|name| {
                    let name = name.as_str().unwrap();
                    map.contains_key(name)
                })),
            },
            "properties" => value.as_object().map_or(Ok(()), |map| {
                map.iter()
                    .try_for_each(|(name, value)| match rule.get(name) {
                        Some(rule) => {
                            let judged = self.judge(rule, value);
                            judged.map_err(|why| format!("`{name}`: {why}"))
                        }
                        None => Ok(()),
                    })
            }),
            "additionalProperties" => value.as_object().map_or(Ok(()), |map| {
                let known = schema.get("properties").and_then(Value::as_object);
                let known = |name: &str| known.is_some_and(|known| known.contains_key(name));
                let others = map.iter().filter(|(name, _)| !known(name));
                others.into_iter().try_for_each(|(name, value)| {
                    let judged = self.judge(rule, value);
                    judged.map_err(|why| format!("unknown `{name}`: {why}"))
                })
            }),
            note if NOTES.contains(&note) => Ok(()),
            other => panic!("the judge does not know `{other}`"),
        }
    }

    fn any(&self, rule: &Value, value: &Value) -> Result<(), String> {
        let mut reasons = Vec::new();
        for one in list(rule) {
            match self.judge(one, value) {
                Ok(()) => return Ok(()),
                Err(why) => reasons.push(why),
            }
        }
        Err(reasons.join("; "))
    }

    fn named(&self, reference: &Value) -> &Value {
        let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
        &self.document["components"]["schemas"][name]
    }
}

fn list(rule: &Value) -> &[Value] {
    match rule {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    }
}

fn is(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type `{other}`"),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

fn count(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}
