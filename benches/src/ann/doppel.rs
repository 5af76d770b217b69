//! Ours, through the public interface of the index: the one file to change when that changes.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use hnsw::{Bits, Index, Params, Quantization, Scratch, SearchOptions, Slot};

use super::catalogue::Options;
use super::clock::{cpu_s, pinned, private_bytes};
use super::dataset::Dataset;
use super::formats::NO_ID;
use super::random::Random;
use super::system::{Ask, Built, Pass};
use super::table::Table;
use super::truth::Metric;

/// An index, which vector of the base each of its slots holds, and the other way round.
pub struct Doppel {
    index: Index,
    threads: usize,
    rows: Vec<u32>,
    slots: Vec<Slot>,
}

impl Doppel {
    /// An empty index. Options: `m`, `ef_construct`, `quantization` (`none`, `int8`, `1`, `2`, `4`
    /// for so many bits), `vectors` (`file`, as a server keeps them, or `ram`), `threads`.
    ///
    /// # Errors
    /// An option that there is not.
    pub fn new(dim: usize, metric: Metric, options: &Options) -> Result<Self> {
        let metric = match metric {
            Metric::Cosine => hnsw::Metric::Cosine,
            Metric::Dot => hnsw::Metric::Dot,
            Metric::Euclid => hnsw::Metric::Euclid,
        };
        let mut params = Params::new(dim, metric);
        let (mut in_file, mut threads) = (true, 1);
        for (name, value) in options.iter() {
            match (name, value) {
                ("m", value) => params.m = value.parse()?,
                ("ef_construct", value) => params.ef_construct = value.parse()?,
                ("quantization", "none") => params.quantization = Quantization::None,
                ("quantization", "int8") => params.quantization = Quantization::Int8,
                ("quantization", "1") => params.quantization = Quantization::Packed(Bits::One),
                ("quantization", "2") => params.quantization = Quantization::Packed(Bits::Two),
                ("quantization", "4") => params.quantization = Quantization::Packed(Bits::Four),
                ("vectors", "file") => in_file = true,
                ("vectors", "ram") => in_file = false,
                ("threads", value) => threads = value.parse()?,
                _ => bail!("doppel has no option {name}={value}"),
            }
        }
        let scratch = in_file.then(tempfile::tempfile).transpose()?;
        Ok(Self {
            index: Index::with_scratch(params, scratch.map(Scratch::new))?,
            threads,
            rows: Vec::new(),
            slots: Vec::new(),
        })
    }

    /// Builds an index over a base, one vector after another on one core.
    ///
    /// # Errors
    /// The index refuses.
    pub fn build(options: &Options, data: &Dataset, core: usize) -> Result<(Self, Built)> {
        let mut this = Self::new(data.base.width(), data.metric, options)?;
        let rows: Vec<(usize, &[f32])> = data.base.rows().enumerate().collect();
        let mut left = rows.as_slice();
        let mut build = || {
            while !left.is_empty() {
                let (batch, rest) = left.split_at(this.batch_len().min(left.len()));
                this.insert(batch)?;
                left = rest;
            }
            Ok(())
        };
        let (before, started, cpu) = (private_bytes(), Instant::now(), cpu_s());
        match options.iter().any(|(name, _)| name == "threads") {
            true => build()?,
            false => pinned(core, build)?,
        }
        let cpu = cpu_s() - cpu;
        let n = data.base.len() as f64;
        let grown = private_bytes().zip(before);
        let built = Built {
            cpu_s: cpu,
            wall_s: started.elapsed().as_secs_f64(),
            bytes_per_vector: this.bytes() as f64 / n,
            bytes_are: "own".to_owned(),
            rss_per_vector: grown.map(|(now, before)| now.saturating_sub(before) as f64 / n),
        };
        Ok((this, built))
    }

    /// As many vectors as a server would insert together.
    pub fn batch_len(&self) -> usize {
        (self.index.len() / 64).clamp(1, 64)
    }

    /// Inserts vectors of the base.
    ///
    /// # Errors
    /// The index refuses.
    pub fn insert(&mut self, batch: &[(usize, &[f32])]) -> Result<()> {
        let seed = |row: usize| Random::new(row as u64).next();
        let points: Vec<_> = batch
            .iter()
            .map(|(row, vector)| (seed(*row), *vector))
            .collect();
        let slots = self.index.insert_batch(&points, self.threads)?;
        for ((row, _), slot) in batch.iter().zip(slots) {
            let at = slot.0 as usize;
            self.rows.resize(self.rows.len().max(at + 1), NO_ID);
            self.rows[at] = u32::try_from(*row)?;
            let known = self.slots.len().max(row + 1);
            self.slots.resize(known, Slot(NO_ID));
            self.slots[*row] = slot;
        }
        Ok(())
    }

