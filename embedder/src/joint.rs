//! Several networks that look at the same faces, as one model: their vectors one after the other, each
//! by the root of its weight, so that a cosine is the mean of theirs by these weights.

use sha2::{Digest, Sha256};

use crate::embed::normalise;
use crate::limits::{NETWORKS, VECTOR_NUMBERS};
use crate::manifest::{Embedder, Manifest};

/// One of a model's networks.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The network.
    pub embedder: &'a Embedder,
    /// Numbers in its vectors.
    pub dim: usize,
    /// Its share of a cosine; those of all networks add up to 1.
    pub weight: f32,
}

impl Manifest {
    /// Its networks; most models have one.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let others: usize = self.beside.iter().map(|it| it.dim).sum();
        let weights: f32 = self.beside.iter().map(|it| it.weight).sum();
        let first = Part {
            embedder: &self.embedder,
            dim: self.embedder_dim().saturating_sub(others),
            weight: 1.0 - weights,
        };
        let others = self.beside.iter().map(|it| Part {
            embedder: &it.embedder,
            dim: it.dim,
            weight: it.weight,
        });
        std::iter::once(first).chain(others).collect()
    }

    /// Its networks, to be changed.
    pub fn embedders_mut(&mut self) -> impl Iterator<Item = &mut Embedder> {
        let others = self.beside.iter_mut().map(|it| &mut it.embedder);
        std::iter::once(&mut self.embedder).chain(others)
    }

    /// What tells the vectors of its networks, before a head, from those of others: of several, the
    /// hex SHA-256 of a line for each, with its checksum and its weight.
    pub fn networks_sha256(&self) -> String {
        if self.beside.is_empty() {
            return self.embedder.sha256.clone();
        }
        let lines = self.parts().into_iter();
        let lines = lines.map(|it| format!("{} {}\n", it.embedder.sha256, it.weight));
        let digest = Sha256::digest(lines.collect::<String>());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether its networks can be one model.
    pub(crate) fn check_parts(&self) -> Result<(), String> {
        if self.beside.len() >= NETWORKS {
            return Err(format!("there are more than {NETWORKS} networks"));
        }
        let most = *VECTOR_NUMBERS.end();
        if self.beside.iter().any(|it| it.dim > most) {
            return Err(format!("the `dim` of a network must be at most {most}"));
        }
        let parts = self.parts();
        if parts.iter().any(|it| it.dim == 0) {
            return Err(
                "each network has a number at least: the `dim` of those `beside` is less than \
                 that of the model together"
                    .into(),
            );
        }
        let is_share = |weight: f32| weight > 0.0 && weight <= 1.0;
        if parts.iter().any(|it| !is_share(it.weight)) {
            return Err(
                "a `weight` is a network's share of the cosine, above 0, and something is \
                        left for the first"
                    .into(),
            );
        }
        parts.iter().try_for_each(|it| it.embedder.check())
    }
}

/// Of a face's vectors by each network, with its weight, the one that stands for all.
pub(crate) fn joined(parts: &[(&[f32], f32)]) -> Vec<f32> {
    if let [(only, _)] = parts {
        return only.to_vec();
    }
    let weighted = parts.iter().flat_map(|(vector, weight)| {
        let root = weight.sqrt();
        vector.iter().map(move |x| x * root)
    });
    let mut all: Vec<f32> = weighted.collect();
    normalise(&mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Beside;

    /// FaceNet with MobileFaceNet beside it.
    fn two(weight: f32) -> Manifest {
        let all = Manifest::builtins();
        let [first, second, ..] = &all[..] else {
            panic!("two models come along");
        };
        Manifest {
            name: "two".into(),
            dim: first.dim + second.dim,
            beside: vec![Beside {
                embedder: second.embedder.clone(),
                dim: second.dim,
                weight,
            }],
            ..first.clone()
        }
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_cosine_of_joined_vectors_is_the_mean_of_the_cosines() {
        let (a, b): ([&[f32]; 2], [&[f32]; 2]) = (
            [&[0.6, 0.8], &[0.0, 1.0, 0.0]],
            [&[1.0, 0.0], &[0.0, 0.8, 0.6]],
        );
        let joined = |[first, second]: [&[f32]; 2]| joined(&[(first, 0.25), (second, 0.75)]);
        let cosine = dot(&joined(a), &joined(b));
        assert!(
            (cosine - (0.25 * 0.6 + 0.75 * 0.8)).abs() < 1e-6,
            "{cosine}"
        );
        assert!((dot(&joined(a), &joined(a)) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn networks_share_the_numbers_and_the_cosine_and_change_the_checksum() {
        let manifest = two(0.4);
        let parts = manifest.parts();
        let told: Vec<_> = parts.iter().map(|it| (it.dim, it.weight)).collect();
        assert_eq!(told, [(128, 0.6), (192, 0.4)]);
        assert_eq!(manifest.info().sha256, manifest.networks_sha256());
        assert_ne!(manifest.info().sha256, two(0.5).info().sha256);
        assert_ne!(manifest.info().sha256, manifest.embedder.sha256);
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(Manifest::parse(&again).unwrap(), manifest);
    }

    #[test]
    fn the_networks_of_the_model_that_has_two_are_those_of_the_models_that_have_one() {
        let all = Manifest::builtins();
        let [first, second, both] = &all[..] else {
            panic!("three models come along");
        };
        let parts = both.parts();
        let networks: Vec<_> = parts.iter().map(|it| (it.embedder, it.dim)).collect();
        let alone = [first, second].map(|it| (&it.embedder, it.dim));
        assert_eq!(networks, alone);
        assert_eq!(both.detector, first.detector);
    }

    #[test]
    fn networks_that_cannot_be_one_model_are_refused() {
        let (mut no_room, mut many) = (two(0.5), two(0.1));
        no_room.dim = 192;
        many.beside = vec![many.beside[0].clone(); NETWORKS];
        let mut huge = two(0.1);
        huge.beside = vec![huge.beside[0].clone(); 2];
        huge.beside
            .iter_mut()
            .for_each(|it| it.dim = usize::MAX / 2 + 1);
        let mut bad_file = two(0.5);
        bad_file.beside[0].embedder.file = "../x".into();
        let mut bad_side = two(0.5);
        bad_side.beside[0].embedder.input.side = 0;
        for (bad, word) in [
            (two(0.0), "`weight`"),
            (two(1.0), "`weight`"),
            (two(f32::NAN), "`weight`"),
            (no_room, "`dim`"),
            (many, "networks"),
            (huge, "at most 4096"),
            (bad_file, "plain name"),
            (bad_side, "`side`"),
        ] {
            let refused = bad.check().unwrap_err();
            assert!(refused.contains(word), "{word}: {refused}");
        }
    }
}
