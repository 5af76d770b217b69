//! Several requests at work at once. Memory holds no more photos than are at work; the first error
//! that concerns everyone stops all.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use anyhow::Result;

use super::batch::{self, Outcome, Target};
use super::fresh::Next;
use super::report::Skipped;

/// What is heard of an import as it goes on.
pub(super) enum Heard {
    Photo(Outcome),
    /// So many photos are there already.
    Known(usize),
    Skipped(Skipped),
}

/// Imports photos with `in_flight` threads; `seen` hears what became of each, on this thread.
///
/// # Errors
/// The first error that made going on pointless; outcomes heard until then stand.
pub(super) fn all(
    target: &Target<'_>,
    nexts: impl Iterator<Item = Result<Next>> + Send,
    in_flight: u16,
    mut seen: impl FnMut(Heard) -> Result<()>,
) -> Result<()> {
    // Nothing once something went wrong.
    let nexts = Mutex::new(Some(nexts));
    let locked = || {
        nexts
            .lock()
            .expect("no thread panics while it holds the queue")
    };
    let next = || locked().as_mut().and_then(Iterator::next);
    let (sender, receiver) = mpsc::sync_channel(in_flight.into());
    thread::scope(|scope| {
        for _ in 0..in_flight {
            let (sender, next, locked) = (sender.clone(), &next, &locked);
            scope.spawn(move || {
                while let Some(next) = next() {
                    let heard = next.and_then(|next| done(target, next));
                    if heard.is_err() {
                        *locked() = None;
                    }
                    if sender.send(heard).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut first_error = Ok(());
        for heard in receiver {
            let told = heard.and_then(|heard| heard.into_iter().try_for_each(&mut seen));
            if told.is_err() {
                *locked() = None;
            }
            first_error = first_error.and(told);
        }
        first_error
    })
}

fn done(target: &Target<'_>, next: Next) -> Result<Vec<Heard>> {
    Ok(match next {
        Next::Batch(photos) => {
            let outcomes = batch::import(target, &photos)?.into_iter();
            outcomes.map(Heard::Photo).collect()
        }
        Next::Known(count) => vec![Heard::Known(count)],
        Next::Skipped(file) => vec![Heard::Skipped(file)],
        Next::Refused(photo) => vec![Heard::Photo(Outcome::Refused(photo))],
    })
}
