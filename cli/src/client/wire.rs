//! What goes over the wire, as the server writes it. Fields that no command needs are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Error;
use crate::import::PhotoId;

#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) result: T,
}

#[derive(Deserialize)]
pub(super) struct Failure {
    pub(super) status: FailureStatus,
}

#[derive(Deserialize)]
pub(super) struct FailureStatus {
    pub(super) error: String,
    /// Of what there was not enough, with 507.
    pub(super) short_of: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Collections {
    pub(super) collections: Vec<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A collection: its vectors, and what makes them.
#[derive(Deserialize)]
pub(super) struct Described {
    embedder: Option<Model>,
    #[serde(default)]
    config: Value,
    points_count: Option<u64>,
}

/// What was there of a collection before an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was made for it.
    Nothing,
    /// It had no points, or none any more.
    NoPoints,
    /// It had points, or got them meanwhile.
    Points,
}

impl Described {
    /// The names of its vectors, and the model that makes the only one.
    pub(super) fn vectors(self) -> (Vec<String>, Option<String>) {
        let vectors = &self.config["params"]["vectors"];
        let names = match vectors.as_object() {
            // One without a name is told by its settings.
            Some(settings) if settings.get("size").is_some_and(Value::is_number) => {
                vec![String::new()]
            }
            Some(named) => named.keys().cloned().collect(),
            None => Vec::new(),
        };
        let model = self.embedder.map(|model| model.name);
        let model = model.filter(|_| names.len() == 1);
        (names, model)
    }

    /// How many numbers its vectors of each name have; the empty name is that of one without.
    pub(super) fn sizes(&self) -> BTreeMap<String, usize> {
        let size = |told: &Value| usize::try_from(told["size"].as_u64()?).ok();
        let vectors = &self.config["params"]["vectors"];
        match size(vectors) {
            Some(only) => [(String::new(), only)].into(),
            None => {
                let named = vectors.as_object().into_iter().flatten();
                let named = named.filter_map(|(name, told)| Some((name.clone(), size(told)?)));
                named.collect()
            }
        }
    }

    /// Its vectors by name, and the model that the server says makes each.
    pub(super) fn makers(self) -> Vec<(String, Option<Maker>)> {
        let vectors = self.config["params"]["vectors"].as_object();
        let unnamed = vectors.is_some_and(|it| it.get("size").is_some_and(Value::is_number));
        if unnamed {
            let maker = self.embedder.map(|it| Maker {
                name: it.name,
                sha256: it.sha256,
            });
            return vec![(String::new(), maker)];
        }
        let named = vectors.into_iter().flatten().map(|(name, told)| {
            let text = |key: &str| told[key].as_str().map(str::to_owned);
            let maker = text("embedder").zip(text("embedder_sha256"));
            let maker = maker.map(|(name, sha256)| Maker { name, sha256 });
            (name.clone(), maker)
        });
        named.collect()
    }

    /// What an import finds, if the collection is of its model.
    pub(super) fn before(&self, collection: &str, model: Option<&str>) -> Result<Before, Error> {
        self.is_of(collection, model)?;
        Ok(match self.points_count {
            Some(0) => Before::NoPoints,
            _ => Before::Points,
        })
    }

    /// Whether its vectors are of a model, if one is named.
    pub(super) fn is_of(&self, collection: &str, model: Option<&str>) -> Result<(), Error> {
        let own = self.embedder.as_ref().map(|it| it.name.as_str());
        match model {
            Some(model) if own != Some(model) => Err(Error::OtherModel {
                collection: collection.to_owned(),
                model: model.to_owned(),
                own: own.map_or_else(|| "no model".to_owned(), |own| format!("`{own}`")),
            }),
            _ => Ok(()),
        }
    }
}

/// A model that has made vectors.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Maker {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
pub(super) struct Models {
    pub(super) models: Vec<Model>,
}

#[derive(Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    pub(super) default: bool,
}

#[derive(Deserialize)]
pub(super) struct Known {
    pub(super) id: PhotoId,
}

/// A page of points.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) points: Vec<Record>,
    pub(crate) next_page_offset: Option<Value>,
}

