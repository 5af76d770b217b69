//! One HTTP exchange, and again while the server says that it will not be long (`Retry-After`).
//! Connections are direct: the proxies of the environment are for the web, not for a database.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response, request};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use super::error::Error;
use super::wire::{Envelope, Failure};
use crate::limits;

pub(super) struct Http {
    agent: Agent,
    base: String,
    api_key: Option<String>,
    told_waiting: Once,
}

/// An answer that has been read to its end.
struct Answer {
    status: u16,
    /// How long to wait before the same request may work; absent: it never will.
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Http {
    /// Where the server answers.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The address of a server, such as `http://127.0.0.1:6333`.
    pub(super) fn new(url: &str, api_key: Option<&str>, tls: TlsConfig) -> Result<Self, Error> {
        let base = url.trim_end_matches('/');
        let host = base.strip_prefix("http://");
        let host = host.or_else(|| base.strip_prefix("https://"));
        let host = host.unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(Error::BadUrl(url.to_owned()));
        }
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(limits::CONNECT))
            .timeout_global(Some(limits::REQUEST))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            base: base.to_owned(),
            api_key: api_key.map(str::to_owned),
            told_waiting: Once::new(),
        })
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(&Method::GET, path, &[])
    }

    pub(super) fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.call(&Method::PUT, path, &encoded(body)?)
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.call(&Method::POST, path, &encoded(body)?)
    }

    pub(super) fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.call(&Method::PATCH, path, &encoded(body)?)
    }

    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(&Method::DELETE, path, &[])
    }

    /// Sends a file as it is. Not tried again: the server has been busy with all of it.
    pub(super) fn send_file<T: DeserializeOwned>(
        &self,
        path: &str,
        file: &File,
    ) -> Result<T, Error> {
        let request = self.request(&Method::POST, path);
        let request = request.header("content-type", "application/octet-stream");
        let request = request.body(file);
        let request = request.map_err(|_| Error::BadUrl(self.base.clone()))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(limits::TRANSFER)).build();
        let answer = self.agent.run(request).and_then(read);
        understood(&answer.map_err(|error| self.broken(&error))?)
    }

    /// Writes an answer that is no JSON to `out`; returns its bytes.
    pub(super) fn fetch(&self, path: &str, out: &mut dyn Write) -> Result<u64, Error> {
        let request = self.request(&Method::GET, path).body(());
        let request = request.map_err(|_| Error::BadUrl(self.base.clone()))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(limits::TRANSFER)).build();
        let response = self.agent.run(request);
        let mut response = response.map_err(|error| self.broken(&error))?;
        if response.status() != 200 {
            let answer = read(response).map_err(|error| self.broken(&error))?;
            return understood(&answer);
        }
        io::copy(&mut response.body_mut().as_reader(), out).map_err(|error| Error::Lost {
            url: self.base.clone(),
            reason: error.to_string(),
        })
    }

    fn request(&self, method: &Method, path: &str) -> request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        match &self.api_key {
            Some(key) => request.header("api-key", key),
            None => request,
        }
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            let answer = self.exchange(method, path, body)?;
            let Some(wait) = answer.retry_after else {
                return understood(&answer);
            };
            if start.elapsed() + wait > limits::BUSY_PATIENCE {
                return Err(Error::Busy {
                    waited_s: start.elapsed().as_secs(),
                    message: message_of(&answer),
                });
            }
            if start.elapsed() > limits::BUSY_SILENCE {
                let told = || eprintln!("waiting for the server: {}", message_of(&answer));
                self.told_waiting.call_once(told);
            }
            thread::sleep(wait);
        }
    }

    fn exchange(&self, method: &Method, path: &str, body: &[u8]) -> Result<Answer, Error> {
        let mut request = self.request(method, path);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let bad_url = |_| Error::BadUrl(self.base.clone());
        let outcome = if body.is_empty() {
            self.agent.run(request.body(()).map_err(bad_url)?)
        } else {
            self.agent.run(request.body(body).map_err(bad_url)?)
        };
        outcome.and_then(read).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &ureq::Error) -> Error {
        let (url, reason) = (self.base.clone(), error.to_string());
        let nobody = match error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
            ureq::Error::Timeout(which) => matches!(which, ureq::Timeout::Connect),
            ureq::Error::Io(io) => io.kind() == std::io::ErrorKind::ConnectionRefused,
            _ => false,
        };
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::BadUrl(url),
            _ if nobody => Error::Unreachable { url, reason },
            _ => Error::Lost { url, reason },
        }
    }
}

fn encoded(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|error| Error::Unexpected(error.to_string()))
}

fn read(mut response: Response<Body>) -> Result<Answer, ureq::Error> {
    let header = response.headers().get("retry-after");
    let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let status = response.status().as_u16();
    let busy = matches!(status, 429 | 503) || (status >= 400 && seconds.is_some());
    let wait = Duration::from_secs(seconds.unwrap_or(1)).min(limits::RETRY_AFTER);
    let retry_after = busy.then_some(wait);
    let body = response.body_mut().with_config();
    let body = body.limit(limits::ANSWER_BYTES).read_to_vec()?;
    Ok(Answer {
        status,
        retry_after,
        body,
    })
}

fn understood<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    match answer.status {
        200..=299 => {
            let envelope: Result<Envelope<T>, _> = serde_json::from_slice(&answer.body);
            let envelope = envelope.map_err(|error| Error::Unexpected(error.to_string()))?;
            Ok(envelope.result)
        }
        401 | 403 => Err(Error::Forbidden(message_of(answer))),
        507 if short_of(answer).as_deref() == Some("memory") => {
            Err(Error::NoMemory(message_of(answer)))
        }
        status => Err(Error::Refused {
            status,
            message: message_of(answer),
        }),
    }
}

fn short_of(answer: &Answer) -> Option<String> {
    let failure: Failure = serde_json::from_slice(&answer.body).ok()?;
    failure.status.short_of
}

/// What the server says is wrong; something that is no doppel server may say anything.
fn message_of(answer: &Answer) -> String {
    let failure: Result<Failure, _> = serde_json::from_slice(&answer.body);
    match failure {
        Ok(failure) => failure.status.error,
        Err(_) => String::from_utf8_lossy(&answer.body)
            .chars()
            .take(200)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_of_a_server_are_taken() {
        let fine = [
            "http://127.0.0.1:6333",
            "http://localhost:6333/",
            "http://faces.lan",
            "https://faces.lan:6333",
        ];
        for url in fine {
            assert!(Http::new(url, None, TlsConfig::default()).is_ok(), "{url}");
        }
        let wrong = [
            "",
            "127.0.0.1:6333",
            "https://",
            "http://",
            "http://a/b",
            "http://a@b",
        ];
        for url in wrong {
            assert!(
                matches!(
                    Http::new(url, None, TlsConfig::default()),
                    Err(Error::BadUrl(_))
                ),
                "{url}"
            );
        }
    }
}
