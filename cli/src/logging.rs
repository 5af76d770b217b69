//! What the server says about itself goes to standard error, as text (in colours on a terminal) or
//! JSON lines.

use std::io::IsTerminal;

use config::{LogFormat, LogOutput};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Call once, before the server starts.
pub(crate) fn start(output: &LogOutput) {
    // ONNX Runtime tells each node it optimises, sled each page it moves, actix its workers.
    let level = output.level.as_str();
    let filter = EnvFilter::new(format!("{level},ort=warn,sled=warn,actix_server=warn"));
    let lines = fmt().with_writer(std::io::stderr).with_env_filter(filter);
    match output.format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_target(false).with_ansi(colours).init();
        }
        LogFormat::Json => lines.json().init(),
    }
}