    /// Removes one vector of the base.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&mut self, row: usize) -> Result<()> {
        let slot = self.slots.get(row).context("a vector never inserted")?;
        Ok(self.index.remove(*slot)?)
    }

    /// How many promises the index finds broken in itself, unreachable points among them.
    pub fn violations(&self) -> usize {
        self.index.check().err().map_or(0, |broken| broken.len())
    }

    /// The `ef` that a search for this recall@`k` uses; as many as there are points where it looks at
    /// all of them.
    ///
    /// # Errors
    /// The index refuses.
    pub fn tuned(&self, recall: f32, k: usize) -> Result<usize> {
        let tuned = self.index.tune(recall, k)?;
        let options = SearchOptions {
            ef: tuned.ef,
            exact: tuned.exact,
            ..SearchOptions::default()
        };
        Ok(self.goes_by(&options, k))
    }

    /// Has searches that are given no `ef` go as far as was measured to be needed, as a server does soon
    /// after points came in.
    ///
    /// # Errors
    /// The index refuses.
    pub fn settle(&self) -> Result<()> {
        Ok(self.index.settle_now().map(drop)?)
    }

    /// The `ef` that a search for `k` uses where it is given none.
    pub fn usual(&self, k: usize) -> usize {
        self.goes_by(&SearchOptions::default(), k)
    }

    /// Where a walk would be as much work as looking at all points, for its `ef` or its `k`, these are looked at.
    fn goes_by(&self, options: &SearchOptions<'_>, k: usize) -> usize {
        let ef = self.index.ef_for(options, k);
        ef.unwrap_or_else(|| self.index.len())
    }

    /// Bytes held in RAM, by the index's own count.
    pub fn bytes(&self) -> usize {
        self.index.memory_bytes()
    }

    /// Adds the rows found to `out`, exactly `k`.
    fn search(&self, query: &[f32], k: usize, ef: usize, out: &mut Vec<u32>) -> Result<()> {
        let options = SearchOptions {
            ef,
            ..SearchOptions::default()
        };
        let hits = self.index.search(query, k, &options)?;
        let end = out.len() + k;
        for hit in hits.iter().take(k) {
            let row = self.rows.get(hit.slot.0 as usize);
            out.push(*row.context("a slot that was never given")?);
        }
        out.resize(end, NO_ID);
        Ok(())
    }

    /// Asks the first queries one after another on one core.
    ///
    /// # Errors
    /// The index refuses.
    pub fn pass(&self, data: &Dataset, core: usize, ask: Ask) -> Result<Pass> {
        let queries = ask.queries.min(data.queries.len());
        let mut times_us = Vec::with_capacity(queries);
        let mut ids = Vec::with_capacity(queries * ask.k);
        let looked_at = self.index.effort().looked_at;
        let (cpu, wall) = pinned(core, || {
            let (started, cpu) = (Instant::now(), cpu_s());
            for query in data.queries.rows().take(queries) {
                let one = Instant::now();
                self.search(query, ask.k, ask.param, &mut ids)?;
                times_us.push(one.elapsed().as_secs_f64() * 1e6);
            }
            Ok((cpu_s() - cpu, started.elapsed().as_secs_f64()))
        })?;
        let looked_at = self.index.effort().looked_at - looked_at;
        times_us.sort_by(f64::total_cmp);
        let p99 = times_us.get((times_us.len() * 99).div_ceil(100).saturating_sub(1));
        Ok(Pass {
            queries,
            cpu_s: cpu,
            wall_s: wall,
            mean_us: times_us.iter().sum::<f64>() / queries.max(1) as f64,
            p99_us: p99.copied().unwrap_or(0.0),
            distances: Some(looked_at as f64 / queries.max(1) as f64),
            ids: match ask.want_ids {
                true => Some(Table::new(ask.k, ids)?),
                false => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::faces;

    #[test]
    fn where_many_are_wanted_of_few_a_scan_is_told_and_no_ef() {
        let mut doppel = Doppel::new(16, Metric::Euclid, &Options::default()).unwrap();
        let vectors = faces(1, 1_500, 16);
        let rows: Vec<(usize, &[f32])> = vectors.iter().map(Vec::as_slice).enumerate().collect();
        rows.chunks(16)
            .for_each(|rows| doppel.insert(rows).unwrap());
        doppel.settle().unwrap();
        assert!(doppel.usual(1) < 1_500 && doppel.tuned(0.9, 1).unwrap() < 1_500);
        assert_eq!(
            (doppel.usual(100), doppel.tuned(0.9, 100).unwrap()),
            (1_500, 1_500)
        );
    }
}
