//! Places on the globe, in degrees.

/// Metres of the mean radius of the Earth.
const EARTH: f64 = 6_371_008.8;

/// A place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    /// Degrees east, -180 to 180.
    pub lon: f64,
    /// Degrees north, -90 to 90.
    pub lat: f64,
}

/// A box between two parallels and two meridians; it may reach over the 180th.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoBox {
    /// North-west.
    pub top_left: GeoPoint,
    /// South-east.
    pub bottom_right: GeoPoint,
}

/// A polygon with holes; its edges are straight on a map of degrees.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoPolygon {
    /// The outer ring.
    pub exterior: Vec<GeoPoint>,
    /// The holes.
    pub interiors: Vec<Vec<GeoPoint>>,
}

impl GeoPoint {
    /// A place, if the degrees are those of one.
    pub fn new(lon: f64, lat: f64) -> Option<Self> {
        ((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat))
            .then_some(Self { lon, lat })
    }

    /// `{"lon": .., "lat": ..}` in a payload.
    pub(crate) fn of(value: &serde_json::Value) -> Option<Self> {
        let place = value.as_object()?;
        Self::new(place.get("lon")?.as_f64()?, place.get("lat")?.as_f64()?)
    }

    /// Metres along the great circle (the haversine formula).
    pub fn metres_to(self, other: GeoPoint) -> f64 {
        let (a, b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((b - a) / 2.0).sin();
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin();
        let h = half_lat * half_lat + a.cos() * b.cos() * half_lon * half_lon;
        2.0 * EARTH * h.sqrt().min(1.0).asin()
    }
}

impl GeoBox {
    /// Whether a place is inside or on the edge.
    pub fn contains(&self, place: GeoPoint) -> bool {
        let (west, east) = (self.top_left.lon, self.bottom_right.lon);
        let between = match west <= east {
            true => (west..=east).contains(&place.lon),
            false => place.lon >= west || place.lon <= east,
        };
        between && (self.bottom_right.lat..=self.top_left.lat).contains(&place.lat)
    }
}

impl GeoPolygon {
    /// Whether a place is inside the outer ring and in none of the holes.
    pub fn contains(&self, place: GeoPoint) -> bool {
        is_inside(&self.exterior, place)
            && !self.interiors.iter().any(|hole| is_inside(hole, place))
    }
}

/// Counts the edges that a ray to the east crosses.
fn is_inside(ring: &[GeoPoint], place: GeoPoint) -> bool {
    let mut inside = false;
    for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        if (from.lat > place.lat) != (to.lat > place.lat) {
            let share = (place.lat - from.lat) / (to.lat - from.lat);
            inside ^= place.lon < from.lon + share * (to.lon - from.lon);
        }
    }
    inside
}

/// The southernmost and the northernmost degree that a place within so many metres may have. A
/// little wider than the circle, so that rounding leaves nobody out.
pub(crate) fn parallels(center: GeoPoint, metres: f64) -> (f64, f64) {
    let degrees = (metres / EARTH).to_degrees() * (1.0 + 1e-9) + 1e-9;
    (center.lat - degrees, center.lat + degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> GeoPoint {
        GeoPoint::new(lon, lat).unwrap()
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let (berlin, paris) = (at(13.405, 52.52), at(2.3522, 48.8566));
        assert!((berlin.metres_to(paris) - 877_500.0).abs() < 1_000.0);
        assert!((at(179.5, 0.0).metres_to(at(-179.5, 0.0)) - 111_195.0).abs() < 10.0);
        assert!(GeoPoint::new(180.1, 0.0).is_none() && GeoPoint::new(0.0, f64::NAN).is_none());
    }

    #[test]
    fn a_box_may_reach_over_the_180th_meridian() {
        let pacific = GeoBox {
            top_left: at(170.0, 10.0),
            bottom_right: at(-170.0, -10.0),
        };
        assert!(pacific.contains(at(179.0, 0.0)) && pacific.contains(at(-179.0, 10.0)));
        assert!(!pacific.contains(at(0.0, 0.0)) && !pacific.contains(at(179.0, 11.0)));
    }

    #[test]
    fn a_hole_in_a_polygon_is_outside() {
        let square = |half: f64| {
            vec![
                at(-half, -half),
                at(half, -half),
                at(half, half),
                at(-half, half),
            ]
        };
        let ring = GeoPolygon {
            exterior: square(10.0),
            interiors: vec![square(5.0)],
        };
        assert!(ring.contains(at(7.0, 0.0)) && ring.contains(at(-7.0, -7.0)));
        assert!(!ring.contains(at(0.0, 0.0)) && !ring.contains(at(11.0, 0.0)));
    }
}
