//! Just enough of Rust's grammar to tell code from comments and literals, so that a rule about
//! code does not stumble over a word in a sentence.

/// The code of a file: comments and the insides of string literals become spaces; lines stay.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = blank_length(rest, code.chars().last());
        let (blanked, kept) = match length {
            0 => ("", first.len_utf8()),
            length => (&rest[..length], length),
        };
        if blanked.is_empty() {
            code.push(first);
        } else {
            code.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = &rest[kept..];
    }
    code
}

/// Bytes of the comment or literal that starts here; 0 if it is code.
fn blank_length(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if let Some(length) = raw_string(rest).filter(|_| !in_word) {
        return length;
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in rest.char_indices() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
        } else if here.starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`, and the same with `b` or `c` before.
fn raw_string(rest: &str) -> Option<usize> {
    let start = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let start = start.strip_prefix('r')?;
    let inside = start.trim_start_matches('#');
    let hashes = start.len() - inside.len();
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = rest.len() - inside.len();
    let length = inside.find(&end).map(|at| at + end.len());
    Some(opening + length.unwrap_or(inside.len()))
}

/// A character literal; a lifetime is code.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// The words of code: identifiers and keywords.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<String> {
        let code = code_only(text);
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
        let words = words(&code).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        assert_eq!(seen("a // b\nc"), ["a", "c"]);
        assert_eq!(seen("a /* b /* c */ \n d */ e"), ["a", "e"]);
        assert_eq!(seen(r#"a("b \" c", d)"#), ["a", "d"]);
        assert_eq!(seen("a(r#\"b \" c\"#, br\"x\\\", d)"), ["a", "d"]);
        assert_eq!(seen("a('\"', b, '\\'', 'x') c"), ["a", "b", "c"]);
    }

    #[test]
    fn lifetimes_and_names_that_end_in_r_are_code() {
        assert_eq!(
            seen("fn f<'a>(x: &'a str)"),
            ["fn", "f", "a", "x", "a", "str"]
        );
        assert_eq!(seen("color\"b\" c"), ["color", "c"]);
    }
}