/// A point with all that it has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// A number or a UUID.
    pub(crate) id: Value,
    pub(crate) vector: Option<Value>,
    pub(crate) payload: Option<Map<String, Value>>,
}

/// A request that adds photos.
#[derive(Debug, Serialize)]
pub(crate) struct AddFaces<'a> {
    pub(crate) images: Vec<&'a NewImage>,
    pub(crate) faces: &'static str,
    pub(crate) keep_crop: bool,
    pub(crate) keep_photo: bool,
    /// What becomes of a photo whose id is there.
    pub(crate) existing: &'static str,
}

/// A photo to add.
#[derive(Debug, Serialize)]
pub(crate) struct NewImage {
    /// The file, in base64.
    pub(crate) image: String,
    pub(crate) id: PhotoId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    pub(crate) payload: Map<String, Value>,
    pub(crate) name: String,
    /// Where a list names it.
    #[serde(skip)]
    pub(crate) row: Option<usize>,
}

/// What became of the photos of one request, each by its place in it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Added {
    pub(crate) faces: Vec<AddedFace>,
    #[serde(default)]
    pub(crate) errors: Vec<ImageError>,
    #[serde(default)]
    pub(crate) known: Vec<KnownFace>,
}

/// A face that was there already, as another import has put it.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownFace {
    pub(crate) image_index: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AddedFace {
    #[serde(default)]
    pub(crate) image_index: usize,
    pub(crate) duplicate_of: Option<Duplicate>,
}

/// A face of the same picture that was there.
#[derive(Debug, Deserialize)]
pub(crate) struct Duplicate {
    /// A number or a UUID.
    pub(crate) id: Value,
    pub(crate) score: f32,
}

/// Why a photo was not added.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageError {
    pub(crate) image_index: usize,
    pub(crate) status: u16,
    pub(crate) error: String,
}

#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) faces: Vec<FaceHits>,
}

/// A face of the photo that was looked for, and its look-alikes.
#[derive(Debug, Deserialize)]
pub(crate) struct FaceHits {
    /// x, y, width, height in pixels.
    #[serde(rename = "box")]
    pub(crate) bounding_box: [f32; 4],
    pub(crate) confidence: f32,
    pub(crate) hits: Vec<Hit>,
}

/// A look-alike.
#[derive(Debug, Deserialize)]
pub(crate) struct Hit {
    /// A number or a UUID.
    pub(crate) id: Value,
    pub(crate) score: f32,
    pub(crate) person: Option<String>,
    pub(crate) payload: Option<Map<String, Value>>,
}

/// A backup that lies on the server.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) checksum: Option<String>,
    pub(crate) lsn: Option<u64>,
}

/// What came out of a backup of everything.
#[derive(Debug, Deserialize)]
pub(crate) struct Restored {
    pub(crate) collections: Vec<RestoredCollection>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RestoredCollection {
    pub(crate) name: String,
    pub(crate) points: usize,
}

/// What has become of points that were sent.
#[derive(Debug, Deserialize)]
pub(super) struct Put {
    /// The ids that were there.
    #[serde(default)]
    pub(super) known: Vec<Value>,
}

/// Other names of a collection.
#[derive(Debug, Deserialize)]
pub(super) struct Aliases {
    pub(super) aliases: Vec<Alias>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias_name: String,
    pub(super) collection_name: String,
}

/// A page of the people of a collection.
#[derive(Debug, Deserialize)]
pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    pub(crate) next_page_offset: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) faces: usize,
    /// A number or a UUID.
    pub(crate) best: Option<Value>,
    /// The same through all renamings.
    pub(crate) id: Option<String>,
}

/// A job of the server.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) status: String,
    pub(crate) done: u64,
    pub(crate) of: u64,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<String>,
}

/// A job among others.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedJob {
    pub(crate) kind: String,
    pub(crate) collection: Option<String>,
    pub(crate) seconds: f64,
    #[serde(flatten)]
    pub(crate) job: Job,
}

/// The jobs of the server.
#[derive(Debug, Deserialize)]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<ListedJob>,
}
