//! Photos that another doppel looks at: the two halves of a service on two machines, one with the face
//! models and one with the collections.
//!
//! It is an embedder like any other, behind the same pool. Which models there are, and by which
//! checksum, the other server says; a collection's model must be one of them, and every answer says again
//! whose vectors they are. Photos that wait together go there at once, and are kept by nobody; what goes
//! wrong on the way is told as 502 or 503, what is wrong with the photo as the other server has told it.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use embedder::limits::MAX_SIDE;
use embedder::{
    Analysis, Base, Choice, Error, Face, FaceEmbedder, Flaws, ModelInfo, Quality, Timings, Waiting,
    Want, outcomes_of,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;

use crate::tls::tls_of_client;

/// Bytes of an answer: many faces with their vectors and pictures.
const ANSWER_BYTES: u64 = 64 << 20;
const CONNECTING: Duration = Duration::from_secs(5);
/// How often it is asked whether a photo that is there is still waited for.
const STILL: Duration = Duration::from_millis(50);

/// The way to the other server.
#[derive(Clone)]
pub(crate) struct Remote {
    agent: Agent,
    url: String,
    key: Option<String>,
}

/// One of its models.
pub(crate) struct RemoteEmbedder {
    remote: Remote,
    /// One for each of the photos that are there at once, so that one can be hung up without the others.
    lines: Vec<Remote>,
    model: ModelInfo,
}

#[derive(Deserialize)]
struct Models {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    size: usize,
    sha256: String,
    loaded: bool,
    default: bool,
    base: Option<ModelBase>,
}

/// The model that one of them is a head on.
#[derive(Deserialize)]
struct ModelBase {
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Looked {
    /// Nothing where no vectors were asked for.
    #[serde(default)]
    sha256: String,
    faces: Vec<LookedFace>,
    /// A server from before it was told has none.
    #[serde(default)]
    faces_left_out: usize,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct LookedFace {
    #[serde(rename = "box")]
    bounding_box: [f32; 4],
    landmarks: [[f32; 2]; 5],
    confidence: f32,
    quality: LookedQuality,
    #[serde(default)]
    vector: Vec<f32>,
    #[serde(default)]
    crop: String,
}

#[derive(Deserialize)]
struct LookedQuality {
    score: f32,
    sharpness: f32,
    yaw: f32,
    pitch: f32,
    roll: f32,
    flaws: Vec<String>,
}

impl Remote {
    /// # Errors
    /// What it is to trust, or to show, does not fit.
    pub(crate) fn new(config: &config::Remote) -> Result<Self, crate::Error> {
        let certificate = config.certificate.as_ref();
        let certificate = certificate.map(|(cert, key)| (cert.as_path(), key.as_path()));
        let agent = Agent::config_builder()
            .tls_config(tls_of_client(config.ca.as_deref(), certificate)?)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECTING))
            .timeout_global(Some(Duration::from_secs(config.timeout_s)))
            // Photos of faces go nowhere else.
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self {
            agent: agent.new_agent(),
            url: config.url.trim_end_matches('/').to_owned(),
            key: config.key.as_ref().map(|key| key.as_str().to_owned()),
        })
    }

    /// Another way there, with connections of its own.
    fn apart(&self) -> Self {
        Self {
            agent: self.agent.config().clone().new_agent(),
            ..self.clone()
        }
    }

    /// Closes its connections, by which the other server sees that nobody waits any more; it is of no use then.
    fn hang_up(&self) {
        self.agent.clone().shutdown();
    }

    /// The models that it has loaded, each with whether it is its default. What their cosines mean is known here of those that come along.
    pub(crate) fn models(&self, known: &[ModelInfo]) -> Result<Vec<(ModelInfo, bool)>, Error> {
        let models: Models = self.ask("GET", "/faces/models", None)?;
        let loaded = models.models.into_iter().filter(|model| model.loaded);
        let infos = loaded.map(|model| {
            let mut known = known.iter();
            let same = known.find(|it| it.name == model.name && it.sha256 == model.sha256);
            let info = ModelInfo {
                calibration: same.and_then(|it| it.calibration.clone()),
                name: model.name,
                dim: model.size,
                sha256: model.sha256,
                base: model.base.map(|base| Base {
                    name: base.name,
                    sha256: base.sha256,
                }),
            };
            (info, model.default)
        });
        let infos: Vec<_> = infos.collect();
        match infos.is_empty() {
            false => Ok(infos),
            true => Err(self.away("it has loaded no face model (yet)")),
        }
    }

    /// What it says of itself while it starts, perhaps with some of its models already.
    pub(crate) fn starting(&self) -> Option<String> {
        match self.ask::<Value>("GET", "/readyz", None) {
            Err(Error::Remote {
                status: 503,
                message,
            }) => Some(message).filter(|it| it.contains("starting: ")),
            _ => None,
        }
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let request = match &self.key {
            Some(key) => request.header("api-key", key),
            None => request,
        };
        let wrong = |error: ureq::http::Error| self.strange(&error.to_string());
        let answer = match body {
            None => self.agent.run(request.body(()).map_err(wrong)?),
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(body.to_string()).map_err(wrong)?)
            }
        };
        let mut answer = answer.map_err(|error| self.away(&error.to_string()))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES);
        let text = text.read_to_string();
        let text = text.map_err(|error| self.away(&error.to_string()))?;
        if status == 200 {
            let whole: Result<Value, _> = serde_json::from_str(&text);
            let result = whole.and_then(|mut whole| serde_json::from_value(whole["result"].take()));
            return result.map_err(|error| self.strange(&error.to_string()));
        }
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        let told = told["status"]["error"].as_str().unwrap_or(&text);
        Err(self.refused(status, &told.chars().take(400).collect::<String>()))
    }

    /// What the client is told of a refusal: its own mistakes as they are.
    fn refused(&self, status: u16, told: &str) -> Error {
        match status {
            413 | 415 | 422 => Error::Remote {
                status,
                message: told.to_owned(),
            },
            429 | 503 | 504 => self.away(told),
            401 | 403 => self.strange(&format!(
                "it refuses the key (embedding.remote_key, scopes `read`, `search` and `embeddings`): {told}"
            )),
            _ => self.strange(&format!("it answered {status}: {told}")),
        }
    }

    fn away(&self, why: &str) -> Error {
        Error::Remote {
            status: 503,
            message: format!("the embedder at {} takes no photo now: {why}", self.url),
        }
    }

    fn strange(&self, why: &str) -> Error {
        Error::Remote {
            status: 502,
            message: format!("the embedder at {} cannot be worked with: {why}", self.url),
        }
    }
}

