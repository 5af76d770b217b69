//! Answers of PostgreSQL (protocol 3.0, simple queries): the first column of each row, one a line.

use std::io::BufRead;

use anyhow::{Result, bail};

/// Reads messages until the server is ready for the next query.
pub(super) fn read(stream: &mut impl BufRead, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    let mut refused = None;
    let mut message = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [kind, len @ ..] = head;
        let len = u32::from_be_bytes(len) as usize;
        message.resize(len.saturating_sub(4), 0);
        stream.read_exact(&mut message)?;
        match kind {
            b'Z' => break,
            b'E' => refused = Some(String::from_utf8_lossy(&message).replace('\0', " ")),
            b'D' => {
                // Number of columns (2 bytes), length of the first (4), its text.
                let text = message.get(2..6).zip(message.get(6..));
                if let Some((len, text)) = text {
                    let len = u32::from_be_bytes(len.try_into()?) as usize;
                    out.extend_from_slice(text.get(..len).unwrap_or_default());
                    out.push(b'\n');
                }
            }
            _ => {}
        }
    }
    match refused {
        Some(why) => bail!("refused: {why}"),
        None => Ok(()),
    }
}

/// The bytes that open a session of a user without a password.
pub fn hello(user: &str, database: &str) -> Vec<u8> {
    let words = format!("user\0{user}\0database\0{database}\0\0");
    let mut message = 196_608u32.to_be_bytes().to_vec();
    message.extend_from_slice(words.as_bytes());
    framed(message)
}

/// The bytes of a query.
pub fn query(sql: &str) -> Vec<u8> {
    let message = [sql.as_bytes(), b"\0"].concat();
    [vec![b'Q'], framed(message)].concat()
}

fn framed(message: Vec<u8>) -> Vec<u8> {
    let len = u32::try_from(message.len() + 4).unwrap_or(u32::MAX);
    [len.to_be_bytes().to_vec(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_of_each_row_is_told_and_an_error_after_all_was_read() {
        let row = |text: &str| {
            let len = u32::try_from(text.len()).unwrap();
            let message = [&[0, 1][..], &len.to_be_bytes(), text.as_bytes()].concat();
            [vec![b'D'], framed(message)].concat()
        };
        let ready = [vec![b'Z'], framed(b"I".to_vec())].concat();
        let error = [vec![b'E'], framed(b"Mno\0\0".to_vec())].concat();
        let mut out = Vec::new();
        let good = [row("17"), row("4"), ready.clone()].concat();
        read(&mut good.as_slice(), &mut out).unwrap();
        assert_eq!(out, b"17\n4\n");
        let bad = [error, ready].concat();
        let mut bad = bad.as_slice();
        assert!(read(&mut bad, &mut out).is_err());
        assert!(bad.is_empty());
    }
}
