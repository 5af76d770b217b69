//! How far recovery is, in words for whoever asks a server that is not ready yet.

use std::sync::{Arc, Mutex, PoisonError};

use engine::{Event, RecoveryStep};

type Step = (RecoveryStep, u64, u64);

/// The last that was heard of it.
#[derive(Clone, Default)]
pub(crate) struct Recovery(Arc<Mutex<Option<Step>>>);

impl Recovery {
    /// Listens to what the engine tells.
    pub(crate) fn note(&self, event: &Event) {
        if let Event::Recovering { step, done, of } = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((*step, *done, *of));
        }
    }

    pub(crate) fn text(&self) -> String {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((step, done, of)) = last else {
            return "the data folder is being opened".to_owned();
        };
        let what = match step {
            RecoveryStep::Verify => "snapshots are being checked",
            RecoveryStep::Load => "collections are being loaded",
            RecoveryStep::Replay => "the log is being replayed",
        };
        format!("the data is being recovered: {what}, {done} of {of} done")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_last_is_what_is_said() {
        let recovery = Recovery::default();
        assert!(recovery.text().contains("is being opened"));
        for (step, word) in [
            (RecoveryStep::Verify, "checked, 3 of 9"),
            (RecoveryStep::Load, "loaded, 3 of 9"),
            (RecoveryStep::Replay, "replayed, 3 of 9"),
        ] {
            let (done, of) = (3, 9);
            recovery.note(&Event::Recovering { step, done, of });
            assert!(recovery.text().contains(word), "{}", recovery.text());
        }
    }
}
