//! The beginning of a log with what a backup holds, where the log before it is damaged or lost, or there was
//! none that is shared.
//!
//! Invariant: the stream is made last, when what nodes are to begin with is whole in the store: a node that
//! finds a stream finds all.

use std::io::Read;

use async_nats::jetstream::{self, Context, stream::Config};
use storage::{Error, Lsn};

use crate::limits::ANSWER;
use crate::log::runtime;
use crate::position::{behind, sequence};
use crate::settings::Settings;
use crate::{checkpoints, connection, stream, varz};

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
        let objects = format!("OBJ_{}", checkpoints::bucket(settings));
        for name in [&settings.stream, &objects] {
            if stream::find(&context, name).await?.is_some() {
                return Err(there(name));
            }
        }
        varz::check_before(settings)?;
        let store = checkpoints::make(&context, settings).await?;
        let made = async {
            checkpoints::wait_known(&context, settings).await?;
            checkpoints::put(&store, at, about, bytes).await?;
            make(&context, settings, at).await
        };
        let made = made.await;
        if made.is_err() {
            // With what is left of it nothing could begin again.
            let removed = context
                .delete_object_store(checkpoints::bucket(settings))
                .await;
            if let Err(error) = removed {
                tracing::warn!(%error, objects, "what is left is to be removed by hand");
            }
        }
        made
    });
    runtime.shutdown_background();
    begun
}

async fn make(context: &Context, settings: &Settings, at: Lsn) -> Result<(), Error> {
    // What nodes have said of places in an earlier log of this name says nothing of this one.
    let _ = context
        .delete_key_value(format!("{}-sums", settings.stream))
        .await;
    let config = Config {
        first_sequence: Some(sequence(at) + 1),
        ..stream::wanted(settings)
    };
    let made = context.create_stream(config).await;
    made.map(drop).map_err(|error| {
        Error::Unreachable(format!(
            "the stream `{}` cannot be made: {error}",
            settings.stream
        ))
    })
}

fn there(name: &str) -> Error {
    Error::Shared(format!(
        "the stream `{name}` is there already, and a log can only begin where there is none: name another one \
         (`nats.stream`), or remove this one with all that is in it (`nats stream rm {name}`)"
    ))
}
