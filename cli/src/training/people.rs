//! Samples with the names of their people, shared out: who is learned from, watched, held out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use train::{Samples, one_spelling, split};

use super::arguments::RunArgs;

/// The part of people who are not held out that is watched.
const WATCHED: f64 = 0.15;

/// Samples, each under the name of its person.
pub(crate) type Named = Vec<(String, Vec<f32>)>;

/// People who are learned from, watched, held out.
pub(crate) struct Parts {
    pub(crate) learned: Samples,
    pub(crate) watched: Samples,
    pub(crate) held_out: Option<Samples>,
}

impl Parts {
    /// Of samples of one shape. Who is learned from and who is not follows from seed and name.
    pub(crate) fn of(named: Named, shape: &[usize], run: &RunArgs) -> Result<Self> {
        let held_out = run.held_out;
        ensure!(
            (0.0..=0.9).contains(&held_out),
            "--held-out must be 0 to 0.9"
        );
        let mut numbers = BTreeMap::new();
        let mut groups: [(Vec<f32>, Vec<u32>); 3] = Default::default();
        for (person, values) in named {
            let out = split(run.seed, &person, held_out);
            let watched = split(!run.seed, &person, WATCHED);
            let group = match (out, watched) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            let next = u32::try_from(numbers.len())?;
            let number = *numbers.entry(one_spelling(&person)).or_insert(next);
            groups[group].0.extend(values);
            groups[group].1.push(number);
        }
        let count = |(_, people): &(_, Vec<u32>)| people.iter().collect::<BTreeSet<_>>().len();
        let [of_learned, of_watched, of_held_out] = groups.each_ref().map(count);
        ensure!(
            of_learned > 0 && of_watched > 0,
            "of {} people {of_learned} are learned from, {of_watched} watched and {of_held_out} held out (by \
             --seed and name): there must be some to learn from and some to watch, so photos of more people",
            numbers.len()
        );
        let samples = |(values, people): (Vec<f32>, Vec<u32>)| Samples::new(shape, values, people);
        let [learned, watched, held_out] = groups;
        Ok(Self {
            learned: samples(learned).context("of those who are learned from")?,
            watched: samples(watched).context("of those who are watched")?,
            held_out: match held_out.1.is_empty() {
                true => None,
                false => Some(samples(held_out)?),
            },
        })
    }

    /// Those who are held out, where there are enough to be measured.
    pub(crate) fn measured(&self) -> Result<&Samples> {
        let held_out = self.held_out.as_ref();
        let held_out = held_out.context("nobody is held out: use --held-out")?;
        let by_person = held_out.by_person();
        let several = by_person.values().filter(|photos| photos.len() > 1).count();
        ensure!(
            several >= 2,
            "of those who are held out {several} have two photos or more: 2 are the least, so a larger --held-out \
             or photos of more people"
        );
        Ok(held_out)
    }
}
