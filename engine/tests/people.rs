//! People: told in the order of their names, renamed and merged in one record, after a restart too.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use engine::{
    Ack, CollectionSpec, Engine, Error, IndexKind, KeyPath, Metric, Options, PersonChange, Point,
    PointId, Taken,
};
use serde_json::json;

fn point(id: u64, person: serde_json::Value) -> Point {
    let payload = json!({"person": person, "year": id});
    Point {
        id: PointId::Num(id),
        vectors: vec![1.0, id as f32].into(),
        payload: payload.as_object().cloned().unwrap(),
        face: None,
    }
}

fn filled(engine: &Engine) {
    let spec = CollectionSpec::new(2, Metric::Cosine);
    engine.create_collection("stars", spec).unwrap();
    let people = [
        (1, json!("Ada")),
        (2, json!("ada Byron")),
        (3, json!("Bob")),
        (4, json!("Ada")),
        (5, json!(["Ada", "Bob"])),
        (6, json!(null)),
    ];
    let points = people.into_iter().map(|(id, person)| point(id, person));
    engine
        .upsert("stars", points.collect(), Ack::Applied)
        .unwrap();
}

fn names(engine: &Engine) -> Vec<(String, usize)> {
    let (people, next) = engine.people("stars", None, None, 100).unwrap();
    assert_eq!(next, None);
    people.into_iter().map(|it| (it.name, it.points)).collect()
}

fn told(people: &[(&str, usize)]) -> Vec<(String, usize)> {
    let people = people.iter();
    people
        .map(|(name, points)| ((*name).to_owned(), *points))
        .collect()
}

#[test]
fn people_are_listed_page_by_page_and_looked_for_by_a_part_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    let without = engine.people("stars", None, None, 10);
    assert!(matches!(without, Err(Error::BadRequest(what)) if what.contains("keyword")));
    let key = KeyPath::parse("person").unwrap();
    engine
        .create_index("stars", key, IndexKind::Keyword, Ack::Applied)
        .unwrap();
    assert_eq!(
        names(&engine),
        told(&[("Ada", 3), ("Bob", 2), ("ada Byron", 1)])
    );
    let (first, next) = engine.people("stars", None, None, 2).unwrap();
    assert_eq!((first.len(), next.as_deref()), (2, Some("ada Byron")));
    let (rest, next) = engine.people("stars", None, next.as_deref(), 2).unwrap();
    assert_eq!((rest.len(), next), (1, None));
    assert_eq!(
        engine.person_names("stars").unwrap(),
        ["Ada", "Bob", "ada Byron"]
    );
    for (asked, known) in [
        ("Ada", Some("Ada")),
        ("ADA BYRON", Some("ada Byron")),
        ("Ad", None),
    ] {
        let called = engine.person_called("stars", asked).unwrap();
        assert_eq!(called.as_deref(), known, "{asked}");
    }
    let (found, _) = engine.people("stars", Some("ADA"), None, 10).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].best, None);
}

#[test]
fn a_person_has_the_new_name_everywhere_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    let key = KeyPath::parse("person").unwrap();
    engine
        .create_index("stars", key, IndexKind::Keyword, Ack::Applied)
        .unwrap();
    let rename = |from, to, taken| engine.rename_person("stars", (from, to), taken, Ack::Applied);
    assert!(matches!(
        rename("Cleo", "Ada", Taken::Merge),
        Err(Error::NoPerson(_))
    ));
    assert!(matches!(
        rename("Bob", "Ada", Taken::Refuse),
        Err(Error::Conflict(_))
    ));
    assert_eq!(
        names(&engine),
        told(&[("Ada", 3), ("Bob", 2), ("ada Byron", 1)])
    );
    let (_, renamed) = rename("ada Byron", "Cleo", Taken::Refuse).unwrap();
    let (_, merged) = rename("Bob", "Ada", Taken::Merge).unwrap();
    assert_eq!((renamed, merged), (1, 1));
    // The list of two is nobody's alone.
    let after = told(&[("Ada", 4), ("Bob", 1), ("Cleo", 1)]);
    assert_eq!(names(&engine), after);
    drop(engine);
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    assert_eq!(names(&engine), after);
    engine.check("stars").unwrap();
}

