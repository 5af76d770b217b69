//! Points that go so long after they were put in.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;

use common::open;
use engine::{
    Ack, Chosen, CollectionChange, CollectionSpec, Engine, INSERTED_AT_S, Metric, Payload,
    PayloadChange, Point, PointId, Swept, TTL_S,
};
use serde_json::{Value, json};

/// A time of the sweeps: later than any machine's clock says while it tests, so that all that this
/// process dates is over then if so much later is asked.
const LATER_S: u64 = 10_000_000_000;
const TTL: u64 = 1_000;

fn point(id: u64, inserted_at: Option<Value>) -> Point {
    let inserted_at = inserted_at.map(|at| (INSERTED_AT_S.to_owned(), at));
    #[expect(clippy::cast_precision_loss, reason = "ids are small")]
    let vector = vec![id as f32, 1.0];
    Point {
        id: PointId::Num(id),
        vectors: vector.into(),
        payload: inserted_at.into_iter().collect(),
        face: None,
    }
}

/// An engine with an empty collection.
fn begun(dir: &Path) -> Engine {
    let engine = open(dir);
    engine
        .create_collection("c", CollectionSpec::new(2, Metric::Dot))
        .unwrap();
    engine
}

fn live(engine: &Engine, ttl_s: Value) {
    let metadata = [(TTL_S.to_owned(), ttl_s)].into_iter().collect();
    let change = CollectionChange {
        metadata: Some(metadata),
        ..CollectionChange::default()
    };
    engine.update_collection("c", change).unwrap();
}

fn all_swept(engine: &Engine, now_s: u64, most: usize) -> Swept {
    let mut all = Swept::default();
    for ids in engine.due("c", now_s).unwrap().chunks(most) {
        let swept = engine.sweep("c", now_s, ids).unwrap();
        assert_eq!(engine.sweep("c", now_s, ids).unwrap().removed, 0);
        all.removed += swept.removed;
        all.dated += swept.dated;
    }
    all
}

fn ids(engine: &Engine) -> Vec<u64> {
    let page = engine.scroll("c", None, 1_000, common::ALL).unwrap();
    let ids = page.points.into_iter().map(|point| match point.id {
        PointId::Num(id) => id,
        other => panic!("{other}"),
    });
    ids.collect()
}

fn time_of(engine: &Engine, id: u64) -> u64 {
    let found = engine.get("c", &[PointId::Num(id)], common::ALL).unwrap();
    let payload = found[0].payload.as_ref().unwrap();
    payload[INSERTED_AT_S].as_u64().unwrap()
}

#[test]
fn what_is_over_goes_by_its_ids_and_a_restart_brings_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = begun(dir.path());
    live(&engine, json!(TTL));
    assert_eq!(engine.retained(), ["c"]);
    // Put in one second after the other, as an import says.
    let first_s = 1_750_000_000;
    let points = (0..200).map(|id| point(id, Some(json!(first_s + id))));
    engine.upsert("c", points.collect(), Ack::Applied).unwrap();
    assert_eq!(all_swept(&engine, first_s + TTL - 1, 7), Swept::default());
    let swept = all_swept(&engine, first_s + TTL + 49, 7);
    assert_eq!((swept.removed, swept.dated), (50, 0));
    let left: Vec<u64> = (50..200).collect();
    assert_eq!(ids(&engine), left);
    engine.check("c").unwrap();
    // Not even its log tells a time: the same ids go again.
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(ids(&engine), left);
    // Kept for good, nothing goes any more.
    live(&engine, Value::Null);
    assert!(engine.retained().is_empty());
    assert_eq!(all_swept(&engine, LATER_S, 7), Swept::default());
    assert_eq!(ids(&engine), left);
}

