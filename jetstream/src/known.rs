//! How far a stream goes that is opened: up to its last group that is whole, told by reading back from its end; and what
//! is remembered of it, where that was purged.
//!
//! Invariant: who does not know the checksum of the last message writes nothing behind it. So whoever reads what is
//! written can tell a history that servers have lost and written anew from one that was purged.

use storage::{Bookmark, Error, History};

use crate::group::Assembler;
use crate::log::part;
use crate::message::{self, Message};
use crate::position::{behind, position};

/// Knows the stream up to its end as it was when it was opened. `begins`: the first message that it ever had.
pub(crate) fn known(
    number: u128,
    begins: u64,
    (first, end): (u64, u64),
    read: &dyn Fn(u64) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Assembler, Error> {
    let first = first.max(1);
    let must = |sequence: u64| {
        let missing = || Error::Shared(format!("message {sequence} of the stream is missing"));
        read(sequence)?.ok_or_else(missing)
    };
    if end + 1 == begins {
        return Ok(Assembler::beginning(number, end));
    }
    let mut start = end + 1;
    // The end may be groups in parts that are not whole: what is before them says where the last ends.
    loop {
        let mut known = Assembler::after(number, start - 1);
        for sequence in start..=end {
            known.take(sequence, &must(sequence)?)?;
        }
        let found = start <= end && known.last >= position(start, 0);
        if found {
            return Ok(known);
        }
        if start <= first {
            // Purged up to within a group, of which nothing but its end is left: no record is behind what is there.
            if first > 1 && first <= end && part(Some(&must(first)?)) > 0 {
                known.last = behind(end);
            }
            return Ok(known);
        }
        let before = must(start - 1)?;
        start = (start - 1).saturating_sub(part(Some(&before))).max(first);
    }
}

/// Whether a stream with these messages, the first and the last, is the one in which a bookmark was kept: every message
/// says what it stands behind.
pub(crate) fn history(
    number: u128,
    bookmark: &Bookmark,
    (first, end): (u64, u64),
    read: &dyn Fn(u64) -> Result<Option<Vec<u8>>, Error>,
) -> Result<History, Error> {
    let there = bookmark.message;
    if there == 0 || there > end || there + 1 < first {
        return Ok(History::Untold);
    }
    let before = match read(there + 1)?.as_deref().map(Message::decode) {
        Some(Ok((next, _))) => {
            // What is no message of this log at this place is damage, and says nothing of what it stands behind.
            let is_next = next.log == number && next.sequence == there + 1;
            Some(next.before).filter(|_| is_next)
        }
        _ => read(there)?.as_deref().and_then(message::sum),
    };
    Ok(match before {
        Some(sum) if sum != bookmark.sum => History::Another(format!(
            "message {there} of the stream is another than this node has read: the servers have lost what they had \
             acknowledged, or were put back to what they had before and written to since"
        )),
        Some(_) => History::Same,
        // All was purged, and nothing was written since.
        None if there == end => History::Same,
        None => History::Untold,
    })
}

/// Why nothing is written behind a message whose checksum is not known.
pub(crate) fn unknown(last: u64) -> String {
    format!(
        "the shared log was purged, and this node does not know its last message, number {last}, behind which it would \
         write: it waits until another node has written, as one that has read that message does within a minute; \
         where none has, docs/SCALING.md, \"When the log is damaged\", says how nodes go on"
    )
}

#[cfg(test)]
mod tests {
    use storage::Lsn;

    use super::*;
    use crate::group;

    /// A stream of messages, each by its group, its part and how many there are.
    fn stream(messages: &[(u128, u32, u32)]) -> Vec<Vec<u8>> {
        let body = group::encode(&[b"record".to_vec()]).unwrap();
        let (mut all, mut before) = (Vec::new(), 0);
        for ((group, part, parts), sequence) in messages.iter().copied().zip(1..) {
            let message = Message {
                log: 5,
                sequence,
                before,
                group,
                part,
                parts,
                body: if part == 0 { &body } else { &[] },
            };
            let (bytes, sum) = message.encode();
            all.push(bytes);
            before = sum;
        }
        all
    }

    #[test]
    fn the_last_record_is_that_of_the_last_group_that_is_whole() {
        let last = |messages: &[(u128, u32, u32)], first: u64| {
            let messages = stream(messages);
            let read = |sequence: u64| {
                let kept = sequence.checked_sub(1).filter(|_| sequence >= first);
                Ok(kept.and_then(|at| messages.get(usize::try_from(at).ok()?).cloned()))
            };
            let known = known(5, 1, (first, messages.len() as u64), &read).unwrap();
            (known.seen, known.last)
        };
        assert_eq!(last(&[], 0), (0, Lsn(0)));
        assert_eq!(
            last(&[(1, 0, 1), (2, 0, 2), (2, 1, 2)], 1),
            (3, position(3, 0))
        );
        let begun = [(1, 0, 1), (2, 0, 3), (2, 1, 3), (3, 0, 2)];
        assert_eq!(last(&begun, 1), (4, position(1, 0)));
        let gone = (1, position(1, (1 << 16) - 1));
        assert_eq!(last(&[(1, 0, 1)], 2), gone, "all is purged");
        let cut = [(1, 0, 1), (2, 0, 3), (2, 1, 3), (2, 2, 3)];
        let all = (4, position(4, (1 << 16) - 1));
        assert_eq!(last(&cut, 3), all, "within a group");
        assert_eq!(last(&cut, 2), (4, position(4, 0)));
    }

    #[test]
    fn a_bookmark_tells_the_stream_in_which_it_was_kept_from_another() {
        let messages = stream(&[(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1)]);
        let end = messages.len() as u64;
        for first in 1..=end + 1 {
            let read = |sequence: u64| {
                let kept = sequence.checked_sub(1).filter(|_| sequence >= first);
                Ok(kept.and_then(|at| messages.get(usize::try_from(at).ok()?).cloned()))
            };
            for (own, message) in messages.iter().zip(1..) {
                let told = |sum| {
                    let last = position(message, 0);
                    let bookmark = Bookmark { message, sum, last };
                    history(5, &bookmark, (first, end), &read).unwrap()
                };
                let sum = message::sum(own).unwrap();
                let (there, other) = (told(sum), told(sum ^ 1));
                if message + 1 < first {
                    assert_eq!((there, other), (History::Untold, History::Untold));
                } else {
                    assert_eq!(there, History::Same);
                    let is_all_gone = first > end;
                    assert!(
                        is_all_gone || matches!(other, History::Another(_)),
                        "{other:?}"
                    );
                }
            }
            let ahead = Bookmark {
                message: end + 1,
                sum: 0,
                last: position(end + 1, 0),
            };
            let told = history(5, &ahead, (first, end), &read).unwrap();
            assert_eq!(told, History::Untold);
        }
    }

    #[test]
    fn a_message_of_another_log_or_from_another_place_says_nothing_of_what_is_before() {
        let messages = stream(&[(1, 0, 1), (2, 0, 1), (3, 0, 1)]);
        let bookmark = Bookmark {
            message: 1,
            sum: message::sum(&messages[0]).unwrap() ^ 1,
            last: position(1, 0),
        };
        let told = |number, at: usize| {
            let read = |sequence| Ok((sequence == 2).then(|| messages[at].clone()));
            history(number, &bookmark, (2, 3), &read).unwrap()
        };
        assert!(matches!(told(5, 1), History::Another(_)));
        assert_eq!((told(6, 1), told(5, 2)), (History::Untold, History::Untold));
    }

    #[test]
    fn who_remembers_what_was_purged_knows_the_log_as_who_has_read_it_does() {
        let messages = stream(&[(1, 0, 1), (2, 0, 2), (3, 0, 1), (4, 0, 2)]);
        let mut all = Assembler::after(5, 0);
        let mut kept = Vec::new();
        for (bytes, sequence) in messages.iter().zip(1..) {
            all.take(sequence, bytes).unwrap();
            kept.push(all.bookmark());
        }
        // The rest of a group may come behind the second and the fourth.
        let is_kept: Vec<_> = kept.iter().map(Option::is_some).collect();
        assert_eq!(is_kept, [true, false, true, false]);
        let third = kept[2].unwrap();
        assert_eq!((third.message, third.last), (3, position(3, 0)));
        let gone = |_: u64| Ok(None);
        let mut opened = known(5, 1, (4, 3), &gone).unwrap();
        assert_eq!((opened.sum, opened.bookmark()), (None, None));
        opened.recall(&third);
        assert_eq!(opened.bookmark(), Some(third));
        let next = |sequence: u64| Ok((sequence == 4).then(|| messages[3].clone()));
        let mut opened = known(5, 1, (4, 4), &next).unwrap();
        opened.recall(&third);
        assert_eq!((opened.sum, opened.last), (all.sum, all.last));
        // What is left of a group says only what its last record is not behind.
        let cut = stream(&[(1, 0, 1), (2, 0, 2), (2, 1, 2)]);
        let rest = |sequence: u64| Ok((sequence == 3).then(|| cut[2].clone()));
        let opened = known(5, 1, (3, 3), &rest).unwrap();
        assert!(opened.sum.is_some() && opened.bookmark().is_none());
        // Where a log begins behind a position there is nothing to be remembered.
        let begun = known(5, 4, (4, 3), &gone).unwrap();
        assert_eq!((begun.sum, begun.last), (Some(0), behind(3)));
    }
}
