//! What runs networks: ONNX Runtime, loaded once a process, or where that is not to be had (and doppel was built with
//! it) a backend in Rust (`pure`), which gives the same answers and takes many times as long.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{self, SessionOutputs};
use ort::value::TensorRef;

use crate::error::Error;
#[cfg(feature = "tract")]
use crate::pure::{self, Pure};

/// What runs networks.
#[derive(Clone, Copy)]
pub(crate) enum Runtime {
    Onnx(&'static Environment),
    #[cfg(feature = "tract")]
    Pure,
}

impl Runtime {
    /// That of an installation: by its library, if it has one.
    pub(crate) fn of(library: Option<&Path>) -> Result<Self, Error> {
        match library {
            Some(library) => Ok(Self::Onnx(environment(library)?)),
            #[cfg(feature = "tract")]
            None => Ok(Self::Pure),
            #[cfg(not(feature = "tract"))]
            None => Err(Error::Model("there is no ONNX Runtime".into())),
        }
    }

    /// Whether it runs networks with numbers of 8 bits, and adds up their products without losing any.
    pub(crate) fn adds_bytes_exactly(self) -> bool {
        match self {
            Self::Onnx(_) => adds_bytes_exactly(),
            #[cfg(feature = "tract")]
            Self::Pure => false,
        }
    }
}

/// A network, ready to run.
pub(crate) enum Session {
    Onnx(session::Session),
    #[cfg(feature = "tract")]
    Pure(Box<Pure>),
}

/// What a network has answered.
pub(crate) enum Outputs<'a> {
    Onnx(SessionOutputs<'a>),
    #[cfg(feature = "tract")]
    Pure(&'a [(String, Vec<f32>)]),
}

impl Session {
    /// A model, ready to run on `threads`. They sleep between photos: spinning ones would take the
    /// cores from those that answer requests.
    pub(crate) fn load(runtime: Runtime, model: &Path, threads: usize) -> Result<Self, Error> {
        match runtime {
            Runtime::Onnx(environment) => Ok(Self::Onnx(session(environment, model, threads)?)),
            #[cfg(feature = "tract")]
            Runtime::Pure => Ok(Self::Pure(Box::new(Pure::load(model)?))),
        }
    }

    /// What it answers to its only input, of this shape.
    pub(crate) fn run(&mut self, shape: &[usize], numbers: &[f32]) -> Result<Outputs<'_>, Error> {
        match self {
            Self::Onnx(session) => {
                let tensor = TensorRef::from_array_view((shape, numbers))?;
                Ok(Outputs::Onnx(session.run(ort::inputs![tensor])?))
            }
            #[cfg(feature = "tract")]
            Self::Pure(network) => Ok(Outputs::Pure(network.run(shape, numbers)?)),
        }
    }
}

impl Outputs<'_> {
    /// The numbers of the first output.
    pub(crate) fn first(&self) -> Result<&[f32], Error> {
        match self {
            Self::Onnx(outputs) => Ok(outputs[0].try_extract_tensor::<f32>()?.1),
            #[cfg(feature = "tract")]
            Self::Pure(outputs) => pure::first(outputs),
        }
    }

    /// Those of the output of this name, if there is one.
    pub(crate) fn named(&self, name: &str) -> Result<Option<&[f32]>, Error> {
        match self {
            Self::Onnx(outputs) => match outputs.get(name) {
                Some(value) => Ok(Some(value.try_extract_tensor::<f32>()?.1)),
                None => Ok(None),
            },
            #[cfg(feature = "tract")]
            Self::Pure(outputs) => Ok(pure::named(outputs, name)),
        }
    }
}

/// The runtime is loaded once a process; a second library would not be.
fn environment(library: &Path) -> Result<&'static Environment, Error> {
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

fn session(
    environment: &Environment,
    model: &Path,
    threads: usize,
) -> Result<session::Session, Error> {
    let fail =
        |error: &dyn std::fmt::Display| Error::Model(format!("{}: {error}", model.display()));
    let builder = session::Session::builder(environment)?;
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
fn adds_bytes_exactly() -> bool {
    #[cfg(target_arch = "x86_64")]
    let exactly = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let exactly = cfg!(target_arch = "aarch64");
    exactly
}
