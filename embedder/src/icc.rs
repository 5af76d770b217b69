//! A colour profile (ICC.1:2022) without what else is in it: who made it and when, for which device, and
//! whatever private tags hold. What says how colours are meant stays bit for bit.

/// Tags that say how colours are meant.
const KEPT: [&[u8]; 24] = [
    b"wtpt", b"bkpt", b"chad", b"lumi", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC",
    b"kTRC", b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"D2B0", b"D2B1", b"D2B2",
    b"B2D0", b"B2D1", b"B2D2", b"cicp",
];
/// Kinds of tags that hold numbers.
const NUMBERS: [&[u8]; 9] = [
    b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet",
];
const CICP: &[u8] = b"cicp";
const SPACES: [&[u8]; 3] = [b"RGB ", b"GRAY", b"CMYK"];
const HEADER: usize = 128;
/// Tags of a profile at most: those of printers have some twenty.
const MOST_TAGS: usize = 100;

/// The same colours and nothing else; `None` where it makes no sense as a profile of a photo.
pub(crate) fn colours_only(profile: &[u8]) -> Option<Vec<u8>> {
    let header = profile.get(..HEADER)?;
    if header.get(36..40)? != b"acsp" || !SPACES.contains(&header.get(16..20)?) {
        return None;
    }
    let mut tags = Vec::new();
    for at in 0..number(profile, HEADER)?.min(MOST_TAGS) {
        let entry = HEADER + 4 + 12 * at;
        let name = profile.get(entry..entry + 4)?;
        let (from, bytes) = (number(profile, entry + 4)?, number(profile, entry + 8)?);
        let data = profile.get(from..from.checked_add(bytes)?)?;
        let kind = data.get(..4)?;
        if KEPT.contains(&name) && (NUMBERS.contains(&kind) || kind == CICP) {
            tags.push((name, data));
        }
    }
    if tags.is_empty() {
        return None;
    }
    // What every profile has to have, with nothing in it.
    let is_old = *header.get(8)? < 4;
    let (description, right) = match is_old {
        true => (OLD_DESCRIPTION, OLD_TEXT),
        false => (NO_TEXTS, NO_TEXTS),
    };
    tags.extend([(&b"desc"[..], description), (&b"cprt"[..], right)]);
    written(header, &tags)
}

/// A description of one byte, the end of a text (ICC.1:2001, textDescriptionType).
const OLD_DESCRIPTION: &[u8] = &{
    let mut tag = [0; 91];
    tag[0] = b'd';
    tag[1] = b'e';
    tag[2] = b's';
    tag[3] = b'c';
    tag[11] = 1;
    tag
};
const OLD_TEXT: &[u8] = b"text\0\0\0\0\0";
/// Texts in no language.
const NO_TEXTS: &[u8] = b"mluc\0\0\0\0\0\0\0\0\0\0\0\x0c";

