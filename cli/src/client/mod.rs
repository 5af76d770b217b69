//! The REST client of the commands: typed calls, answers checked, errors that say what to do. A
//! server that asks for patience (429, 503, `Retry-After`) is asked again after the time it names,
//! within a bound; nothing else is tried twice.

mod error;
mod http;
pub(crate) mod wire;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use embedder::Manifest;
use serde_json::{Value, json};
use ureq::tls::TlsConfig;

use crate::import::PhotoId;
use crate::limits;
pub(crate) use error::Error;
use http::Http;
pub(crate) use wire::{AddFaces, Added, Before, FaceHits, ImageError, Maker, NewImage, Record};

/// A server, by its address and key.
pub(crate) struct Client {
    http: Http,
}

impl Client {
    /// `tls` says whom to trust and what to show where the address is https.
    pub(crate) fn new(url: &str, api_key: Option<&str>, tls: TlsConfig) -> Result<Self, Error> {
        let http = Http::new(url, api_key, tls)?;
        Ok(Self { http })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        self.http.base()
    }

    /// The names of all collections.
    pub(crate) fn collections(&self) -> Result<Vec<String>, Error> {
        let answer: wire::Collections = self.http.get("/collections")?;
        Ok(answer.collections.into_iter().map(|c| c.name).collect())
    }

    /// Makes a collection for faces unless there is one of that name, and says what was there; where a
    /// model is named, it must be that collection's.
    pub(crate) fn ensure_collection(
        &self,
        name: &str,
        model: Option<&str>,
    ) -> Result<Before, Error> {
        let path = collection_path(name);
        match self.http.get::<wire::Described>(&path) {
            Err(Error::Refused { status: 404, .. }) => {}
            there => return there?.before(name, model),
        }
        let model = match model {
            Some(model) => model.to_owned(),
            None => self.default_model()?,
        };
        self.make(&path, &json!({"embedder": model}))
    }

    /// It is not made where somebody else has made it meanwhile.
    fn make(&self, path: &str, body: &Value) -> Result<Before, Error> {
        match self.http.put::<Value>(path, body) {
            Err(Error::Refused { status: 409, .. }) => Ok(Before::Points),
            other => other.map(|_| Before::Nothing),
        }
    }

    /// The model of a server's requests that name none; of a server that does not tell, the one
    /// that comes along.
    fn default_model(&self) -> Result<String, Error> {
        let answer: wire::Models = match self.http.get("/faces/models") {
            Err(Error::Refused { status: 404, .. }) => return Ok(Manifest::builtin().name),
            other => other?,
        };
        let mut models = answer.models.into_iter();
        let default = models.find(|model| model.default);
        let default = default.map(|model| model.name);
        default.ok_or_else(|| Error::Unexpected("the server has no default model".into()))
    }

    /// Makes a collection for points with one vector, of a name (empty: of none) and so many numbers, unless there
    /// is one of that name, and says what was there; where a model is named, it has made the vectors, and must be
    /// that collection's.
    pub(crate) fn ensure_vectors(
        &self,
        name: &str,
        only: Option<(&str, usize)>,
        model: Option<&str>,
    ) -> Result<Before, Error> {
        let path = collection_path(name);
        match self.http.get::<wire::Described>(&path) {
            Err(Error::Refused { status: 404, .. }) => {}
            there => return there?.before(name, model),
        }
        let settings = match (only, model) {
            (_, Some(model)) => json!({"embedder": model}),
            (Some((_, dim)), None) => json!({"size": dim, "distance": "Cosine"}),
            (None, None) => return Err(Error::NoSize(name.to_owned())),
        };
        let body = match (only, model) {
            (Some((vector, _)), _) if !vector.is_empty() => json!({"vectors": {vector: settings}}),
            (_, Some(_)) => settings,
            (_, None) => json!({"vectors": settings}),
        };
        self.make(&path, &body)
    }

