//! The promise that matters most: with indexes or without, a filter lets the same points through.

use proptest::prelude::*;
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use storage::PointId;

use super::{IndexKind, PayloadIndexes, Points};
use crate::filter::{
    Bounds, Condition, Filter, GeoBox, GeoPoint, GeoPolygon, KeyPath, MinShould, Scalar, Scalars,
    Subject, Test, TextOptions, Tokenizer, Words,
};
use crate::numbers::PointNumber;
use crate::point::Payload;

const UUIDS: [&str; 3] = [
    "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b",
    "0F9A4B1C-2D3E-4F50-8A6B-7C8D9E0F1A2B",
    "0f9a4b1c2d3e4f508a6b7c8d9e0f1a2b",
];
const DATES: [&str; 3] = [
    "1970-01-01T00:00:01Z",
    "1970-01-01",
    "1970-01-01T02:00:01+02:00",
];
const TEXTS: [&str; 6] = ["red car", "Red", "car red", "blue", "", "red\u{10ffff}x"];

fn text() -> impl Strategy<Value = String> {
    let all = [&UUIDS[..], &DATES, &TEXTS].concat();
    prop::sample::select(all).prop_map(str::to_owned)
}

fn place() -> impl Strategy<Value = GeoPoint> {
    let degrees = prop::sample::select(vec![-170.0, -1.0, 0.0, 1.0, 1.001, 60.0, 179.0]);
    let lats = prop::sample::select(vec![-90.0, -1.0, 0.0, 0.5, 1.0, 89.0]);
    (degrees, lats).prop_map(|(lon, lat)| GeoPoint { lon, lat })
}

fn integer() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![
        -1,
        0,
        1,
        2,
        3,
        1 << 53,
        (1 << 53) + 1,
        i64::MAX,
        i64::MIN,
    ])
}

fn number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![
        -1.0,
        -0.0,
        0.0,
        1.0,
        1.5,
        2.0,
        9_007_199_254_740_992.0,
        1e19,
        -1e300,
    ])
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        number().prop_map(Value::from),
        Just(json!(u64::MAX)),
        text().prop_map(Value::from),
        place().prop_map(|place| json!({"lon": place.lon, "lat": place.lat})),
        Just(json!({"lon": 1})),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => leaf(),
        3 => prop::collection::vec(leaf(), 0..4).prop_map(Value::from),
        1 => prop::collection::vec(prop::collection::vec(leaf(), 0..2), 0..2).prop_map(Value::from),
        1 => leaf().prop_map(|inner| json!({"b": inner})),
        2 => prop::collection::vec(leaf().prop_map(|inner| json!({"b": inner})), 0..3)
            .prop_map(Value::from),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let keys = prop::sample::select(vec!["a", "c"]);
    prop::collection::btree_map(keys.prop_map(str::to_owned), value(), 0..3)
        .prop_map(|map| map.into_iter().collect())
}

fn key() -> impl Strategy<Value = KeyPath> {
    let paths = vec!["a", "a.b", "a[].b", "a[]", "a[0]", "c"];
    prop::sample::select(paths).prop_map(|path| KeyPath::parse(path).unwrap())
}

fn kind() -> impl Strategy<Value = IndexKind> {
    let tokenizers = vec![Tokenizer::Word, Tokenizer::Whitespace, Tokenizer::Prefix];
    let options = (
        prop::sample::select(tokenizers),
        any::<bool>(),
        prop::option::of(2u32..5),
    );
    let text = options.prop_map(|(tokenizer, lowercase, min_len)| {
        IndexKind::Text(TextOptions {
            tokenizer,
            lowercase,
            min_len,
            max_len: min_len.map(|min| min + 1),
        })
    });
    prop_oneof![
        2 => text,
        5 => prop::sample::select(vec![
            IndexKind::Keyword, IndexKind::Integer, IndexKind::Float, IndexKind::Bool,
            IndexKind::Datetime, IndexKind::Uuid, IndexKind::Geo,
        ]),
    ]
}

fn bounds<T: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Bounds<T>> {
    let some = || prop::option::of(value.clone());
    (some(), some(), some(), some()).prop_map(|(lt, gt, gte, lte)| Bounds { lt, gt, gte, lte })
}

