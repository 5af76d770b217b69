//! Several requests at work at once. Memory holds no more photos than are at work; the first error
//! that concerns everyone stops all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use super::batch::{self, Outcome, Target};
use super::photo::Photo;
use crate::client::Error;

/// Imports photos with `in_flight` threads; `seen` hears what became of each, on this thread.
///
/// # Errors
/// The first error that made going on pointless; outcomes heard until then stand.
pub(crate) fn all(
    target: &Target<'_>,
    photos: &[Photo],
    in_flight: u16,
    mut seen: impl FnMut(Outcome),
) -> Result<(), Error> {
    let batches = Mutex::new(batch::split(photos).into_iter());
    let stopped = AtomicBool::new(false);
    let next = || {
        let mut batches = batches
            .lock()
            .expect("no thread panics while it holds the queue");
        batches.next().filter(|_| !stopped.load(Ordering::Relaxed))
    };
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..in_flight {
            let (sender, next, stopped) = (sender.clone(), &next, &stopped);
            scope.spawn(move || {
                while let Some(photos) = next() {
                    let outcome = batch::import(target, photos);
                    if outcome.is_err() {
                        stopped.store(true, Ordering::Relaxed);
                    }
                    if sender.send(outcome).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut first_error = Ok(());
        for outcome in receiver {
            match outcome {
                Ok(outcomes) => outcomes.into_iter().for_each(&mut seen),
                Err(error) if first_error.is_ok() => first_error = Err(error),
                Err(_) => {}
            }
        }
        first_error
    })
}
