//! Speed at a recall that no measured point has exactly.

/// One measured point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Share of the true neighbours found, 0 to 1.
    pub recall: f64,
    /// Queries per second.
    pub qps: f64,
}

/// What is known about the speed at a recall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// Between two measured points, or on one.
    At(f64),
    /// Even the quickest measured point has a higher recall: at least this.
    AtLeast(f64),
    /// No measured point reaches it.
    Unreached,
}

impl Speed {
    /// The number, if there is one.
    pub fn qps(self) -> Option<f64> {
        match self {
            Self::At(qps) | Self::AtLeast(qps) => Some(qps),
            Self::Unreached => None,
        }
    }
}

/// The points that no other beats in recall and speed, by rising recall.
pub fn front(spots: &[Spot]) -> Vec<Spot> {
    let mut sorted = spots.to_vec();
    sorted.sort_by(|a, b| {
        let by_recall = b.recall.total_cmp(&a.recall);
        by_recall.then(b.qps.total_cmp(&a.qps))
    });
    let mut front: Vec<Spot> = Vec::new();
    for spot in sorted {
        if front.last().is_none_or(|last| spot.qps > last.qps) {
            front.push(spot);
        }
    }
    front.reverse();
    front
}

/// The speed at a recall: the logarithm of the speed is taken as linear in recall between
/// neighbouring points of the front.
pub fn speed_at(recall: f64, spots: &[Spot]) -> Speed {
    let front = front(spots);
    let Some(first) = front.first() else {
        return Speed::Unreached;
    };
    if first.recall >= recall {
        return match first.recall == recall {
            true => Speed::At(first.qps),
            false => Speed::AtLeast(first.qps),
        };
    }
    let pair = front.windows(2).find(|pair| pair[1].recall >= recall);
    let Some([below, above]) = pair else {
        return Speed::Unreached;
    };
    let share = (recall - below.recall) / (above.recall - below.recall);
    let (low, high) = (below.qps.ln(), above.qps.ln());
    Speed::At((low + share * (high - low)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(points: &[(f64, f64)]) -> Vec<Spot> {
        let spot = |&(recall, qps)| Spot { recall, qps };
        points.iter().map(spot).collect()
    }

    #[test]
    fn points_that_another_beats_are_not_on_the_front() {
        let measured = spots(&[
            (0.9, 100.0),
            (0.8, 90.0),
            (0.95, 50.0),
            (0.95, 40.0),
            (0.99, 60.0),
        ]);
        assert_eq!(front(&measured), spots(&[(0.9, 100.0), (0.99, 60.0)]));
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn between_two_points_the_logarithm_of_the_speed_is_linear() {
        let measured = spots(&[(0.98, 10.0), (0.90, 1_000.0)]);
        let Speed::At(qps) = speed_at(0.94, &measured) else {
            panic!("it lies between the two");
        };
        assert!((qps - 100.0).abs() < 1e-6, "{qps}");
        assert_eq!(speed_at(0.90, &measured), Speed::At(1_000.0));
    }

    #[test]
    fn outside_the_measured_points_nothing_is_made_up() {
        let measured = spots(&[(0.98, 10.0), (0.95, 1_000.0)]);
        assert_eq!(speed_at(0.9, &measured), Speed::AtLeast(1_000.0));
        assert_eq!(speed_at(0.99, &measured), Speed::Unreached);
        assert_eq!(speed_at(0.99, &[]), Speed::Unreached);
    }
}
