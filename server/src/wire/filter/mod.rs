//! Filters as they travel, in the dialect's shape, and their way to the engine's.
//!
//! They are read by hand, so that a mistake is told with its place and with what could stand there.
//! Nothing is passed over: a condition that is not known would let through whom it should not.

mod parts;
mod reader;
mod schema;

use engine::Filter;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::exact;
use crate::refusal::Refusal;

/// What was read, or what is wrong with it and where.
type Read<T> = Result<T, String>;

/// A filter in a body.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WireFilter(pub(crate) Filter);

impl<'de> Deserialize<'de> for WireFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = exact::value(deserializer)?;
        read(&value).map(Self).map_err(D::Error::custom)
    }
}

/// A filter that is JSON in a text, as in a field of a form.
pub(crate) fn parse(text: &str) -> Result<Filter, Refusal> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = exact::value(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = value.map_err(|error| Refusal::wrong(format!("`filter` is no JSON: {error}")))?;
    read(&value).map_err(Refusal::wrong)
}

fn read(value: &Value) -> Read<Filter> {
    reader::Reader::default().filter(value, "filter", 1)
}

#[cfg(test)]
mod tests {
    use engine::{Bounds, Condition, Scalar, Scalars, Test, Words};
    use serde_json::json;

    use super::*;
    use crate::limits::{FILTER_CONDITIONS, FILTER_DEPTH};

    fn one(condition: Value) -> Condition {
        let mut filter = read(&json!({"must": condition})).unwrap();
        filter.must.pop().unwrap()
    }