fn written(header: &[u8], tags: &[(&[u8], &[u8])]) -> Option<Vec<u8>> {
    let mut out = vec![0; HEADER];
    // Version, class, spaces; the signature; the intent and the light that all profiles have.
    for part in [8..24, 36..40, 64..80] {
        out.get_mut(part.clone())?
            .copy_from_slice(header.get(part)?);
    }
    // A date has to be one.
    out.get_mut(24..30)?
        .copy_from_slice(&[0x07, 0xd0, 0, 1, 0, 1]);
    out.extend(u32::try_from(tags.len()).ok()?.to_be_bytes());
    let start = HEADER + 4 + 12 * tags.len();
    let mut data: Vec<u8> = Vec::new();
    let mut placed: Vec<(&[u8], usize)> = Vec::new();
    for (name, content) in tags {
        // The three curves of most profiles are one.
        let there = placed.iter().find(|(other, _)| other == content);
        let at = match there {
            Some((_, at)) => *at,
            None => {
                data.resize(data.len().next_multiple_of(4), 0);
                placed.push((content, data.len()));
                data.extend_from_slice(content);
                data.len() - content.len()
            }
        };
        out.extend_from_slice(name);
        out.extend(u32::try_from(start + at).ok()?.to_be_bytes());
        out.extend(u32::try_from(content.len()).ok()?.to_be_bytes());
    }
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    let bytes = u32::try_from(out.len()).ok()?.to_be_bytes();
    out.get_mut(..4)?.copy_from_slice(&bytes);
    Some(out)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A profile with colours, of an old version or not, and with a secret wherever there is room for one.
    pub(crate) fn profile(version: u8, secret: &[u8]) -> Vec<u8> {
        let mut header = vec![0; HEADER];
        header[4..8].copy_from_slice(&secret[..4]);
        header[8] = version;
        header[12..24].copy_from_slice(b"mntrRGB XYZ ");
        header[36..40].copy_from_slice(b"acsp");
        header[48..56].copy_from_slice(&secret[..8]);
        header[84..100].copy_from_slice(&secret[..16]);
        let xyz = |n: u8| [b"XYZ \0\0\0\0".as_slice(), &[n; 12]].concat();
        let curve = b"curv\0\0\0\0\0\0\0\x01\x02\x33\0\0".to_vec();
        let text = [b"text\0\0\0\0", secret].concat();
        let tags = [
            (b"cprt", text.clone()),
            (b"rXYZ", xyz(1)),
            (b"gXYZ", xyz(2)),
            (b"bXYZ", xyz(3)),
            (b"rTRC", curve.clone()),
            (b"gTRC", curve.clone()),
            (b"bTRC", curve),
            (b"dmnd", text.clone()),
            // A text in the place of a colour.
            (b"wtpt", text.clone()),
            (b"priv", text),
        ];
        let count = u32::try_from(tags.len()).unwrap();
        let mut at = HEADER + 4 + 12 * tags.len();
        let (mut table, mut data) = (count.to_be_bytes().to_vec(), Vec::new());
        for (name, content) in tags {
            table.extend(name);
            table.extend(u32::try_from(at).unwrap().to_be_bytes());
            table.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
            at += content.len();
            data.extend(content);
        }
        [header, table, data].concat()
    }

    /// What a tag holds.
    pub(crate) fn tag<'a>(profile: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        (0..number(profile, HEADER)?).find_map(|at| {
            let entry = HEADER + 4 + 12 * at;
            let (from, bytes) = (number(profile, entry + 4)?, number(profile, entry + 8)?);
            let is_it = profile.get(entry..entry + 4)? == name;
            is_it.then(|| profile.get(from..from + bytes)).flatten()
        })
    }

    #[test]
    fn colours_stay_and_nothing_else_does() {
        const SECRET: &[u8] = b"of Ada's own telephone";
        for version in [2, 4] {
            let before = profile(version, SECRET);
            let after = colours_only(&before).unwrap();
            assert_eq!(number(&after, 0), Some(after.len()));
            for name in [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"] {
                assert_eq!(tag(&after, name), tag(&before, name));
            }
            assert_eq!(after[8..24], before[8..24]);
            for four in SECRET.windows(4) {
                assert!(!after.windows(4).any(|window| window == four));
            }
            for name in [b"desc", b"cprt"] {
                assert!(tag(&after, name).is_some(), "every profile has one");
            }
            assert_eq!(tag(&after, b"wtpt"), None);
            assert_eq!(colours_only(&after).unwrap(), after);
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_profile() {
        let whole = profile(4, &[b'x'; 16]);
        for length in [0, 39, HEADER, HEADER + 3, HEADER + 50, whole.len() - 1] {
            assert_eq!(colours_only(&whole[..length]), None, "{length}");
        }
        for (at, byte) in [(36, b'x'), (16, b'x'), (HEADER + 4 + 4, 0xff)] {
            let mut bad = whole.clone();
            bad[at] = byte;
            assert_eq!(colours_only(&bad), None, "{at}");
        }
    }
}
