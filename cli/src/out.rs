//! Standard output: what a command was asked for. A reader that has seen enough and closed the
//! pipe (`doppel ... | head`) is no error. Progress and complaints go to standard error.

use std::io::{self, ErrorKind, Write};

/// Writes text as it is.
pub(crate) fn print(text: &str) -> io::Result<()> {
    write(|out| out.write_all(text.as_bytes()))
}

/// Writes what is handed on piece by piece.
pub(crate) fn write(hand_on: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    tolerate(hand_on(&mut out).and_then(|()| out.flush()))
}

fn tolerate(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_but_a_full_disk_is() {
        assert!(tolerate(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(tolerate(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
