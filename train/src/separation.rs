//! How well vectors tell people apart, as one number that moves with every pair: what early stopping
//! goes by. Rank-1 and the like stand still where nearly all is right.

/// Over all pairs of one person: the mean of the logarithm (to base 10) of the share of strangers'
/// pairs that are at least as alike. -3 means: as one pair of strangers in a thousand. 0 where there are
/// no pairs of one kind. Lower is better.
pub fn separation(vectors: &[Vec<f32>], people: &[u32]) -> f64 {
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for (a, vector) in vectors.iter().enumerate() {
        for (b, with) in vectors.iter().enumerate().skip(a + 1) {
            let cosine: f32 = vector.iter().zip(with).map(|(x, y)| x * y).sum();
            match people[a] == people[b] {
                true => same.push(cosine),
                false => other.push(cosine),
            }
        }
    }
    if same.is_empty() || other.is_empty() {
        return 0.0;
    }
    other.sort_by(f32::total_cmp);
    let share = |cosine: &f32| {
        let below = other.partition_point(|stranger| stranger < cosine);
        ((other.len() - below) as f64 + 1.0) / (other.len() as f64 + 1.0)
    };
    same.iter().map(|cosine| share(cosine).log10()).sum::<f64>() / same.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_of_strangers_that_are_as_alike() {
        let at = |x: f32| vec![x.cos(), x.sin()];
        let vectors = [at(0.0), at(0.5), at(0.4), at(3.0)];
        // One pair of one person (0.5 apart); strangers are 0.4, 0.1, 3, 2.5, 2.6 apart: two as alike.
        let told = separation(&vectors, &[1, 1, 2, 3]);
        assert!((told - (3.0_f64 / 6.0).log10()).abs() < 1e-9, "{told}");
        assert_eq!(separation(&vectors, &[1, 2, 3, 4]), 0.0);
    }
}