fn words() -> impl Strategy<Value = Words> {
    prop::sample::select(vec!["red", "red car", "re", "blue car", "", "RED"])
        .prop_map(|text| Words::from(text.to_owned()))
}

fn scalars() -> impl Strategy<Value = Scalars> {
    prop_oneof![
        prop::collection::hash_set(text(), 0..4).prop_map(Scalars::Texts),
        prop::collection::hash_set(integer(), 0..4).prop_map(Scalars::Integers),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let corners = prop::collection::vec(place(), 3..5);
    let dates = prop::sample::select(vec![0, 1_000_000, 1_000_001]);
    let numbers = prop_oneof![number(), integer().prop_map(|n| n as f64)].boxed();
    let metres = prop::sample::select(vec![0.0, 111.0, 200_000.0, 3e7]);
    prop_oneof![
        text().prop_map(|text| Test::Value(Scalar::Text(text))),
        integer().prop_map(|number| Test::Value(Scalar::Integer(number))),
        any::<bool>().prop_map(|value| Test::Value(Scalar::Bool(value))),
        scalars().prop_map(Test::Any),
        scalars().prop_map(Test::Except),
        words().prop_map(Test::Text),
        words().prop_map(Test::TextAny),
        words().prop_map(Test::Phrase),
        prop::sample::select(vec!["", "re", "red", "red\u{10ffff}", "0"])
            .prop_map(|start| Test::Prefix(start.to_owned())),
        bounds(numbers).prop_map(Test::Number),
        bounds(dates).prop_map(Test::Date),
        bounds(0..3u64).prop_map(Test::Count),
        Just(Test::Empty),
        Just(Test::Null),
        (place(), metres).prop_map(|(center, metres)| Test::Radius { center, metres }),
        (place(), place()).prop_map(|(a, b)| Test::Box(GeoBox {
            top_left: GeoPoint {
                lat: a.lat.max(b.lat),
                ..a
            },
            bottom_right: GeoPoint {
                lat: a.lat.min(b.lat),
                ..b
            },
        })),
        corners.prop_map(|exterior| Test::Polygon(GeoPolygon {
            exterior,
            interiors: Vec::new()
        })),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let ids = prop::collection::hash_set((0..6u64).prop_map(PointId::Num), 0..4);
    let leaf = prop_oneof![
        8 => (key(), test()).prop_map(|(key, test)| Condition::Key { key, test }),
        1 => ids.prop_map(Condition::HasId),
        1 => prop::sample::select(vec!["", "odd"])
            .prop_map(|name| Condition::HasVector(name.to_owned())),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let element = (Just(KeyPath::of("b")), test());
        let element = element.prop_map(|(key, test)| Condition::Key { key, test });
        let within = prop::collection::vec(element, 0..3);
        prop_oneof![
            3 => filter(inner).prop_map(Condition::Filter),
            1 => within.prop_map(|must| Condition::Nested {
                key: KeyPath::of("a"),
                filter: Filter { must, ..Filter::default() },
            }),
        ]
    })
}

fn filter(condition: impl Strategy<Value = Condition> + Clone) -> impl Strategy<Value = Filter> {
    let some = || prop::collection::vec(condition.clone(), 0..3);
    let least = prop::option::of((some(), 0..3usize));
    (some(), some(), some(), least).prop_map(|(must, should, must_not, least)| Filter {
        must,
        should,
        must_not,
        min_should: least.map(|(conditions, min_count)| MinShould {
            conditions,
            min_count,
        }),
    })
}

/// Points 0, 1, 2, ... under numbers of their own; those with odd ids have the vector `odd`.
struct Ids(u32);

fn number_of(id: u64) -> u32 {
    u32::try_from(id * 7 % 11).unwrap()
}

fn has_vector(id: u64, name: &str) -> bool {
    name.is_empty() || id % 2 == 1
}

impl Points for Ids {
    fn number(&self, id: &PointId) -> Option<u32> {
        match id {
            PointId::Num(id) if *id < u64::from(self.0) => Some(number_of(*id)),
            _ => None,
        }
    }

    fn with_vector(&self, name: &str) -> RoaringBitmap {
        let ids = (0..u64::from(self.0)).filter(|id| has_vector(*id, name));
        ids.map(number_of).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn indexes_and_payloads_give_the_same_answer(
        payloads in prop::collection::vec((payload(), payload()), 1..7),
        indexes in prop::collection::vec((key(), kind()), 0..4),
        filter in filter(condition().boxed()),
    ) {
        let mut all = PayloadIndexes::new(indexes);
        for (id, (old, new)) in (0u64..).zip(&payloads) {
            let number = PointNumber(number_of(id));
            // What a point was before must have left no trace.
            all.put(number, all.entries(old));
            if id % 3 == 0 {
                all.forget(number);
            }
            all.put(number, all.entries(new));
            all.check(number, new).unwrap();
        }
        let resolved = all.resolve(&filter);
        let count = u32::try_from(payloads.len()).unwrap();
        let found = all.find(&resolved, &Ids(count));
        let through = (0u64..).zip(&payloads).filter(|(id, (_, payload))| {
            resolved.lets_through(&Subject {
                id: PointId::Num(*id),
                payload,
                has_vector: &|name| has_vector(*id, name),
            })
        });
        let through: RoaringBitmap = through.map(|(id, _)| number_of(id)).collect();
        prop_assert!(through.is_subset(&found.points), "left out: {:?}", &through - &found.points);
        if found.exact {
            prop_assert_eq!(&found.points, &through);
        }
    }
}

/// An index that knew nothing would pass the test above.
#[test]
fn what_an_index_is_made_for_it_answers_alone() {
    let value = |value: Value| json!({"a": value}).as_object().cloned().unwrap();
    let place = json!({"lon": 1.0, "lat": 1.0});
    let text = || Words::from("red car".to_owned());
    let texts = Scalars::Texts(["x".to_owned()].into());
    let number = Bounds {
        gte: Some(1.0),
        ..Bounds::default()
    };
    let center = GeoPoint { lon: 1.0, lat: 1.0 };
    let cases = [
        (
            IndexKind::Keyword,
            json!("x"),
            Test::Value(Scalar::Text("x".into())),
        ),
        (IndexKind::Keyword, json!("x"), Test::Any(texts.clone())),
        (IndexKind::Keyword, json!("y"), Test::Except(texts)),
        (IndexKind::Keyword, json!("xy"), Test::Prefix("x".into())),
        (IndexKind::Keyword, json!("red car"), Test::Text(text())),
        (
            IndexKind::Integer,
            json!(3),
            Test::Value(Scalar::Integer(3)),
        ),
        (IndexKind::Integer, json!(3), Test::Number(number)),
        (IndexKind::Float, json!(1.5), Test::Number(number)),
        (
            IndexKind::Bool,
            json!(true),
            Test::Value(Scalar::Bool(true)),
        ),
        (
            IndexKind::Datetime,
            json!("1970-01-01"),
            Test::Date(Bounds::default()),
        ),
        (
            IndexKind::Uuid,
            json!(UUIDS[0]),
            Test::Value(Scalar::Text(UUIDS[0].into())),
        ),
        (
            IndexKind::Text(TextOptions::default()),
            json!("a red car"),
            Test::Text(text()),
        ),
        (
            IndexKind::Geo,
            place.clone(),
            Test::Radius {
                center,
                metres: 1.0,
            },
        ),
        (IndexKind::Geo, place, Test::Empty),
    ];
    for (kind, stored, test) in cases {
        let mut all = PayloadIndexes::new(vec![(KeyPath::of("a"), kind)]);
        all.put(PointNumber(0), all.entries(&value(stored.clone())));
        all.put(
            PointNumber(1),
            all.entries(&value(json!(["red", "car", 0.5]))),
        );
        all.forget(PointNumber(1));
        let filter = Filter::must(Condition::Key {
            key: KeyPath::of("a"),
            test: test.clone(),
        });
        let found = all.find(&filter, &Ids(2));
        assert!(found.exact, "{kind:?} {test:?}");
        let expected = u64::from(test != Test::Empty);
        assert_eq!(found.points.len(), expected, "{kind:?} {test:?}");
    }
}
