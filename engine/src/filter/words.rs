//! Texts cut into words, so that a text can be found by some of them.

use super::Words;

/// How texts are cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// At everything that is neither a letter nor a digit.
    Word,
    /// At blanks.
    Whitespace,
    /// As [`Tokenizer::Word`]; a word that is looked for may be the beginning of one.
    Prefix,
}

/// How texts are cut, and which words count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Where texts are cut.
    pub tokenizer: Tokenizer,
    /// Whether `A` is `a`.
    pub lowercase: bool,
    /// Shorter words are not looked for.
    pub min_len: Option<u32>,
    /// Longer words are not looked for; of beginnings, only so much counts.
    pub max_len: Option<u32>,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            tokenizer: Tokenizer::Word,
            lowercase: true,
            min_len: None,
            max_len: None,
        }
    }
}

impl TextOptions {
    /// The words of a text that is kept.
    pub(crate) fn words<'a>(&self, text: &'a str) -> impl Iterator<Item = String> + use<'a> {
        let (whitespace, lowercase) = (self.tokenizer == Tokenizer::Whitespace, self.lowercase);
        let cut = move |c: char| match whitespace {
            true => c.is_whitespace(),
            false => !c.is_alphanumeric(),
        };
        let words = text.split(cut).filter(|word| !word.is_empty());
        words.map(move |word| match lowercase {
            true => word.to_lowercase(),
            false => word.to_owned(),
        })
    }

    /// The words that a text asks for.
    pub(crate) fn asked(&self, text: &str) -> Vec<String> {
        let (min, max) = (
            self.min_len.map_or(0, |len| len as usize),
            self.max_len.map_or(usize::MAX, |len| len as usize),
        );
        let counted = |word: String| {
            let len = word.chars().count();
            match self.tokenizer {
                _ if len < min => None,
                Tokenizer::Prefix => Some(word.chars().take(max).collect()),
                _ => (len <= max).then_some(word),
            }
        };
        self.words(text).filter_map(counted).collect()
    }

    /// Whether a word is one that was asked for.
    pub(crate) fn is(&self, word: &str, asked: &str) -> bool {
        match self.tokenizer {
            Tokenizer::Prefix => word.starts_with(asked),
            Tokenizer::Word | Tokenizer::Whitespace => word == asked,
        }
    }
}

impl Words {
    pub(crate) fn all_in(&self, text: &str) -> bool {
        let asked = self.options.asked(&self.text);
        let words: Vec<String> = self.options.words(text).collect();
        let found = |asked: &String| words.iter().any(|word| self.options.is(word, asked));
        !asked.is_empty() && asked.iter().all(found)
    }

    pub(crate) fn any_in(&self, text: &str) -> bool {
        let asked = self.options.asked(&self.text);
        let mut words = self.options.words(text);
        words.any(|word| asked.iter().any(|asked| self.options.is(&word, asked)))
    }

    pub(crate) fn in_order_in(&self, text: &str) -> bool {
        let asked = self.options.asked(&self.text);
        let words: Vec<String> = self.options.words(text).collect();
        let here = |words: &[String]| {
            let mut pairs = words.iter().zip(&asked);
            pairs.all(|(word, asked)| self.options.is(word, asked))
        };
        !asked.is_empty() && words.windows(asked.len()).any(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, tokenizer: Tokenizer) -> Words {
        let options = TextOptions {
            tokenizer,
            ..TextOptions::default()
        };
        Words {
            text: text.to_owned(),
            options,
        }
    }

    #[test]
    fn words_are_found_whole_in_any_order_and_phrases_in_theirs() {
        let text = "A Good, cheap camera!";
        assert!(words("camera good", Tokenizer::Word).all_in(text));
        assert!(!words("camera goo", Tokenizer::Word).all_in(text));
        assert!(words("camera goo", Tokenizer::Prefix).all_in(text));
        assert!(!words("camera!", Tokenizer::Whitespace).all_in("a camera"));
        assert!(words("phone camera", Tokenizer::Word).any_in(text));
        assert!(words("good cheap", Tokenizer::Word).in_order_in(text));
        assert!(!words("cheap good", Tokenizer::Word).in_order_in(text));
        for nothing in ["", " ,"] {
            let nothing = words(nothing, Tokenizer::Word);
            assert!(!nothing.all_in(text) && !nothing.any_in(text) && !nothing.in_order_in(text));
        }
    }

    #[test]
    fn words_too_short_are_not_asked_for_and_long_beginnings_are_cut() {
        let mut short = words("a camera", Tokenizer::Word);
        short.options.min_len = Some(2);
        assert!(short.all_in("the camera"));
        let mut long = words("cameras", Tokenizer::Prefix);
        long.options.max_len = Some(6);
        assert!(long.all_in("camera"));
    }
}
