//! A server process under a concurrent load that is killed (`SIGKILL`) again and again, also while
//! it recovers. Each client keeps what was acknowledged to it and checks all of it after each start.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use config::{Config, Flag, Sources};
use embedder::FakeEmbedder;
use serde_json::{Value, json};
use server::{Embedding, Factory};

use super::group::{self, Put};
use super::inputs;
use super::moves::Moves;
use super::operator::{self, OWNER};
use super::power::{Before, Full, Power};
use super::tally::Tally;
use crate::Process;
use crate::chance::Chance;

const COLLECTION: &str = "/collections/hammered";
const CLIENTS: u64 = 3;
/// Ids that belong to one client.
const IDS: u64 = 400;
const DIM: u64 = 32;
const REBUILT: &str = "doppel_tables_rebuilt";
/// How long a round lasts at most, from when the server is ready.
const ROUND_MS: u64 = 700;

/// Serves a data folder in this process until it is killed, with two stand-ins for face models; what
/// `Hammer` starts. A checkpoint is
/// taken every so many seconds, and after as many MiB of log.
///
/// # Errors
/// The server does not start.
pub fn serve(dir: &Path, checkpoint_every: u32) -> Result<()> {
    let signals = server::Signals::catch()?;
    let flag = |key, value: &str| Flag::new("torture", key, value);
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let flags = vec![
        flag("data_dir", &text(dir.join("data"))),
        flag("models_dir", &text(dir.join("models"))),
        flag("models.install_on_start", "false"),
        flag("listen", "127.0.0.1:0"),
        flag("log.segment_mib", "1"),
        flag("checkpoint.log_mib", &checkpoint_every.to_string()),
        flag("checkpoint.interval_s", &checkpoint_every.to_string()),
    ];
    let config = Config::load(&Sources {
        flags,
        ..Sources::default()
    })?;
    let one: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let other: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::other()) as _));
    let running = server::start_with(config, Embedding::Made(vec![one, other]))?;
    writeln!(std::io::stdout(), "listening on http://{}/", running.addr())?;
    Ok(running.wait(signals)?)
}

/// The client side: what was acknowledged, over all rounds.
pub struct Hammer {
    binary: PathBuf,
    dir: PathBuf,
    /// Every kill is a power cut.
    power: Option<Power>,
    /// Whether an operator is at work, and the disk gets full.
    trouble: bool,
    chance: Chance,
    clients: Vec<Client>,
    moves: Moves,
    /// Counts over all rounds.
    pub tally: Tally,
}

/// A server and what was on the disk before it began.
struct Running {
    server: Process,
    before: Option<Before>,
}

/// A request, and what it would make of points.
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) at: String,
    pub(super) body: Value,
    pub(super) changes: BTreeMap<u64, Option<Put>>,
}

#[derive(Default)]
struct Client {
    from: u64,
    /// By id, what was acknowledged.
    there: BTreeMap<u64, Put>,
    /// The request that was under way when the server died: what it would make of its ids.
    open: BTreeMap<u64, Option<Put>>,
    operations: u64,
}

impl Hammer {
    /// A load over a data folder in `dir`, served by this binary of the torture.
    pub fn new(seed: u64, dir: &Path, binary: &Path) -> Self {
        let client = |n| Client {
            from: n * IDS,
            ..Client::default()
        };
        Self {
            binary: binary.to_owned(),
            power: None,
            trouble: false,
            dir: dir.to_owned(),
            chance: Chance::new(seed),
            clients: (0..CLIENTS).map(client).collect(),
            moves: Moves::default(),
            tally: Tally::default(),
        }
    }

    /// The same with a power cut at each kill; none where there is no C compiler.
    ///
    /// # Errors
    /// What stands between the server and the system cannot be made.
    pub fn with_power_cuts(seed: u64, dir: &Path, binary: &Path) -> Result<Option<Self>> {
        let power = Power::over(&dir.join("data"), &dir.join("power"))?;
        Ok(power.map(|power| Self {
            power: Some(power),
            ..Self::new(seed, dir, binary)
        }))
    }

