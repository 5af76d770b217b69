//! `order_by` as it travels: a key, or a key with a direction and a value to start from.

use engine::{KeyPath, Order, OrderFrom, parse_date};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::refusal::Refusal;

/// In which order points are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`order_by` must be a key or {\"key\", \"direction\", \"start_from\"}"
)]
pub(crate) enum OrderBy {
    Key(String),
    Full(FullOrder),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullOrder {
    key: String,
    direction: Option<Direction>,
    start_from: Option<StartFrom>,
}

#[derive(Debug, Deserialize, PartialEq, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Asc,
    Desc,
}

impl TryFrom<OrderBy> for Order {
    type Error = Refusal;

    fn try_from(wire: OrderBy) -> Result<Self, Refusal> {
        let full = match wire {
            OrderBy::Full(full) => full,
            OrderBy::Key(key) => FullOrder {
                key,
                direction: None,
                start_from: None,
            },
        };
        let key = KeyPath::parse(&full.key);
        Ok(Self {
            key: key.map_err(|error| Refusal::wrong(format!("`order_by`: {error}")))?,
            descending: full.direction == Some(Direction::Desc),
            start_from: full.start_from.map(OrderFrom::try_from).transpose()?,
        })
    }
}

/// The value that a page of an order begins with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`order_by.start_from` must be a number or an RFC 3339 date"
)]
enum StartFrom {
    Integer(i64),
    Float(f64),
    Date(#[schemars(extend("format" = "date-time"))] String),
}

impl TryFrom<StartFrom> for OrderFrom {
    type Error = Refusal;

    fn try_from(from: StartFrom) -> Result<Self, Refusal> {
        match from {
            StartFrom::Integer(number) => Ok(Self::Integer(number)),
            StartFrom::Float(number) => Ok(Self::Float(number)),
            StartFrom::Date(text) => parse_date(&text).map(Self::Date).ok_or_else(|| {
                Refusal::wrong("`order_by.start_from` must be a number or an RFC 3339 date")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(body: Value) -> Result<Order, String> {
        let body: OrderBy = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Order::try_from(body).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_key_alone_means_the_least_first() {
        let short = order(json!("a.b")).unwrap();
        assert_eq!(
            short,
            order(json!({"key": "a.b", "direction": "asc"})).unwrap()
        );
        assert!(!short.descending && short.start_from.is_none());
        let full = json!({"key": "at", "direction": "desc", "start_from": "1970-01-01T00:00:01Z"});
        let full = order(full).unwrap();
        assert!(full.descending);
        assert_eq!(full.start_from, Some(OrderFrom::Date(1_000_000)));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for (wrong, word) in [
            (json!({"key": "a", "dir": "asc"}), "order_by"),
            (json!({"key": "a", "direction": "up"}), "order_by"),
            (json!({"key": "a..b"}), "a..b"),
            (json!({"key": "a", "start_from": "soon"}), "start_from"),
            (json!(7), "order_by"),
        ] {
            let error = order(wrong).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
