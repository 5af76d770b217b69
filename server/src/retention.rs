//! Takes points out whose time is over (`ttl_s` of a collection), a few at a time, and rests as long as
//! it worked, so that requests hardly meet it.
//!
//! It trusts the clock only while that goes on as steadily as the time that passes: after a jump
//! nothing is taken out for an hour, in which an operator, or NTP, may set it right. The clock is looked at
//! every second, and that an hour has begun stands in a file from then on: after a restart it begins anew,
//! for no clock says how much was left. A clock that jumped before the first start, or while no server ran,
//! cannot be told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{Engine, Error};

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::pause::Pause;

/// Points that go, or get a time, in one record: a write waits for no more than these.
const STEP: usize = 64;
/// How far the clock may be from the time that has passed since the last look.
const JUMP: Duration = Duration::from_secs(60);
/// How often it is looked whether it has jumped.
const LOOK: Duration = Duration::from_secs(1);
/// How long it is not trusted after a jump.
const SETTLE: Duration = Duration::from_secs(3_600);
/// Where it stands, in the data folder, whether the clock is trusted.
const FILE: &str = "CLOCK";
/// What stands there after a jump, until its hour is over.
const JUMPED: &[u8] = b"jumped";
/// What stands there then.
const STEADY: &[u8] = b"steady";
/// How long a full queue of writes is left alone.
const BUSY: Duration = Duration::from_millis(50);

/// The thread's part that others hold.
pub(crate) struct Retention {
    pause: Pause,
    every: Duration,
    path: PathBuf,
}

impl Retention {
    /// With a look at every collection each so many seconds.
    pub(crate) fn new(every_s: u64, data_dir: &Path) -> Self {
        Self {
            pause: Pause::default(),
            every: Duration::from_secs(every_s),
            path: data_dir.join(FILE),
        }
    }

    /// Sweeps until it is closed.
    pub(crate) fn watch(&self, engine: &Engine, metrics: &Metrics, audit: &Audit) {
        let mut clock = Noted::open(&self.path, Instant::now(), SystemTime::now());
        while self.rests(&mut clock) {
            for name in engine.retained() {
                let mut looks = || {
                    let (now, says) = (Instant::now(), SystemTime::now());
                    let trusted = clock.is_steady(now, says).then_some(says);
                    metrics.retention_waits(trusted.is_none());
                    trusted.map(seconds)
                };
                let sweep = || self.sweep(engine, (metrics, audit), &name, &mut looks);
                match catch_unwind(AssertUnwindSafe(sweep)) {
                    Ok(Ok(())) | Ok(Err(Error::NoCollection(_) | Error::Stopped)) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(name, %error, "what has expired could not be taken out");
                    }
                    Err(_) => metrics.panicked(),
                }
            }
        }
        // A jump since the last look is not forgotten either.
        clock.look(Instant::now(), SystemTime::now());
    }

    /// Waits for the next sweep, with an eye on the clock; `false` if it was closed.
    fn rests(&self, clock: &mut Noted) -> bool {
        let until = Instant::now() + self.every;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if !self.pause.rests(left.min(LOOK)) {
                return false;
            }
            clock.look(Instant::now(), SystemTime::now());
        }
    }

    /// Once through a collection, for as long as the clock is trusted; `looks` says what it says.
    fn sweep(
        &self,
        engine: &Engine,
        (metrics, audit): (&Metrics, &Audit),
        name: &str,
        looks: &mut dyn FnMut() -> Option<u64>,
    ) -> Result<(), Error> {
        let mut removed = 0;
        let mut count = |more| {
            metrics.expired(more);
            removed += more;
        };
        let swept = self.steps(engine, &mut count, name, looks);
        if removed > 0 {
            tracing::info!(name, removed, "points have expired");
            audit.expired(metrics, name, removed, engine.durable_lsn().0);
        }
        swept
    }

    fn steps(
        &self,
        engine: &Engine,
        count: &mut dyn FnMut(usize),
        name: &str,
        looks: &mut dyn FnMut() -> Option<u64>,
    ) -> Result<(), Error> {
        let Some(now_s) = looks() else {
            return Ok(());
        };
        let due = engine.due(name, now_s)?;
        let mut steps = due.chunks(STEP);
        let mut step = steps.next();
        while let (Some(ids), Some(now_s)) = (step, looks()) {
            let started = Instant::now();
            let rest = match engine.sweep(name, now_s, ids) {
                Ok(swept) => {
                    count(swept.removed);
                    step = steps.next();
                    started.elapsed()
                }
                Err(Error::Busy(_)) => BUSY,
                Err(error) => return Err(error),
            };
            if !self.pause.rests(rest) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.pause.close();
    }
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The clock, and whether it is trusted as the file has it.
struct Noted {
    clock: Clock,
    path: PathBuf,
    jumped: bool,
    /// It was told that this cannot be noted.
    told: bool,
}

impl Noted {
    fn open(path: &Path, now: Instant, says: SystemTime) -> Self {
        let noted = storage::read_whole(path);
        let noted = noted.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether the clock has jumped cannot be read: as if it had");
            Some(JUMPED.to_vec())
        });
        let mut clock = Clock::new(now, says);
        let jumped = noted.is_some_and(|noted| noted != STEADY);
        if jumped {
            tracing::warn!("the clock has jumped before this start: nothing expires for an hour");
            clock.held_until = Some(now + SETTLE);
        }
        Self {
            clock,
            path: path.to_owned(),
            jumped,
            told: false,
        }
    }

    /// Notes a jump as soon as it is seen.
    fn look(&mut self, now: Instant, says: SystemTime) {
        self.clock.look(now, says);
        self.note(self.clock.is_trusted(now));
    }

    fn is_steady(&mut self, now: Instant, says: SystemTime) -> bool {
        let steady = self.clock.is_steady(now, says);
        self.note(steady);
        steady
    }

    fn note(&mut self, steady: bool) {
        if steady == self.jumped {
            match storage::replace_whole(&self.path, if steady { STEADY } else { JUMPED }) {
                Ok(()) => (self.jumped, self.told) = (!steady, false),
                // It is tried at each look, and told once.
                Err(error) if !self.told => {
                    tracing::warn!(%error, "a restart will not know of the clock's jump");
                    self.told = true;
                }
                Err(_) => {}
            }
        }
    }
}

