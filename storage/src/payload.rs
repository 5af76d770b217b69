//! Payloads as MessagePack.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A value as MessagePack.
pub fn encode_payload<T: Serialize>(payload: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec(payload).map_err(|error| Error::Decode {
        what: "a payload",
        reason: error.to_string(),
    })
}

/// The reverse of [`encode_payload`]; every byte must belong to the value.
pub fn decode_payload<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    decode_exact("a payload", bytes)
}

/// A MessagePack value that takes up all of `bytes`.
pub(crate) fn decode_exact<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, Error> {
    let fail = |reason: String| Error::Decode { what, reason };
    let mut deserializer = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    deserializer.set_max_depth(256);
    let value = T::deserialize(&mut deserializer).map_err(|error| fail(error.to_string()))?;
    if deserializer.position() != bytes.len() as u64 {
        return Err(fail("bytes are left over".into()));
    }
    Ok(value)
}
