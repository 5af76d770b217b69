//! Points with several vectors, beside a map that does the same: upserts, updates, deletes, vectors
//! that come and go, checkpoints and restarts.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::named::{
    Model, NAMES, chosen, expect, made, num, open_after_crash, search, spec, vectors,
};
use common::{open, payload};
use engine::{
    Ack, CollectionChange, Copied, Engine, Error, IndexChange, Metric, Point, Quantization, Select,
    VectorSpec, Vectors, Which,
};
use proptest::prelude::*;
use serde_json::json;

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, u8, u16)>),
    Update(Vec<(u64, u8, u16)>),
    DeleteVectors(Vec<u64>, u8),
    Delete(Vec<u64>),
    /// Of the vector of this place among the names.
    Reindex(usize, Rebuild),
    ToggleLate,
    /// From now on `late` is made of `face`, if it is there.
    MakeLate,
    Checkpoint,
    Reopen,
    LoseTables,
}

#[derive(Debug, Clone)]
enum Rebuild {
    /// With so many links.
    Begin(usize),
    /// So many points.
    Copy(usize),
    Finish,
    Cancel,
}

fn rebuilds() -> impl Strategy<Value = Rebuild> {
    prop_oneof![
        4 => (4..6usize).prop_map(Rebuild::Begin),
        6 => (1..30usize).prop_map(Rebuild::Copy),
        4 => Just(Rebuild::Finish),
        1 => Just(Rebuild::Cancel),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..25u64;
    let put = (id.clone(), 0..8u8, 0..500u16);
    let step = prop_oneof![
        6 => prop::collection::vec(put.clone(), 1..16).prop_map(Step::Upsert),
        5 => prop::collection::vec(put, 1..8).prop_map(Step::Update),
        3 => (prop::collection::vec(id.clone(), 1..6), 1..8u8)
            .prop_map(|(ids, bits)| Step::DeleteVectors(ids, bits)),
        3 => prop::collection::vec(id, 1..6).prop_map(Step::Delete),
        15 => (0..3usize, rebuilds()).prop_map(|(of, step)| Step::Reindex(of, step)),
        2 => Just(Step::ToggleLate),
        2 => Just(Step::MakeLate),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Reopen),
        1 => Just(Step::LoseTables),
    ];
    prop::collection::vec(step, 1..32)
}

struct Run {
    dir: tempfile::TempDir,
    engine: Option<Engine>,
    model: Model,
    late: bool,
    /// Whether `late` is made of `face`.
    made: bool,
}

impl Run {
    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn is_rebuilt(&self, of: usize) -> bool {
        let all = self.engine().reindexes("c").unwrap();
        all.iter().any(|it| it.vector == NAMES[of].0)
    }

    fn rebuild(&self, of: usize, step: &Rebuild) {
        let (engine, name) = (self.engine(), NAMES[of].0);
        let absent = name == "late" && !self.late;
        let rebuilt = self.is_rebuilt(of);
        match step {
            Rebuild::Begin(m) => {
                let change = IndexChange {
                    m: Some(*m),
                    quantization: Some(Quantization::None),
                    ..IndexChange::default()
                };
                match engine.begin_reindex("c", name, change) {
                    Ok(_) => assert!(self.is_rebuilt(of)),
                    Err(Error::Conflict(_)) => assert!(rebuilt),
                    Err(error) => assert!(absent, "{error}"),
                }
            }
            Rebuild::Copy(count) => {
                let copied = engine.continue_reindex("c", name, Copied::default(), *count);
                assert_eq!(copied.is_ok(), rebuilt, "{copied:?}");
            }
            Rebuild::Finish => {
                let before = engine.reindexes("c").unwrap();
                let before = before.iter().find(|it| it.vector == name);
                match engine.finish_reindex("c", name) {
                    Ok(done) => {
                        let before = before.unwrap();
                        assert_eq!(done.is_some(), before.done == before.points);
                        assert_eq!(done.is_none(), self.is_rebuilt(of));
                        let told = engine.describe("c").unwrap().spec;
                        assert!(done.is_none() || told.vectors[name] == before.spec);
                    }
                    Err(error) => assert!(!rebuilt, "{error}"),
                }
            }
            Rebuild::Cancel => match engine.cancel_reindex("c", name) {
                Ok(was_there) => assert_eq!(was_there, rebuilt),
                Err(error) => assert!(absent, "{error}"),
            },
        }
    }