    /// What an import would find: how many numbers a collection's vectors of each name have; nothing where it does not
    /// exist.
    ///
    /// # Errors
    /// It is there, and of another model.
    pub(crate) fn sizes_of(
        &self,
        name: &str,
        model: Option<&str>,
    ) -> Result<Option<BTreeMap<String, usize>>, Error> {
        match self.http.get::<wire::Described>(&collection_path(name)) {
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            there => {
                let there = there?;
                there.is_of(name, model)?;
                Ok(Some(there.sizes()))
            }
        }
    }

    /// Drops a collection if it has no points.
    pub(crate) fn drop_empty(&self, name: &str) -> Result<bool, Error> {
        let path = collection_path(name);
        self.http.delete(&format!("{path}?only_empty=true"))
    }

    /// The names of a collection's vectors, "" for one without a name; and the model that has made
    /// the only one, if one has.
    pub(crate) fn vectors_of(
        &self,
        collection: &str,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let path = collection_path(collection);
        let described: wire::Described = self.http.get(&path)?;
        Ok(described.vectors())
    }

    /// The vectors of a collection by name, and the model that the server says makes each.
    pub(crate) fn makers_of(
        &self,
        collection: &str,
    ) -> Result<Vec<(String, Option<Maker>)>, Error> {
        let described: wire::Described = self.http.get(&collection_path(collection))?;
        Ok(described.makers())
    }

