//! Licence expressions (SPDX annex D, and `/` for `OR` as old packages write it): whether one of the
//! choices that it leaves is allowed altogether.

/// `false` too for what is no expression.
pub(super) fn is_within(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let spaced = spaced.replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        allowed,
    };
    let within = reader.any();
    within == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.words.first() == Some(&word);
        if there {
            self.words = &self.words[1..];
        }
        there
    }

    fn any(&mut self) -> Option<bool> {
        let mut within = self.all()?;
        while self.takes("OR") {
            within |= self.all()?;
        }
        Some(within)
    }

    fn all(&mut self) -> Option<bool> {
        let mut within = self.one()?;
        while self.takes("AND") {
            within &= self.one()?;
        }
        Some(within)
    }

    fn one(&mut self) -> Option<bool> {
        let name = self.next()?;
        if name == "(" {
            let within = self.any()?;
            return self.takes(")").then_some(within);
        }
        if matches!(name, ")" | "OR" | "AND" | "WITH") {
            return None;
        }
        match self.takes("WITH") {
            false => Some((self.allowed)(name)),
            true => {
                let exception = self.next()?;
                Some((self.allowed)(&format!("{name} WITH {exception}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_choice_must_be_allowed_altogether() {
        let allowed = |name: &str| ["MIT", "ISC", "X WITH y"].contains(&name);
        let within = |expression| is_within(expression, &allowed);
        for fine in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND ISC",
            "X WITH y",
            "GPL-3.0 AND ISC OR MIT",
        ] {
            assert!(within(fine), "{fine}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "X",
            "X WITH z",
            "(MIT",
            "MIT)",
            "MIT ISC",
            "OR MIT",
            "(GPL-3.0 OR MIT) AND GPL-3.0",
        ] {
            assert!(!within(bad), "{bad}");
        }
    }
}
