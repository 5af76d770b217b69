//! What a node needs for a request, without waiting.

use anyhow::{Result, bail, ensure};

use super::chance;
use crate::chance::Chance;

/// The 99th percentile of the normal distribution, in deviations.
const NORMAL_P99: f64 = 2.326_347_874;

/// A distribution of service times, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Service {
    /// Always the same.
    Fixed(f64),
    /// Exponential with this mean.
    Exponential(f64),
    /// Lognormal, by its median and its 99th percentile.
    Lognormal {
        /// Half are below.
        median_ms: f64,
        /// 99 of 100 are below.
        p99_ms: f64,
    },
    /// One of those that were measured, each as likely; never none.
    Measured(Vec<f64>),
}

impl Service {
    /// Lognormal, by its median and its 99th percentile.
    ///
    /// # Errors
    /// The median is not above 0, or the percentile not above the median.
    pub fn lognormal(median_ms: f64, p99_ms: f64) -> Result<Self> {
        ensure!(
            median_ms > 0.0 && p99_ms >= median_ms && p99_ms.is_finite(),
            "a median of {median_ms} ms and a p99 of {p99_ms} ms: wanted is 0 < median <= p99"
        );
        Ok(Self::Lognormal { median_ms, p99_ms })
    }

    /// Out of a text with one time in milliseconds a line.
    ///
    /// # Errors
    /// A line is no time, or there is none.
    pub fn measured(text: &str) -> Result<Self> {
        let mut times = Vec::new();
        for (at, line) in text.lines().enumerate() {
            match line.trim().parse::<f64>() {
                _ if line.trim().is_empty() => {}
                Ok(time) if time > 0.0 && time.is_finite() => times.push(time),
                _ => bail!(
                    "line {}: `{line}` is no time in milliseconds above 0",
                    at + 1
                ),
            }
        }
        ensure!(
            !times.is_empty(),
            "no times: one in milliseconds is wanted on each line"
        );
        Ok(Self::Measured(times))
    }

    /// The mean, in milliseconds.
    pub fn mean_ms(&self) -> f64 {
        match self {
            Self::Fixed(mean) | Self::Exponential(mean) => *mean,
            Self::Lognormal { median_ms, p99_ms } => {
                median_ms * (deviation(*median_ms, *p99_ms).powi(2) / 2.0).exp()
            }
            Self::Measured(times) => times.iter().sum::<f64>() / times.len() as f64,
        }
    }

    pub(super) fn draw(&self, chance: &mut Chance) -> f64 {
        match self {
            Self::Fixed(time) => *time,
            Self::Exponential(mean) => mean * chance::exponential(chance),
            Self::Lognormal { median_ms, p99_ms } => {
                median_ms * (deviation(*median_ms, *p99_ms) * chance::normal(chance)).exp()
            }
            Self::Measured(times) => times[chance.index(times.len())],
        }
    }
}

/// Of the logarithm.
fn deviation(median_ms: f64, p99_ms: f64) -> f64 {
    (p99_ms / median_ms).ln() / NORMAL_P99
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_times_have_the_mean_and_the_percentiles_that_were_asked_for() {
        let service = Service::lognormal(2.0, 10.0).unwrap();
        let mut chance = Chance::new(1);
        let mut times: Vec<f64> = (0..200_000).map(|_| service.draw(&mut chance)).collect();
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((mean / service.mean_ms() - 1.0).abs() < 0.01, "{mean}");
        assert!((times[100_000] / 2.0 - 1.0).abs() < 0.01);
        assert!((times[198_000] / 10.0 - 1.0).abs() < 0.03);
    }

    #[test]
    fn measured_times_are_read_line_by_line_and_what_is_none_is_named() {
        let service = Service::measured("1.5\n\n 2.5 \n").unwrap();
        assert_eq!(service, Service::Measured(vec![1.5, 2.5]));
        assert_eq!(service.mean_ms(), 2.0);
        let error = |text: &str| Service::measured(text).unwrap_err().to_string();
        assert!(error("1\nx").contains("line 2: `x`"));
        assert!(error("-1").contains("line 1"));
        assert!(error("\n").contains("no times"));
        assert!(Service::lognormal(2.0, 1.0).is_err());
    }
}