    /// Puts points in.
    pub(crate) fn put_points(
        &self,
        collection: &str,
        points: &[impl serde::Serialize],
    ) -> Result<usize, Error> {
        let path = format!("{}/points?wait=true", collection_path(collection));
        let only = json!({"points": points, "update_mode": "insert_only"});
        match self.http.put::<wire::Put>(&path, &only) {
            Ok(put) => Ok(put.known.len()),
            // A collection over shards takes them without.
            Err(Error::Refused { status: 501, .. }) => {
                self.http.put::<Value>(&path, &json!({"points": points}))?;
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// A page of points with all that they have, from an id on.
    pub(crate) fn scroll(
        &self,
        collection: &str,
        from: Option<&Value>,
    ) -> Result<wire::Page, Error> {
        let path = format!("{}/points/scroll", collection_path(collection));
        let limit = limits::BATCH_POINTS;
        let body =
            json!({"limit": limit, "offset": from, "with_vector": true, "with_payload": true});
        self.http.post(&path, &body)
    }

    /// Fetches the crop of a face; returns its bytes.
    pub(crate) fn fetch_crop(
        &self,
        collection: &str,
        id: &str,
        out: &mut dyn Write,
    ) -> Result<u64, Error> {
        let path = format!("{}/faces/{id}/image", collection_path(collection));
        self.http.fetch(&path, out)
    }

    /// Which of these ids the collection holds; none if there is no such collection.
    pub(crate) fn known_ids(
        &self,
        collection: &str,
        ids: &[PhotoId],
    ) -> Result<HashSet<PhotoId>, Error> {
        let path = format!("{}/points", collection_path(collection));
        let body = json!({"ids": ids, "with_payload": false, "with_vector": false});
        match self.http.post::<Vec<wire::Known>>(&path, &body) {
            Ok(points) => Ok(points.into_iter().map(|point| point.id).collect()),
            Err(Error::Refused { status: 404, .. }) => Ok(HashSet::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds the largest face of each photo.
    pub(crate) fn add_faces(&self, collection: &str, faces: &AddFaces<'_>) -> Result<Added, Error> {
        let path = format!("{}/faces", collection_path(collection));
        self.http.post(&path, faces)
    }

    /// Has a backup made of a collection, or of everything.
    pub(crate) fn make_backup(&self, of: Option<&str>) -> Result<wire::Snapshot, Error> {
        self.http.post(&snapshots_path(of), &json!({}))
    }

    /// Fetches a backup; returns its bytes.
    pub(crate) fn fetch_backup(
        &self,
        of: Option<&str>,
        name: &str,
        out: &mut dyn Write,
    ) -> Result<u64, Error> {
        self.http
            .fetch(&format!("{}/{name}", snapshots_path(of)), out)
    }

    /// Has the server forget a backup.
    pub(crate) fn remove_backup(&self, of: Option<&str>, name: &str) -> Result<bool, Error> {
        self.http.delete(&format!("{}/{name}", snapshots_path(of)))
    }

    /// Restores a backup of one collection under a name.
    pub(crate) fn restore_as(&self, name: &str, file: &File, sha256: &str) -> Result<bool, Error> {
        let path = snapshots_path(Some(name));
        self.http
            .send_file(&format!("{path}/upload?checksum={sha256}"), file)
    }

    /// Restores all of a backup under the names it has there.
    pub(crate) fn restore_all(&self, file: &File, sha256: &str) -> Result<wire::Restored, Error> {
        self.http
            .send_file(&format!("/snapshots/upload?checksum={sha256}"), file)
    }

    /// Makes an API key; the answer has its secret.
    pub(crate) fn make_key(&self, key: &Value) -> Result<Value, Error> {
        self.http.post("/admin/keys", key)
    }

    /// The keys that may do no more than this client's.
    pub(crate) fn keys(&self) -> Result<Value, Error> {
        self.http.get("/admin/keys")
    }

    /// Revokes a key; the answer has the keys that it had made.
    pub(crate) fn revoke_key(&self, id: &str) -> Result<Value, Error> {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let id = if plain { id } else { "-" };
        self.http.delete(&format!("/admin/keys/{id}"))
    }

    /// Has what was deleted from a collection taken out of every file; gives the report as it came.
    pub(crate) fn purge(&self, collection: &str, delete_backups: bool) -> Result<Value, Error> {
        let backups = if delete_backups { "delete" } else { "keep" };
        let path = format!("/admin{}/purge", collection_path(collection));
        self.http
            .post(&format!("{path}?backups={backups}"), &json!({}))
    }

    /// A page of the people of a collection, from a name on.
    pub(crate) fn people(
        &self,
        collection: &str,
        search: Option<&str>,
        from: Option<&str>,
    ) -> Result<wire::People, Error> {
        let limit = limits::PEOPLE_PAGE;
        let mut path = format!("{}/people?limit={limit}", collection_path(collection));
        for (name, text) in [("search", search), ("offset", from)] {
            if let Some(text) = text {
                path.push_str(&format!("&{name}={}", escaped(text)));
            }
        }
        self.http.get(&path)
    }

    /// The id of a person; nothing of somebody of whom nothing was ever said.
    pub(crate) fn id_of_person(
        &self,
        collection: &str,
        name: &str,
    ) -> Result<Option<String>, Error> {
        let from = escaped(name);
        let path = format!(
            "{}/people?limit=1&offset={from}",
            collection_path(collection)
        );
        let page: wire::People = match self.http.get(&path) {
            // Where there is no index of names, nothing is known of anybody.
            Err(Error::Refused { status: 400, .. }) => return Ok(None),
            other => other?,
        };
        let mut people = page.people.into_iter();
        let person = people.find(|person| person.name == name);
        Ok(person.and_then(|person| person.id))
    }

    /// The face that was chosen for the person of a point, as its payload tells; null where none was.
    pub(crate) fn chosen_by(&self, collection: &str, point: &Value) -> Result<Value, Error> {
        let path = format!("{}/points", collection_path(collection));
        let body = json!({"ids": [point], "with_payload": ["about_person"]});
        let points: Value = self.http.post(&path, &body)?;
        Ok(points[0]["payload"]["about_person"]["best"].clone())
    }

    /// Gives a person another name.
    pub(crate) fn rename_person(&self, collection: &str, body: &Value) -> Result<Value, Error> {
        let path = format!("{}/people/rename", collection_path(collection));
        self.http.post(&path, body)
    }

    /// Says something of a person; gives what is known then.
    pub(crate) fn change_person(&self, collection: &str, body: &Value) -> Result<Value, Error> {
        let path = format!("{}/people", collection_path(collection));
        self.http.patch(&path, body)
    }

    /// Has the faces of a collection grouped into people.
    pub(crate) fn cluster(&self, collection: &str, body: &Value) -> Result<wire::Job, Error> {
        let path = format!("/admin{}/cluster", collection_path(collection));
        self.http.post(&path, body)
    }

    /// Has an index built anew.
    pub(crate) fn reindex(&self, collection: &str, body: &Value) -> Result<wire::Job, Error> {
        let path = format!("/admin{}/reindex", collection_path(collection));
        self.http.post(&path, body)
    }

    /// The name that a collection has, of this or another name of it.
    pub(crate) fn own_name(&self, name: &str) -> Result<String, Error> {
        let path = format!("{}/aliases", collection_path(name));
        let all: wire::Aliases = self.http.get(&path)?;
        let mut all = all.aliases.into_iter();
        let own = all.find(|alias| alias.alias_name == name);
        Ok(own.map_or_else(|| name.to_owned(), |alias| alias.collection_name))
    }

    /// Has a collection moved to another model.
    pub(crate) fn reembed(&self, collection: &str, body: &Value) -> Result<wire::Job, Error> {
        let path = format!("/admin{}/reembed", collection_path(collection));
        self.http.post(&path, body)
    }

    /// Has a move to another model given up.
    pub(crate) fn give_up_reembedding(
        &self,
        collection: &str,
        accept_missing: bool,
    ) -> Result<Value, Error> {
        let path = format!("/admin{}/reembed", collection_path(collection));
        self.http
            .delete(&format!("{path}?accept_missing={accept_missing}"))
    }

    /// Has a job begun about a collection, or about everything.
    pub(crate) fn begin_job(&self, of: Option<&str>, body: &Value) -> Result<wire::Job, Error> {
        let of = of.map(collection_path).unwrap_or_default();
        self.http.post(&format!("/admin{of}/jobs"), body)
    }

    /// The jobs that are at work and the last that have ended.
    pub(crate) fn jobs(&self) -> Result<Vec<wire::ListedJob>, Error> {
        let list: wire::JobList = self.http.get("/admin/jobs")?;
        Ok(list.jobs)
    }

    /// Asks a job to end early.
    pub(crate) fn cancel_job(&self, id: u64) -> Result<wire::Job, Error> {
        self.http.delete(&format!("/admin/jobs/{id}"))
    }

    /// Has a checkpoint taken.
    pub(crate) fn checkpoint(&self) -> Result<Value, Error> {
        self.http.post("/admin/checkpoint", &json!({}))
    }

    /// How far a job is.
    pub(crate) fn job(&self, id: u64) -> Result<wire::Job, Error> {
        self.http.get(&format!("/admin/jobs/{id}"))
    }

    /// The server's answer to a photo, as it came.
    pub(crate) fn search(
        &self,
        collection: &str,
        photo: &[u8],
        limit: u32,
    ) -> Result<Value, Error> {
        let path = format!("{}/faces/search", collection_path(collection));
        let body = json!({"image": base64_of(photo), "limit": limit});
        self.http.post(&path, &body)
    }
}

fn snapshots_path(of: Option<&str>) -> String {
    let of = of.map(collection_path).unwrap_or_default();
    format!("{of}/snapshots")
}

/// How bytes travel in JSON.
pub(crate) fn base64_of(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The faces of an answer to [`Client::search`].
pub(crate) fn faces_of(answer: &Value) -> Result<Vec<FaceHits>, Error> {
    let faces = serde_json::from_value::<wire::Found>(answer.clone());
    Ok(faces
        .map_err(|error| Error::Unexpected(error.to_string()))?
        .faces)
}

fn collection_path(name: &str) -> String {
    format!("/collections/{}", escaped(name))
}

/// Every byte of a name that means something in a URL is escaped (RFC 3986).
fn escaped(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(collection_path("stars-1.2_x~"), "/collections/stars-1.2_x~");
        assert_eq!(
            collection_path("a b/../é"),
            "/collections/a%20b%2F..%2F%C3%A9"
        );
    }
}
