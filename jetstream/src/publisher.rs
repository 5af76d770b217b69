//! Puts a message right after another, once or not at all.
//!
//! An answer that does not come leaves open whether the message is there: it is sent again, with the same id and under
//! the same condition, and where the place is taken the message in it says by whom. So it is there once, or not at all,
//! however late it arrives. What the servers refuse in words is told at once, unless it may pass; that nothing of it is
//! there is told only where that is known.

use std::time::Instant;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use storage::Error;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::connection::Said;
use crate::limits::{AGAIN, ANSWER, APPEND_PATIENCE, IN_VAIN};
use crate::log::message_at;
use crate::stream::{ALONE, is_led, subject};
use crate::untaken::Untaken;

pub(crate) struct Publisher {
    context: Context,
    stream: Stream,
    said: Said,
    /// The last message was tried for as long as one is tried.
    in_vain: bool,
}

impl Publisher {
    pub(crate) fn new(context: Context, stream: Stream, said: Said) -> Self {
        Self {
            context,
            stream,
            said,
            in_vain: false,
        }
    }

    /// Puts a message right after the one of this sequence, or finds that it is there already.
    pub(crate) async fn put(&mut self, bytes: &[u8], after: u64) -> Result<(), Error> {
        let put = self.try_to_put(bytes, after).await;
        self.in_vain = matches!(put, Err(Error::Refused { .. } | Error::Unreachable(_)));
        put
    }

    async fn try_to_put(&self, bytes: &[u8], after: u64) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", Uuid::new_v4().simple().to_string());
        headers.insert("Nats-Expected-Last-Sequence", after.to_string());
        let started = Instant::now();
        // Whether a try may have put it there, or may yet: nobody has said what has become of it,
        let mut is_unheard = false;
        // or a server that the others may not have failed with.
        let mut has_failed = false;
        loop {
            let untaken = match self.publish(headers.clone(), bytes.to_vec()).await {
                Ok(at) if at == after + 1 => return Ok(()),
                Ok(at) => {
                    return Err(Error::Shared(format!(
                        "the servers put message {} of the stream at {at}",
                        after + 1
                    )));
                }
                Err(untaken) => untaken,
            };
            is_unheard |= matches!(untaken, Untaken::Unknown(_));
            has_failed |= matches!(untaken, Untaken::Failed { .. });
            let may_be = is_unheard || has_failed;
            let passes = untaken.passes();
            let error = match untaken {
                Untaken::Place => match self.who_is_there(bytes, after + 1).await {
                    There::This => return Ok(()),
                    There::Another => return Err(Error::Overtaken),
                    // It was there, and is purged: this one, or another's.
                    There::Nobody { end, .. } if end > after && may_be => {
                        return Err(purged(after));
                    }
                    There::Nobody { end, .. } if end > after => return Err(Error::Overtaken),
                    // What stops all writing is found again by who writes next.
                    There::Nobody { .. } if may_be => Error::Unreachable(short(after)),
                    There::Nobody { .. } => Error::Shared(short(after)),
                    There::Unseen(why) => refused(why, false),
                },
                Untaken::Sealed => match self.who_is_there(bytes, after + 1).await {
                    There::This => return Ok(()),
                    _ if may_be => return Err(Error::Unreachable(sealed(self.name()))),
                    _ => return Err(Error::Shared(sealed(self.name()))),
                },
                Untaken::Full(why) => refused(why, true),
                Untaken::Failed { why, is_full, .. } => refused(why, is_full),
                Untaken::Refused(why) | Untaken::NotYet(why) => refused(why, false),
                Untaken::Unknown(why) => Error::Unreachable(why),
            };
            // What was refused now may have been taken before.
            let error = match error {
                Error::Refused { why, is_full } if may_be => {
                    match self.who_is_there(bytes, after + 1).await {
                        There::This => return Ok(()),
                        // No other server keeps the stream.
                        There::Nobody { end, keepers: 1 } if end == after && !is_unheard => {
                            refused(why, is_full)
                        }
                        _ => Error::Unreachable(why),
                    }
                }
                error => error,
            };
            let patience = match error {
                Error::Refused { .. } if self.in_vain => IN_VAIN,
                _ => APPEND_PATIENCE,
            };
            if !passes || started.elapsed() > patience {
                return Err(error);
            }
            tracing::debug!(%error, after, "a message is sent again");
            sleep(AGAIN).await;
        }
    }

    /// Where it is now; else why it may not be there.
    async fn publish(&self, headers: HeaderMap, bytes: Vec<u8>) -> Result<u64, Untaken> {
        let subject = subject(self.name());
        // From before it is sent on: what the servers say of it may come before anybody listens.
        let mut said = self.said.clone();
        said.mark_unchanged();
        let sent = async {
            let sent = self
                .context
                .publish_with_headers(subject, headers, bytes.into());
            sent.await?.await
        };
        tokio::select! {
            sent = timeout(ANSWER, sent) => match sent {
                Ok(Ok(ack)) => Ok(ack.sequence),
                Ok(Err(error)) => Err(Untaken::of(&error)),
                Err(_) => Err(Untaken::Unknown(
                    "the servers have not answered in time".into(),
                )),
            },
            why = self.is_not_permitted(said) => Err(Untaken::Refused(why)),
        }
    }

    /// What the servers say if this node may not write to the stream: that is no answer to a message.
    async fn is_not_permitted(&self, mut said: Said) -> String {
        let subject = subject(self.name()).to_lowercase();
        while said.changed().await.is_ok() {
            let text = said.borrow_and_update().clone().unwrap_or_default();
            let words = text.to_lowercase();
            if words.contains("permissions violation for publish") && words.contains(&subject) {
                return format!(
                    "{text}: the rights that its user needs are in docs/SCALING.md, \"TLS and credentials\""
                );
            }
        }
        std::future::pending().await
    }

    async fn who_is_there(&self, bytes: &[u8], sequence: u64) -> There {
        match message_at(&self.stream, sequence).await {
            Ok(Some(there)) if there == bytes => There::This,
            Ok(Some(_)) => There::Another,
            Ok(None) => match timeout(ANSWER, self.stream.get_info()).await {
                Ok(Ok(info)) if !is_led(&info) => There::Unseen(ALONE.to_owned()),
                Ok(Ok(info)) => There::Nobody {
                    end: info.state.last_sequence,
                    keepers: info.config.num_replicas,
                },
                Ok(Err(error)) => There::Unseen(error.to_string()),
                Err(error) => There::Unseen(error.to_string()),
            },
            Err(error) => There::Unseen(error.to_string()),
        }
    }

    fn name(&self) -> &str {
        &self.stream.cached_info().config.name
    }
}

/// What is where a message was to be.
enum There {
    This,
    Another,
    /// Nor was there, unless the stream ends behind it.
    Nobody {
        /// The last message that there was.
        end: u64,
        /// How many servers keep the stream.
        keepers: usize,
    },
    /// It cannot be seen, and why.
    Unseen(String),
}

/// Nothing of a message is there.
fn refused(why: String, is_full: bool) -> Error {
    Error::Refused { why, is_full }
}

/// What is wrong with a stream that takes nothing any more.
pub(crate) fn sealed(stream: &str) -> String {
    format!("the stream `{stream}` is sealed: nothing can be written to it any more, for good")
}

/// What stood right behind a message is not there any more.
fn purged(known: u64) -> Error {
    Error::Unreachable(format!(
        "message {} of the stream was purged before it was read",
        known + 1
    ))
}

fn short(known: u64) -> String {
    format!(
        "the stream ends before message {known}, which this node has read: the servers have lost what they had \
         acknowledged, or the stream was made anew"
    )
}
