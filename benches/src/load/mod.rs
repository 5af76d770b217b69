//! Load on a server: requests that are made beforehand, sent over connections that stay open.

mod connection;
pub mod postgres;
pub mod redis;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

pub use connection::{Connection, Dialect, request, search_requests};

/// What came of a load.
pub struct Load {
    /// Of each request, sorted.
    times: Vec<Duration>,
    /// From the first request to the last answer.
    took: Duration,
}

impl Load {
    /// Requests answered.
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds that each request took, in rising order.
    pub fn times_ms(&self) -> impl Iterator<Item = f64> {
        let times = self.times.iter();
        times.map(|time| time.as_secs_f64() * 1_000.0)
    }

    /// Milliseconds below which this percentage of the requests were answered.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let time = self.times.get(self.times.len() * percent / 100);
        time.map_or(0.0, Duration::as_secs_f64) * 1_000.0
    }
}

/// Sends requests in turn over so many connections at once, each waiting for its answer, until time
/// is up or, unless they may be sent again, all have been sent.
///
/// # Errors
/// The server is gone, or refuses one.
pub fn run(
    address: &str,
    requests: &[Vec<u8>],
    connections: usize,
    how_long: Duration,
    again: bool,
) -> Result<Load> {
    let open = || Connection::open(address);
    run_over(open, requests, connections, how_long, again)
}

/// The same over connections that are opened in a way of their own.
///
/// # Errors
/// As above.
pub fn run_over(
    open: impl Fn() -> Result<Connection> + Sync,
    requests: &[Vec<u8>],
    connections: usize,
    how_long: Duration,
    again: bool,
) -> Result<Load> {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let send = || -> Result<Vec<Duration>> {
        let mut connection = open()?;
        let mut times = Vec::new();
        while started.elapsed() < how_long {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= requests.len() && !again {
                break;
            }
            let one = Instant::now();
            connection.ask(&requests[at % requests.len()])?;
            times.push(one.elapsed());
        }
        Ok(times)
    };
    let mut times = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(send)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    let took = started.elapsed();
    times.sort_unstable();
    Ok(Load { times, took })
}
