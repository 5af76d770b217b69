//! Rows of points as snapshots and backups keep them: what a point has beside its vectors.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Error;
use crate::ids::PointId;
use crate::limits::MAX_ROW_BYTES;
use crate::payload::decode_exact;
use crate::tables::FaceRow;

/// What a snapshot keeps of a point beside its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRow {
    /// Its id.
    pub id: PointId,
    /// Its payload, a MessagePack map.
    pub payload: Vec<u8>,
    /// Its face.
    pub face: Option<FaceRow>,
}

#[derive(Serialize, Deserialize)]
struct RowBody {
    id: ByteBuf,
    payload: ByteBuf,
    face: Option<FaceRow>,
}

/// Writes one row: its length, then MessagePack.
pub fn write_row(out: &mut dyn Write, row: PointRow) -> io::Result<()> {
    let body = RowBody {
        id: ByteBuf::from(row.id.key()),
        payload: ByteBuf::from(row.payload),
        face: row.face,
    };
    let bytes = rmp_serde::to_vec(&body).map_err(io::Error::other)?;
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&bytes)
}

/// Reads rows until the end of `input`.
pub fn read_rows(mut input: impl Read) -> impl Iterator<Item = Result<PointRow, Error>> {
    let fail = |reason: String| Error::Decode {
        what: "a row of a snapshot",
        reason,
    };
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let row = read_row(&mut input)
            .map_err(|error| fail(error.to_string()))
            .transpose();
        ended = row.as_ref().is_none_or(Result::is_err);
        row
    })
}

fn read_row(input: &mut impl Read) -> io::Result<Option<PointRow>> {
    let mut length = [0; 4];
    let (first, rest) = length.split_at_mut(1);
    if input.read(first)? == 0 {
        return Ok(None);
    }
    input.read_exact(rest)?;
    let len = u32::from_le_bytes(length) as usize;
    if len > MAX_ROW_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a row of {len} bytes is over the limit"),
        ));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes)?;
    let body: RowBody = decode_exact("a row", &bytes).map_err(io::Error::other)?;
    let id = PointId::from_key(&body.id).ok_or_else(|| io::Error::other("an id is malformed"))?;
    Ok(Some(PointRow {
        id,
        payload: body.payload.into_vec(),
        face: body.face,
    }))
}
