//! Nodes, their queues and the queries that meet them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use anyhow::{Result, ensure};

use super::chance;
use super::{Outcome, Service};
use crate::chance::Chance;

/// Which node of a shard is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Any.
    Random,
    /// The one with the fewest requests at this moment, which everybody knows.
    LeastBusy,
}

/// Shards, and how they are asked.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Parts of the collection.
    pub shards: usize,
    /// Nodes that have the same shard.
    pub replicas: usize,
    /// Requests that a node works at at once.
    pub cores: usize,
    /// Which node of a shard is asked.
    pub choice: Choice,
    /// A second node is asked when the first has not answered after so long (Dean & Barroso 2013);
    /// the answer that comes first counts, and a request that still waits for a node when the other
    /// has answered is dropped.
    pub hedge_ms: Option<f64>,
    /// The query is answered with what is there after so long.
    pub deadline_ms: Option<f64>,
    /// What a node needs for a request.
    pub service: Service,
}

/// The queries.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The part of the nodes' time that they would work if nothing were asked twice.
    pub busy: f64,
    /// Queries that are counted; a tenth as many come before them.
    pub queries: usize,
    /// What everything follows from.
    pub seed: u64,
}

/// Lets the queries come, and tells how long they took.
///
/// # Errors
/// A number is one with which nothing would ever be answered.
pub fn simulate(cluster: &Cluster, load: Load) -> Result<Outcome> {
    let Cluster {
        shards,
        replicas,
        cores,
        ..
    } = *cluster;
    ensure!(
        shards > 0 && replicas > 0 && cores > 0 && load.queries > 0,
        "{shards} shards, {replicas} replicas, {cores} cores, {} queries: 1 or more are wanted",
        load.queries
    );
    ensure!(
        load.busy > 0.0 && load.busy < 1.0,
        "busy {}: more than 0 and less than 1 is wanted, or queues grow for ever",
        load.busy
    );
    ensure!(
        cluster.hedge_ms.is_none() || replicas > 1,
        "a second node is to be asked, and every shard has one only"
    );
    let mut world = World::new(cluster, load);
    world.run();
    Ok(world.outcome())
}

/// The request of a query to a shard.
#[derive(Debug, Clone, Copy)]
struct Request {
    query: usize,
    shard: usize,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// The next query comes.
    Comes,
    /// The node has done the request.
    Done(usize, Request),
    /// The request has gone to this node and may need another.
    Late(usize, Request),
}

/// Something that happens; those of the same moment in the order in which they were foreseen.
struct Event {
    at: f64,
    order: u64,
    what: What,
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.order.cmp(&other.order);
        self.at.total_cmp(&other.at).then(order)
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}

#[derive(Default, Clone)]
struct Node {
    working: usize,
    waiting: VecDeque<Request>,
}

#[derive(Clone, Copy)]
struct Query {
    came: f64,
    /// Shards that have not answered.
    open: usize,
    /// When the last one answered that was waited for.
    last: f64,
}

struct World<'a> {
    cluster: &'a Cluster,
    load: Load,
    chance: Chance,
    now: f64,
    foreseen: BinaryHeap<Reverse<Event>>,
    order: u64,
    /// Those of the first shard, then those of the next.
    nodes: Vec<Node>,
    queries: Vec<Query>,
    /// Whether a shard has answered a query.
    answered: Vec<bool>,
    between_ms: f64,
    worked_ms: f64,
    second: usize,
}

impl<'a> World<'a> {
    fn new(cluster: &'a Cluster, load: Load) -> Self {
        let places = (cluster.replicas * cluster.cores) as f64;
        Self {
            cluster,
            load,
            chance: Chance::new(load.seed),
            now: 0.0,
            foreseen: BinaryHeap::new(),
            order: 0,
            nodes: vec![Node::default(); cluster.shards * cluster.replicas],
            queries: Vec::new(),
            answered: Vec::new(),
            between_ms: cluster.service.mean_ms() / (load.busy * places),
            worked_ms: 0.0,
            second: 0,
        }
    }

    /// Queries that come before those that count.
    fn before(&self) -> usize {
        self.load.queries / 10
    }

