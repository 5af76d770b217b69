//! Nodes that share a log compare what they hold, in the background.
//!
//! Now and then one of them marks a place in the log. Each computes checksums of what it holds there, says
//! them where the others see them, and looks for a while at what the others say. Where two say different
//! things of one place, one of them serves what is wrong: a metric tells, and an alert goes by it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use config::Nats;
use engine::{Engine, Lsn, Marked};
use jetstream::Sums;

use crate::app::App;
use crate::limits::{COMPARED_FOR, COMPARISON_TICK};
use crate::shared_log::settings;

/// What a node holds: `content` and `graph` of each collection, by name, or nothing of one of which it cannot
/// tell.
type Held = BTreeMap<String, Option<[String; 2]>>;

/// Goes on as long as the server runs.
pub(crate) fn watch(app: &App, engine: &Engine, nats: &Nats) {
    let every = Duration::from_secs(nats.compare_interval_s);
    if every.is_zero() {
        return;
    }
    let mut comparison = Comparison {
        node: format!("{:032x}", engine.store()),
        last: None,
        marked: Instant::now(),
    };
    while app.stopping.rests(COMPARISON_TICK.min(every)) {
        match comparison.go_on(engine, nats, every) {
            Ok(Some(outcome)) => app.metrics.compared(outcome.lsn.0, outcome.differ),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "nodes could not be compared"),
        }
    }
}

struct Comparison {
    node: String,
    /// What was said last, when, and where.
    last: Option<(Marked, Instant, Sums)>,
    /// When there was a mark last.
    marked: Instant,
}

/// What came of looking at what others say.
struct Outcome {
    lsn: Lsn,
    differ: bool,
}

impl Comparison {
    fn go_on(
        &mut self,
        engine: &Engine,
        nats: &Nats,
        every: Duration,
    ) -> Result<Option<Outcome>, engine::Error> {
        if let Some(marked) = engine.marked()? {
            self.marked = Instant::now();
            let sums = Sums::open(&settings(nats))?;
            let text = serde_json::to_string(&held(&marked)).unwrap_or_default();
            sums.say(marked.lsn, &self.node, &text)?;
            self.last = Some((marked, self.marked, sums));
        } else if self.marked.elapsed() >= every && engine.stopped().is_none() {
            self.marked = Instant::now();
            engine.mark()?;
        }
        let Some((marked, _, sums)) = self
            .last
            .as_ref()
            .filter(|(_, said, _)| said.elapsed() < COMPARED_FOR)
        else {
            self.last = None;
            return Ok(None);
        };
        let said = sums.said(marked.lsn)?;
        let others = said.iter().filter(|(node, _)| *node != self.node);
        let mut outcome = None;
        for (node, text) in others {
            let theirs: Held = match serde_json::from_str(text) {
                Ok(theirs) => theirs,
                Err(error) => {
                    tracing::warn!(node, %error, "what another node says cannot be read");
                    continue;
                }
            };
            let differing = differing(&held(marked), &theirs);
            if !differing.is_empty() {
                let lsn = marked.lsn.0;
                tracing::error!(node, lsn, ?differing, "another node holds something else");
            }
            let before = outcome.is_some_and(|outcome: Outcome| outcome.differ);
            outcome = Some(Outcome {
                lsn: marked.lsn,
                differ: before || !differing.is_empty(),
            });
        }
        Ok(outcome)
    }
}

fn held(marked: &Marked) -> Held {
    let all = marked.collections.iter();
    all.map(|(name, sum)| {
        let sum = sum.as_ref();
        let sum = sum.map(|sum| [sum.content.clone(), sum.graph.clone()]);
        (name.clone(), sum)
    })
    .collect()
}

/// The collections of which both say something, and not the same, or which only one knows.
fn differing(ours: &Held, theirs: &Held) -> Vec<String> {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differ = |name: &&String| match (ours.get(*name), theirs.get(*name)) {
        (Some(Some(ours)), Some(Some(theirs))) => ours != theirs,
        (Some(Some(_)), None) | (None, Some(Some(_))) => true,
        _ => false,
    };
    names.into_iter().filter(differ).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_and_not_alike_or_by_one_alone_differs_and_what_is_not_told_does_not() {
        let held = |of: &[(&str, Option<[&str; 2]>)]| {
            let all = of.iter();
            all.map(|(name, sums)| ((*name).to_owned(), sums.map(|it| it.map(str::to_owned))))
                .collect::<Held>()
        };
        let ours = held(&[
            ("a", Some(["1", "2"])),
            ("b", Some(["3", "4"])),
            ("gone", None),
            ("lost", Some(["5", "6"])),
        ]);
        let theirs = held(&[
            ("a", Some(["1", "2"])),
            ("b", Some(["3", "0"])),
            ("damaged", None),
            ("gone", Some(["7", "8"])),
        ]);
        assert_eq!(differing(&ours, &theirs), ["b", "lost"]);
        assert_eq!(differing(&theirs, &ours), ["b", "lost"]);
        assert!(differing(&ours, &ours).is_empty());
    }
}