    fn step(&mut self, step: Step) {
        let late = self.late;
        match step {
            Step::Upsert(points) => {
                let new = points.iter().map(|(id, bits, n)| Point {
                    id: num(*id),
                    vectors: vectors(&chosen(*bits, *n, late)),
                    payload: payload(u64::from(*n)),
                    face: None,
                });
                let new = new.collect();
                self.engine().upsert("c", new, Ack::Applied).unwrap();
                let points = points.into_iter();
                self.model
                    .extend(points.map(|(id, bits, n)| (num(id), (n, chosen(bits, n, late)))));
            }
            Step::Update(mut points) => {
                points.retain(|(id, ..)| self.model.contains_key(&num(*id)));
                if points.is_empty() {
                    return;
                }
                let mut updated = BTreeMap::new();
                let new = points.iter();
                let new = new.map(|(id, bits, n)| (num(*id), vectors(&chosen(*bits, *n, late))));
                let new = new.collect();
                self.engine()
                    .update_vectors("c", new, Ack::Applied)
                    .unwrap();
                for (id, bits, n) in points {
                    let known = &mut self.model.get_mut(&num(id)).unwrap().1;
                    updated
                        .entry(id)
                        .or_insert_with(BTreeMap::new)
                        .extend(chosen(bits, n, late));
                    known.extend(chosen(bits, n, late));
                }
                let outdated =
                    |of: &BTreeMap<_, _>| of.contains_key("face") && !of.contains_key("late");
                for (id, _) in updated.iter().filter(|(_, of)| self.made && outdated(of)) {
                    self.model.get_mut(&num(*id)).unwrap().1.remove("late");
                }
            }
            Step::DeleteVectors(ids, bits) => {
                let names = chosen(bits, 0, late);
                let list: Vec<String> = names.keys().map(|name| (*name).to_owned()).collect();
                if list.is_empty() {
                    return;
                }
                let ids: Vec<_> = ids.into_iter().map(num).collect();
                let engine = self.engine();
                engine
                    .delete_vectors("c", ids.clone(), &list, Ack::Applied)
                    .unwrap();
                for id in ids {
                    if let Some((_, of)) = self.model.get_mut(&id) {
                        of.retain(|name, _| !names.contains_key(name));
                    }
                }
            }
            Step::Delete(ids) => {
                let ids: Vec<_> = ids.into_iter().map(num).collect();
                self.engine()
                    .delete("c", ids.clone(), Ack::Applied)
                    .unwrap();
                self.model.retain(|id, _| !ids.contains(id));
            }
            Step::Reindex(of, step) => self.rebuild(of, &step),
            Step::ToggleLate if late => {
                let gone = self.engine().remove_vector("c", "late").unwrap();
                assert!(gone.is_some());
                let all = self.model.values_mut();
                all.for_each(|(_, of)| {
                    of.remove("late");
                });
                (self.late, self.made) = (false, false);
            }
            Step::ToggleLate => {
                self.engine().add_vector("c", "late", spec("late")).unwrap();
                self.late = true;
            }
            Step::MakeLate => {
                let engine = self.engine();
                // As it is, where its index was built anew.
                let now = engine.describe("c").unwrap().spec.vectors;
                let now = now.get("late").cloned();
                let spec = now.unwrap_or_else(|| spec("late"));
                engine
                    .add_vector_made_of("c", ("face", "late"), spec)
                    .unwrap();
                (self.late, self.made) = (true, true);
            }
            Step::Checkpoint => drop(self.engine().checkpoint().unwrap()),
            Step::Reopen | Step::LoseTables => {
                drop(self.engine.take());
                if matches!(step, Step::LoseTables) {
                    fs::remove_dir_all(self.dir.path().join("tables")).unwrap();
                }
                self.engine = Some(open(self.dir.path()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn points_with_any_of_their_vectors_are_what_a_map_would_hold(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Some(made(dir.path()));
        let mut run = Run { dir, engine, model: Model::new(), late: false, made: false };
        for step in steps {
            run.step(step);
            expect(run.engine(), &run.model, run.late);
            run.engine().check("c").unwrap();
        }
    }
}

fn face_and_text(id: u64, face: u16, text: u16) -> Point {
    Point {
        id: num(id),
        vectors: vectors(&BTreeMap::from([("face", face), ("text", text)])),
        payload: payload(id),
        face: None,
    }
}

#[test]
fn a_collection_moves_to_another_model_while_it_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let engine = common::filled(dir.path(), 50);
    engine
        .add_vector("c", "new", VectorSpec::new(2, Metric::Dot))
        .unwrap();
    let new = |id: u64| {
        let x = f32::from(u8::try_from(id).unwrap());
        let vectors = [("new".to_owned(), vec![x, 1.0])].into_iter().collect();
        (num(id), vectors)
    };
    engine
        .update_vectors("c", (0..50).map(new).collect(), Ack::Applied)
        .unwrap();
    let first = |using: &str, vector| search(&engine, using, vector).unwrap()[0].0;
    assert_eq!(first("", common::vector(7)), num(7));
    assert_eq!(first("new", vec![1.0, 0.0]), num(49));
    assert!(engine.remove_vector("c", "").unwrap().is_some());
    assert!(engine.remove_vector("c", "").unwrap().is_none());
    let gone = search(&engine, "", common::vector(7))
        .unwrap_err()
        .to_string();
    assert!(gone.contains("`new`"), "{gone}");
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(
        search(&engine, "new", vec![1.0, 0.0]).unwrap()[0].0,
        num(49)
    );
    assert_eq!(engine.count("c").unwrap(), 50);
    engine.check("c").unwrap();
}

#[test]
fn a_vector_that_was_removed_and_made_anew_has_no_vectors_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    let put = |engine: &Engine| {
        let points = (0..20).map(|id| face_and_text(id, 1, 2)).collect();
        engine.upsert("c", points, Ack::Applied).unwrap();
    };
    put(&engine);
    assert!(engine.remove_vector("c", "text").unwrap().is_some());
    engine
        .add_vector("c", "text", VectorSpec::new(5, Metric::Dot))
        .unwrap();
    for engine in [engine, open_after_crash(dir.path())] {
        assert!(search(&engine, "text", vec![1.0; 5]).unwrap().is_empty());
        assert_eq!(search(&engine, "face", vec![1.0; 4]).unwrap().len(), 20);
        engine.check("c").unwrap();
        drop(engine);
    }
}

#[test]
fn mistakes_about_vectors_are_refused_by_name_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    engine
        .upsert("c", vec![face_and_text(1, 1, 2)], Ack::Applied)
        .unwrap();
    let refused = |result: Result<_, Error>, words: &[&str]| {
        let error = result.map(drop).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let put = |vectors: Vectors| engine.update_vectors("c", vec![(num(1), vectors)], Ack::Applied);
    let one = |name: &str, vector: Vec<f32>| [(name.to_owned(), vector)].into_iter().collect();
    refused(put(vec![1.0].into()), &["without a name", "`face`, `text`"]);
    refused(
        put(one("text", vec![1.0; 3])),
        &["point 1", "`text`", "expected a vector of 2"],
    );
    refused(put(one("colour", vec![1.0])), &["`colour`"]);
    let absent = engine.update_vectors("c", vec![(num(2), Vectors::default())], Ack::Applied);
    refused(absent, &["point 2 does not exist"]);
    let unknown = engine.delete_vectors("c", vec![num(1)], &["colour".into()], Ack::Applied);
    refused(unknown, &["`colour`"]);
    let select = Select {
        payload: true,
        vectors: Which::Named(vec!["colour".into()]),
    };
    assert!(engine.get("c", &[num(1)], select).is_err());
    let other = VectorSpec::new(9, Metric::Dot);
    assert!(matches!(
        engine.add_vector("c", "face", other),
        Err(Error::Conflict(_))
    ));
    engine.add_vector("c", "face", spec("face")).unwrap();
    for bad in ["", "a\nb", &"x".repeat(256)] {
        assert!(
            engine.add_vector("c", bad, spec("face")).is_err(),
            "{bad:?}"
        );
    }
    let model = Model::from([(num(1), (1, BTreeMap::from([("face", 1), ("text", 2)])))]);
    expect(&engine, &model, false);
}

#[test]
fn settings_that_were_changed_stay_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = made(dir.path());
    let metadata = |value: serde_json::Value| CollectionChange {
        metadata: Some(value.as_object().unwrap().clone()),
        ..CollectionChange::default()
    };
    engine
        .update_collection("c", metadata(json!({"owner": "Ada", "n": 1})))
        .unwrap();
    engine
        .update_collection("c", metadata(json!({"owner": null, "m": [2]})))
        .unwrap();
    let ef_construct = BTreeMap::from([("face".to_owned(), 77)]);
    let change = CollectionChange {
        ef_construct,
        ..CollectionChange::default()
    };
    engine.update_collection("c", change).unwrap();
    for checkpoint in [false, true, false] {
        let told = engine.describe("c").unwrap().spec;
        assert_eq!(
            serde_json::Value::Object(told.metadata),
            json!({"n": 1, "m": [2]})
        );
        let ef = |name: &str| told.vectors[name].ef_construct;
        assert_eq!((ef("face"), ef("text")), (77, 200));
        engine
            .upsert("c", vec![face_and_text(1, 1, 2)], Ack::Applied)
            .unwrap();
        engine.check("c").unwrap();
        if checkpoint {
            engine.checkpoint().unwrap();
        }
        drop(engine);
        engine = open(dir.path());
    }
    let wrong = CollectionChange {
        ef_construct: BTreeMap::from([("colour".to_owned(), 77)]),
        ..CollectionChange::default()
    };
    assert!(matches!(
        engine.update_collection("c", wrong),
        Err(Error::NoVector { .. })
    ));
}
