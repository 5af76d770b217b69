//! Exit codes. Scripts lean on them: they change only with a note in the changelog.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Success,
    /// It failed, and said why.
    Failure,
    /// What was asked for makes no sense: arguments or settings.
    Usage,
    /// An import, or a move to another model, came to its end, but some photos were refused.
    Partial,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Partial => 3,
        })
    }
}
