//! Nodes that share a log compare what they hold, in the background.
//!
//! Now and then one of them marks a place in the log. Each computes checksums of what it holds there, says
//! them where the others see them, and looks for a while at what the others say. Where two say different
//! things of one place, one of them serves what is wrong: a metric tells, and an alert goes by it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use config::Nats;
use engine::{Engine, Lsn, Marked};
use jetstream::Sums;

use crate::app::App;
use crate::limits::{COMPARED_FOR, COMPARISON_TICK};
use crate::shared_log::settings;

/// What a node holds: `content` and `graph` of each collection, by name.
type Held = BTreeMap<String, [String; 2]>;

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
        } else if self.marked.elapsed() >= every && engine.status().read_only.is_none() {
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
    all.map(|(name, sum)| (name.clone(), [sum.content.clone(), sum.graph.clone()]))
        .collect()
}

/// The collections of which both say something, and not the same: one that was dropped meanwhile is not
/// told by all.
fn differing(ours: &Held, theirs: &Held) -> Vec<String> {
    let both = ours
        .iter()
        .filter(|(name, sums)| theirs.get(*name).is_some_and(|other| other != *sums));
    both.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_hold_and_not_alike_differs() {
        let held = |of: &[(&str, &str, &str)]| {
            let all = of.iter();
            all.map(|(name, content, graph)| {
                ((*name).to_owned(), [*content, *graph].map(str::to_owned))
            })
            .collect::<Held>()
        };
        let ours = held(&[("a", "1", "2"), ("b", "3", "4"), ("gone", "5", "6")]);
        let theirs = held(&[("a", "1", "2"), ("b", "3", "0"), ("new", "7", "8")]);
        assert_eq!(differing(&ours, &theirs), ["b"]);
        assert!(differing(&ours, &ours).is_empty());
    }
}
