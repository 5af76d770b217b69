//! Work shared out over all cores. What comes of it is put together in the order of the work, so that it
//! does not depend on how many cores there are.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::Error;

/// Bytes of a thread's stack: gradients go down a network's layers by recursion.
const STACK: usize = 32 << 20;

/// Does all of `0..count`; the outcomes in that order.
pub(crate) fn on_all_cores<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return done;
            }
            done.push((at, work(at)));
        }
    };
    let mut done = thread::scope(|scope| {
        let threads = (0..cores.min(count)).map(|_| {
            let thread = thread::Builder::new().name("train".to_owned());
            let thread = thread.stack_size(STACK).spawn_scoped(scope, some);
            thread.map_err(|error| Error::Refused(format!("no thread can be started: {error}")))
        });
        let threads: Vec<_> = threads.collect::<Result<_, _>>()?;
        let ends = threads
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        Ok::<_, Error>(ends.flatten().collect::<Vec<_>>())
    })?;
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_the_order_of_the_work_and_one_that_fails_is_told() {
        let all = on_all_cores(100, |at| Ok(2 * at)).unwrap();
        assert_eq!(all, (0..100).map(|at| 2 * at).collect::<Vec<_>>());
        assert!(on_all_cores(0, |_| Ok(())).unwrap().is_empty());
        let fails = |at| match at {
            7 => Err(Error::Refused("seven".into())),
            at => Ok(at),
        };
        assert!(
            on_all_cores(9, fails)
                .unwrap_err()
                .to_string()
                .contains("seven")
        );
    }
}
