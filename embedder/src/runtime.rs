//! ONNX Runtime: loaded once a process, and a session for each model.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::error::Error;

/// The runtime is loaded once a process; a second library would not be.
pub(crate) fn environment(library: &Path) -> Result<&'static Environment, Error> {
    static LOADED: OnceLock<(PathBuf, Environment)> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _loading = LOADING
        .lock()
        .map_err(|_| Error::Model("the runtime could not be loaded before".into()))?;
    if LOADED.get().is_none() {
        let builder = ort::init_from(library)
            .map_err(|error| Error::Model(format!("{}: {error}", library.display())))?;
        // Nobody else sets it while the lock is held.
        let _ = LOADED.set((library.to_owned(), builder.with_name("doppel").build()?));
    }
    LOADED
        .get()
        .map(|(_, environment)| environment)
        .ok_or_else(|| Error::Model("the runtime is not loaded".into()))
}

/// A model, ready to run on `threads`. They sleep between photos: spinning ones would take the
/// cores from those that answer requests.
pub(crate) fn session(
    environment: &Environment,
    model: &Path,
    threads: usize,
) -> Result<Session, Error> {
    let fail =
        |error: &dyn std::fmt::Display| Error::Model(format!("{}: {error}", model.display()));
    let builder = Session::builder(environment)?;
    let builder = builder.with_intra_threads(threads).map_err(|e| fail(&e))?;
    let builder = builder
        .with_intra_op_spinning(false)
        .map_err(|e| fail(&e))?;
    let mut builder = builder
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(|e| fail(&e))?;
    builder.commit_from_file(model).map_err(|e| fail(&e))
}

/// Whether the processor adds up products of 8-bit numbers without losing any. Where it has no
/// instruction for that, the runtime goes by 16-bit sums, which overflow (VPMADDUBSW saturates).
pub(crate) fn adds_bytes_exactly() -> bool {
    #[cfg(target_arch = "x86_64")]
    let exactly = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let exactly = cfg!(target_arch = "aarch64");
    exactly
}