    /// From now on backups, restores and purges are made beside the load, and the disk gets full.
    #[must_use]
    pub fn in_trouble(self) -> Self {
        Self {
            trouble: true,
            ..self
        }
    }

    fn spawn(&self) -> Result<Running> {
        let mut command = Command::new(&self.binary);
        command.arg("--serve").arg(&self.dir);
        let before = match &self.power {
            Some(power) => {
                power.watch(&mut command);
                Some(power.before()?)
            }
            None => None,
        };
        let server = Process::spawn(command)?;
        Ok(Running { server, before })
    }

    /// After a kill: power goes too, if it is to.
    fn killed(&mut self, before: Option<&Before>) -> Result<()> {
        self.tally.kills += 1;
        if let (Some(power), Some(before)) = (&self.power, before) {
            let seed = self.chance.next();
            self.tally.power_cut_steps += power.cut(seed, before)?;
            self.tally.power_cuts += 1;
        }
        Ok(())
    }

    /// Starts the server (killed some times before it is ready), checks all that was acknowledged,
    /// loads it for a moment and kills it.
    ///
    /// # Errors
    /// The server does not start or cannot be asked.
    pub fn round(&mut self) -> Result<()> {
        while self.chance.once_in(3) {
            let Running { server, before } = self.spawn()?;
            thread::sleep(Duration::from_micros(self.chance.below(60_000)));
            self.tally.kills_in_recovery += u64::from(!server.is_ready());
            server.kill()?;
            self.killed(before.as_ref())?;
        }
        let Running { mut server, before } = self.spawn()?;
        server.wait_ready()?;
        self.tally.tables_rebuilt += u64::from(server.metric(REBUILT).is_ok_and(|n| n > 0.0));
        self.check(&server)?;
        let until = Instant::now() + Duration::from_millis(self.chance.below(ROUND_MS));
        self.load(server, until)?;
        self.killed(before.as_ref())
    }

    fn load(&mut self, server: Process, until: Instant) -> Result<()> {
        let dead = AtomicBool::new(false);
        let refused = AtomicU64::new(0);
        let seeds: Vec<_> = self.clients.iter().map(|_| self.chance.next()).collect();
        let [bad_seed, operator_seed, moves_seed] = [(); 3].map(|()| self.chance.next());
        let full = (self.trouble && self.power.is_some() && self.chance.once_in(4)).then(|| {
            self.tally.faults += 1;
            [Full::NoSpace, Full::ReadOnly, Full::Tables][self.chance.index(3)]
        });
        let outcome = thread::scope(|scope| {
            let (server, dead, refused) = (&server, &dead, &refused);
            let clients = self.clients.iter_mut().zip(seeds);
            let mut threads: Vec<_> = clients
                .map(|(client, seed)| scope.spawn(move || client.work(server, seed, dead)))
                .collect();
            let moves = &mut self.moves;
            threads.push(scope.spawn(move || moves.work(server, moves_seed, dead)));
            threads.push(scope.spawn(move || inputs::to_a_server(server, bad_seed, dead, refused)));
            let data = self.dir.join("data");
            if self.trouble {
                threads.push(scope.spawn(move || {
                    operator::operate(server, COLLECTION, &data, operator_seed, dead)
                }));
            }
            let left = until.saturating_duration_since(Instant::now());
            if let Some((power, full)) = self.power.as_ref().zip(full) {
                thread::sleep(left / 2);
                power.fill(full)?;
            }
            thread::sleep(left / 2);
            dead.store(true, Ordering::Release);
            let killed = server.kill();
            for thread in threads {
                match thread.join() {
                    Ok(outcome) => outcome?,
                    Err(_) => bail!("a client panicked"),
                }
            }
            killed
        });
        if let Some(power) = &self.power {
            power.empty()?;
        }
        self.tally.bad_inputs += refused.into_inner();
        if let Err(error) = outcome {
            self.tally.wrong.push(error.to_string());
        }
        Ok(())
    }

