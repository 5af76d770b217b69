//! Threads that only find something out, and leave the processor to those that somebody waits for.

/// How far they stand back, as `nice` counts it. Not as far as it goes: they hold on to an index for one
/// search at a time, and writes wait for that.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Has the calling thread run when no other needs its core, mostly: without this a measurement took a
/// search's core for a whole slice of the scheduler, some 3 ms. Only Linux knows the priority of a thread;
/// elsewhere nothing is done.
pub fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread in the background has no lower priority");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_stands_back_and_no_other() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let stood = move || {
            stand_back();
            nice()
        };
        assert_eq!(std::thread::spawn(stood).join().unwrap(), NICE.max(before));
        assert_eq!(nice(), before);
    }
}
