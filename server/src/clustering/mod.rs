//! Faces grouped into people: each face is asked for its nearest neighbours in the collection's own
//! index, those that are near enough become the edges of a graph, and its groups (see `graph`) are
//! proposed as people. A group is given the name that most of its labelled faces have; names are
//! written only if that was asked for, and only to faces that have none.

mod graph;
mod score;

use std::collections::{HashMap, HashSet};

use engine::{
    Ack, Chosen, Condition, Engine, Filter, KeyPath, PERSON, Payload, PayloadChange, PointId,
    Query, Select, StoredPoint, Test, Which,
};
use serde_json::{Value, json};

use crate::jobs::{Halt, Job};
use crate::limits;
use crate::wire::face::person_of;
use graph::Graph;
pub(crate) use score::Agreement;

/// Faces that are read at once.
const PAGE: usize = 1_000;
/// Faces between two looks at whether the job was cancelled.
const STEP: usize = 64;

/// What is to be grouped, and how.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) collection: String,
    /// The vector that is compared.
    pub(crate) using: String,
    /// The least cosine of an edge.
    pub(crate) threshold: f32,
    /// Neighbours that a face is asked for.
    pub(crate) neighbours: usize,
    /// Faces of the smallest group that is proposed.
    pub(crate) min_faces: usize,
    /// Whether faces without a person are given the name of their group.
    pub(crate) write: bool,
}

/// A group that is proposed as a person.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// The name that more than half of its labelled faces have.
    pub(crate) person: Option<String>,
    pub(crate) faces: Vec<PointId>,
    /// Those that have no person.
    pub(crate) unlabelled: Vec<PointId>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) faces: usize,
    /// Those of enough faces, the largest first.
    pub(crate) groups: Vec<Group>,
    /// Faces that are in none of them.
    pub(crate) alone: usize,
    pub(crate) agreement: Option<Agreement>,
    /// Faces that were given a person.
    pub(crate) written: usize,
}

struct Node {
    id: PointId,
    person: Option<String>,
}

/// Groups the faces; twice as many steps as faces, so that writing is seen too.
pub(crate) fn run(engine: &Engine, plan: &Plan, job: &Job) -> Result<Outcome, Halt> {
    let nodes = nodes(engine, plan, job)?;
    let graph = connected(engine, plan, &nodes, job)?;
    let all = graph.groups();
    let node = |at: &u32| &nodes[*at as usize];
    let people = all.iter().map(|group| {
        let people = group.iter().filter_map(|at| node(at).person.as_deref());
        people.collect()
    });
    let agreement = Agreement::of(people);
    let large = all.iter().filter(|group| group.len() >= plan.min_faces);
    let groups: Vec<Group> = large
        .map(|group| proposed(&group.iter().map(node).collect::<Vec<_>>()))
        .collect();
    let written = match plan.write {
        true => write(engine, plan, &groups, job)?,
        false => 0,
    };
    let grouped: usize = groups.iter().map(|group| group.faces.len()).sum();
    Ok(Outcome {
        faces: nodes.len(),
        alone: nodes.len() - grouped,
        groups,
        agreement,
        written,
    })
}

fn read(engine: &Engine, plan: &Plan, from: Option<PointId>) -> Result<engine::Page, Halt> {
    let select = Select {
        payload: true,
        vectors: Which::Named(vec![plan.using.clone()]),
    };
    Ok(engine.scroll(&plan.collection, from, PAGE, select)?)
}

fn vector<'a>(point: &'a StoredPoint, using: &str) -> Option<&'a [f32]> {
    point.vectors.as_ref()?.get(using)
}

/// All points that have the vector; what else is in the collection cannot be compared.
fn nodes(engine: &Engine, plan: &Plan, job: &Job) -> Result<Vec<Node>, Halt> {
    let (mut nodes, mut from) = (Vec::new(), None);
    loop {
        let page = read(engine, plan, from)?;
        let points = page.points.iter();
        let points = points.filter(|point| vector(point, &plan.using).is_some());
        nodes.extend(points.map(|point| Node {
            id: point.id,
            person: point.payload.as_ref().and_then(person_of),
        }));
        if nodes.len() > limits::CLUSTER_FACES {
            return Err(Halt::Failed(format!(
                "there are more than {} faces",
                limits::CLUSTER_FACES
            )));
        }
        job.step(0, nodes.len() as u64)?;
        from = page.next;
        if from.is_none() {
            return Ok(nodes);
        }
    }
}

