//! Messages of the stream from one on, in order, for as long as somebody takes them.
//!
//! Servers and connections come and go: where nothing is heard of a consumer any more another is made,
//! which goes on behind the last message that arrived. Only a message that is gone ends it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use storage::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};

use crate::limits::{AGAIN, ARRIVED, DELIVERED, DELIVERED_BYTES, FORGOTTEN, HEARTBEAT, STANDS};
use crate::log::message_at;
use crate::lookout::{self, Lookout};

/// A message's sequence and its bytes.
pub(crate) type Delivered = (u64, Vec<u8>);

/// Who takes messages of the stream one after another.
pub(crate) struct Tail {
    arrived: Receiver<Result<Delivered, Error>>,
    runtime: Handle,
}

impl Tail {
    /// From this message on, as long as the stream is what is known of it.
    pub(crate) fn start(runtime: &Handle, stream: Stream, first: u64, known: Lookout) -> Self {
        let (sender, arrived) = channel(ARRIVED);
        runtime.spawn(deliver(stream, first, known, sender));
        Self {
            arrived,
            runtime: runtime.clone(),
        }
    }

    /// The next message, if it arrives in time.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<Delivered>, Error> {
        match self.arrived.try_recv() {
            Ok(arrived) => return arrived.map(Some),
            Err(TryRecvError::Empty) if wait.is_zero() => return Ok(None),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(ended()),
        }
        let next = async { timeout(wait, self.arrived.recv()).await };
        match self.runtime.block_on(next) {
            Ok(Some(arrived)) => arrived.map(Some),
            Ok(None) => Err(ended()),
            Err(_) => Ok(None),
        }
    }
}

fn ended() -> Error {
    Error::Shared(
        "nothing more is read of the stream since it was found not to be as it was".into(),
    )
}

/// Why a consumer is given up.
enum Given {
    /// Nobody takes messages any more.
    Up,
    /// Another is to be made.
    Over(String),
}

async fn deliver(
    stream: Stream,
    first: u64,
    mut known: Lookout,
    sender: Sender<Result<Delivered, Error>>,
) {
    let mut next = first;
    loop {
        match consume(&stream, &mut next, &mut known, &sender).await {
            Given::Up => return,
            Given::Over(why) => {
                tracing::debug!(why, next, "the stream is asked anew");
                known.suspect();
                if known.due().is_zero() && ends(&mut known, &sender).await {
                    return;
                }
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    () = sender.closed() => return,
                }
            }
        }
    }
}

/// Whether nothing more is to be read; then whoever reads is told why.
async fn ends(known: &mut Lookout, sender: &Sender<Result<Delivered, Error>>) -> bool {
    let Some(why) = known.look().await else {
        return false;
    };
    // Nobody may take messages any more.
    let _ = sender.send(Err(Error::Shared(why))).await;
    true
}

async fn consume(
    stream: &Stream,
    next: &mut u64,
    known: &mut Lookout,
    sender: &Sender<Result<Delivered, Error>>,
) -> Given {
    let again = |error: &dyn std::fmt::Display| Given::Over(error.to_string());
    let consumer = stream.create_consumer(pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: *next,
        },
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGOTTEN,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    });
    let consumer = match consumer.await {
        Ok(consumer) => consumer,
        Err(error) => return again(&error),
    };
    let messages = consumer
        .stream()
        .max_messages_per_batch(DELIVERED)
        .max_bytes_per_batch(DELIVERED_BYTES)
        .heartbeat(HEARTBEAT)
        .expires(STANDS);
    let mut messages = match messages.messages().await {
        Ok(messages) => messages,
        Err(error) => return again(&error),
    };
    let mut fresh = true;
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = sleep(known.due()) => match ends(known, sender).await {
                true => return Given::Up,
                false => continue,
            },
            () = sender.closed() => return Given::Up,
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return again(&error),
            None => return Given::Over("the consumer has ended".into()),
        };
        let sequence = match message.info() {
            Ok(info) => info.stream_sequence,
            Err(error) => return again(&error),
        };
        if sequence < *next {
            continue;
        }
        if sequence > *next && !(fresh && is_gone(stream, *next).await) {
            return Given::Over(format!("message {next} was lost on its way"));
        }
        let arrived = match sequence == *next {
            true => Ok((sequence, message.message.payload.to_vec())),
            false => Err(Error::Shared(lookout::gone(*next, sequence))),
        };
        if let Ok((sequence, bytes)) = &arrived {
            known.has_read(*sequence, bytes);
        }
        let ends = arrived.is_err();
        if sender.send(arrived).await.is_err() || ends {
            return Given::Up;
        }
        (*next, fresh) = (sequence + 1, false);
    }
}

/// Whether the servers say that a message is not there. What a consumer delivers first may have been lost
/// on its way, with the connection.
async fn is_gone(stream: &Stream, sequence: u64) -> bool {
    matches!(message_at(stream, sequence).await, Ok(None))
}