    /// Everything that was acknowledged is there as it was, and nothing else.
    fn check(&mut self, server: &Process) -> Result<()> {
        self.tally.lost.extend(self.moves.check(server)?);
        let config = json!({"vectors": {"size": DIM, "distance": "Dot"}});
        if server.call("GET", COLLECTION, None)?.0 == 404 {
            if self.clients.iter().any(|client| !client.there.is_empty()) {
                self.tally.lost.push("the whole collection".into());
            }
            server.send("PUT", COLLECTION, &config)?;
            return Ok(());
        }
        operator::check(server, COLLECTION)?;
        let mut found = scroll(server)?;
        for client in &mut self.clients {
            let (mut mine, rest) = split(found, client.from);
            found = rest;
            let wrong = client.compare(&mut mine);
            self.tally.answers += client.there.len() as u64;
            self.tally.operations += std::mem::take(&mut client.operations);
            self.tally.lost.extend(wrong);
            client.there = mine;
            client.open.clear();
            let owner = client.from / IDS;
            let filter = json!({"must": [{"key": OWNER, "match": {"value": owner}}]});
            let path = format!("{COLLECTION}/points/count");
            let counted = server.send("POST", &path, &json!({"filter": filter, "exact": true}))?;
            if counted["count"].as_u64() != Some(client.there.len() as u64) {
                let what = format!("{counted} of {OWNER} {owner}, not {}", client.there.len());
                self.tally.wrong.push(what);
            }
        }
        let strays = found.len();
        if strays > 0 {
            self.tally.wrong.push(format!("{strays} points nobody put"));
        }
        let all = self.clients.iter().flat_map(|client| client.there.values());
        self.tally
            .wrong
            .extend(group::compare(server, COLLECTION, all)?);
        self.compare_searches(server)
    }

    /// A search by a point's own vector gives the best there is.
    fn compare_searches(&mut self, server: &Process) -> Result<()> {
        let all = self.clients.iter().flat_map(|client| &client.there);
        let all: Vec<u64> = all.map(|(_, put)| put.n).collect();
        for _ in 0..3.min(all.len()) {
            let query = vector(self.chance.next());
            let body = json!({"query": query, "limit": 5, "params": {"exact": true}});
            let hits = server.send("POST", &format!("{COLLECTION}/points/query"), &body)?;
            let hits = hits["points"].as_array().context("no hits")?;
            let scores: Vec<f64> = hits
                .iter()
                .filter_map(|hit| hit["score"].as_f64())
                .collect();
            let mut due: Vec<f64> = all.iter().map(|n| dot(&query, &vector(*n))).collect();
            due.sort_by(|a, b| b.total_cmp(a));
            due.truncate(5);
            self.tally.answers += 1;
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-3 * b.abs().max(1.0);
            if scores.len() != due.len() || !scores.iter().zip(&due).all(close) {
                let what = format!("a search gives {scores:?}, not {due:?}");
                self.tally.wrong.push(what);
            }
        }
        Ok(())
    }
}

type Points = BTreeMap<u64, Put>;

fn split(all: Points, from: u64) -> (Points, Points) {
    all.into_iter()
        .partition(|(id, _)| (from..from + IDS).contains(id))
}

impl Client {
    /// One request after another until the server is dead.
    fn work(&mut self, server: &Process, seed: u64, dead: &AtomicBool) -> Result<()> {
        let mut chance = Chance::new(seed);
        // Writing has stopped: what was under way then stays under way.
        let mut stopped = false;
        loop {
            self.operations += 1;
            let Request {
                method,
                at,
                body,
                changes,
            } = self.ask(&mut chance);
            let reads = changes.is_empty();
            if !stopped {
                self.open = changes;
            }
            match server.call(method, &at, Some(&body)) {
                Ok((200, _)) if stopped && reads => {}
                Ok((200, _)) if stopped => bail!("{method} {at} was taken after a 507"),
                Ok((200, _)) => self.acknowledged(),
                // What was under way may have taken all of somebody's faces.
                Ok((503 | 404, _)) if stopped => {}
                Ok((503, _)) => self.open.clear(),
                Ok((507, _)) if !reads => stopped = true,
                Ok((status, text)) => bail!("{method} {at}: {status}: {text}"),
                Err(_) if dead.load(Ordering::Acquire) => return Ok(()),
                Err(error) => bail!("the server died by itself: {error}"),
            }
        }
    }

