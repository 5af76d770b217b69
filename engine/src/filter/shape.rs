//! What a filter looks like without what it says: how it is built and how many values it lists, but no
//! key and no value, so that it may be written where people's names must not be.

use std::fmt;

use super::{Condition, Filter, Scalars, Test};

/// A filter as it is told in a log.
struct Shape<'a>(&'a Filter);

impl Filter {
    /// How it is built, without keys and values: `must(number any:3) must_not(value)`.
    pub fn shape(&self) -> impl fmt::Display {
        Shape(self)
    }
}

impl fmt::Display for Shape<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.0.min_should.as_ref();
        let some = some.map_or(&[][..], |some| &some.conditions);
        let parts = [
            ("must", &self.0.must[..]),
            ("should", &self.0.should),
            ("must_not", &self.0.must_not),
            ("min_should", some),
        ];
        let parts = parts
            .iter()
            .filter(|(_, conditions)| !conditions.is_empty());
        for (nth, (name, conditions)) in parts.enumerate() {
            let before = if nth == 0 { "" } else { " " };
            write!(out, "{before}{name}(")?;
            for (nth, one) in conditions.iter().enumerate() {
                let before = if nth == 0 { "" } else { " " };
                write!(out, "{before}")?;
                condition(out, one)?;
            }
            write!(out, ")")?;
        }
        Ok(())
    }
}

fn condition(out: &mut fmt::Formatter<'_>, condition: &Condition) -> fmt::Result {
    match condition {
        Condition::Key { test, .. } => told(out, test),
        Condition::HasId(ids) => write!(out, "has_id:{}", ids.len()),
        Condition::HasVector(_) => write!(out, "has_vector"),
        Condition::Nested { filter, .. } => write!(out, "nested({})", filter.shape()),
        Condition::Filter(filter) => write!(out, "filter({})", filter.shape()),
    }
}

fn told(out: &mut fmt::Formatter<'_>, test: &Test) -> fmt::Result {
    let len = |values: &Scalars| match values {
        Scalars::Texts(texts) => texts.len(),
        Scalars::Integers(numbers) => numbers.len(),
    };
    let word = match test {
        Test::Any(values) => return write!(out, "any:{}", len(values)),
        Test::Except(values) => return write!(out, "except:{}", len(values)),
        Test::Value(_) => "value",
        Test::Text(_) => "text",
        Test::TextAny(_) => "text_any",
        Test::Phrase(_) => "phrase",
        Test::Prefix(_) => "prefix",
        Test::Number(_) => "number",
        Test::Date(_) => "date",
        Test::Count(_) => "count",
        Test::Empty => "empty",
        Test::Null => "null",
        Test::Radius { .. } => "radius",
        Test::Box(_) => "box",
        Test::Polygon(_) => "polygon",
    };
    out.write_str(word)
}

#[cfg(test)]
mod tests {
    use super::super::{Bounds, KeyPath, Scalar};
    use super::*;

    #[test]
    fn a_shape_says_how_a_filter_is_built_and_nothing_of_what_it_says() {
        let key = |test| Condition::Key {
            key: KeyPath::of("secret"),
            test,
        };
        let texts = ["Ada", "Bob"].map(str::to_owned).into_iter().collect();
        let nested = Condition::Nested {
            key: KeyPath::of("secret"),
            filter: Filter::must(key(Test::Any(Scalars::Texts(texts)))),
        };
        let filter = Filter {
            must: vec![key(Test::Number(Bounds::default())), nested],
            must_not: vec![key(Test::Value(Scalar::Text("Ada".into())))],
            ..Filter::default()
        };
        let shape = filter.shape().to_string();
        assert_eq!(shape, "must(number nested(must(any:2))) must_not(value)");
        assert_eq!(Filter::default().shape().to_string(), "");
    }
}