    fn run(&mut self) {
        self.foresee(0.0, What::Comes);
        while let Some(Reverse(event)) = self.foreseen.pop() {
            self.now = event.at;
            match event.what {
                What::Comes => self.comes(),
                What::Done(node, request) => self.done(node, request),
                What::Late(first, request) => self.late(first, request),
            }
        }
    }

    fn foresee(&mut self, after_ms: f64, what: What) {
        self.order += 1;
        self.foreseen.push(Reverse(Event {
            at: self.now + after_ms,
            order: self.order,
            what,
        }));
    }

    fn comes(&mut self) {
        let query = self.queries.len();
        self.queries.push(Query {
            came: self.now,
            open: self.cluster.shards,
            last: self.now,
        });
        let all = self.answered.len() + self.cluster.shards;
        self.answered.resize(all, false);
        for shard in 0..self.cluster.shards {
            let request = Request { query, shard };
            let node = self.choose(shard, None);
            if let Some(after_ms) = self.cluster.hedge_ms {
                self.foresee(after_ms, What::Late(node, request));
            }
            self.send(node, request);
        }
        if query + 1 < self.before() + self.load.queries {
            let after_ms = self.between_ms * chance::exponential(&mut self.chance);
            self.foresee(after_ms, What::Comes);
        }
    }

    /// A node of the shard, another than this one.
    fn choose(&mut self, shard: usize, not: Option<usize>) -> usize {
        let replicas = self.cluster.replicas;
        let start = self.chance.index(replicas);
        let turned = (0..replicas).map(|at| shard * replicas + (start + at) % replicas);
        let mut others = turned.filter(|node| Some(*node) != not);
        let chosen = match self.cluster.choice {
            Choice::Random => others.next(),
            Choice::LeastBusy => others.min_by_key(|node| {
                let node = &self.nodes[*node];
                node.working + node.waiting.len()
            }),
        };
        // A second node is asked for only where there is one.
        chosen.unwrap_or(shard * replicas)
    }

    fn send(&mut self, node: usize, request: Request) {
        if self.nodes[node].working < self.cluster.cores {
            self.begin(node, request);
        } else {
            self.nodes[node].waiting.push_back(request);
        }
    }

    fn begin(&mut self, node: usize, request: Request) {
        self.nodes[node].working += 1;
        let takes_ms = self.cluster.service.draw(&mut self.chance);
        self.worked_ms += takes_ms;
        self.foresee(takes_ms, What::Done(node, request));
    }

    fn done(&mut self, node: usize, request: Request) {
        self.nodes[node].working -= 1;
        if !self.is_over(request) {
            let at = self.place(request);
            self.answered[at] = true;
            let query = &mut self.queries[request.query];
            query.open -= 1;
            query.last = self.now;
        }
        while let Some(next) = self.nodes[node].waiting.pop_front() {
            if !self.is_over(next) {
                self.begin(node, next);
                break;
            }
        }
    }

    fn late(&mut self, first: usize, request: Request) {
        if self.is_over(request) {
            return;
        }
        self.second += 1;
        let node = self.choose(request.shard, Some(first));
        self.send(node, request);
    }

    fn place(&self, request: Request) -> usize {
        request.query * self.cluster.shards + request.shard
    }

    /// Whether nobody waits for the answer any more.
    fn is_over(&self, request: Request) -> bool {
        let waited = self.now - self.queries[request.query].came;
        let too_late = self.cluster.deadline_ms.is_some_and(|most| waited > most);
        too_late || self.answered[self.place(request)]
    }

    fn outcome(&self) -> Outcome {
        let counted = &self.queries[self.before()..];
        let time = |query: &Query| match self.cluster.deadline_ms {
            Some(most) if query.open > 0 => most,
            _ => query.last - query.came,
        };
        let mut times_ms: Vec<f64> = counted.iter().map(time).collect();
        times_ms.sort_by(f64::total_cmp);
        let partial = counted.iter().filter(|query| query.open > 0).count();
        let missing: usize = counted.iter().map(|query| query.open).sum();
        let asked = |queries: usize| (queries * self.cluster.shards) as f64;
        let places = self.nodes.len() * self.cluster.cores;
        Outcome {
            times_ms,
            busy: self.worked_ms / (places as f64 * self.now),
            hedged: self.second as f64 / asked(self.queries.len()),
            partial: partial as f64 / counted.len() as f64,
            missing: missing as f64 / asked(counted.len()),
        }
    }
}
