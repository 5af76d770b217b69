//! Answers of Redis (RESP 2): numbers and texts of a reply, one a line.

use std::io::BufRead;

use anyhow::{Context, Result, bail};

/// Reads replies until one says more than that a command was taken (`+OK`, `+QUEUED`).
pub(super) fn read(stream: &mut impl BufRead, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    while reply(stream, out)? == b'+' {}
    Ok(())
}

/// One reply with all that is in it; gives its kind.
fn reply(stream: &mut impl BufRead, out: &mut Vec<u8>) -> Result<u8> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        bail!("the server closed the connection");
    }
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("an empty reply")?;
    match kind {
        "-" => bail!("refused: {rest}"),
        "+" => {}
        ":" => out.extend_from_slice(format!("{rest}\n").as_bytes()),
        "$" => {
            if let Ok(len) = rest.parse::<usize>() {
                let start = out.len();
                out.resize(start + len + 2, 0);
                stream.read_exact(&mut out[start..])?;
                out.truncate(start + len);
                out.push(b'\n');
            }
        }
        "*" => {
            for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                reply(stream, out)?;
            }
        }
        _ => bail!("not understood: {line}"),
    }
    Ok(kind.as_bytes()[0])
}

/// The bytes of a command.
pub fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_the_reply_that_says_something() {
        let mut stream = &b"+OK\r\n+QUEUED\r\n*3\r\n:7\r\n$2\r\np1\r\n*1\r\n$-1\r\n:9\r\n"[..];
        let mut out = Vec::new();
        read(&mut stream, &mut out).unwrap();
        assert_eq!(out, b"7\np1\n");
        read(&mut stream, &mut out).unwrap();
        assert_eq!(out, b"9\n");
        assert!(read(&mut &b"-ERR no\r\n"[..], &mut out).is_err());
        assert!(read(&mut &b"*1\r\n-ERR no\r\n"[..], &mut out).is_err());
    }
}
