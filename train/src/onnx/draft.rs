//! A graph that grows node by node, taking up the weights of a network layer by layer.

use super::message::{
    Attribute, FLOAT, Graph, INT64, Kind, Length, Node, Side, Sides, TensorKind, Value, Weights,
};

/// What an attribute is.
pub(super) enum Is<'a> {
    Number(f32),
    Whole(i64),
    List(&'a [i64]),
}

/// The graph so far.
pub(super) struct Draft<'a> {
    /// Of layers that are not in it yet.
    rest: &'a [f32],
    node: Vec<Node>,
    initializer: Vec<Weights>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(weights: &'a [f32]) -> Self {
        Self {
            rest: weights,
            node: Vec::new(),
            initializer: Vec::new(),
        }
    }

    /// The next weights, under these sides; the name that they have in the graph.
    pub(super) fn layer(&mut self, sides: &[usize]) -> String {
        let (own, rest) = self.rest.split_at(sides.iter().product());
        self.rest = rest;
        let name = format!("layer{}", self.initializer.len());
        self.constant(name, sides, FLOAT, own.iter().flat_map(|x| x.to_le_bytes()))
    }

    /// Numbers that are not learned.
    pub(super) fn numbers(&mut self, numbers: &[f32]) -> String {
        let name = format!("numbers{}", self.initializer.len());
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes());
        self.constant(name, &[numbers.len()], FLOAT, bytes)
    }

    /// Whole numbers, such as sides.
    pub(super) fn wholes(&mut self, numbers: &[i64]) -> String {
        let name = format!("sides{}", self.initializer.len());
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes());
        self.constant(name, &[numbers.len()], INT64, bytes)
    }

    fn constant(
        &mut self,
        name: String,
        sides: &[usize],
        data_type: i32,
        bytes: impl Iterator<Item = u8>,
    ) -> String {
        self.initializer.push(Weights {
            dims: sides.iter().map(|side| whole(*side)).collect(),
            data_type,
            name: name.clone(),
            raw_data: bytes.collect(),
        });
        name
    }

    /// One operation; the name of what it makes.
    pub(super) fn node(&mut self, kind: &str, input: &[&str], attributes: &[(&str, Is)]) -> String {
        let name = format!("{}{}", kind.to_lowercase(), self.node.len());
        self.node.push(Node {
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: kind.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
        });
        name
    }

    /// Rows scaled to length 1.
    pub(super) fn unit(&mut self, rows: &str) -> String {
        let attributes = [("axis", Is::Whole(1)), ("p", Is::Whole(2))];
        self.node("LpNormalization", &[rows], &attributes)
    }

    /// The whole of it, from an input of any number of samples with these sides to vectors of so many
    /// numbers.
    pub(super) fn finish(
        self,
        (input, sides): (&str, Vec<usize>),
        (output, dim): (&str, usize),
    ) -> Graph {
        Graph {
            node: self.node,
            name: "network".to_owned(),
            initializer: self.initializer,
            input: vec![samples(input, &sides)],
            output: vec![samples(output, &[dim])],
        }
    }
}

fn attribute((name, is): &(&str, Is)) -> Attribute {
    let mut attribute = Attribute {
        name: (*name).to_owned(),
        ..Attribute::default()
    };
    match is {
        Is::Number(f) => (attribute.f, attribute.kind) = (*f, 1),
        Is::Whole(i) => (attribute.i, attribute.kind) = (*i, 2),
        Is::List(ints) => (attribute.ints, attribute.kind) = (ints.to_vec(), 7),
    }
    attribute
}

/// Any number of samples of these sides.
fn samples(name: &str, sides: &[usize]) -> Value {
    let side = |length| Side {
        length: Some(length),
    };
    let fixed = sides.iter().map(|it| side(Length::Fixed(whole(*it))));
    let any = side(Length::Named("faces".to_owned()));
    let tensor = TensorKind {
        element: FLOAT,
        shape: Some(Sides {
            dim: [any].into_iter().chain(fixed).collect(),
        }),
    };
    Value {
        name: name.to_owned(),
        kind: Some(Kind {
            tensor: Some(tensor),
        }),
    }
}

pub(super) fn whole(side: usize) -> i64 {
    i64::try_from(side).expect("sides are small")
}