    fn ask(&self, chance: &mut Chance) -> Request {
        let count = 1 + chance.below(12);
        let ids: Vec<u64> = (0..count).map(|_| self.from + chance.below(IDS)).collect();
        let wait = ["true", "false"][chance.index(2)];
        let points = format!("{COLLECTION}/points");
        let people = match chance.below(7) {
            0 => group::ask(COLLECTION, &self.there, wait, chance),
            1 => {
                return Request {
                    method: "POST",
                    at: format!("{points}/delete?wait={wait}"),
                    body: json!({"points": ids}),
                    changes: ids.iter().map(|id| (*id, None)).collect(),
                };
            }
            2 => None,
            _ => {
                let put = |id: &u64| (*id, Put::new(*id / IDS, chance.next() >> 12, &self.there));
                let puts: Points = ids.iter().map(put).collect();
                let bodies: Vec<_> = puts.iter().map(|(id, put)| point(*id, put)).collect();
                return Request {
                    method: "PUT",
                    at: format!("{points}?wait={wait}"),
                    body: json!({"points": bodies}),
                    changes: puts.into_iter().map(|(id, put)| (id, Some(put))).collect(),
                };
            }
        };
        people.unwrap_or_else(|| Request {
            method: "POST",
            at: format!("{points}/query"),
            body: json!({"query": vector(chance.next()), "limit": 5}),
            changes: BTreeMap::new(),
        })
    }

    fn acknowledged(&mut self) {
        for (id, n) in std::mem::take(&mut self.open) {
            match n {
                Some(n) => drop(self.there.insert(id, n)),
                None => drop(self.there.remove(&id)),
            }
        }
    }

    /// What is found must be what was acknowledged, with all or nothing of what was under way.
    fn compare(&self, found: &mut Points) -> Vec<String> {
        let mut with_open = self.there.clone();
        for (id, n) in &self.open {
            match n {
                Some(put) => drop(with_open.insert(*id, put.clone())),
                None => drop(with_open.remove(id)),
            }
        }
        if *found == self.there || *found == with_open {
            return Vec::new();
        }
        let ids = self.there.keys().chain(found.keys());
        let differ = |id: &&u64| found.get(id) != self.there.get(id);
        let mut ids: Vec<_> = ids.filter(differ).collect();
        ids.dedup();
        let open: Vec<_> = self.open.keys().collect();
        vec![format!("points {ids:?}, with {open:?} under way")]
    }
}

fn vector(n: u64) -> Vec<f64> {
    let mut chance = Chance::new(n);
    let number = |_| f64::from(u32::try_from(chance.below(2_000)).unwrap_or(0)) - 1_000.0;
    (0..DIM).map(number).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Some payloads are large, so that the log rolls over and checkpoints come.
fn point(id: u64, put: &Put) -> Value {
    let n = put.n;
    let text = "x".repeat(usize::try_from(n % 4_000).unwrap_or(0));
    let payload = json!({"n": n, OWNER: id / IDS, "text": text, "person": put.person});
    json!({"id": id, "vector": vector(n), "payload": payload})
}

fn scroll(server: &Process) -> Result<Points> {
    let mut found = BTreeMap::new();
    let mut offset = Value::Null;
    loop {
        let body =
            json!({"limit": 500, "with_payload": true, "with_vector": true, "offset": offset});
        let page = server.send("POST", &format!("{COLLECTION}/points/scroll"), &body)?;
        for point in page["points"].as_array().context("no points")? {
            let id = point["id"].as_u64().context("no id")?;
            let put = Put::found(&point["payload"])?;
            let n = put.n;
            if point["vector"].as_array().map(Vec::len) != Some(vector(n).len())
                || point["vector"][0].as_f64() != vector(n).first().copied()
            {
                bail!("point {id} has another point's vector");
            }
            found.insert(id, put);
        }
        offset = page["next_page_offset"].clone();
        if offset.is_null() {
            return Ok(found);
        }
    }
}
