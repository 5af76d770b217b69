//! The log, as one node holds it.
//!
//! A group of records is a message that the servers take only right after the last one that is known
//! here, by its sequence (`publisher`); so nothing of another node's can come between what a decision was made on and
//! its record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};
use storage::{Bookmark, Error, History, Log, Lsn, RECORD_HEAD, Records};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::connection::{Waits, and_said};
use crate::group::{self, Assembler};
use crate::known::{self, known};
use crate::limits::{
    ANSWER, AT_ONCE, HANDED_ON, LEAST_PAYLOAD, LOOK, LOOK_IN, MOST_PAYLOAD, OPEN_PATIENCE,
    OVERHEAD, READ_PATIENCE,
};
use crate::lookout::Lookout;
use crate::message::Message;
use crate::position::{behind, kept_from, position, sequence};
use crate::publisher::{Publisher, sealed};
use crate::settings::Settings;
use crate::stream::{self, Absent};
use crate::tail::Tail;
use crate::{connection, varz};

/// A log on JetStream, from where it was opened.
pub struct JetStreamLog {
    /// Given up in `drop` alone.
    runtime: Option<Runtime>,
    client: Client,
    stream: Stream,
    publisher: Publisher,
    number: u128,
    kept: Arc<Kept>,
    lookout: Lookout,
    tail: Tail,
    assembler: Assembler,
    /// How it stood before the first message there was when it was opened, if that is remembered.
    before: Option<Bookmark>,
    /// What is wrong with what comes next.
    broken: Option<String>,
}

/// What a log is to whoever opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// One that may be made.
    Nothing,
    /// One that was followed before, with this number: it is never made.
    Followed(u128),
    /// The same, for who can do without: servers that are not there are hardly waited for.
    Dispensable,
}

/// What the servers keep, when they were last asked.
#[derive(Default)]
struct Kept {
    bytes: AtomicU64,
    first: AtomicU64,
}

impl JetStreamLog {
    /// Connects, and finds or makes the stream. Servers that are not there yet are waited for.
    ///
    /// # Errors
    /// No server answers in time, or what is there may lose records. What is damaged in it is no error: see
    /// [`Log::broken`].
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        Self::open_telling(settings, Before::Nothing, Waits::UNTOLD)
    }

    /// The same of one that was followed before: it is never made.
    ///
    /// # Errors
    /// The same; and [`Error::Gone`], if it is not there any more.
    pub fn reopen(settings: &Settings, number: u128) -> Result<Self, Error> {
        Self::open_telling(settings, Before::Followed(number), Waits::UNTOLD)
    }

    /// The same, and tells what it waits for, as soon as it does.
    ///
    /// # Errors
    /// The same.
    pub fn open_telling(
        settings: &Settings,
        before: Before,
        waits: Waits<'_>,
    ) -> Result<Self, Error> {
        let (absent, patience) = match before {
            Before::Nothing => (Absent::Make, OPEN_PATIENCE),
            Before::Followed(_) => (Absent::Gone, OPEN_PATIENCE),
            Before::Dispensable => (Absent::Gone, LOOK_IN),
        };
        let runtime = runtime("log")?;
        let client = connection::connect_within(settings, patience, waits);
        let (client, said) = runtime.block_on(client)?;
        let fails = |error: &Error| match and_said(error, &said) {
            Some(error) => (waits.fails)(&error),
            None => (waits.fails)(error),
        };
        let fails = &fails;
        let waits = Waits { fails, ..waits };
        let opened = runtime.block_on(async {
            let mut context = jetstream::new(client.clone());
            context.set_timeout(ANSWER);
            let opened = stream::open(&context, settings, absent, waits).await;
            if let (Err(Error::Gone(_)), Before::Followed(number)) = (&opened, before)
                && let Some(name) = stream::named(&context, number).await
            {
                return Err(stream::misnamed(settings, &name));
            }
            let (stream, number) = opened?;
            let keepers = stream::keepers(stream.cached_info(), &client);
            varz::check_telling(settings, keepers, waits).await?;
            Ok::<_, Error>((context, stream, number))
        });
        let opened = opened.map_err(|error| and_said(&error, &said).unwrap_or(error));
        let (context, stream, number) = opened?;
        let info = stream.cached_info();
        let kept = Arc::new(Kept::default());
        kept.note(info);
        let end = info.state.last_sequence;
        let handle = runtime.handle();
        let read = |sequence| runtime.block_on(message_at(&stream, sequence));
        let begins = info.config.first_sequence.unwrap_or(1).max(1);
        let known = known(number, begins, (info.state.first_sequence, end), &read);
        let (known, broken) = match known {
            Ok(known) => (known, None),
            // Where the last record before that is shows when it is read.
            Err(Error::Shared(why)) => (Assembler::after(number, end), Some(why)),
            Err(error) => return Err(error),
        };
        // It can be read to its end, and takes nothing.
        let is_sealed = info.config.sealed;
        let broken = broken.or_else(|| is_sealed.then(|| sealed(&settings.stream)));
        let lookout = Lookout::new(context.clone(), &stream, number, (known.seen, known.sum));
        let again = lookout.from(known.seen);
        let tail = Tail::start(handle, stream.clone(), known.seen + 1, lookout);
        handle.spawn(look(stream.clone(), Arc::downgrade(&kept)));
        Ok(Self {
            client,
            publisher: Publisher::new(context, stream.clone(), said),
            stream,
            number,
            kept,
            lookout: again,
            tail,
            assembler: known,
            before: None,
            broken,
            runtime: Some(runtime),
        })
    }

    fn runtime(&self) -> &Runtime {
        running(&self.runtime)
    }

    fn read_at(&self, sequence: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = message_at(&self.stream, sequence);
        self.runtime().block_on(read)
    }

    fn whole(&self) -> Result<(), Error> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(Error::Shared(why.clone())),
        }
    }

    fn follow_into(&mut self, all: &mut Vec<(Lsn, Vec<u8>)>, wait: Duration) -> Result<(), Error> {
        let (started, mut bytes) = (Instant::now(), 0);
        while bytes < HANDED_ON {
            let left = match all.is_empty() {
                true => wait.saturating_sub(started.elapsed()),
                false => Duration::ZERO,
            };
            let Some((sequence, message)) = self.tail.next(left)? else {
                break;
            };
            // What this node has written itself arrives too.
            if sequence > self.assembler.seen {
                bytes += message.len();
                all.extend(self.assembler.take(sequence, &message)?);
            }
        }
        Ok(())
    }

    /// Bytes of a group that go into one message.
    fn part_bytes(&self) -> Result<usize, Error> {
        let most = self.client.server_info().max_payload;
        if most < LEAST_PAYLOAD {
            return Err(Error::Shared(format!(
                "the servers take {most} bytes at most as one message (`max_payload`), and doppel needs \
                 {LEAST_PAYLOAD}"
            )));
        }
        Ok(most.min(MOST_PAYLOAD) - OVERHEAD)
    }
}

