//! What the system tells the process: SIGTERM and SIGINT end a server, SIGHUP has it read again what can
//! be read again. Once they are caught none of them ends the process by itself; one that comes before
//! the server listens is heard when it does.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Signals that are caught from now on.
pub struct Signals {
    /// Where they are heard.
    pub(crate) runtime: Arc<Runtime>,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What was told.
pub(crate) enum Told {
    Stop,
    Reload,
}

impl Signals {
    /// Catches them: the first thing that a server's process does.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn catch() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::system("start a runtime"))?;
        let entered = runtime.enter();
        let caught = |kind| signal(kind).map_err(Error::system("wait for signals"));
        let terminate = caught(SignalKind::terminate())?;
        let interrupt = caught(SignalKind::interrupt())?;
        let hang_up = caught(SignalKind::hangup())?;
        drop(entered);
        Ok(Self {
            runtime: Arc::new(runtime),
            terminate,
            interrupt,
            hang_up,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => {
                tracing::info!("stopping: SIGTERM");
                Told::Stop
            }
            _ = self.interrupt.recv() => {
                tracing::info!("stopping: SIGINT");
                Told::Stop
            }
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
