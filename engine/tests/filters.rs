//! Payloads that change, indexes that come and go, and filters, beside a map that does the same.
//! The map's filters are written anew here, over plain JSON, so that a misreading shows.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use common::{ALL, open, query, vector};
use engine::{
    Ack, Bounds, Chosen, CollectionSpec, Condition, Engine, Filter, IndexKind, KeyPath, Metric,
    Payload, PayloadChange, Point, PointId, Scalar, Scalars, Test, TextOptions,
};
use proptest::prelude::*;
use serde_json::{Value, json};

type Model = BTreeMap<u64, Payload>;

/// A condition as this test has it.
#[derive(Debug, Clone)]
enum Plain {
    PersonIs(&'static str),
    PersonNot(&'static str),
    AgeFrom(i64),
    TagIn(Vec<&'static str>),
    NoTag,
    Says(&'static str),
    CityIs(&'static str),
    Ids(Vec<u64>),
    Not(Box<Plain>),
    Both(Box<Plain>, Box<Plain>),
    Either(Box<Plain>, Box<Plain>),
}

impl Plain {
    fn holds(&self, id: u64, payload: &Payload) -> bool {
        let text = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or("-");
        let tags = payload.get("tags").and_then(Value::as_array);
        let mut tags = tags.into_iter().flatten().filter_map(Value::as_str);
        match self {
            Plain::PersonIs(name) => text("person") == *name,
            Plain::PersonNot(name) => payload.contains_key("person") && text("person") != *name,
            Plain::AgeFrom(age) => payload
                .get("age")
                .is_some_and(|has| has.as_i64() >= Some(*age)),
            Plain::TagIn(wanted) => tags.any(|tag| wanted.contains(&tag)),
            Plain::NoTag => tags.next().is_none(),
            Plain::Says(word) => text("note").split(' ').any(|has| has == *word),
            Plain::CityIs(city) => payload.get("at").is_some_and(|at| at["city"] == **city),
            Plain::Ids(ids) => ids.contains(&id),
            Plain::Not(one) => !one.holds(id, payload),
            Plain::Both(a, b) => a.holds(id, payload) && b.holds(id, payload),
            Plain::Either(a, b) => a.holds(id, payload) || b.holds(id, payload),
        }
    }

    fn condition(&self) -> Condition {
        let at = |key: &str, test| Condition::Key {
            key: KeyPath::parse(key).unwrap(),
            test,
        };
        let texts = |list: &[&str]| Scalars::Texts(list.iter().map(|s| (*s).to_owned()).collect());
        match self {
            Plain::PersonIs(name) => at("person", Test::Value(Scalar::Text((*name).into()))),
            Plain::PersonNot(name) => at("person", Test::Except(texts(&[name]))),
            Plain::AgeFrom(age) => {
                let gte = Some(f64::from(i32::try_from(*age).unwrap()));
                at(
                    "age",
                    Test::Number(Bounds {
                        gte,
                        ..Bounds::default()
                    }),
                )
            }
            Plain::TagIn(wanted) => at("tags", Test::Any(texts(wanted))),
            Plain::NoTag => at("tags", Test::Empty),
            Plain::Says(word) => at("note", Test::Text((*word).to_owned().into())),
            Plain::CityIs(city) => at("at.city", Test::Value(Scalar::Text((*city).into()))),
            Plain::Ids(ids) => Condition::HasId(ids.iter().copied().map(PointId::Num).collect()),
            Plain::Not(one) => Condition::Filter(Filter {
                must_not: vec![one.condition()],
                ..Filter::default()
            }),
            Plain::Both(a, b) => Condition::Filter(Filter {
                must: vec![a.condition(), b.condition()],
                ..Filter::default()
            }),
            Plain::Either(a, b) => Condition::Filter(Filter {
                should: vec![a.condition(), b.condition()],
                ..Filter::default()
            }),
        }
    }

    fn filter(&self) -> Filter {
        Filter::must(self.condition())
    }
}

const NAMES: [&str; 3] = ["Ada", "Bob", "Cleo"];

fn plain() -> impl Strategy<Value = Plain> {
    let name = || prop::sample::select(NAMES.to_vec());
    let tag = prop::sample::select(vec!["x", "y", "z"]);
    let leaf = prop_oneof![
        name().prop_map(Plain::PersonIs),
        name().prop_map(Plain::PersonNot),
        (0..5i64).prop_map(Plain::AgeFrom),
        prop::collection::vec(tag, 0..3).prop_map(Plain::TagIn),
        Just(Plain::NoTag),
        prop::sample::select(vec!["red", "car"]).prop_map(Plain::Says),
        prop::sample::select(vec!["Ulm", "Bonn"]).prop_map(Plain::CityIs),
        prop::collection::vec(0..20u64, 0..9).prop_map(Plain::Ids),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|one| Plain::Not(one.into())),
            two.clone()
                .prop_map(|(a, b)| Plain::Both(a.into(), b.into())),
            two.prop_map(|(a, b)| Plain::Either(a.into(), b.into())),
        ]
    })
}

prop_compose! {
    fn payload()(
        person in prop::option::of(prop::sample::select(NAMES.to_vec())),
        age in prop::option::of(0..5i64),
        tags in prop::option::of(prop::collection::vec(prop::sample::select(vec!["x", "y", "z"]), 0..3)),
        note in prop::option::of(prop::sample::select(vec!["red car", "blue car", "red"])),
        city in prop::option::of(prop::sample::select(vec!["Ulm", "Bonn"])),
    ) -> Payload {
        let mut payload = json!({});
        if let Some(person) = person { payload["person"] = json!(person); }
        if let Some(age) = age { payload["age"] = json!(age); }
        if let Some(tags) = tags { payload["tags"] = json!(tags); }
        if let Some(note) = note { payload["note"] = json!(note); }
        if let Some(city) = city { payload["at"] = json!({"city": city}); }
        payload.as_object().cloned().unwrap()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, Payload)>),
    Delete(Vec<u64>),
    DeleteWhere(Plain),
    Set(Plain, Payload),
    SetIds(Vec<u64>, Payload),
    SetCity(Plain, &'static str),
    Overwrite(Plain, Payload),
    DropKey(Plain, &'static str),
    Clear(Plain),
    Index(usize),
    DropIndex(usize),
    Checkpoint,
    Reopen,
    LoseTables,
}

fn indexes() -> [(KeyPath, IndexKind); 5] {
    let key = |key| KeyPath::parse(key).unwrap();
    [
        (key("person"), IndexKind::Keyword),
        (key("age"), IndexKind::Integer),
        (key("tags"), IndexKind::Keyword),
        (key("note"), IndexKind::Text(TextOptions::default())),
        (key("at.city"), IndexKind::Keyword),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let points = prop::collection::vec((0..20u64, payload()), 1..8);
    let ids = || prop::collection::vec(0..20u64, 1..4);
    let step = prop_oneof![
        8 => points.prop_map(Step::Upsert),
        1 => ids().prop_map(Step::Delete),
        1 => plain().prop_map(Step::DeleteWhere),
        3 => (plain(), payload()).prop_map(|(to, new)| Step::Set(to, new)),
        1 => (ids(), payload()).prop_map(|(to, new)| Step::SetIds(to, new)),
        2 => (plain(), prop::sample::select(vec!["Ulm", "Bonn"]))
            .prop_map(|(to, city)| Step::SetCity(to, city)),
        1 => (plain(), payload()).prop_map(|(to, new)| Step::Overwrite(to, new)),
        2 => (plain(), prop::sample::select(vec!["person", "age", "tags", "at"]))
            .prop_map(|(from, key)| Step::DropKey(from, key)),
        1 => plain().prop_map(Step::Clear),
        4 => (0..5usize).prop_map(Step::Index),
        1 => (0..5usize).prop_map(Step::DropIndex),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseTables),
    ];
    prop::collection::vec(step, 1..24)
}

fn through(model: &Model, filter: &Plain) -> Vec<u64> {
    let through = model
        .iter()
        .filter(|(id, payload)| filter.holds(**id, payload));
    through.map(|(id, _)| *id).collect()
}

fn merge(payload: &mut Payload, new: &Payload) {
    payload.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
}

fn put(engine: &Engine, points: Vec<(u64, Payload)>) {
    let points = points.into_iter().map(|(id, payload)| Point {
        id: PointId::Num(id),
        vectors: vector(id).into(),
        payload,
        face: None,
    });
    engine.upsert("c", points.collect(), Ack::Applied).unwrap();
}

fn change(engine: &Engine, to: &Plain, change: PayloadChange) {
    let chosen = Chosen::Filter(to.filter());
    engine
        .change_payload("c", chosen, &change, Ack::Applied)
        .unwrap();
}

fn for_each(model: &mut Model, to: &Plain, change: impl Fn(&mut Payload)) {
    let through = model
        .iter_mut()
        .filter(|(id, payload)| to.holds(**id, payload));
    through.for_each(|(_, payload)| change(payload));
}

/// A write, done to both.
fn write(engine: &Engine, model: &mut Model, step: Step) {
    match step {
        Step::Upsert(points) => {
            put(engine, points.clone());
            model.extend(points);
        }
        Step::Delete(ids) => {
            let gone = ids.iter().copied().map(PointId::Num).collect();
            engine.delete("c", gone, Ack::Applied).unwrap();
            model.retain(|id, _| !ids.contains(id));
        }
        Step::DeleteWhere(filter) => {
            let gone = through(model, &filter);
            let (_, count) = engine
                .delete_where("c", &filter.filter(), Ack::Applied)
                .unwrap();
            assert_eq!(count, gone.len());
            model.retain(|id, _| !gone.contains(id));
        }
        Step::Set(to, payload) => {
            for_each(model, &to, |has| merge(has, &payload));
            change(engine, &to, PayloadChange::Set { payload, key: None });
        }
        Step::SetIds(ids, payload) => {
            let there: HashSet<u64> = ids
                .into_iter()
                .filter(|id| model.contains_key(id))
                .collect();
            there
                .iter()
                .for_each(|id| merge(model.get_mut(id).unwrap(), &payload));
            let chosen = Chosen::Ids(there.into_iter().map(PointId::Num).collect());
            let set = PayloadChange::Set { payload, key: None };
            engine
                .change_payload("c", chosen, &set, Ack::Applied)
                .unwrap();
        }
        Step::SetCity(to, city) => {
            for_each(model, &to, |has| {
                drop(has.insert("at".into(), json!({"city": city})))
            });
            let payload = json!({"city": city}).as_object().cloned().unwrap();
            let key = Some(KeyPath::of("at"));
            change(engine, &to, PayloadChange::Set { payload, key });
        }
        Step::Overwrite(to, payload) => {
            for_each(model, &to, |has| has.clone_from(&payload));
            change(engine, &to, PayloadChange::Overwrite { payload, key: None });
        }
        Step::DropKey(from, key) => {
            for_each(model, &from, |has| drop(has.remove(key)));
            change(engine, &from, PayloadChange::Delete(vec![KeyPath::of(key)]));
        }
        Step::Clear(from) => {
            for_each(model, &from, Payload::clear);
            change(engine, &from, PayloadChange::Clear);
        }
        Step::Index(n) => {
            let (key, kind) = indexes()[n].clone();
            engine.create_index("c", key, kind, Ack::Applied).unwrap();
        }
        Step::DropIndex(n) => {
            engine
                .drop_index("c", &indexes()[n].0, Ack::Applied)
                .unwrap();
        }
        Step::Checkpoint => drop(engine.checkpoint().unwrap()),
        Step::Reopen | Step::LoseTables => unreachable!("these are of the whole folder"),
    }
}

fn compare(engine: &Engine, model: &Model, filter: &Plain) -> Result<(), TestCaseError> {
    let expected = through(model, filter);
    let wire = filter.filter();
    prop_assert_eq!(engine.count_where("c", &wire).unwrap(), expected.len());
    let page = engine.scroll_where("c", &wire, None, 100, ALL).unwrap();
    let told: Vec<_> = page.points.iter().map(|point| point.id).collect();
    let numbers: Vec<_> = expected.iter().copied().map(PointId::Num).collect();
    prop_assert_eq!(&told, &numbers);
    for point in page.points {
        let PointId::Num(id) = point.id else { continue };
        prop_assert_eq!(point.payload.as_ref(), model.get(&id));
    }
    let mut search = query(vector(3), 100);
    search.filter = Some(wire);
    let hits = engine.search("c", &search).unwrap();
    let found: BTreeSet<_> = hits.iter().map(|hit| hit.point.id).collect();
    prop_assert_eq!(found, numbers.into_iter().collect::<BTreeSet<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filters_find_what_a_map_would_whatever_was_written_and_restarted(
        steps in steps(),
        filters in prop::collection::vec(plain(), 3..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path());
        engine.create_collection("c", CollectionSpec::new(4, Metric::Euclid)).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Reopen => {
                    drop(engine);
                    engine = open(dir.path());
                }
                Step::LoseTables => {
                    drop(engine);
                    fs::remove_dir_all(dir.path().join("tables")).unwrap();
                    engine = open(dir.path());
                }
                step => write(&engine, &mut model, step),
            }
            for filter in &filters {
                compare(&engine, &model, filter)?;
            }
        }
        engine.check("c").unwrap();
    }
}
