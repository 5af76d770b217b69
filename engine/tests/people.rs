//! People: told in the order of their names, renamed and merged in one record, after a restart too.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use engine::{
    Ack, Chosen, CollectionSpec, Engine, Error, Face, Filter, IndexKind, KeyPath, Metric, NewFace,
    Options, PayloadChange, PersonChange, Point, PointId, Taken,
};
use serde_json::json;

fn point(id: u64, person: serde_json::Value) -> Point {
    let payload = json!({"person": person, "year": id});
    Point {
        id: PointId::Num(id),
        vectors: vec![1.0, id as f32].into(),
        payload: payload.as_object().cloned().unwrap(),
        face: Some(NewFace {
            face: Face {
                bounding_box: [1.0; 4],
                landmarks: [[2.0; 2]; 5],
                confidence: 0.5,
            },
            crop_jpeg: None,
            photo: None,
        }),
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

fn payload(engine: &Engine, id: u64) -> serde_json::Value {
    let select = engine::Select {
        payload: true,
        vectors: engine::Which::None,
    };
    let found = engine.get("stars", &[PointId::Num(id)], select).unwrap();
    json!(found[0].payload.as_ref().unwrap())
}

fn set(payload: serde_json::Value) -> PayloadChange {
    PayloadChange::Set {
        payload: payload.as_object().cloned().unwrap(),
        key: None,
    }
}

fn changed(engine: &Engine, id: u64, change: &PayloadChange) -> Result<engine::Written, Error> {
    let chosen = Chosen::Ids(vec![PointId::Num(id)]);
    engine.change_payload("stars", chosen, change, Ack::Applied)
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
    let rename =
        |from, to, taken| engine.rename_person("stars", (from, to), taken, "new", Ack::Applied);
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
    let faceless = Point {
        face: None,
        ..point(7, json!("Bob"))
    };
    engine
        .upsert("stars", vec![faceless], Ack::Applied)
        .unwrap();
    let faceless = PersonChange {
        best: Some(Some(PointId::Num(7))),
        ..PersonChange::default()
    };
    assert!(matches!(
        said("Bob", faceless, "x"),
        Err(Error::Conflict(_))
    ));
    let best = about(&engine, "Bob").unwrap().best;
    assert_eq!(best, Some(PointId::Num(3)));
    engine
        .delete("stars", vec![PointId::Num(7)], Ack::Applied)
        .unwrap();
    let nobody = said("Nobody", PersonChange::default(), "x");
    assert!(matches!(nobody, Err(Error::NoPerson(_))));

    // Who comes in under the name is known; who is given another name, no more.
    let new = vec![point(10, json!("Bob"))];
    engine.upsert("stars", new, Ack::Applied).unwrap();
    let assign = |id, person: Option<&str>| changed(&engine, id, &set(json!({"person": person})));
    assign(6, Some("Bob")).unwrap();
    assert!(matches!(assign(99, None), Err(Error::NoPoint(_))));
    let abouts = |ids: &[u64]| -> Vec<serde_json::Value> {
        let payloads = ids.iter().map(|id| payload(&engine, *id));
        payloads
            .map(|it| it["about_person"]["id"].clone())
            .collect()
    };
    let id = json!("id-1");
    assert_eq!(abouts(&[3, 6, 10]), [id.clone(), id.clone(), id.clone()]);
    let rename =
        |from, to, taken| engine.rename_person("stars", (from, to), taken, "new", Ack::Applied);
    rename("Bob", "Robert", Taken::Refuse).unwrap();
    assert_eq!(about(&engine, "Robert").unwrap().id, "id-1");
    let of_id = engine.person_of_id("stars", "id-1").unwrap().unwrap();
    assert_eq!(of_id.name, "Robert");
    // Of the two who become one only the first was known: of that the attributes stay.
    rename("Robert", "Ada", Taken::Merge).unwrap();
    let ada = about(&engine, "Ada").unwrap();
    assert_eq!(
        (ada.id.as_str(), ada.ignored, ada.best),
        ("new", false, None)
    );
    assert_eq!(abouts(&[1, 3, 4, 6, 10]), ["new"; 5]);
    assert_eq!(engine.person_of_id("stars", "id-1").unwrap(), None);
    drop(engine);
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    assert_eq!(about(&engine, "Ada").unwrap().attributes["born"], 1815);
    engine.check("stars").unwrap();
}

#[test]
fn of_two_who_become_one_the_one_whose_name_stays_is_as_before_but_for_attributes_of_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    let say = |name: &str, ignored, best: u64, attributes: serde_json::Value| {
        let change = PersonChange {
            id: None,
            ignored: Some(ignored),
            best: Some(Some(PointId::Num(best))),
            attributes: attributes.as_object().cloned(),
        };
        let fresh = format!("id of {name}");
        engine.change_person("stars", name, change, fresh).unwrap();
    };
    let key = KeyPath::parse("person").unwrap();
    engine
        .create_index("stars", key, IndexKind::Keyword, Ack::Applied)
        .unwrap();
    let merge = |from: &str, to: &str| {
        let names = (from, to);
        engine
            .rename_person("stars", names, Taken::Merge, "new", Ack::Applied)
            .unwrap();
    };
    let about = |id: u64| payload(&engine, id)["about_person"].clone();
    // Nothing was said of Ada, and nothing of Bob that is not about his own faces.
    say("Bob", true, 3, json!({}));
    merge("Bob", "Ada");
    for id in [1, 3, 4] {
        assert_eq!(about(id), json!(null), "{id}");
    }
    assert_eq!(engine.ignored("stars").unwrap(), None);
    say("Ada", false, 4, json!({"born": 1815, "field": "engines"}));
    say("ada Byron", true, 2, json!({"born": 1, "died": 1852}));
    merge("ada Byron", "Ada");
    let attributes = json!({"born": 1815, "field": "engines", "died": 1852});
    let due = json!({"id": "id of Ada", "ignored": false, "best": 4, "attributes": attributes});
    for id in [1, 2, 3, 4] {
        assert_eq!(about(id), due, "{id}");
    }
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
            .rename_person("stars", (from, to), Taken::Refuse, "new", Ack::Durable)
            .unwrap();
        let id = 100 + round as u64;
        engine
            .upsert("stars", vec![point(id, json!(to))], Ack::Applied)
            .unwrap();
        let payload = payload(&engine, id);
        assert_eq!(payload["about_person"]["id"], "id-1", "round {round}");
    }
}