impl RemoteEmbedder {
    pub(crate) fn new(remote: Remote, model: ModelInfo) -> Self {
        Self {
            remote,
            lines: Vec::new(),
            model,
        }
    }

    fn look(&self, line: &Remote, image: &[u8], want: Want) -> Result<Analysis, Error> {
        let started = Instant::now();
        let faces = match want.faces {
            Choice::All => "all",
            Choice::Largest => "largest",
        };
        let mut body = json!({
            "image": BASE64_STANDARD.encode(image), "faces": faces, "model": self.model.name,
        });
        // Beyond any photo's it is no size that a face must have, but says not to look closer: as that server is set to.
        if (1..=MAX_SIDE).contains(&want.smallest) {
            body["min_face_size"] = want.smallest.into();
        }
        let embeds = want.vectors || want.crop;
        let looked: Looked = match embeds {
            true => {
                body["with_crop"] = want.crop.into();
                line.ask("POST", "/faces/embed", Some(&body))?
            }
            false => line.ask("POST", "/faces/detect", Some(&body))?,
        };
        if embeds && looked.sha256 != self.model.sha256 {
            return Err(self.remote.strange(&format!(
                "its model {} is now {}, not {}",
                self.model.name, looked.sha256, self.model.sha256
            )));
        }
        let faces = looked.faces.into_iter().map(|face| self.face(face, want));
        Ok(Analysis {
            width: looked.width,
            height: looked.height,
            faces: faces.collect::<Result<_, _>>()?,
            left_out: looked.faces_left_out,
            timings: Timings {
                embed: started.elapsed(),
                ..Timings::default()
            },
        })
    }

    fn face(&self, face: LookedFace, want: Want) -> Result<Face, Error> {
        let crop_jpeg = BASE64_STANDARD.decode(&face.crop);
        let crop_jpeg = crop_jpeg.map_err(|error| self.remote.strange(&error.to_string()))?;
        let dim = match want.vectors {
            true => self.model.dim,
            false => 0,
        };
        let mut vector = face.vector;
        if !want.vectors {
            vector.clear();
        }
        if vector.len() != dim || (want.crop && crop_jpeg.is_empty()) {
            return Err(self.remote.strange("a face has no vector, or no picture"));
        }
        let has = |flaw: &str| face.quality.flaws.iter().any(|it| it == flaw);
        Ok(Face {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
            quality: Quality {
                score: face.quality.score,
                sharpness: face.quality.sharpness,
                yaw: face.quality.yaw,
                pitch: face.quality.pitch,
                roll: face.quality.roll,
                flaws: Flaws {
                    small: has("small"),
                    blurred: has("blurred"),
                    unsure: has("unsure"),
                    turned: has("turned"),
                },
            },
            vector,
            crop_jpeg,
        })
    }
}

impl FaceEmbedder for RemoteEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The other server decodes it.
    fn memory_bytes(&self, _: &[u8]) -> Result<u64, Error> {
        Ok(0)
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, Error>> {
        outcomes_of(self, photos)
    }

    /// All at once, each told when its answer comes; one that nobody waits for any more is hung up.
    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        while self.lines.len() < photos.len() {
            self.lines.push(self.remote.apart());
        }
        let this = &*self;
        let (told, outcomes) = mpsc::channel();
        let (mut there, mut hung_up) = (BTreeSet::new(), BTreeSet::new());
        there.extend(0..photos.len());
        thread::scope(|scope| {
            let looks = photos.iter().zip(&this.lines).enumerate();
            let looks = looks.map(|(at, ((image, want), line))| {
                let told = told.clone();
                let look = move || drop(told.send((at, this.look(line, image, *want))));
                let thread = thread::Builder::new().name("remote".to_owned());
                (at, thread.spawn_scoped(scope, look))
            });
            let looks: Vec<_> = looks.collect();
            drop(told);
            loop {
                match outcomes.recv_timeout(STILL) {
                    Ok((at, _)) if hung_up.contains(&at) => tell(at, Err(Error::NotAwaited)),
                    Ok((at, outcome)) => {
                        there.remove(&at);
                        tell(at, outcome);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        let left = there.extract_if(.., |at| waiting(*at) == Waiting::Over);
                        hung_up.extend(left.inspect(|at| this.lines[*at].hang_up()));
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            for (at, look) in looks {
                match look {
                    Ok(look) => look.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    Err(error) => {
                        let why = format!("no thread for it: {error}");
                        tell(at, Err(this.remote.away(&why)));
                    }
                }
            }
        });
        for at in hung_up {
            self.lines[at] = self.remote.apart();
        }
    }
}