fn connected(engine: &Engine, plan: &Plan, nodes: &[Node], job: &Job) -> Result<Graph, Halt> {
    let numbers: HashMap<PointId, u32> = nodes.iter().map(|node| node.id).zip(0u32..).collect();
    let mut graph = Graph::new(nodes.len());
    let (mut from, mut done) = (None, 0);
    loop {
        let page = read(engine, plan, from)?;
        for point in &page.points {
            // What has come in since has no number.
            let (Some(vector), Some(number)) = (vector(point, &plan.using), numbers.get(&point.id))
            else {
                continue;
            };
            for (neighbour, score) in near(engine, plan, vector)? {
                if let Some(other) = numbers.get(&neighbour).filter(|other| *other != number) {
                    graph.connect(*number, *other, score);
                }
            }
            done += 1;
            if done % STEP == 0 {
                job.step(done as u64, nodes.len() as u64)?;
            }
        }
        from = page.next;
        if from.is_none() {
            job.step(nodes.len() as u64, nodes.len() as u64)?;
            return Ok(graph);
        }
    }
}

/// The nearest of a face that are near enough, itself among them.
fn near(engine: &Engine, plan: &Plan, vector: &[f32]) -> Result<Vec<(PointId, f32)>, Halt> {
    let query = Query {
        vector: vector.to_vec(),
        using: plan.using.clone(),
        limit: plan.neighbours + 1,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: Some(plan.threshold),
        filter: None,
        select: Select {
            payload: false,
            vectors: Which::None,
        },
    };
    let hits = engine.search(&plan.collection, &query)?.into_iter();
    Ok(hits.map(|hit| (hit.point.id, hit.score)).collect())
}

fn proposed(nodes: &[&Node]) -> Group {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for person in nodes.iter().filter_map(|node| node.person.as_deref()) {
        *counts.entry(person).or_default() += 1;
    }
    let labelled: usize = counts.values().sum();
    let most = counts.into_iter().find(|(_, count)| count * 2 > labelled);
    let unlabelled = nodes.iter().filter(|node| node.person.is_none());
    Group {
        person: most.map(|(person, _)| person.to_owned()),
        unlabelled: unlabelled.map(|node| node.id).collect(),
        faces: nodes.iter().map(|node| node.id).collect(),
    }
}

/// Gives faces that have no person the name of their group, or one of its own to a group without.
/// Groups whose labelled faces do not agree are left alone. Returns how many faces it were.
fn write(engine: &Engine, plan: &Plan, groups: &[Group], job: &Job) -> Result<usize, Halt> {
    let mut written = 0;
    let of = groups.len() as u64;
    for (group, done) in groups.iter().zip(0..) {
        job.step(done, of)?;
        let undecided = group.person.is_none() && group.unlabelled.len() < group.faces.len();
        let Some(first) = group.unlabelled.first().filter(|_| !undecided) else {
            continue;
        };
        let person = group.person.clone();
        let person = person.unwrap_or_else(|| format!("unnamed-{first}"));
        let mut payload = Payload::new();
        payload.insert(PERSON.to_owned(), person.into());
        let change = PayloadChange::Set { payload, key: None };
        // Somebody may have said by now whose they are: that stands.
        let ids: HashSet<PointId> = group.unlabelled.iter().copied().collect();
        let mut still = Filter::must(Condition::HasId(ids));
        still.must.push(Condition::Key {
            key: KeyPath::of(PERSON),
            test: Test::Empty,
        });
        written += engine.count_where(&plan.collection, &still)?;
        engine.change_payload(
            &plan.collection,
            Chosen::Filter(still),
            &change,
            Ack::Applied,
        )?;
    }
    Ok(written)
}

impl Outcome {
    /// As the job tells it.
    pub(crate) fn told(&self, plan: &Plan) -> Value {
        let groups = self.groups.iter().take(limits::CLUSTERS_TOLD);
        let groups = groups.map(|group| {
            let examples = group.faces.iter().take(5).map(id);
            json!({
                "person": group.person,
                "faces": group.faces.len(),
                "unlabelled": group.unlabelled.len(),
                "examples": examples.collect::<Vec<_>>(),
            })
        });
        json!({
            "faces": self.faces,
            "threshold": plan.threshold,
            "groups": self.groups.len(),
            "alone": self.alone,
            "agreement": self.agreement,
            "written": self.written,
            "largest": groups.collect::<Vec<_>>(),
        })
    }
}

fn id(id: &PointId) -> Value {
    match id {
        PointId::Num(number) => Value::from(*number),
        uuid => Value::from(uuid.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_the_majority_of_those_that_have_a_name() {
        let group = |people: &[Option<&str>]| {
            let nodes = people.iter().zip(0u64..).map(|(person, id)| Node {
                id: PointId::Num(id),
                person: person.map(str::to_owned),
            });
            let nodes: Vec<Node> = nodes.collect();
            proposed(&nodes.iter().collect::<Vec<_>>())
        };
        let (ada, bob) = (Some("Ada"), Some("Bob"));
        let named = group(&[ada, None, ada, bob, None]);
        assert_eq!(named.person.as_deref(), Some("Ada"));
        assert_eq!(named.unlabelled, [PointId::Num(1), PointId::Num(4)]);
        assert_eq!(group(&[ada, bob, None]).person, None);
        assert_eq!(group(&[None, None]).person, None);
    }
}
