//! Whether the stream still is the one that was read. No message ever says that it was purged, put back to what it was
//! before, or made anew, so what its servers say of it is held against what was read, whenever nothing has come for a
//! while.
//!
//! Invariant: nothing is found amiss because servers start, elect, have not caught up, or lead nobody any more: it must
//! have been so for a while, and told by one that most of them go with.

use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Info, Stream};
use tokio::time::timeout;

use crate::limits::{ANSWER, GONE_PATIENCE, LOOK, LOOK_AGAIN};
use crate::log::message_at;
use crate::message;
use crate::stream::{find, is_led, number};

/// What is known of a stream by whom it is read.
pub(crate) struct Lookout {
    context: Context,
    name: String,
    number: u128,
    /// Whether it may be another than before: nothing was heard of it for a moment.
    suspect: bool,
    /// The last message that was read, and its checksum if that is known.
    read: (u64, Option<u32>),
    /// Since when something is amiss.
    since: Option<Instant>,
    looked: Instant,
}

impl Lookout {
    /// `read`: the last message that was read before, and its checksum if that is known.
    pub(crate) fn new(
        context: Context,
        stream: &Stream,
        number: u128,
        read: (u64, Option<u32>),
    ) -> Self {
        Self {
            context,
            name: stream.cached_info().config.name.clone(),
            number,
            suspect: false,
            read,
            since: None,
            looked: Instant::now(),
        }
    }

    /// The same from another message on.
    pub(crate) fn from(&self, read: u64) -> Self {
        Self {
            context: self.context.clone(),
            name: self.name.clone(),
            read: (read, None),
            since: None,
            looked: Instant::now(),
            ..*self
        }
    }

    /// A message was read, the next one.
    pub(crate) fn has_read(&mut self, sequence: u64, bytes: &[u8]) {
        self.read = (sequence, message::sum(bytes));
        self.since = None;
        self.looked = Instant::now();
    }

    /// Nothing was heard of the stream for a moment: what is there then is to be what was read.
    pub(crate) fn suspect(&mut self) {
        self.suspect = true;
    }

    /// When to look, where nothing comes.
    pub(crate) fn due(&self) -> Duration {
        let rest = if self.since.is_some() {
            LOOK_AGAIN
        } else {
            LOOK
        };
        rest.saturating_sub(self.looked.elapsed())
    }

    /// Why nothing more is to be read, if that is so.
    pub(crate) async fn look(&mut self) -> Option<String> {
        self.looked = Instant::now();
        let found = match timeout(ANSWER, find(&self.context, &self.name)).await {
            Ok(Ok(found)) => found,
            // Who does not answer says nothing.
            Ok(Err(_)) | Err(_) => {
                self.since = None;
                return None;
            }
        };
        let amiss = match found {
            // What it tells is how it stood before.
            Some(stream) if !is_led(stream.cached_info()) => {
                self.since = None;
                return None;
            }
            None => Some(format!(
                "the stream `{}`, which this node has followed, is not there any more",
                self.name
            )),
            Some(stream) => self.amiss(&stream).await,
        };
        let Some(why) = amiss else {
            self.since = None;
            return None;
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        (since.elapsed() > GONE_PATIENCE).then_some(why)
    }

    async fn amiss(&mut self, stream: &Stream) -> Option<String> {
        let info = stream.cached_info();
        let name = &self.name;
        if number(&info.config).ok() != Some(self.number) {
            return Some(format!(
                "the stream `{name}` was made anew, for another log"
            ));
        }
        if let Some(why) = self.range(info) {
            return Some(why);
        }
        let (read, sum) = self.read;
        if !self.suspect || read == 0 {
            self.suspect = false;
            return None;
        }
        // What was put back by its servers' own means with all that was in it goes on.
        match message_at(stream, read).await {
            Ok(Some(there)) if sum.is_none() || message::sum(&there) == sum => {}
            Ok(Some(_)) => {
                return Some(format!(
                    "message {read} of the stream `{name}` is another than this node has read: the stream was made anew"
                ));
            }
            // Purged: what comes behind it says what it stands behind.
            Ok(None) => {}
            Err(_) => return None,
        }
        self.suspect = false;
        None
    }

    /// What is wrong with where it begins and ends.
    fn range(&self, info: &Info) -> Option<String> {
        let (first, end) = (info.state.first_sequence, info.state.last_sequence);
        let read = self.read.0;
        if end < read {
            return Some(format!(
                "the stream ends with message {end}, and this node has read it up to {read}: the servers have lost what \
                 they had acknowledged, or it was put back to what it had before, or made anew"
            ));
        }
        (first > read + 1).then(|| gone(read + 1, first))
    }
}

/// Messages are gone that were wanted.
pub(crate) fn gone(wanted: u64, first: u64) -> String {
    format!(
        "message {wanted} of the stream is wanted, and {first} is the first there is: messages were lost or purged, or \
         this node was so far behind that they were trimmed: then started again it begins with the checkpoint in the \
         store"
    )
}
