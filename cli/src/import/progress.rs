//! How far an import has come, on standard error: a bar with rate and time left on a terminal, a
//! plain line now and then elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    display: Display,
    refused: usize,
}

enum Display {
    Bar(ProgressBar),
    Lines(Lines),
}

struct Lines {
    what: &'static str,
    total: usize,
    done: usize,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// Of so many photos, or vectors.
    pub(crate) fn new(total: usize, what: &'static str) -> Self {
        let now = Instant::now();
        let lines = Lines {
            what,
            total,
            done: 0,
            start: now,
            last: now,
        };
        let display = if stderr().is_terminal() {
            let bar =
                format!("{{bar:32}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left{{msg}}");
            let style = ProgressStyle::with_template(&bar).expect("the template is well formed");
            let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
            bar.enable_steady_tick(Duration::from_millis(200));
            Display::Bar(bar.with_style(style))
        } else {
            Display::Lines(lines)
        };
        Self {
            display,
            refused: 0,
        }
    }

    /// So many more are in.
    pub(crate) fn done(&mut self, count: usize) {
        match &mut self.display {
            Display::Bar(bar) => bar.inc(u64::try_from(count).unwrap_or(u64::MAX)),
            Display::Lines(lines) => {
                lines.done += count;
                if lines.last.elapsed() >= LINE_EVERY {
                    lines.last = Instant::now();
                    eprintln!("{}", lines.text(lines.start.elapsed(), self.refused));
                }
            }
        }
    }

    /// One cannot come in.
    pub(crate) fn refused(&mut self) {
        self.refused += 1;
        if let Display::Bar(bar) = &self.display {
            bar.set_message(format!("  ({} refused)", self.refused));
        }
        self.done(1);
    }

    /// So many need not be sent.
    pub(crate) fn known(&mut self, photos: usize) {
        match &mut self.display {
            Display::Bar(bar) => bar.dec_length(u64::try_from(photos).unwrap_or(u64::MAX)),
            Display::Lines(lines) => lines.total = lines.total.saturating_sub(photos),
        }
    }

    pub(crate) fn finish(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn text(&self, elapsed: Duration, refused: usize) -> String {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let rate = count(self.done) / elapsed.as_secs_f64().max(0.001);
        let left_s = count(self.total.saturating_sub(self.done)) / rate.max(0.001);
        let (done, total, what) = (self.done, self.total, self.what);
        format!("{done}/{total} {what}, {rate:.1} a second, {left_s:.0} s left, {refused} refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_how_far_how_fast_and_how_long_still() {
        let now = Instant::now();
        let lines = Lines {
            what: "photos",
            total: 100,
            done: 40,
            start: now,
            last: now,
        };
        let expected = "40/100 photos, 4.0 a second, 15 s left, 2 refused";
        assert_eq!(lines.text(Duration::from_secs(10), 2), expected);
    }
}
