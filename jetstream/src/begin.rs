//! The beginning of a log with what a backup holds, where the log before it is damaged or lost, or there was
//! none that is shared.
//!
//! Invariant: the stream is made last, when what nodes are to begin with is whole in the store: a node that
//! finds a stream finds all.

use std::io::Read;

use async_nats::jetstream::{self, Context, stream::Config};
use storage::{Error, Lsn};
use uuid::Uuid;

use crate::connection::Waits;
use crate::limits::ANSWER;
use crate::log::runtime;
use crate::position::{behind, sequence};
use crate::settings::Settings;
use crate::store::Store;
use crate::{connection, stream, varz};

/// Where a log begins whose nodes begin with a backup that was made at this position of another: all that
/// clients may have seen is before it.
pub fn begins_at(made: Lsn) -> Lsn {
    behind(sequence(made).max(1))
}

/// Makes a stream that goes on behind a position, and a store with the checkpoint that nodes begin with there.
///
/// # Errors
/// The stream or the store is there already, no server answers in time, or the servers may lose records.
pub fn begin(
    settings: &Settings,
    at: Lsn,
    about: String,
    bytes: impl Read + Send + Unpin,
) -> Result<(), Error> {
    let runtime = runtime("begin")?;
    let begun = runtime.block_on(async {
        let mut context = jetstream::new(connection::connect(settings).await?);
        context.set_timeout(ANSWER * 5);
        if stream::find(&context, &settings.stream).await?.is_some() {
            let removed = format!("`nats stream rm {}`", settings.stream);
            return Err(there(&settings.stream, &removed));
        }
        if let Some((remains, removed)) = Store::remains(&context, settings, drop).await? {
            return Err(there(&remains, &removed));
        }
        varz::check_before(settings, Waits::UNTOLD).await?;
        let number = Uuid::new_v4();
        let store = Store::make(&context, settings, number.as_u128()).await?;
        let made = async {
            store.put(at, about, bytes).await?;
            make(&context, settings, number, at).await
        };
        let made = made.await;
        if made.is_err() {
            // With what is left of it nothing could begin again.
            store.clear(&context, settings).await;
        }
        made
    });
    runtime.shutdown_background();
    begun
}

async fn make(context: &Context, settings: &Settings, number: Uuid, at: Lsn) -> Result<(), Error> {
    // What nodes have said of places in an earlier log of this name says nothing of this one.
    let _ = context
        .delete_key_value(format!("{}-sums", settings.stream))
        .await;
    let config = Config {
        first_sequence: Some(sequence(at) + 1),
        ..stream::wanted(settings, number)
    };
    // Servers that have just met may not know yet which of them are there.
    stream::patiently(async || {
        let made = context.create_stream(config.clone()).await;
        made.map(drop).map_err(|error| {
            Error::Unreachable(format!(
                "the stream `{}` cannot be made: {error}",
                settings.stream
            ))
        })
    })
    .await
}

fn there(name: &str, removed: &str) -> Error {
    Error::Shared(format!(
        "`{name}` is there already, and a log can only begin where there is none of its name: name another stream \
         (`nats.stream`), or remove that one with all that is in it ({removed})"
    ))
}
