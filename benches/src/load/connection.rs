//! One connection that stays open: HTTP/1.1, or the dialect of a peer. A client library would take
//! as much of a core as the server does; this one copies bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{postgres, redis};

/// How a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP/1.1, answers with a length.
    Http,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
}

/// An open connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    dialect: Dialect,
    body: Vec<u8>,
}

/// The bytes of a request with a JSON body.
pub fn request(method: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let len = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {len}\r\n\r\n"
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// A search for each query in a collection, with these `params`.
pub fn search_requests(
    collection: &str,
    queries: &[Vec<f32>],
    k: usize,
    params: &Value,
) -> Vec<Vec<u8>> {
    let path = format!("{collection}/points/query");
    let body = |query| json!({"query": query, "limit": k, "params": params});
    let queries = queries.iter();
    queries
        .map(|query| request("POST", &path, &body(query)))
        .collect()
}

impl Connection {
    /// Connects to host and port, for HTTP.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: &str) -> Result<Self> {
        Self::open_as(address, Dialect::Http)
    }

    /// Connects to host and port.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open_as(address: &str, dialect: Dialect) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            dialect,
            body: Vec::new(),
        })
    }

    /// Sends a request and gives the body of its answer.
    ///
    /// # Errors
    /// The server is gone, or refuses.
    pub fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.get_mut().write_all(request)?;
        match self.dialect {
            Dialect::Http => self.read_http()?,
            Dialect::Redis => redis::read(&mut self.stream, &mut self.body)?,
            Dialect::Postgres => postgres::read(&mut self.stream, &mut self.body)?,
        }
        Ok(&self.body)
    }

    fn read_http(&mut self) -> Result<()> {
        let (mut line, mut len, mut ok) = (String::new(), None, None);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the server closed the connection");
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if ok.is_none() {
                let status = text.split(' ').nth(1);
                ok = Some(status.is_some_and(|status| status.starts_with('2')));
            }
            if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                len = Some(value.trim().parse::<usize>()?);
            }
        }
        self.body
            .resize(len.context("an answer without a length")?, 0);
        self.stream.read_exact(&mut self.body)?;
        if ok != Some(true) {
            bail!("refused: {}", String::from_utf8_lossy(&self.body));
        }
        Ok(())
    }
}
