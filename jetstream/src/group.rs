//! Groups of records out of messages, in the order of the stream.
//!
//! A group that is larger than a message lies in several, one right behind the other. If another node's
//! message came in between, the writer was told so and began anew: what it had written before is no
//! group, for whoever reads it. So all readers see the same records at the same positions.

use storage::{Bookmark, Error, Lsn};

use crate::limits::{GROUP_BYTES, GROUP_RECORDS};
use crate::message::Message;
use crate::position::{behind, position};

/// The records of one group with their positions.
pub(crate) type Group = Vec<(Lsn, Vec<u8>)>;

/// Puts groups together; knows how far the stream has been seen.
#[derive(Debug, Clone)]
pub(crate) struct Assembler {
    log: u128,
    /// The last message that was seen.
    pub(crate) seen: u64,
    /// Its checksum, unless it was not seen itself.
    pub(crate) sum: Option<u32>,
    /// The last record of a group that is whole.
    pub(crate) last: Lsn,
    /// Whether that is only a position which it is not behind: it was not seen itself.
    pub(crate) is_last_guessed: bool,
    begun: Option<Begun>,
}

/// A group of which the end is not seen yet.
#[derive(Debug, Clone)]
struct Begun {
    group: u128,
    parts: u32,
    next: u32,
    body: Vec<u8>,
}

impl Assembler {
    /// One that goes on after a message it has not seen, of which no group is left over.
    pub(crate) fn after(log: u128, seen: u64) -> Self {
        Self {
            log,
            seen,
            sum: (seen == 0).then_some(0),
            last: behind(seen),
            is_last_guessed: seen > 0,
            begun: None,
        }
    }

    /// One that goes on where a log begins behind a position: there is no message before.
    pub(crate) fn beginning(log: u128, seen: u64) -> Self {
        Self {
            sum: Some(0),
            is_last_guessed: false,
            ..Self::after(log, seen)
        }
    }

    /// What is to be known of all that was taken by who goes on behind it.
    pub(crate) fn bookmark(&self) -> Option<Bookmark> {
        let is_known = self.seen > 0 && !self.is_last_guessed && self.begun.is_none();
        let known = self.sum.filter(|_| is_known);
        known.map(|sum| Bookmark {
            message: self.seen,
            sum,
            last: self.last,
        })
    }

    /// Nothing but beginnings of groups was seen behind what is known by this.
    pub(crate) fn recall(&mut self, bookmark: &Bookmark) {
        if self.is_last_guessed {
            (self.last, self.is_last_guessed) = (bookmark.last, false);
        }
        if self.seen == bookmark.message {
            self.sum.get_or_insert(bookmark.sum);
        }
    }

    /// The next message; the group that it ends, if it ends one.
    pub(crate) fn take(&mut self, sequence: u64, bytes: &[u8]) -> Result<Group, Error> {
        let damaged = |what: &str| {
            Error::Shared(format!(
                "message {sequence} of the stream is damaged: {what}"
            ))
        };
        let (message, sum) = Message::decode(bytes).map_err(|what| damaged(&what))?;
        if message.log != self.log {
            return Err(damaged("it is of another log"));
        }
        if sequence != self.seen + 1 {
            return Err(Error::Shared(format!(
                "after message {} of the stream comes {sequence}: messages are missing",
                self.seen
            )));
        }
        if message.sequence != sequence {
            let own = message.sequence;
            return Err(damaged(&format!("it was written as message {own}")));
        }
        if self.sum.is_some_and(|sum| sum != message.before) {
            return Err(Error::Shared(format!(
                "message {sequence} of the stream does not follow message {} as it was read here: \
                 the servers have lost what they had acknowledged",
                self.seen
            )));
        }
        let records = match self.join(&message) {
            None => Some(Vec::new()),
            Some(body) => decode(&body),
        };
        let records = records.ok_or_else(|| damaged("it holds no group of records"))?;
        self.passed(sequence, sum);
        let records = records.into_iter().enumerate();
        let group: Group = records
            .map(|(place, record)| (position(sequence, place), record))
            .collect();
        if let Some((last, _)) = group.last() {
            (self.last, self.is_last_guessed) = (*last, false);
        }
        Ok(group)
    }

    /// Whether the end of a group is still to come.
    pub(crate) fn is_within_group(&self) -> bool {
        self.begun.is_some()
    }

    /// Goes on behind messages of this node's own.
    pub(crate) fn wrote(&mut self, sequence: u64, sum: u32, last: Lsn) {
        self.passed(sequence, sum);
        self.begun = None;
        (self.last, self.is_last_guessed) = (last, false);
    }

    fn passed(&mut self, sequence: u64, sum: u32) {
        self.seen = sequence;
        self.sum = Some(sum);
    }

    /// The body of a group that is whole now. A part that does not go on from the one before is the
    /// rest of nothing.
    fn join(&mut self, message: &Message<'_>) -> Option<Vec<u8>> {
        let begun = self.begun.take();
        let mut begun = match (message.part, begun) {
            (0, _) => Begun {
                group: message.group,
                parts: message.parts,
                next: 0,
                body: Vec::new(),
            },
            (part, Some(begun))
                if begun.next == part
                    && begun.group == message.group
                    && begun.parts == message.parts =>
            {
                begun
            }
            _ => return None,
        };
        if begun.body.len() + message.body.len() > GROUP_BYTES {
            return None;
        }
        begun.body.extend(message.body);
        begun.next += 1;
        if begun.next == begun.parts {
            return Some(begun.body);
        }
        self.begun = Some(begun);
        None
    }
}