#[test]
fn a_point_without_a_time_that_can_be_one_gets_one_and_lives_on_for_a_whole_time_to_live() {
    let dir = tempfile::tempdir().unwrap();
    let engine = begun(dir.path());
    // There before the setting.
    engine
        .upsert("c", vec![point(1, None), point(2, None)], Ack::Applied)
        .unwrap();
    live(&engine, json!(TTL));
    // No time, no number, 1970, 1970 + 300 years: that one stands.
    let times = [
        None,
        Some(json!("soon")),
        Some(json!(7)),
        Some(json!(LATER_S)),
    ];
    let points = (3..).zip(times).map(|(id, time)| point(id, time));
    engine.upsert("c", points.collect(), Ack::Applied).unwrap();
    let now_s = time_of(&engine, 3);
    assert!(now_s > 1_700_000_000 && now_s < LATER_S);
    assert!((4..=5).all(|id| time_of(&engine, id).abs_diff(now_s) < 60));
    assert_eq!(time_of(&engine, 6), LATER_S);
    // Whoever takes the time away gives the point another life, not an endless one.
    let cleared = PayloadChange::Overwrite {
        payload: Payload::new(),
        key: None,
    };
    let chosen = Chosen::Ids(vec![PointId::Num(4)]);
    engine
        .change_payload("c", chosen, &cleared, Ack::Applied)
        .unwrap();
    let swept = all_swept(&engine, now_s + 500, 1);
    assert_eq!((swept.removed, swept.dated), (0, 3));
    assert!(
        [1, 2, 4]
            .iter()
            .all(|id| time_of(&engine, *id) == now_s + 500)
    );
    let swept = all_swept(&engine, now_s + TTL + 60, 64);
    assert_eq!((swept.removed, ids(&engine)), (2, vec![1, 2, 4, 6]));
    let swept = all_swept(&engine, now_s + TTL + 500, 64);
    assert_eq!((swept.removed, ids(&engine)), (3, vec![6]));
    let swept = all_swept(&engine, LATER_S + TTL, 64);
    assert_eq!((swept.removed, ids(&engine)), (1, vec![]));
    engine.check("c").unwrap();
}

#[test]
fn a_clock_that_is_behind_writes_no_times_over_and_one_from_before_takes_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let engine = begun(dir.path());
    let put_s = 1_750_000_000;
    let points = vec![point(1, Some(json!(put_s))), point(2, None)];
    engine.upsert("c", points, Ack::Applied).unwrap();
    live(&engine, json!(TTL));
    for behind in [0, 7, 1_600_000_000] {
        assert_eq!(all_swept(&engine, behind, 64), Swept::default());
        let both = [PointId::Num(1), PointId::Num(2)];
        assert_eq!(engine.sweep("c", behind, &both).unwrap(), Swept::default());
    }
    // A year behind: who has a time keeps it.
    let swept = all_swept(&engine, put_s - 31_536_000, 64);
    assert_eq!((swept.removed, swept.dated), (0, 1));
    assert_eq!(time_of(&engine, 1), put_s);
    let swept = all_swept(&engine, put_s + 1, 64);
    assert_eq!((swept.removed, ids(&engine)), (1, vec![1]));
}

#[test]
fn a_payload_without_room_for_a_time_keeps_nobody_else_from_expiring() {
    let dir = tempfile::tempdir().unwrap();
    let engine = begun(dir.path());
    let put_s = 1_750_000_000;
    let mut full = point(1, None);
    let most = engine::limits::MAX_PAYLOAD_BYTES;
    full.payload
        .insert("x".into(), "x".repeat(most - 12).into());
    let points = vec![full, point(2, None), point(3, Some(json!(put_s)))];
    engine.upsert("c", points, Ack::Applied).unwrap();
    live(&engine, json!(TTL));
    let swept = all_swept(&engine, put_s + TTL, 64);
    assert_eq!((swept.removed, swept.dated), (1, 1));
    assert_eq!(ids(&engine), [1, 2]);
    assert_eq!(time_of(&engine, 2), put_s + TTL);
}