/// Two people would have one id, or a face of somebody who is ignored would be found.
#[test]
fn what_is_known_of_a_person_goes_with_the_name_however_a_payload_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    filled(&engine);
    for (name, id) in [("Ada", "id-a"), ("Bob", "id-b")] {
        let change = PersonChange::default();
        engine
            .change_person("stars", name, change, id.into())
            .unwrap();
    }
    let object = |value: serde_json::Value| value.as_object().cloned().unwrap();
    let overwrite = |payload| PayloadChange::Overwrite {
        payload: object(payload),
        key: None,
    };
    let person = || KeyPath::parse("person").unwrap();
    let cases = [
        (set(json!({"year": 9})), json!("Ada"), json!("id-a")),
        (set(json!({"person": "Ada"})), json!("Ada"), json!("id-a")),
        (set(json!({"person": "Bob"})), json!("Bob"), json!("id-b")),
        (
            overwrite(json!({"person": "Bob", "a": 1})),
            json!("Bob"),
            json!("id-b"),
        ),
        (
            overwrite(json!({"person": "Ada"})),
            json!("Ada"),
            json!("id-a"),
        ),
        (set(json!({"person": "Cleo"})), json!("Cleo"), json!(null)),
        (set(json!({"person": "Ada"})), json!("Ada"), json!("id-a")),
        (
            set(json!({"person": ["Ada", "Bob"]})),
            json!(["Ada", "Bob"]),
            json!(null),
        ),
        (
            overwrite(json!({"person": "Ada"})),
            json!("Ada"),
            json!("id-a"),
        ),
        (
            PayloadChange::Delete(vec![person()]),
            json!(null),
            json!(null),
        ),
        (set(json!({"person": "Ada"})), json!("Ada"), json!("id-a")),
        (set(json!({"person": null})), json!(null), json!(null)),
        (
            overwrite(json!({"person": "Ada"})),
            json!("Ada"),
            json!("id-a"),
        ),
        (overwrite(json!({"a": 1})), json!(null), json!(null)),
        (set(json!({"person": "Ada"})), json!("Ada"), json!("id-a")),
        (PayloadChange::Clear, json!(null), json!(null)),
    ];
    for (n, (change, name, id)) in cases.iter().enumerate() {
        changed(&engine, 4, change).unwrap();
        let payload = payload(&engine, 4);
        let told = (&payload["person"], &payload["about_person"]["id"]);
        assert_eq!(told, (name, id), "step {n}: {change:?}");
        assert_eq!(
            payload.get("about_person").is_some(),
            !id.is_null(),
            "step {n}"
        );
    }
    // By a filter, of those who have it and those who have not.
    let all = Chosen::Filter(Filter::default());
    let bobs = set(json!({"person": "Bob"}));
    engine
        .change_payload("stars", all, &bobs, Ack::Applied)
        .unwrap();
    for id in 1..=6 {
        assert_eq!(payload(&engine, id)["about_person"]["id"], "id-b", "{id}");
    }
    assert_eq!(engine.person_of_id("stars", "id-a").unwrap(), None);
    // A part of a name is none; of what is no name of somebody known it may be set.
    let part = PayloadChange::Set {
        payload: object(json!({"first": "Ada"})),
        key: Some(person()),
    };
    let refused = changed(&engine, 1, &part);
    assert!(matches!(refused, Err(Error::BadRequest(why)) if why.contains("point 1")));
    assert_eq!(payload(&engine, 1)["person"], "Bob");
    changed(&engine, 1, &PayloadChange::Clear).unwrap();
    changed(&engine, 1, &part).unwrap();
    assert_eq!(payload(&engine, 1), json!({"person": {"first": "Ada"}}));
    engine.check("stars").unwrap();
}
