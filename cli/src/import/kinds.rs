//! Which files are photos by their names, and which of these are of kinds that nobody here reads. Of the latter the
//! first bytes have the last word: names say what a file was once called.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use embedder::ImageKind;

use crate::limits;

const READ: [&str; 11] = [
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "hif",
];

/// Kinds that are not read, with the ends of their names.
const UNREAD: [(&str, &[&str]); 5] = [
    ("AVIF", &["avif", "avifs"]),
    ("JPEG XL", &["jxl"]),
    ("JPEG 2000", &["jp2", "j2k", "jpf", "jpx"]),
    ("JPEG XR", &["jxr", "wdp"]),
    (
        "a camera's raw format",
        &[
            "arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "rw2", "srw",
        ],
    ),
];

/// Why something is left out that is no file.
pub(super) const LINK: &str = "a link to a folder";
pub(super) const NO_FILE: &str = "no regular file";

/// Whether a file is a photo that is read, by its name.
pub(crate) fn is_photo(path: &Path) -> bool {
    end(path).is_some_and(|end| READ.contains(&end.as_str()))
}

/// Whether a file is a photo by its name, read or not.
pub(super) fn is_named_as_photo(path: &Path) -> bool {
    is_photo(path) || unread_by_name(path).is_some()
}

/// Why a file that is not named as photos are is left out.
pub(super) fn why_not(path: &Path) -> &'static str {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() && path.is_symlink() => LINK,
        Ok(there) if !there.is_dir() && !there.is_file() => NO_FILE,
        _ => "not a photo by its name",
    }
}

/// Why a file that is named as a photo is not read, if it is not.
pub(super) fn why_unread(path: &Path) -> Option<String> {
    let kind = unread_by_name(path)?;
    let mut first = Vec::new();
    let seen =
        File::open(path).and_then(|file| file.take(limits::KIND_BYTES).read_to_end(&mut first));
    if let Err(error) = seen {
        return Some(format!("cannot be read: {error}"));
    }
    // Raw formats look like TIFF, of which the first page would be a small preview.
    let is_read = embedder::sniff(&first).is_ok_and(|kind| kind != ImageKind::Tiff);
    (!is_read).then(|| format!("{kind} is not read"))
}

fn unread_by_name(path: &Path) -> Option<&'static str> {
    let end = end(path)?;
    let mut kinds = UNREAD.iter();
    let found = kinds.find(|(_, ends)| ends.contains(&end.as_str()));
    found.map(|(kind, _)| *kind)
}

fn end(path: &Path) -> Option<String> {
    Some(path.extension()?.to_string_lossy().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_read_is_told_by_name_unless_its_bytes_are_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let jpeg: &[u8] = &[0xff, 0xd8, 0xff, 0xe0];
        let cases = [
            (
                "a.avif",
                b"\0\0\0\x1cftypavif....".as_slice(),
                Some("AVIF is not read"),
            ),
            ("b.JXL", b"\xff\x0a", Some("JPEG XL is not read")),
            ("c.dng", b"II*\0", Some("a camera's raw format is not read")),
            ("d.jp2", b"", Some("JPEG 2000 is not read")),
            ("e.avif", jpeg, None),
            ("f.jpg", b"\0\0\0\x1cftypavif....", None),
        ];
        for (name, bytes, due) in cases {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert!(is_named_as_photo(&path));
            assert_eq!(why_unread(&path).as_deref(), due, "{name}");
        }
        assert!(!is_photo(Path::new("a.avif")) && !is_named_as_photo(Path::new("a.txt")));
        let gone = why_unread(&dir.path().join("gone.avif")).unwrap();
        assert!(gone.contains("cannot be read"), "{gone}");
    }
}
