//! The pipeline on ONNX Runtime.

use std::path::Path;
use std::time::Instant;

use crate::crop::png;
use crate::cropper::{Cropper, Prepared};
use crate::error::Error;
use crate::finder::Patience;
use crate::joint::{Part, joined};
use crate::limits::FACES_AT_ONCE;
use crate::manifest::Manifest;
use crate::models::{Installed, NetworkFiles, locate};
use crate::network::Network;
use crate::runtime::Runtime;
use crate::types::{Analysis, Choice, FaceEmbedder, Mapper, ModelInfo, Waiting, Want, outcomes_of};

/// The installed models, ready to run.
pub struct OnnxEmbedder {
    info: ModelInfo,
    cropper: Cropper,
    /// Most models have one.
    networks: Vec<Network>,
    head: Option<Mapper>,
}

impl OnnxEmbedder {
    /// Loads the default models of a folder and runs them once, so that the first photo is not
    /// slow. `threads` share the work on one photo.
    ///
    /// # Errors
    /// They are not installed, or cannot be run.
    pub fn load(dir: &Path, threads: usize) -> Result<Self, Error> {
        Self::load_as(dir, threads, Manifest::builtin())
    }

    /// The same with the models that a manifest describes.
    ///
    /// # Errors
    /// They are not installed, or cannot be run.
    pub fn load_as(dir: &Path, threads: usize, manifest: Manifest) -> Result<Self, Error> {
        let Installed {
            library,
            detector,
            networks,
            head,
        } = locate(dir, &manifest).map_err(|error| Error::NotInstalled(error.to_string()))?;
        let runtime = Runtime::of(library.as_deref())?;
        let exact = runtime.adds_bytes_exactly();
        let load = |(part, files): (Part<'_>, &NetworkFiles)| {
            let rounded = files.rounded.as_ref();
            let rounded = rounded.filter(|_| part.embedder.use_rounded && exact);
            let file = rounded.unwrap_or(&files.network);
            Network::load(runtime, file, &part, threads)
        };
        let networks = manifest.parts().into_iter().zip(&networks).map(load);
        let mut this = Self {
            info: manifest.info(),
            cropper: Cropper::of(runtime, &detector, &manifest, threads)?,
            networks: networks.collect::<Result<_, _>>()?,
            head: head
                .map(|file| crate::head::load(runtime, &file, &manifest))
                .transpose()?,
        };
        this.cropper.warm_up()?;
        Ok(this)
    }

    /// The faces of a photo as the (first) network sees them, as PNG files: what is measured when its
    /// numbers are rounded.
    ///
    /// # Errors
    /// Those of [`FaceEmbedder::analyze`].
    pub fn crops(&mut self, image: &[u8], faces: Choice) -> Result<Vec<Vec<u8>>, Error> {
        let want = Want {
            faces,
            vectors: true,
            crop: false,
            smallest: 0,
        };
        let prepared = self.cropper.prepare(image, want, Patience::ENDLESS)?;
        let crops = prepared.crops.into_iter().next();
        crops.unwrap_or_default().iter().map(png).collect()
    }

    /// Finds the faces of all photos, as far as those who wait have the patience, and embeds them, as many together as the
    /// networks take at once. Each photo is told as soon as nothing more is to be done of it.
    fn look(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        let mut with_faces = Vec::new();
        for (at, (image, want)) in photos.iter().enumerate() {
            let who = || waiting(at);
            let patience = Patience(&who);
            let prepared = patience.check();
            let prepared = prepared.and_then(|()| self.cropper.prepare(image, *want, patience));
            match prepared {
                Ok(prepared) if prepared.crops.iter().all(Vec::is_empty) => {
                    tell(at, Ok(prepared.analysis));
                }
                Ok(prepared) => with_faces.push((at, prepared)),
                Err(error) => tell(at, Err(error)),
            }
        }
        // Whose photo shows few waits for no crowd.
        with_faces.sort_by_key(|(_, photo)| photo.analysis.faces.len());
        while !with_faces.is_empty() {
            let mut faces = 0;
            let fit = with_faces.iter().take_while(|(_, photo)| {
                faces += photo.analysis.faces.len();
                faces <= FACES_AT_ONCE
            });
            let fit = fit.count().max(1);
            let some = with_faces
                .drain(..fit)
                .filter_map(|(at, photo)| match waiting(at) {
                    Waiting::Over => {
                        tell(at, Err(Error::NotAwaited));
                        None
                    }
                    Waiting::WithOthers | Waiting::Alone => Some((at, photo)),
                });
            let some = some.collect();
            self.embed(some, tell);
        }
    }

    /// The vectors of photos whose faces go through the networks together.
    fn embed(
        &mut self,
        photos: Vec<(usize, Prepared)>,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        let started = Instant::now();
        let vectors = self.vectors(&photos);
        let taken = started.elapsed();
        let mut vectors = vectors.map(Vec::into_iter);
        for (at, Prepared { mut analysis, .. }) in photos {
            let outcome = match &mut vectors {
                Ok(vectors) => {
                    for (face, vector) in analysis.faces.iter_mut().zip(vectors) {
                        face.vector = vector;
                    }
                    analysis.timings.embed += taken;
                    Ok(analysis)
                }
                Err(error) => Err(Error::Model(error.to_string())),
            };
            tell(at, outcome);
        }
    }

    /// The vectors of all faces, in their order.
    fn vectors(&mut self, prepared: &[(usize, Prepared)]) -> Result<Vec<Vec<f32>>, Error> {
        let mut by_network = Vec::new();
        for (at, network) in self.networks.iter_mut().enumerate() {
            let crops = prepared.iter();
            let crops = crops.filter_map(|(_, photo)| photo.crops.get(at)).flatten();
            let vectors = network.embed(&crops.cloned().collect::<Vec<_>>())?;
            by_network.push((vectors, network.weight));
        }
        let faces = by_network.first().map_or(0, |(vectors, _)| vectors.len());
        let of_face = |face: usize| {
            let parts = by_network.iter();
            let parts = parts.map(|(vectors, weight)| (vectors[face].as_slice(), *weight));
            joined(&parts.collect::<Vec<_>>())
        };
        let vectors: Vec<_> = (0..faces).map(of_face).collect();
        match &self.head {
            Some(head) => head.map(&vectors),
            None => Ok(vectors),
        }
    }
}

impl FaceEmbedder for OnnxEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, Error>> {
        outcomes_of(self, photos)
    }

    /// Who waits is asked before a photo is decoded, before each of its parts is looked at, and before its faces go
    /// through the networks. A closer look takes long.
    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        self.look(photos, waiting, tell);
    }
}
