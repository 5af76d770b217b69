//! The ten nearest of each vector, by looking at all.

/// How many are looked for.
const COUNT: usize = 10;

/// Of each vector the places of its ten nearest others, by inner product, the nearest first.
pub fn nearest(vectors: &[Vec<f32>]) -> Vec<Vec<usize>> {
    nearest_among(vectors, vectors)
}

/// The same of some vectors among more, of which they are the first.
pub fn nearest_among(some: &[Vec<f32>], all: &[Vec<f32>]) -> Vec<Vec<usize>> {
    let dim = all.first().map_or(1, Vec::len).max(1);
    let flat = all.concat();
    let mut found = Vec::with_capacity(some.len());
    let mut products: Vec<(f32, usize)> = Vec::with_capacity(all.len());
    for (own, query) in some.iter().enumerate() {
        products.clear();
        let rows = flat
            .chunks_exact(dim)
            .enumerate()
            .filter(|(at, _)| *at != own);
        products.extend(rows.map(|(at, row)| (product(query, row), at)));
        let count = COUNT.min(products.len());
        if count < products.len() {
            products.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        let best = &mut products[..count];
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.push(best.iter().map(|(_, at)| *at).collect());
    }
    found
}

/// In eight sums, which the compiler keeps in one register.
pub(crate) fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.0.iter().zip(b.0) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += x * y;
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