/// The bytes of a group: how many records there are, and each led by its length.
pub(crate) fn encode(records: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let bytes = 4 + records.iter().map(|record| 4 + record.len()).sum::<usize>();
    let too_large = |what, got, limit| Error::TooLarge { what, got, limit };
    if bytes > GROUP_BYTES {
        return Err(too_large("a group of records", bytes, GROUP_BYTES));
    }
    if records.len() > GROUP_RECORDS {
        return Err(too_large(
            "the count of a group's records",
            records.len(),
            GROUP_RECORDS,
        ));
    }
    let mut body = Vec::with_capacity(bytes);
    body.extend(small(records.len()).to_le_bytes());
    for record in records {
        body.extend(small(record.len()).to_le_bytes());
        body.extend(record);
    }
    Ok(body)
}

fn small(n: usize) -> u32 {
    u32::try_from(n).expect("a group is not that large")
}

fn decode(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = body;
    let number = |rest: &mut &[u8]| {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        usize::try_from(u32::from_le_bytes(*head)).ok()
    };
    let count = number(&mut rest).filter(|count| *count <= GROUP_RECORDS)?;
    let mut records = Vec::new();
    for _ in 0..count {
        let len = number(&mut rest)?;
        let (record, tail) = rest.split_at_checked(len)?;
        records.push(record.to_vec());
        rest = tail;
    }
    rest.is_empty().then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: u128 = 5;

    /// A stream as its servers keep it.
    #[derive(Default)]
    struct Stream {
        messages: Vec<Vec<u8>>,
        sum: u32,
    }

    impl Stream {
        fn put(&mut self, group: u128, (part, parts): (u32, u32), body: &[u8]) {
            let sequence = self.messages.len() as u64 + 1;
            let message = Message {
                log: LOG,
                sequence,
                before: self.sum,
                group,
                part,
                parts,
                body,
            };
            let (bytes, sum) = message.encode();
            self.messages.push(bytes);
            self.sum = sum;
        }

        fn read(&self) -> Result<Group, Error> {
            let mut assembler = Assembler::after(LOG, 0);
            let mut all = Vec::new();
            for (bytes, sequence) in self.messages.iter().zip(1..) {
                all.extend(assembler.take(sequence, bytes)?);
            }
            Ok(all)
        }
    }

    fn records(of: &[&str]) -> Vec<u8> {
        let records: Vec<_> = of.iter().map(|text| text.as_bytes().to_vec()).collect();
        encode(&records).unwrap()
    }

    fn texts(group: Group) -> Vec<(u64, String)> {
        let text = |(lsn, record): (Lsn, Vec<u8>)| (lsn.0, String::from_utf8(record).unwrap());
        group.into_iter().map(text).collect()
    }

    #[test]
    fn a_group_in_parts_is_one_and_what_was_overtaken_is_none() {
        let mut stream = Stream::default();
        let large = records(&["large", "and more"]);
        let (first, second) = large.split_at(7);
        stream.put(1, (0, 1), &records(&["a", ""]));
        stream.put(2, (0, 2), first);
        stream.put(3, (0, 1), &records(&["between"]));
        stream.put(2, (1, 2), second);
        stream.put(4, (0, 2), first);
        stream.put(4, (1, 2), second);
        stream.put(5, (0, 2), first);
        stream.put(6, (1, 2), second);
        let expected = [
            (1 << 16, "a"),
            ((1 << 16) + 1, ""),
            (3 << 16, "between"),
            (6 << 16, "large"),
            ((6 << 16) + 1, "and more"),
        ];
        let expected = expected.map(|(lsn, text)| (lsn, text.to_owned()));
        assert_eq!(texts(stream.read().unwrap()), expected);
    }

    #[test]
    fn what_is_missing_twice_there_or_written_anew_is_seen() {
        let mut stream = Stream::default();
        for n in 0..5u128 {
            stream.put(n, (0, 1), &records(&["x"]));
        }
        let damaged = |bend: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut messages = stream.messages.clone();
            bend(&mut messages);
            let told = Stream { messages, sum: 0 }.read().unwrap_err();
            assert!(matches!(told, Error::Shared(_)), "{told}");
            told.to_string()
        };
        assert!(damaged(&|it| drop(it.remove(2))).contains("written as message 4"));
        assert!(damaged(&|it| it.insert(2, it[2].clone())).contains("written as message 3"));
        assert!(damaged(&|it| it[1][9] ^= 1).contains("checksum"));
        let mut other = Stream::default();
        other.put(9, (0, 1), &records(&["y"]));
        other.put(9, (0, 1), &records(&["y"]));
        let told = damaged(&|it| it[1] = other.messages[1].clone());
        assert!(
            told.contains("have lost what they had acknowledged"),
            "{told}"
        );
    }

    #[test]
    fn a_message_that_holds_no_group_is_damage() {
        let mut whole = records(&["abc", "de"]);
        whole.push(0);
        let short = &whole[..whole.len() - 3];
        for body in [&whole[..], short, b"", &u32::MAX.to_le_bytes()] {
            let mut stream = Stream::default();
            stream.put(1, (0, 1), body);
            assert!(stream.read().is_err(), "{body:?}");
            let mut assembler = Assembler::after(LOG, 0);
            assembler.take(1, &stream.messages[0]).unwrap_err();
            assert_eq!((assembler.seen, assembler.bookmark()), (0, None));
        }
    }

    #[test]
    fn more_than_a_group_may_have_is_refused() {
        let many = vec![Vec::new(); GROUP_RECORDS + 1];
        assert!(matches!(encode(&many), Err(Error::TooLarge { .. })));
        assert!(encode(&many[1..]).is_ok());
    }
}
