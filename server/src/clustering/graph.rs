//! Groups of a graph of neighbours: Chinese whispers (Biemann 2006). Every node begins as a group of
//! its own and then, again and again, joins the group that its neighbours weigh most for. Of two of
//! equal weight the smaller wins and nodes take their turns in order, so that the same graph gives
//! the same groups. What no edge connects is never one group.

use std::collections::{BTreeMap, HashMap};

/// Rounds after which it is left as it is: few graphs still change after ten.
const ROUNDS: usize = 20;

/// Nodes by number, edges with weights above 0.
pub(crate) struct Graph {
    edges: Vec<Vec<(u32, f32)>>,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            edges: vec![Vec::new(); nodes],
        }
    }

    /// Connects two nodes, in both directions; an edge that is found from both ends counts once.
    pub(crate) fn connect(&mut self, a: u32, b: u32, weight: f32) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(edges) = self.edges.get_mut(from as usize)
                && edges.iter().all(|(known, _)| *known != to)
            {
                edges.push((to, weight));
            }
        }
    }

    /// The nodes of each group, the largest group first.
    pub(crate) fn groups(&self) -> Vec<Vec<u32>> {
        let mut labels: Vec<u32> = (0u32..).take(self.edges.len()).collect();
        for _ in 0..ROUNDS {
            let mut changed = false;
            for (node, edges) in self.edges.iter().enumerate() {
                if let Some(heaviest) = heaviest(edges, &labels)
                    && labels[node] != heaviest
                {
                    labels[node] = heaviest;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (node, label) in (0u32..).zip(labels) {
            groups.entry(label).or_default().push(node);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        groups
    }
}

/// The group that neighbours weigh most for.
fn heaviest(edges: &[(u32, f32)], labels: &[u32]) -> Option<u32> {
    let mut weights: HashMap<u32, f32> = HashMap::new();
    for (neighbour, weight) in edges {
        *weights.entry(labels[*neighbour as usize]).or_default() += weight;
    }
    let mut weights = weights.into_iter();
    let first = weights.next()?;
    let best = weights.fold(first, |best, one| {
        let better = one.1 > best.1 || one.1 == best.1 && one.0 < best.0;
        if better { one } else { best }
    });
    Some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_close_together_is_a_group_though_a_weak_edge_leads_out() {
        let mut graph = Graph::new(8);
        for (a, b) in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)] {
            graph.connect(a, b, 1.0);
            graph.connect(b, a, 1.0);
        }
        graph.connect(2, 3, 0.1);
        graph.connect(6, 0, 0.2);
        let groups = graph.groups();
        assert_eq!(groups, [vec![0, 1, 2, 6], vec![3, 4, 5], vec![7]]);
    }

    #[test]
    fn without_edges_everybody_stays_alone() {
        assert_eq!(Graph::new(3).groups(), [[0], [1], [2]]);
        assert!(Graph::new(0).groups().is_empty());
    }
}
