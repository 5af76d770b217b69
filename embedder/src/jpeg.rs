//! What a JPEG's markers say before it is decoded (ITU T.81, annex B).

use crate::error::Error;
use crate::limits::MAX_SCANS;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Refuses what is cut short (decoders make grey pixels of what is missing), and what has so many scans
/// that its few bytes would take minutes: a progressive picture is gone through once for each. Where
/// segments make no sense it is for the decoder to say so.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Error> {
    let early = || Error::Damaged("the file ends before the picture does".into());
    let mut at = 2;
    loop {
        let segment = bytes.get(at..).ok_or_else(early)?;
        let Some([0xff, marker, high, low]) = segment.first_chunk::<4>() else {
            return Ok(());
        };
        match *marker {
            START_OF_SCAN => {
                let ends = |pair: &[u8]| pair == [0xff, END_OF_IMAGE];
                if !segment.windows(2).rev().any(ends) {
                    return Err(early());
                }
                return match scans(segment) {
                    ..=MAX_SCANS => Ok(()),
                    _ => Err(Error::Damaged(format!(
                        "it has more than {MAX_SCANS} scans: save it anew"
                    ))),
                };
            }
            // A byte that fills.
            0xff => at += 1,
            _ => at += 2 + length(*high, *low),
        }
    }
}

fn length(high: u8, low: u8) -> usize {
    u16::from_be_bytes([high, low]).into()
}

/// Scans from the first one on, up to the end of the picture: there may be other things behind it.
fn scans(mut rest: &[u8]) -> usize {
    let mut scans = 0;
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[at..];
        let Some([_, marker]) = rest.first_chunk::<2>() else {
            break;
        };
        let segment = || match rest.get(2..4) {
            Some([high, low]) => 2 + length(*high, *low),
            _ => rest.len(),
        };
        let skipped = match *marker {
            END_OF_IMAGE => break,
            START_OF_SCAN => {
                scans += 1;
                segment()
            }
            0xff => 1,
            // Tables, comments and data of applications.
            0xc4 | 0xdb..=0xdd | 0xe0..=0xef | 0xfe => segment(),
            // Data, or a marker without more.
            _ => 2,
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }
    scans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with so many scans, each of a byte that needs an escape, with a table before it.
    fn picture(scans: usize) -> Vec<u8> {
        let mut all = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xda];
        for _ in 0..scans {
            // The table's bytes look like an end and a scan.
            all.extend([0xff, 0xc4, 0, 6, 0xff, 0xd9, 0xff, 0xda]);
            all.extend([0xff, 0xda, 0, 3, 0, 7, 0xff, 0, 0xff, 0xd0, 8]);
        }
        all.extend([0xff, 0xd9]);
        all
    }

    fn refusal(bytes: &[u8]) -> String {
        check(bytes).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_picture_has_as_many_scans_as_may_be_and_what_lies_behind_it_is_none() {
        let mut most = picture(MAX_SCANS);
        assert_eq!(refusal(&most), "");
        // A film, or another picture.
        most.extend(picture(MAX_SCANS));
        assert_eq!(refusal(&most), "");
        assert!(refusal(&picture(MAX_SCANS + 1)).contains("scans"));
        // A marker that no decoder takes for a segment hides none.
        let mut hidden = picture(1);
        hidden.truncate(hidden.len() - 2);
        hidden.extend([0xff, 0x01, 0xff, 0xff]);
        hidden.extend(&picture(MAX_SCANS)[8..]);
        assert!(refusal(&hidden).contains("scans"));
    }

    #[test]
    fn what_is_cut_short_is_refused_and_what_makes_no_sense_is_left_to_the_decoder() {
        let whole = picture(3);
        assert!(
            refusal(&whole[..whole.len() - 2]).is_empty(),
            "a table has an end in it"
        );
        assert!(refusal(&whole[..7]).contains("ends before"));
        for sense in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8abcdef"] {
            let told = refusal(sense);
            assert!(told.is_empty() || told.contains("ends before"), "{told}");
        }
    }
}
