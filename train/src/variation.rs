//! Photos shown a little otherwise each time, so that few of them are not learned by heart: mirrored or
//! not, and moved by a few pixels.

use crate::chance::Chance;

/// The part of a side by which a photo is moved at most, as what it is divided by.
const MOVED: usize = 16;

/// One way to show a photo of three square planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variation {
    side: usize,
    mirrored: bool,
    /// Where the first pixel is taken from, counted from `MOVED`-th of a side before it.
    right: usize,
    down: usize,
}

impl Variation {
    /// Any of those there are for a side, each as likely.
    pub(crate) fn draw(side: usize, chance: &mut Chance) -> Self {
        let mut moved = || chance.below(2 * (side / MOVED) + 1);
        Self {
            side,
            right: moved(),
            down: moved(),
            mirrored: chance.below(2) == 1,
        }
    }

    /// The photo shown so; where it was moved away from, its edge is repeated.
    pub(crate) fn of(self, photo: &[f32]) -> Vec<f32> {
        let Self { side, .. } = self;
        let from = |at: usize, moved: usize| {
            let reach = side / MOVED;
            (at + moved).saturating_sub(reach).min(side - 1)
        };
        let mut shown = Vec::with_capacity(photo.len());
        for plane in photo.chunks_exact(side * side) {
            for y in 0..side {
                let row = from(y, self.down) * side;
                shown.extend((0..side).map(|x| {
                    let x = if self.mirrored { side - 1 - x } else { x };
                    plane[row + from(x, self.right)]
                }));
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_mirrored_and_moved_with_its_edge_repeated() {
        let side = 16;
        // Each pixel tells its plane, row and column.
        let tell = |plane: usize, y: usize, x: usize| {
            f32::from(u16::try_from(plane * 256 + y * 16 + x).unwrap())
        };
        let photo: Vec<f32> = (0..3)
            .flat_map(|p| (0..side).flat_map(move |y| (0..side).map(move |x| (p, y, x))))
            .map(|(p, y, x)| tell(p, y, x))
            .collect();
        let shown = |mirrored, right, down| {
            let way = Variation {
                side,
                mirrored,
                right,
                down,
            };
            way.of(&photo)
        };
        assert_eq!(shown(false, 1, 1), photo);
        let moved = shown(false, 2, 0);
        // The first pixel comes from the second column, and from above the first row, which is repeated.
        assert_eq!((moved[0], moved[16]), (tell(0, 0, 1), tell(0, 0, 1)));
        assert_eq!(moved[15], tell(0, 0, 15));
        let mirrored = shown(true, 1, 1);
        assert_eq!(
            (mirrored[0], mirrored[256 + 15]),
            (tell(0, 0, 15), tell(1, 0, 0))
        );
    }

    #[test]
    fn every_way_is_drawn() {
        let mut chance = Chance::new(3);
        let drawn: std::collections::BTreeSet<_> = (0..400)
            .map(|_| Variation::draw(16, &mut chance))
            .map(|it| (it.mirrored, it.right, it.down))
            .collect();
        assert_eq!(drawn.len(), 2 * 3 * 3);
    }
}
