//! What the servers say to a message that they do not take, told apart by what comes of it.
//!
//! Invariant: this try has not put it there where that is stated before the servers agree on a message, and only there:
//! they state as well that the one that leads could not store what they had agreed on, which the others have then.

use std::error::Error as _;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};

/// Why a try has not put a message where it was to be, or may not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// Its place is taken, by another node's message or by an earlier try of this one; or the stream ends before it.
    Place,
    /// There is no room for it.
    Full(String),
    /// The stream takes nothing any more, for good.
    Sealed,
    /// It is not taken, and will not be while things are as they are.
    Refused(String),
    /// Nobody takes it now: servers elect.
    NotYet(String),
    /// The server that was asked has come to nothing with it. Others may have it nevertheless, or get it yet.
    Failed {
        why: String,
        is_full: bool,
        passes: bool,
    },
    /// Nobody has said what has become of it.
    Unknown(String),
}

/// An earlier try with the same id is still at work.
const AT_WORK: ErrorCode = ErrorCode(10158);

impl Untaken {
    pub(crate) fn of(error: &PublishError) -> Self {
        let why = error.to_string();
        match error.kind() {
            PublishErrorKind::WrongLastSequence => Self::Place,
            PublishErrorKind::StreamNotFound => Self::NotYet(
                "no server takes messages for the stream: most of the servers that keep it are not there or have no room, \
                 or they elect who leads it"
                    .into(),
            ),
            PublishErrorKind::MaxAckPending => Self::NotYet(why),
            PublishErrorKind::MaxPayloadExceeded => Self::Refused(why),
            _ => {
                let source = error.source();
                match source.and_then(|it| it.downcast_ref::<jetstream::Error>()) {
                    Some(stated) => Self::stated(stated.error_code(), stated.to_string()),
                    None => Self::Unknown(why),
                }
            }
        }
    }

    /// Whether the same may be taken a moment later.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Place | Self::NotYet(_) | Self::Unknown(_) => true,
            Self::Failed { passes, .. } => *passes,
            Self::Full(_) | Self::Sealed | Self::Refused(_) => false,
        }
    }

    fn stated(code: ErrorCode, why: String) -> Self {
        // One code says that a message could not be stored; why, it says in words alone.
        let tells = |of: &str| code == ErrorCode::STREAM_STORE_FAILED && why.contains(of);
        let is_full = tells("no space left")
            || matches!(
                code,
                ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                    | ErrorCode::INSUFFICIENT_RESOURCES
                    | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                    | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            );
        let passes = matches!(
            code,
            AT_WORK
                | ErrorCode::CLUSTER_NOT_AVAILABLE
                | ErrorCode::CLUSTER_NOT_LEADER
                | ErrorCode::CLUSTER_NOT_ASSIGNED
                | ErrorCode::RAFT_GENERAL
        );
        match code {
            ErrorCode::STREAM_SEALED => Self::Sealed,
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
            | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => Self::Refused(why),
            // A stream's own limits are looked at before.
            _ if tells("maximum bytes") || tells("maximum messages") => Self::Full(why),
            _ => Self::Failed {
                why,
                is_full,
                passes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stated_is_told_apart_from_what_is_not_known() {
        let stated = |code: u64, said: &str| {
            let told = json!({"code": 503, "err_code": code, "description": said});
            let told: jetstream::Error = serde_json::from_value(told).unwrap();
            Untaken::of(&PublishError::with_source(PublishErrorKind::Other, told))
        };
        let full = |it: &Untaken| matches!(it, Untaken::Full(why) if why.contains("exceeded"));
        assert!(full(&stated(10077, "maximum bytes exceeded")));
        assert!(full(&stated(10077, "maximum messages exceeded")));
        let large = stated(10054, "message size exceeds maximum allowed");
        assert!(matches!(large, Untaken::Refused(_)), "{large:?}");
        // The one that leads may be the only one that has no room, or cannot store it.
        for (code, said, due) in [
            (10002, "resource limits exceeded for account", (true, false)),
            (10077, "write 3.blk: no space left on device", (true, false)),
            (10077, "a disk that cannot be read", (false, false)),
            (10158, "duplicate message id is in process", (false, true)),
            (
                10008,
                "JetStream system temporarily unavailable",
                (false, true),
            ),
            (12_345, "something new", (false, false)),
        ] {
            let failed = stated(code, said);
            let Untaken::Failed {
                is_full, passes, ..
            } = &failed
            else {
                panic!("{failed:?}");
            };
            assert_eq!((*is_full, *passes), due, "{said}");
        }
        assert_eq!(stated(10109, "stream is sealed"), Untaken::Sealed);
        let of = |kind| Untaken::of(&PublishError::new(kind));
        assert_eq!(of(PublishErrorKind::WrongLastSequence), Untaken::Place);
        for silent in [PublishErrorKind::TimedOut, PublishErrorKind::BrokenPipe] {
            assert!(matches!(of(silent), Untaken::Unknown(_)));
        }
        let nobody = of(PublishErrorKind::StreamNotFound);
        assert!(matches!(nobody, Untaken::NotYet(_)), "{nobody:?}");
    }
}
