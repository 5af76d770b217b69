//! Bodies that come in compressed. They are read whole, then expanded on a thread that may block,
//! never beyond the limit of a body: a few bytes that stand for gigabytes cost no memory.

use std::io::{ErrorKind, Read};

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes};
use flate2::read::MultiGzDecoder;

use super::body::body_too_large;
use super::room::Reading;
use crate::limits;
use crate::refusal::Refusal;

/// Bytes that are expanded at once.
const PIECE_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

/// What `content-encoding` says; `None` is as it is.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Encoding>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(None);
    };
    match value.to_str().map(str::trim).map(str::to_ascii_lowercase) {
        Ok(word) if word.is_empty() || word == "identity" => Ok(None),
        Ok(word) if word == "gzip" || word == "x-gzip" => Ok(Some(Encoding::Gzip)),
        Ok(word) if word == "zstd" => Ok(Some(Encoding::Zstd)),
        _ => Err(Refusal::content_type(
            "the body's content-encoding can be gzip, zstd or identity",
        )),
    }
}

/// The body as it was before it was compressed.
pub(super) async fn expand(
    encoding: Encoding,
    bytes: Bytes,
    max_bytes: usize,
    mut reading: Reading,
) -> Result<(Bytes, Reading), Refusal> {
    let expanded = web::block(move || {
        let expanded = expanded(encoding, &bytes, max_bytes, &mut reading)?;
        Ok((expanded, reading))
    });
    let expanded = expanded.await;
    expanded.map_err(|_| Refusal::internal("a thread of the server broke down"))?
}

fn expanded(
    encoding: Encoding,
    bytes: &[u8],
    max_bytes: usize,
    reading: &mut Reading,
) -> Result<Bytes, Refusal> {
    let broken = |error: std::io::Error| {
        Refusal::wrong(format!(
            "the body is not {}: {error}",
            match encoding {
                Encoding::Gzip => "gzip",
                Encoding::Zstd => "zstd",
            }
        ))
    };
    let mut decoder: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(MultiGzDecoder::new(bytes)),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(broken)?;
            decoder
                .window_log_max(limits::ZSTD_WINDOW_LOG)
                .map_err(broken)?;
            Box::new(decoder)
        }
    };
    let (mut out, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    loop {
        let got = match decoder.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            got => got.map_err(broken)?,
        };
        if got == 0 {
            return Ok(out.into());
        }
        if out.len() + got > max_bytes {
            return Err(body_too_large(max_bytes));
        }
        reading.takes(got)?;
        out.extend_from_slice(piece.get(..got).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const MIB: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn both_encodings_give_back_what_went_in_up_to_the_limit_and_no_more() {
        for (size, fits) in [(MIB, true), (MIB + 1, false), (64 * MIB, false)] {
            let plain = vec![7; size];
            let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
            for (encoding, packed) in [(Encoding::Gzip, gzip(&plain)), (Encoding::Zstd, zstd)] {
                let out = expanded(encoding, &packed, MIB, &mut Reading::new());
                assert_eq!(out.is_ok(), fits, "{encoding:?} of {size}");
                if fits {
                    assert_eq!(out.unwrap(), plain);
                }
            }
        }
    }

    #[test]
    fn what_is_not_compressed_as_it_says_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let error =
                expanded(encoding, b"{\"limit\": 1}", MIB, &mut Reading::new()).unwrap_err();
            assert_eq!(error.status(), 400);
        }
        let half = &gzip(&[7; 1000])[..10];
        assert!(expanded(Encoding::Gzip, half, MIB, &mut Reading::new()).is_err());
    }
}
