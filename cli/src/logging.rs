//! What the server says about itself goes to standard error, as text or JSON lines.

use config::{LogFormat, LogOutput};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Call once, before the server starts.
pub(crate) fn start(output: &LogOutput) {
    // ONNX Runtime tells each node it optimises; sled each page it moves.
    let level = output.level.as_str();
    let filter = EnvFilter::new(format!("{level},ort=warn,sled=warn"));
    let lines = fmt().with_writer(std::io::stderr).with_env_filter(filter);
    match output.format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}