    fn test(test: Value) -> Test {
        let mut condition = json!({"key": "a.b[]"});
        let map = condition.as_object_mut().unwrap();
        map.extend(test.as_object().cloned().unwrap());
        match one(condition) {
            Condition::Key { key, test } => {
                assert_eq!(key.to_string(), "a.b[]");
                test
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_condition_of_the_dialect_is_read() {
        let texts = |list: &[&str]| Scalars::Texts(list.iter().map(|s| (*s).to_owned()).collect());
        let cases = [
            (
                json!({"match": {"value": "x"}}),
                Test::Value(Scalar::Text("x".into())),
            ),
            (
                json!({"match": {"value": 3}, "range": null}),
                Test::Value(Scalar::Integer(3)),
            ),
            (
                json!({"match": {"value": true}}),
                Test::Value(Scalar::Bool(true)),
            ),
            (json!({"match": {"any": ["x"]}}), Test::Any(texts(&["x"]))),
            (json!({"match": {"any": []}}), Test::Any(texts(&[]))),
            (
                json!({"match": {"except": [1]}}),
                Test::Except(Scalars::Integers([1].into())),
            ),
            (
                json!({"match": {"text": "a b"}}),
                Test::Text(Words::from("a b".to_owned())),
            ),
            (
                json!({"match": {"text_any": "a"}}),
                Test::TextAny(Words::from("a".to_owned())),
            ),
            (
                json!({"match": {"phrase": "a"}}),
                Test::Phrase(Words::from("a".to_owned())),
            ),
            (json!({"match": {"prefix": "a"}}), Test::Prefix("a".into())),
            (
                json!({"range": {"gte": 1, "lt": 2.5, "gt": null}}),
                Test::Number(Bounds {
                    gte: Some(1.0),
                    lt: Some(2.5),
                    ..Bounds::default()
                }),
            ),
            (
                json!({"range": {"gt": "1970-01-01T00:00:01Z"}}),
                Test::Date(Bounds {
                    gt: Some(1_000_000),
                    ..Bounds::default()
                }),
            ),
            (
                json!({"values_count": {"lte": 2}}),
                Test::Count(Bounds {
                    lte: Some(2),
                    ..Bounds::default()
                }),
            ),
            (json!({"is_empty": true}), Test::Empty),
            (json!({"is_null": true}), Test::Null),
        ];
        for (body, expected) in cases {
            assert_eq!(test(body.clone()), expected, "{body}");
        }
        let place = json!({"lon": 1.0, "lat": 2.0});
        let radius = test(json!({"geo_radius": {"center": place, "radius": 5}}));
        assert!(matches!(radius, Test::Radius { metres: 5.0, .. }));
        let area = json!({"top_left": {"lon": 0, "lat": 5}, "bottom_right": place});
        assert!(matches!(
            test(json!({"geo_bounding_box": area})),
            Test::Box(_)
        ));
        let ring = json!({"points": [place, place, place]});
        let polygon = test(json!({"geo_polygon": {"exterior": ring, "interiors": [ring]}}));
        assert!(matches!(polygon, Test::Polygon(p) if p.interiors.len() == 1));
        let uuid = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";
        assert!(
            matches!(one(json!({"has_id": [1, uuid]})), Condition::HasId(ids) if ids.len() == 2)
        );
        assert_eq!(
            one(json!({"has_vector": "face"})),
            Condition::HasVector("face".into())
        );
        let is_empty = one(json!({"is_empty": {"key": "x"}}));
        assert!(matches!(
            is_empty,
            Condition::Key {
                test: Test::Empty,
                ..
            }
        ));
        let nested = json!({"nested": {"key": "l", "filter": {"must": {"is_null": {"key": "x"}}}}});
        assert!(matches!(one(nested), Condition::Nested { .. }));
        let not_null = one(json!({"key": "x", "is_null": false}));
        assert!(matches!(not_null, Condition::Filter(f) if f.must_not.len() == 1));
    }

    #[test]
    fn clauses_take_a_list_or_one_and_filters_are_conditions() {
        let condition = json!({"has_id": [1]});
        let filter = read(&json!({
            "must": condition, "should": [condition, condition], "must_not": null,
            "min_should": {"conditions": [condition], "min_count": 1},
        }));
        let filter = filter.unwrap();
        assert_eq!(
            (
                filter.must.len(),
                filter.should.len(),
                filter.must_not.len()
            ),
            (1, 2, 0)
        );
        assert_eq!(filter.min_should.unwrap().min_count, 1);
        let inner = one(json!({"should": [condition], "must": null}));
        assert!(matches!(inner, Condition::Filter(f) if f.should.len() == 1));
        assert!(read(&json!({})).unwrap().is_empty());
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_could_stand_there() {
        let deep = (0..FILTER_DEPTH).fold(json!({}), |inner, _| json!({"must": [inner]}));
        let deep = json!({"must": [deep]});
        let many: Vec<_> = (0..=FILTER_CONDITIONS)
            .map(|_| json!({"has_id": []}))
            .collect();
        expect_mistakes(&[
            (json!([]), "`filter` must be an object"),
            (
                json!({"musst": []}),
                "`filter.musst` is unknown: a filter has `must`",
            ),
            (json!({"must": "x"}), "`filter.must` must be an object"),
            (
                json!({"must": [{}, {"has": 1}]}),
                "`filter.must[1].has` is unknown",
            ),
            (
                json!({"must": {"has_id": [1], "has_vector": "x"}}),
                "has both",
            ),
            (json!({"must": {"key": "a"}}), "says nothing about its key"),
            (
                json!({"must": {"key": 5, "match": {"value": 1}}}),
                "filter.must.key",
            ),
            (
                json!({"must": {"key": "a..b", "match": {"value": 1}}}),
                "a..b",
            ),
            (
                json!({"must": {"has_id": ["x"]}}),
                "`filter.must.has_id[0]`",
            ),
            (json!({"must": {"has_id": 7}}), "must be a list"),
            (
                json!({"must": {"nested": {"key": "a"}}}),
                "`filter.must.nested.filter` is missing",
            ),
            (
                json!({"must": {"nested": {"key": "a", "filter": {"must": {"has_id": [1]}}}}}),
                "beside `nested`",
            ),
            (json!({"min_should": {"conditions": []}}), "min_count"),
            (deep, "deep at most"),
            (json!({"must": many}), "conditions at most"),
        ]);
    }

    #[test]
    fn a_mistake_in_a_test_of_a_key_is_told_too() {
        let key = |test: Value| {
            let mut condition = json!({"key": "a"});
            let map = condition.as_object_mut().unwrap();
            map.extend(test.as_object().cloned().unwrap());
            json!({"must": [condition]})
        };
        expect_mistakes(&[
            (
                key(json!({"match": {"value": 1}, "range": {}})),
                "own condition",
            ),
            (
                key(json!({"is_empty": false, "range": {"lt": 1}})),
                "own condition",
            ),
            (
                key(json!({"matches": {}})),
                "`filter.must[0].matches` is unknown: a key",
            ),
            (
                key(json!({"match": {"regex": "x"}})),
                "`filter.must[0].match.regex` is unknown",
            ),
            (key(json!({"match": {}})), "is empty"),
            (key(json!({"match": {"value": 1.5}})), "`range`"),
            (key(json!({"match": {"value": ["x"]}})), "must be a text"),
            (
                key(json!({"match": {"any": ["x", 1]}})),
                "list of texts or a list of whole",
            ),
            (key(json!({"match": {"any": "x"}})), "must be a list"),
            (key(json!({"match": {"text": 1}})), "must be a text"),
            (
                key(json!({"range": {"from": 1}})),
                "`filter.must[0].range.from` is unknown",
            ),
            (key(json!({"range": {"lt": "tomorrow"}})), "RFC 3339"),
            (
                key(json!({"range": {"lt": "2024-01-01", "gt": 3}})),
                "RFC 3339",
            ),
            (key(json!({"range": {"lt": true}})), "must be a number"),
            (key(json!({"values_count": {"lt": -1}})), "0 or more"),
            (key(json!({"is_empty": "yes"})), "true or false"),
            (
                key(json!({"geo_radius": {"center": {"lon": 0, "lat": 91}, "radius": 1}})),
                "no place",
            ),
            (
                key(json!({"geo_radius": {"center": {"lon": 0, "lat": 1}, "radius": -1}})),
                "metres",
            ),
            (
                key(json!({"geo_polygon": {"exterior": {"points": []}}})),
                "3 to",
            ),
        ]);
    }

    /// What the document says of filters, and what is read.
    #[test]
    fn the_document_lets_through_what_is_read_and_nothing_else() {
        let mut generator = schemars::SchemaGenerator::new(
            schemars::generate::SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into()),
        );
        let schema = generator.subschema_for::<WireFilter>().to_value();
        let schemas = generator.take_definitions(true);
        let document = json!({"components": {"schemas": schemas}});
        let judge = crate::api::Judge::new(&document);
        let place = json!({"lon": 1.0, "lat": 2.0});
        let ring = json!({"points": [place, place, place]});
        let of_key = [
            json!({"match": {"value": "x", "any": null}, "range": null}),
            json!({"match": {"any": [1, 2]}}),
            json!({"match": {"except": ["x"]}}),
            json!({"match": {"text": "x"}}),
            json!({"range": {"gte": 1, "lt": null}}),
            json!({"range": {"gte": "2024-05-01T12:00:00Z"}}),
            json!({"values_count": {"gt": 1}}),
            json!({"geo_radius": {"center": place, "radius": 2.5}}),
            json!({"geo_bounding_box": {"top_left": {"lon": 0, "lat": 5}, "bottom_right": place}}),
            json!({"geo_polygon": {"exterior": ring, "interiors": null}}),
            json!({"is_empty": false}),
            json!({"match": {"value": 1.5}}),
            json!({"match": {"value": "x", "any": [1]}}),
            json!({"match": {"regex": null}}),
            json!({"match": {}}),
            json!({"range": {"from": null}}),
            json!({"range": {"lt": "2024-05-01T12:00:00Z", "gt": 3}}),
            json!({"values_count": {"gt": -1}}),
            json!({"geo_radius": {"center": {"lon": 0, "lat": 91}, "radius": 2.5}}),
            json!({"geo_polygon": {"exterior": {"points": [place]}}}),
            json!({"is_null": "yes"}),
            json!({"colour": null}),
            json!({"match": {"value": 1}, "range": {}}),
            json!({}),
        ];
        let of_key = of_key.into_iter().map(|mut test| {
            test["key"] = json!("a.b");
            json!({"must": [test]})
        });
        let whole = [
            json!({}),
            json!({"must": {"has_id": [1]}, "should": null}),
            json!({"must": [{}, {"must_not": [{"has_vector": "x"}]}]}),
            json!({"must": {"has_id": ["0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b"], "nested": null}}),
            json!({"min_should": {"conditions": [{"is_null": {"key": "x"}}], "min_count": 1}}),
            json!({"must": {"nested": {"key": "l", "filter": {"must": {"is_empty": {"key": "x"}}}}}}),
            json!([]),
            json!({"musst": null}),
            json!({"must": "x"}),
            json!({"must": {"has_id": 7}}),
            json!({"must": {"has_id": [1], "has_vector": "x"}}),
            json!({"must": {"nested": {"key": "a"}}}),
            json!({"must": {"nested": null}}),
            json!({"must_not": [{"must": null, "has_id": null}]}),
            json!({"min_should": {"conditions": []}}),
            json!({"must": {"key": 5, "match": {"value": 1}}}),
        ];
        let mut read_well = 0;
        for filter in of_key.chain(whole) {
            let (read, told) = (read(&filter), judge.judge(&schema, &filter));
            assert_eq!(read.is_ok(), told.is_ok(), "{filter}: {read:?}, {told:?}");
            read_well += usize::from(read.is_ok());
        }
        assert_eq!(read_well, 17);
    }

    fn expect_mistakes(cases: &[(Value, &str)]) {
        for (body, expected) in cases {
            let error = read(body).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
