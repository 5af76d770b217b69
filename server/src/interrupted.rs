//! What a stop has interrupted goes on at the next start, as new jobs: indexes that are built anew, and
//! moves to other models. One for which there is no place among the jobs, or whose model is not up yet,
//! waits, and is tried again until the server stops.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;

use crate::app::App;
use crate::refusal::Refusal;
use crate::{reembedding, reindexing};

/// How long what has to wait is left alone.
const WAIT: Duration = Duration::from_secs(1);

/// What was under way in a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Rebuild,
    Move,
}

/// Work that waits.
#[derive(Debug)]
struct Waits {
    work: Work,
    collection: String,
    /// What it was told last.
    why: String,
}

/// All that waits.
#[derive(Debug)]
pub(crate) struct Interrupted(Vec<Waits>);

impl Interrupted {
    /// What the log says had been begun and was not ended.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut all = Vec::new();
        for info in engine.collections() {
            let mut waits = |work| {
                all.push(Waits {
                    work,
                    collection: info.name.clone(),
                    why: String::new(),
                });
            };
            // A collection that has just been dropped has none.
            if !engine.reindexes(&info.name).unwrap_or_default().is_empty() {
                waits(Work::Rebuild);
            }
            if reembedding::is_interrupted(&info) {
                waits(Work::Move);
            }
        }
        Self(all)
    }

    /// Goes on with all for which there is a place now.
    pub(crate) fn go_on(&mut self, app: &App, engine: &Arc<Engine>) {
        self.start(|work, collection| match work {
            Work::Rebuild => reindexing::go_on(app, engine, collection),
            Work::Move => reembedding::go_on(app, engine, collection),
        });
    }

    /// Tries again until all have begun, or the server stops.
    pub(crate) fn wait(mut self, app: &App, engine: &Arc<Engine>) {
        while !self.0.is_empty() && app.stopping.rests(WAIT) {
            self.go_on(app, engine);
        }
    }

    fn start(&mut self, start: impl Fn(Work, &str) -> Result<(), Refusal>) {
        self.0.retain_mut(|it| {
            let Err(refusal) = start(it.work, &it.collection) else {
                return false;
            };
            let (collection, work) = (&it.collection, it.work);
            if !refusal.is_busy() {
                tracing::error!(collection, ?work, %refusal, "what was interrupted cannot go on");
                return false;
            }
            let why = refusal.to_string();
            if why != it.why {
                tracing::info!(
                    collection,
                    ?work,
                    why,
                    "what was interrupted waits to go on"
                );
                it.why = why;
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_or_no_model_waits_and_what_is_refused_does_not() {
        let start = |work: Work, name: &str| match (name, work) {
            ("busy", _) => Err(Refusal::busy("no place")),
            ("model", Work::Move) => Err(Refusal::busy("no model")),
            ("refused", _) => Err(Refusal::conflict("no")),
            _ => Ok(()),
        };
        let waits = |(work, name): (Work, &str)| Waits {
            work,
            collection: name.to_owned(),
            why: String::new(),
        };
        let all = [
            (Work::Rebuild, "busy"),
            (Work::Move, "model"),
            (Work::Move, "refused"),
            (Work::Move, "fine"),
        ];
        let mut interrupted = Interrupted(all.map(waits).into());
        interrupted.start(start);
        let names: Vec<_> = interrupted.0.iter().map(|it| &*it.collection).collect();
        assert_eq!(names, ["busy", "model"]);
        interrupted.start(|_, _| Ok(()));
        assert!(interrupted.0.is_empty());
    }
}
