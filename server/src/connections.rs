//! How many connections are open. Beyond those that the settings let in there is room for a few more,
//! on which only probes and operators are answered, and all others are told to come back: whoever asks
//! whether the server is well need not wait until somebody leaves. Connections of other nodes are none of
//! these: what they ask has places of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// All connections.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<AtomicUsize>,
    most: usize,
}

/// That a connection is open, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Admitted(Arc<Taken>);

struct Taken {
    connections: Connections,
    beyond: AtomicBool,
    /// Whether it takes none of the places.
    apart: AtomicBool,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        let open = Arc::default();
        Self { open, most }
    }

    pub(crate) fn enter(&self) -> Admitted {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        Admitted(Arc::new(Taken {
            connections: self.clone(),
            beyond: AtomicBool::new(before >= self.most),
            apart: AtomicBool::new(false),
        }))
    }
}

impl Admitted {
    /// Whether it is one of those beyond: it came when all places were taken, and they still are.
    pub(crate) fn is_beyond(&self) -> bool {
        let Taken {
            connections,
            beyond,
            apart,
        } = &*self.0;
        if apart.load(Ordering::Relaxed) {
            return false;
        }
        let is = beyond.load(Ordering::Relaxed)
            && connections.open.load(Ordering::Relaxed) > connections.most;
        beyond.store(is, Ordering::Relaxed);
        is
    }

    /// It is of another node, as it has shown.
    pub(crate) fn is_of_a_node(&self) {
        if !self.0.apart.swap(true, Ordering::Relaxed) {
            self.0.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.apart.load(Ordering::Relaxed) {
            self.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_when_all_places_are_taken_is_beyond_until_one_is_free() {
        let connections = Connections::new(2);
        let (one, two) = (connections.enter(), connections.enter());
        let (three, four) = (connections.enter(), connections.enter());
        assert!(!one.is_beyond() && !two.is_beyond());
        assert!(three.is_beyond() && four.is_beyond());
        drop(one);
        assert!(three.is_beyond(), "four is open too");
        drop(two.clone());
        drop(two);
        assert!(!three.is_beyond() && !four.is_beyond());
        let five = connections.enter();
        assert!(five.is_beyond() && !three.is_beyond());
    }

    #[test]
    fn a_node_takes_no_place_and_is_never_beyond() {
        let connections = Connections::new(1);
        let (client, node) = (connections.enter(), connections.enter());
        assert!(node.is_beyond());
        node.is_of_a_node();
        node.clone().is_of_a_node();
        assert!(!node.is_beyond() && !client.is_beyond());
        drop(client);
        let (first, second) = (connections.enter(), connections.enter());
        assert!(!first.is_beyond() && second.is_beyond());
        drop((node, second));
        assert!(connections.enter().is_beyond(), "the first is there");
    }
}
