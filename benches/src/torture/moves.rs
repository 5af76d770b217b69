//! A collection that is moved from one face model to another and back while its server is killed:
//! every face is there with a vector of the one model or the other, made of its own photo, and a move
//! that was begun is not forgotten.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use embedder::{Choice, FaceEmbedder, FakeEmbedder, Want};
use serde_json::{Value, json};

use crate::Process;
use crate::chance::Chance;

const COLLECTION: &str = "/collections/moved";
const REEMBED: &str = "/admin/collections/moved/reembed";
const MODELS: [&str; 2] = ["fake-128", "fake-72"];
const IDS: u64 = 24;
/// Pixels of a side of a photo, of its head and of a square of one shade.
const SIDE: u32 = 32;
const HEAD: u32 = 54;
const SQUARE: u32 = 8;
/// What a vector of a crop has in common with that of the photo at least; with another photo's it
/// has less.
const SAME: f32 = 0.97;

/// What was acknowledged.
#[derive(Default)]
pub(super) struct Moves {
    /// By id, the number of the photo.
    there: BTreeMap<u64, u64>,
    /// The request that was under way.
    open: Option<(u64, Option<u64>)>,
    /// The model that the last move goes to, if no other was under way to be begun.
    begun: Option<&'static str>,
}

impl Moves {
    /// One request after another until the server is dead, or writing has stopped.
    pub(super) fn work(&mut self, server: &Process, seed: u64, dead: &AtomicBool) -> Result<()> {
        let mut chance = Chance::new(seed);
        loop {
            let id = chance.below(IDS);
            let (mut to, mut before) = (None, None);
            let (method, path, body) = match chance.below(8) {
                0 => {
                    to = Some(MODELS[chance.index(MODELS.len())]);
                    before = self.begun.take();
                    ("POST", REEMBED.to_owned(), json!({ "model": to }))
                }
                1 => {
                    self.open = Some((id, None));
                    let path = format!("{COLLECTION}/points/delete");
                    ("POST", path, json!({"points": [id]}))
                }
                _ => {
                    let n = chance.below(1 << 30);
                    self.open = Some((id, Some(n)));
                    let image = BASE64_STANDARD.encode(photo(n));
                    let keep_photo = chance.once_in(2);
                    let payload = json!({ "n": n });
                    let body = json!({
                        "image": image, "id": id, "payload": payload, "keep_photo": keep_photo,
                        "duplicates": "ignore",
                    });
                    ("POST", format!("{COLLECTION}/faces"), body)
                }
            };
            match server.call(method, &path, Some(&body)) {
                Ok((200, _)) if to.is_some() => self.begun = to,
                Ok((200, _)) => self.acknowledged(),
                // Its vectors are of that model already, or it is being moved.
                Ok((503 | 409, _)) if before.is_some() => self.begun = before,
                Ok((409, _)) if to.is_some() => {}
                Ok((503, _)) => self.open = None,
                Ok((507, _)) => return Ok(()),
                Ok((status, text)) => bail!("{method} {path}: {status}: {text}"),
                Err(_) if dead.load(Ordering::Acquire) => return Ok(()),
                Err(error) => bail!("the server died by itself: {error}"),
            }
        }
    }

    fn acknowledged(&mut self) {
        match self.open.take() {
            Some((id, Some(n))) => drop(self.there.insert(id, n)),
            Some((id, None)) => drop(self.there.remove(&id)),
            None => {}
        }
    }

    /// What is lost or wrong, if anything.
    pub(super) fn check(&mut self, server: &Process) -> Result<Option<String>> {
        let (status, told) = server.call("GET", COLLECTION, None)?;
        if status == 404 {
            if !self.there.is_empty() {
                return Ok(Some(format!("{COLLECTION} has gone")));
            }
            server.send("PUT", COLLECTION, &json!({"embedder": MODELS[0]}))?;
            return Ok(None);
        }
        let found = scroll(server)?;
        let mut with_open = self.there.clone();
        match self.open.take() {
            Some((id, Some(n))) => drop(with_open.insert(id, n)),
            Some((id, None)) => drop(with_open.remove(&id)),
            None => {}
        }
        if found != self.there && found != with_open {
            let there = &self.there;
            return Ok(Some(format!(
                "faces {found:?}, not {there:?} or {with_open:?}"
            )));
        }
        self.there = found;
        self.forgotten(server, &serde_json::from_str(&told)?)
    }