#[test]
fn what_is_known_of_a_person_outlives_renaming_merging_and_new_faces() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    let key = KeyPath::parse("person").unwrap();
    engine
        .create_index("stars", key, IndexKind::Keyword, Ack::Applied)
        .unwrap();
    let about = |engine: &Engine, name: &str| {
        let person = engine.person("stars", name).unwrap();
        person.and_then(|person| person.about)
    };
    assert_eq!(about(&engine, "Bob"), None);
    assert_eq!(engine.ignored("stars").unwrap(), None);
    let said = |name: &str, change, fresh: &str| {
        engine.change_person("stars", name, change, fresh.to_owned())
    };
    let attributes = |value: serde_json::Value| PersonChange {
        attributes: value.as_object().cloned(),
        ..PersonChange::default()
    };
    said("Bob", attributes(json!({"born": 1815, "x": 1})), "id-1").unwrap();
    let change = PersonChange {
        ignored: Some(true),
        best: Some(Some(PointId::Num(3))),
        ..attributes(json!({"x": null}))
    };
    said("Bob", change, "id-2").unwrap();
    let known = about(&engine, "Bob").unwrap();
    assert_eq!((known.id.as_str(), known.ignored), ("id-1", true));
    assert_eq!(known.best, Some(PointId::Num(3)));
    assert_eq!(json!(known.attributes), json!({"born": 1815}));
    assert!(engine.ignored("stars").unwrap().is_some());
    let wrong = PersonChange {
        best: Some(Some(PointId::Num(2))),
        ..PersonChange::default()
    };
    assert!(matches!(said("Bob", wrong, "x"), Err(Error::BadRequest(_))));
    let nobody = said("Nobody", PersonChange::default(), "x");
    assert!(matches!(nobody, Err(Error::NoPerson(_))));

    // Who comes in under the name is known; who is given another name, no more.
    let new = vec![point(10, json!("Bob"))];
    engine.upsert("stars", new, Ack::Applied).unwrap();
    let assign = |id, person: Option<&str>| {
        let payload = serde_json::Map::new();
        engine.assign_person("stars", PointId::Num(id), (person, payload), Ack::Applied)
    };
    assign(6, Some("Bob")).unwrap();
    assert!(matches!(assign(99, None), Err(Error::NoPoint(_))));
    let abouts = |ids: &[u64]| -> Vec<serde_json::Value> {
        let ids: Vec<_> = ids.iter().map(|id| PointId::Num(*id)).collect();
        let select = engine::Select {
            payload: true,
            vectors: engine::Which::None,
        };
        let points = engine.get("stars", &ids, select).unwrap().into_iter();
        points
            .map(|point| point.payload.unwrap()["about_person"]["id"].clone())
            .collect()
    };
    let id = json!("id-1");
    assert_eq!(abouts(&[3, 6, 10]), [id.clone(), id.clone(), id.clone()]);
    let rename = |from, to, taken| engine.rename_person("stars", (from, to), taken, Ack::Applied);
    rename("Bob", "Robert", Taken::Refuse).unwrap();
    assert_eq!(about(&engine, "Robert").unwrap().id, "id-1");
    let of_id = engine.person_of_id("stars", "id-1").unwrap().unwrap();
    assert_eq!(of_id.name, "Robert");
    // Of the two who become one only the first was known.
    rename("Robert", "Ada", Taken::Merge).unwrap();
    assert_eq!(about(&engine, "Ada").unwrap().id, "id-1");
    assert_eq!(abouts(&[1, 4]), [id.clone(), id]);
    drop(engine);
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    assert_eq!(about(&engine, "Ada").unwrap().attributes["born"], 1815);
    engine.check("stars").unwrap();
}

#[test]
fn a_face_put_right_after_a_renaming_that_nobody_waited_for_is_given_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    let of_two = vec![PointId::Num(5)];
    engine.delete("stars", of_two, Ack::Applied).unwrap();
    let known = PersonChange {
        ignored: Some(true),
        ..PersonChange::default()
    };
    engine
        .change_person("stars", "Bob", known, "id-1".into())
        .unwrap();
    let names = ["Bob", "Robert"];
    for round in 0..200 {
        let (from, to) = (names[round % 2], names[(round + 1) % 2]);
        engine
            .rename_person("stars", (from, to), Taken::Refuse, Ack::Durable)
            .unwrap();
        let id = 100 + round as u64;
        engine
            .upsert("stars", vec![point(id, json!(to))], Ack::Applied)
            .unwrap();
        let select = engine::Select {
            payload: true,
            vectors: engine::Which::None,
        };
        let found = engine.get("stars", &[PointId::Num(id)], select).unwrap();
        let payload = found[0].payload.as_ref().unwrap();
        assert_eq!(payload["about_person"]["id"], "id-1", "round {round}");
    }
}
