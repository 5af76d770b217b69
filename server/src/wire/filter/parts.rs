//! What conditions are made of: keys, values, bounds, places. Nothing here counts; a body is bounded
//! before it comes here.

use engine::{Bounds, GeoBox, GeoPoint, GeoPolygon, KeyPath, Scalar, Test, parse_date};
use serde_json::{Map, Value};

use super::Read;
use crate::limits::POLYGON_CORNERS;

pub(super) fn object<'a>(value: &'a Value, at: &str) -> Read<&'a Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| format!("`{at}` must be an object"))
}

/// The fields that say something: clients send those they leave out as null.
pub(super) fn said(map: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let fields = map.iter().filter(|(_, value)| !value.is_null());
    fields.map(|(key, value)| (key.as_str(), value))
}

pub(super) fn only(map: &Map<String, Value>, at: &str, known: &[&str]) -> Read<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!(
            "`{at}.{key}` is unknown: there is `{}`",
            known.join("`, `")
        )),
    }
}

pub(super) fn text<'a>(value: &'a Value, at: &str) -> Read<&'a str> {
    value
        .as_str()
        .ok_or_else(|| format!("`{at}` must be a text"))
}

pub(super) fn key(map: &Map<String, Value>, at: &str) -> Read<KeyPath> {
    let at = format!("{at}.key");
    let key = map.get("key").ok_or_else(|| format!("`{at}` is missing"))?;
    KeyPath::parse(text(key, &at)?).map_err(|error| format!("`{at}`: {error}"))
}

pub(super) fn scalar(value: &Value, at: &str) -> Read<Scalar> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Bool(value) => Ok(Scalar::Bool(*value)),
        value => value.as_i64().map(Scalar::Integer).ok_or_else(|| {
            format!(
                "`{at}` must be a text, a whole number, true or false; other numbers are found \
                 with `range`"
            )
        }),
    }
}

pub(super) fn bounds<T>(
    value: &Value,
    at: &str,
    read: &dyn Fn(&Value, &str) -> Read<T>,
) -> Read<Bounds<T>> {
    let map = object(value, at)?;
    only(map, at, &["lt", "lte", "gt", "gte"])?;
    let bound = |name: &str| {
        let value = map.get(name).filter(|value| !value.is_null());
        let value = value.map(|value| read(value, &format!("{at}.{name}")));
        value.transpose()
    };
    Ok(Bounds {
        lt: bound("lt")?,
        gt: bound("gt")?,
        gte: bound("gte")?,
        lte: bound("lte")?,
    })
}

pub(super) fn range(value: &Value, at: &str) -> Read<Test> {
    let dates = object(value, at)?.values().any(Value::is_string);
    if dates {
        let date = |value: &Value, at: &str| {
            let wrong = || {
                format!(
                    "`{at}` must be an RFC 3339 date like \"2024-05-01T12:00:00Z\", as the other \
                     bounds are"
                )
            };
            let date = value.as_str().and_then(parse_date);
            date.ok_or_else(wrong)
        };
        return Ok(Test::Date(bounds(value, at, &date)?));
    }
    let number = |value: &Value, at: &str| {
        let number = value.as_f64();
        number.ok_or_else(|| format!("`{at}` must be a number or an RFC 3339 date"))
    };
    Ok(Test::Number(bounds(value, at, &number)?))
}

fn point(map: &Map<String, Value>, name: &str, at: &str) -> Read<GeoPoint> {
    let at = format!("{at}.{name}");
    let value = map.get(name).ok_or_else(|| format!("`{at}` is missing"))?;
    place(value, &at)
}

fn place(value: &Value, at: &str) -> Read<GeoPoint> {
    let map = object(value, at)?;
    only(map, at, &["lon", "lat"])?;
    let degree = |name: &str| {
        let degree = map.get(name).and_then(Value::as_f64);
        degree.ok_or_else(|| format!("`{at}.{name}` must be a number of degrees"))
    };
    GeoPoint::new(degree("lon")?, degree("lat")?).ok_or_else(|| {
        format!("`{at}` is no place: `lon` is from -180 to 180, `lat` from -90 to 90")
    })
}

pub(super) fn radius(value: &Value, at: &str) -> Read<Test> {
    let map = object(value, at)?;
    only(map, at, &["center", "radius"])?;
    let metres = map.get("radius").and_then(Value::as_f64);
    Ok(Test::Radius {
        center: point(map, "center", at)?,
        metres: metres
            .filter(|metres| *metres >= 0.0)
            .ok_or_else(|| format!("`{at}.radius` must be a number of metres, 0 or more"))?,
    })
}

pub(super) fn geo_box(value: &Value, at: &str) -> Read<Test> {
    let map = object(value, at)?;
    only(map, at, &["top_left", "bottom_right"])?;
    let area = GeoBox {
        top_left: point(map, "top_left", at)?,
        bottom_right: point(map, "bottom_right", at)?,
    };
    match area.top_left.lat < area.bottom_right.lat {
        true => Err(format!("`{at}.top_left` lies south of `bottom_right`")),
        false => Ok(Test::Box(area)),
    }
}

pub(super) fn polygon(value: &Value, at: &str) -> Read<Test> {
    let map = object(value, at)?;
    only(map, at, &["exterior", "interiors"])?;
    let exterior = map
        .get("exterior")
        .ok_or_else(|| format!("`{at}.exterior` is missing"))?;
    let exterior = ring(exterior, &format!("{at}.exterior"))?;
    let interiors = match map.get("interiors") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => {
            let at = format!("{at}.interiors");
            let rings = value
                .as_array()
                .ok_or_else(|| format!("`{at}` must be a list"))?;
            let rings = rings.iter().enumerate();
            let rings = rings.map(|(n, value)| ring(value, &format!("{at}[{n}]")));
            rings.collect::<Read<_>>()?
        }
    };
    Ok(Test::Polygon(GeoPolygon {
        exterior,
        interiors,
    }))
}

fn ring(value: &Value, at: &str) -> Read<Vec<GeoPoint>> {
    let map = object(value, at)?;
    only(map, at, &["points"])?;
    let at = format!("{at}.points");
    let points = map.get("points").and_then(Value::as_array);
    let points = points.ok_or_else(|| format!("`{at}` must be a list of places"))?;
    if points.len() < 3 || points.len() > POLYGON_CORNERS {
        return Err(format!("`{at}` must have 3 to {POLYGON_CORNERS} places"));
    }
    let points = points.iter().enumerate();
    points
        .map(|(n, value)| place(value, &format!("{at}[{n}]")))
        .collect()
}
