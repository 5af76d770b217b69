//! Which web pages may ask through a visitor's browser.

/// Origins of web pages, as browsers name them: `https://example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Only these.
    Listed(Vec<String>),
    /// Every one.
    Any,
}

impl Origins {
    /// Whether pages of this origin are meant.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.iter().any(|it| it.eq_ignore_ascii_case(origin)),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let origins = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let origins: Vec<_> = origins.map(str::to_owned).collect();
        let fine = origins.iter().all(|origin| {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            !host.is_empty() && !host.contains(['/', '*']) && origin.is_ascii()
        });
        fine.then_some(Self::Listed(origins))
    }
}
