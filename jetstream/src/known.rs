//! How far a stream goes that is opened: up to its last group that is whole, told by reading back from its end.

use storage::Error;

use crate::group::Assembler;
use crate::log::part;
use crate::position::{behind, position};

/// Knows the stream up to its end as it was when it was opened.
pub(crate) fn known(
    number: u128,
    (first, end): (u64, u64),
    read: &dyn Fn(u64) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Assembler, Error> {
    let first = first.max(1);
    let must = |sequence: u64| {
        let missing = || Error::Shared(format!("message {sequence} of the stream is missing"));
        read(sequence)?.ok_or_else(missing)
    };
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

#[cfg(test)]
mod tests {
    use storage::Lsn;

    use super::*;
    use crate::group;
    use crate::message::Message;

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
            let known = known(5, (first, messages.len() as u64), &read).unwrap();
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
}
