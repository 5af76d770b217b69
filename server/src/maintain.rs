//! Whether a data folder that no server is using is whole, and mending it: all that the engine keeps
//! there, and the API keys, which are the server's own.

use std::path::Path;

use engine::{Finding, Loss, Remedy, Verdict};

use crate::access::Ring;

/// Checks a data folder, and changes nothing of it; see [`engine::verify`].
///
/// # Errors
/// There is no data folder, it is in use or of a format unknown here, or files cannot be read at all.
pub fn verify(dir: &Path) -> Result<Verdict, engine::Error> {
    Ok(with_keys(dir, engine::verify(dir)?))
}

/// Does what can be done about `found`, the verdict on this folder; see [`engine::repair`].
///
/// # Errors
/// The folder is in use, cannot be read or written, or a start is still refused.
pub fn repair(
    dir: &Path,
    found: &Verdict,
    loss: Loss,
) -> Result<(Vec<String>, Verdict), engine::Error> {
    let (done, verdict) = engine::repair(dir, found, loss)?;
    Ok((done, with_keys(dir, verdict)))
}

/// Adds what is wrong with the keys.
fn with_keys(dir: &Path, mut verdict: Verdict) -> Verdict {
    if let Err(what) = Ring::open(None, dir) {
        verdict.findings.push(Finding {
            what,
            remedy: Remedy::PutFileBack,
        });
    }
    verdict
}