    /// Says that the last move is neither over nor under way.
    fn forgotten(&self, server: &Process, told: &Value) -> Result<Option<String>> {
        let Some(begun) = self.begun else {
            return Ok(None);
        };
        let told = &told["result"];
        let under_way = &told["config"]["metadata"]["reembedding"]["model"];
        if *under_way == begun || told["embedder"]["name"] == begun {
            return Ok(None);
        }
        // It may have ended since.
        let (_, now) = server.call("GET", COLLECTION, None)?;
        let now: Value = serde_json::from_str(&now)?;
        let over = now["result"]["embedder"]["name"] == begun;
        Ok((!over).then(|| format!("the move to {begun} is forgotten: {told}")))
    }
}

/// The faces there are, each with a vector of its own photo.
fn scroll(server: &Process) -> Result<BTreeMap<u64, u64>> {
    let path = format!("{COLLECTION}/points/scroll");
    let body = json!({"limit": IDS, "with_payload": true, "with_vector": true});
    let page = server.send("POST", &path, &body)?;
    let mut found = BTreeMap::new();
    for point in page["points"].as_array().context("no points")? {
        let id = point["id"].as_u64().context("no id")?;
        let n = point["payload"]["n"].as_u64().context("no payload")?;
        let vectors: Vec<&Value> = match &point["vector"] {
            Value::Object(named) => named.values().collect(),
            one => vec![one],
        };
        let due = vectors_of(n)?;
        for vector in &vectors {
            let vector: Vec<f32> = serde_json::from_value((*vector).clone())?;
            if !due.iter().any(|due| is_like(due, &vector)) {
                bail!("face {id} has another face's vector");
            }
        }
        if vectors.is_empty() {
            bail!("face {id} has no vector any more");
        }
        found.insert(id, n);
    }
    Ok(found)
}

fn is_like(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() >= SAME
}

/// What each model makes of a photo.
fn vectors_of(n: u64) -> Result<Vec<Vec<f32>>> {
    let photo = photo(n);
    let want = Want {
        faces: Choice::Largest,
        vectors: true,
        crop: false,
        smallest: 0,
    };
    let mut vectors = Vec::new();
    for mut model in [FakeEmbedder::new(), FakeEmbedder::other()] {
        for seen in model.analyze_all(&[(&photo, want)]) {
            vectors.extend(seen?.faces.into_iter().map(|face| face.vector));
        }
    }
    Ok(vectors)
}

/// A photo (BMP, 24 bits a pixel) of squares whose shades follow from a number.
fn photo(n: u64) -> Vec<u8> {
    let mut chance = Chance::new(n);
    let across = SIDE / SQUARE;
    let shades: Vec<u8> = (0..across * across)
        .map(|_| if chance.once_in(2) { 20 } else { 230 })
        .collect();
    let pixels = SIDE * SIDE * 3;
    let mut bytes = b"BM".to_vec();
    let head = [
        HEAD + pixels,
        0,
        HEAD,
        40,
        SIDE,
        SIDE,
        1 | 24 << 16,
        0,
        pixels,
        0,
        0,
        0,
        0,
    ];
    bytes.extend(head.iter().flat_map(|number: &u32| number.to_le_bytes()));
    for y in 0..SIDE {
        for x in 0..SIDE {
            let at = usize::try_from(y / SQUARE * across + x / SQUARE).unwrap_or(0);
            bytes.extend([shades.get(at).copied().unwrap_or(0); 3]);
        }
    }
    bytes
}