/// The clock beside the time that passes.
struct Clock {
    looked: Instant,
    said: SystemTime,
    held_until: Option<Instant>,
}

impl Clock {
    fn new(now: Instant, says: SystemTime) -> Self {
        Self {
            looked: now,
            said: says,
            held_until: None,
        }
    }

    /// Whether it has gone on as time has, for long enough. From now on it is compared with what it says
    /// now.
    fn is_steady(&mut self, now: Instant, says: SystemTime) -> bool {
        self.look(now, says);
        (self.looked, self.said) = (now, says);
        self.is_trusted(now)
    }

    /// Whether it has jumped since it was last asked. What it goes by stays, so that many small steps
    /// are one large one.
    fn look(&mut self, now: Instant, says: SystemTime) {
        let passed = now.saturating_duration_since(self.looked);
        let off = match says.duration_since(self.said) {
            Ok(told) => told.abs_diff(passed),
            Err(back) => back.duration() + passed,
        };
        if off > JUMP {
            let seconds = off.as_secs();
            tracing::warn!(seconds, "the clock has jumped: nothing expires for an hour");
            (self.looked, self.said) = (now, says);
            self.held_until = Some(now + SETTLE);
        }
    }

    fn is_trusted(&self, now: Instant) -> bool {
        self.held_until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use engine::{Ack, CollectionSpec, Metric, Options, Point, PointId};

    use super::*;

    #[test]
    fn a_sweep_ends_where_the_clock_jumps_under_it() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(Options::new(folder.path())).unwrap();
        let mut spec = CollectionSpec::new(2, Metric::Dot);
        spec.metadata.insert(engine::TTL_S.to_owned(), 9.into());
        engine.create_collection("c", spec).unwrap();
        let old = |id| Point {
            id: PointId::Num(id),
            vectors: vec![1.0, 2.0].into(),
            payload: [(engine::INSERTED_AT_S.to_owned(), 1_750_000_000.into())]
                .into_iter()
                .collect(),
            face: None,
        };
        engine
            .upsert("c", (0..300).map(old).collect(), Ack::Applied)
            .unwrap();
        let (retention, metrics) = (Retention::new(1, folder.path()), Metrics::new());
        // The first look is before it begins.
        let mut left = 3;
        let mut looks = || {
            left -= 1;
            (left >= 0).then_some(1_760_000_000)
        };
        let trail = folder.path().join("trail");
        let audit = Audit::open(&config::Audit {
            dir: Some(trail.clone()),
            file_mib: 1,
            files: 1,
        });
        let told = (&metrics, &audit.unwrap());
        retention.sweep(&engine, told, "c", &mut looks).unwrap();
        assert_eq!(engine.collections()[0].points, 300 - 2 * STEP);
        let line = std::fs::read(trail.join("audit.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["points"], 2 * STEP);
        assert_eq!(line["path"], "/collections/c/points");
        assert_eq!(
            (&line["key"][0], &line["method"]),
            (&"retention".into(), &"DELETE".into())
        );
    }

    #[test]
    fn a_clock_that_jumps_is_not_trusted_for_an_hour_whichever_way_it_went() {
        let (start, said) = (Instant::now(), SystemTime::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for jump in [minutes(60 * 24 * 365), minutes(0)] {
            let mut clock = Clock::new(start, said);
            assert!(clock.is_steady(start + minutes(5), said + minutes(5)));
            // A year ahead, or back to where it was five minutes ago.
            let wrong = said + jump;
            assert!(!clock.is_steady(start + minutes(6), wrong));
            assert!(!clock.is_steady(start + minutes(65), wrong + minutes(59)));
            assert!(clock.is_steady(start + minutes(67), wrong + minutes(61)));
        }
        // Between two sweeps it is looked at without being taken at its word.
        let seconds = Duration::from_secs;
        let mut clock = Clock::new(start, said);
        for step in 1..=10 {
            clock.look(start + seconds(step), said + seconds(step * 8));
            assert_eq!(clock.is_trusted(start + seconds(step)), step < 9, "{step}");
        }
        // A little drift is none.
        let mut clock = Clock::new(start, said);
        let drifted = said + minutes(60) + Duration::from_secs(30);
        assert!(clock.is_steady(start + minutes(60), drifted));
    }

    #[test]
    fn the_hour_after_a_jump_begins_anew_with_a_restart_and_is_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (start, said) = (Instant::now(), SystemTime::now());
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let mut first = Noted::open(&path, start, said);
        assert!(first.is_steady(start + minutes(5), said + minutes(5)));
        assert!(!path.exists(), "nothing has to be told");
        let wrong = said + minutes(60 * 24 * 365);
        first.look(start + minutes(6), wrong);
        assert_eq!(storage::read_whole(&path).unwrap().as_deref(), Some(JUMPED));
        assert!(!first.is_steady(start + minutes(6), wrong));
        // It goes on as steadily as can be; the clock is as wrong as before.
        for restart in [10, 50, 90] {
            let (start, wrong) = (start + minutes(restart), wrong + minutes(restart));
            let mut again = Noted::open(&path, start, wrong);
            assert!(!again.is_steady(start + minutes(39), wrong + minutes(39)));
        }
        let (start, wrong) = (start + minutes(200), wrong + minutes(200));
        let mut last = Noted::open(&path, start, wrong);
        assert!(!last.is_steady(start + minutes(59), wrong + minutes(59)));
        assert!(last.is_steady(start + minutes(61), wrong + minutes(61)));
        let mut after = Noted::open(&path, start, wrong);
        assert!(after.is_steady(start, wrong));
        // Where it cannot be noted that is told once, and it is noted as soon as it can be.
        let away = folder.path().join("away");
        let mut unnoted = Noted::open(&away.join(FILE), start, said);
        unnoted.look(start + minutes(6), wrong);
        assert!(unnoted.told && !unnoted.jumped);
        std::fs::create_dir(&away).unwrap();
        unnoted.look(start + minutes(7), wrong + minutes(1));
        assert!(!unnoted.told && unnoted.jumped);
        std::fs::write(&path, "damaged").unwrap();
        let mut damaged = Noted::open(&path, start, wrong);
        assert!(!damaged.is_steady(start, wrong));
    }
}