impl Log for JetStreamLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.whole()?;
        if let Some(why) = self.waits() {
            return Err(Error::Waits(why));
        }
        let body = group::encode(records)?;
        let parts: Vec<&[u8]> = body.chunks(self.part_bytes()?).collect();
        let group = Uuid::new_v4().as_u128();
        let of = u32::try_from(parts.len()).expect("a group is not that large");
        let (mut at, mut sum) = (self.assembler.seen, self.assembler.sum.unwrap_or_default());
        for (part, body) in (0..).zip(parts) {
            let message = Message {
                log: self.number,
                sequence: at + 1,
                before: sum,
                group,
                part,
                parts: of,
                body,
            };
            let (bytes, own) = message.encode();
            let put = self.publisher.put(&bytes, at);
            running(&self.runtime).block_on(put)?;
            (at, sum) = (at + 1, own);
        }
        let lsns: Vec<Lsn> = (0..records.len())
            .map(|place| position(at, place))
            .collect();
        self.assembler
            .wrote(at, sum, lsns.last().copied().unwrap_or_default());
        self.kept
            .bytes
            .fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(lsns)
    }

    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        self.whole()?;
        let mut all = Vec::new();
        match self.follow_into(&mut all, wait) {
            Err(Error::Shared(why)) => {
                self.broken = Some(why);
                // What came before that is handed on first.
                if all.is_empty() {
                    self.whole()?
                }
            }
            followed => followed?,
        }
        Ok(all)
    }

    fn broken(&self) -> Option<String> {
        Some(self.whole().err()?.to_string())
    }

    fn seen(&self) -> u64 {
        self.assembler.seen
    }

    fn is_within_group(&self) -> bool {
        self.assembler.is_within_group()
    }

    fn bookmark(&self) -> Option<Bookmark> {
        match self.broken {
            None => self.assembler.bookmark(),
            Some(_) => None,
        }
    }

    fn remember(&mut self, bookmark: &Bookmark) -> Result<History, Error> {
        let first = self.kept.first.load(Ordering::Relaxed);
        let read = |sequence| self.read_at(sequence);
        let history = known::history(self.number, bookmark, (first, self.assembler.seen), &read)?;
        if history == History::Same && bookmark.message + 1 == first {
            self.assembler.recall(bookmark);
            self.before = Some(*bookmark);
        }
        Ok(history)
    }

    fn waits(&self) -> Option<String> {
        // What is broken takes nothing for good, and says why itself.
        let is_unknown = self.assembler.sum.is_none() && self.broken.is_none();
        is_unknown.then(|| known::unknown(self.assembler.seen))
    }

    fn piece_bytes(&self) -> usize {
        // Servers that take too little refuse the group itself, and say why.
        self.part_bytes()
            .unwrap_or(usize::MAX)
            .saturating_sub(RECORD_HEAD)
    }

    fn shared(&self) -> Option<u128> {
        Some(self.number)
    }

    fn last_lsn(&self) -> Lsn {
        self.assembler.last
    }

    fn end(&self) -> Result<Lsn, Error> {
        let info = async { timeout(AT_ONCE, self.stream.get_info()).await };
        let unreachable = |why: &dyn std::fmt::Display| Error::Unreachable(why.to_string());
        let info = self.runtime().block_on(info);
        let info = info.map_err(|error| unreachable(&error))?;
        let info = info.map_err(|error| unreachable(&error))?;
        if !stream::is_led(&info) {
            return Err(unreachable(&stream::ALONE));
        }
        Ok(behind(info.state.last_sequence))
    }

    fn first_lsn(&self) -> Lsn {
        let first = self.kept.first.load(Ordering::Relaxed);
        let reaches = kept_from(first);
        // Where the last record before that is known there is nothing between the two.
        let remembered = self.before.filter(|it| it.message + 1 == first);
        remembered.map_or(reaches, |it| it.last.next())
    }

    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let end = self.assembler.seen;
        let mut start = sequence(from).max(1);
        if start > end {
            return Ok(Box::new(std::iter::empty()));
        }
        // Others may have trimmed the stream since it was opened.
        let info = self.runtime().block_on(self.stream.get_info());
        let info = info.map_err(|error| Error::Unreachable(error.to_string()))?;
        self.kept.note(&info);
        // A group is read from where it begins.
        let there = self.runtime().block_on(message_at(&self.stream, start))?;
        start = start.saturating_sub(part(there.as_deref()));
        let first = info.state.first_sequence;
        if start < first && from >= self.first_lsn() {
            // What was purged up to within the group that is known, or to its end: that is applied whole.
            start = first.max(sequence(from) + 1);
        }
        if start < first {
            return Err(Error::Unreachable(format!(
                "message {start} of the stream is wanted, and {first} is the first that is kept: it was \
                 trimmed or purged while this node was starting, which is to begin again"
            )));
        }
        let mut assembler = Assembler::after(self.number, start - 1);
        let (stream, known) = (self.stream.clone(), self.lookout.from(start - 1));
        let mut tail = Tail::start(self.runtime().handle(), stream, start, known);
        let mut failed = false;
        let groups = std::iter::from_fn(move || {
            if failed || assembler.seen >= end {
                return None;
            }
            let next = tail.next(READ_PATIENCE).and_then(|next| {
                let none = || {
                    Error::Unreachable(format!(
                        "message {} of the stream does not come",
                        assembler.seen + 1
                    ))
                };
                let (sequence, bytes) = next.ok_or_else(none)?;
                assembler.take(sequence, &bytes)
            });
            failed = next.is_err();
            Some(next)
        });
        let records = groups.flat_map(|group| match group {
            Ok(group) => group.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        Ok(Box::new(records.filter(move |it| {
            it.as_ref().map_or(true, |(lsn, _)| *lsn >= from)
        })))
    }

    /// Where a checkpoint of this node ends says nothing of the others.
    fn release_below(&mut self, _: Lsn) -> Result<(), Error> {
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.kept.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for JetStreamLog {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn running(runtime: &Option<Runtime>) -> &Runtime {
    let runtime = runtime.as_ref();
    runtime.expect("it is there until the log is dropped")
}

/// A thread that keeps a connection going.
pub(crate) fn runtime(name: &str) -> Result<Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name(name).enable_all();
    let built = builder.build();
    built.map_err(|error| Error::Shared(format!("no runtime can be started: {error}")))
}

impl Kept {
    fn note(&self, info: &jetstream::stream::Info) {
        self.bytes.store(info.state.bytes, Ordering::Relaxed);
        let first = info.state.first_sequence;
        self.first.store(first, Ordering::Relaxed);
    }
}

/// Asks now and then what is kept, for as long as somebody wants to know.
async fn look(stream: Stream, kept: std::sync::Weak<Kept>) {
    loop {
        sleep(LOOK).await;
        let Some(kept) = kept.upgrade() else { return };
        if let Ok(info) = stream.get_info().await {
            kept.note(&info);
        }
    }
}

/// The bytes of a message, if it is there.
pub(crate) async fn message_at(stream: &Stream, sequence: u64) -> Result<Option<Vec<u8>>, Error> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message.payload.to_vec())),
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(None),
            RawMessageErrorKind::JetStream(ref told)
                if told.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(None)
            }
            _ => Err(Error::Unreachable(error.to_string())),
        },
    }
}

/// Which part of its group a message is.
pub(crate) fn part(message: Option<&[u8]>) -> u64 {
    let decoded = message.and_then(|bytes| Message::decode(bytes).ok());
    decoded.map_or(0, |(message, _)| u64::from(message.part))
}
