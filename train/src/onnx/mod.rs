//! A head as an ONNX file that any runtime takes: one input and one output, any number of vectors. It
//! names the model whose vectors it takes, so that its checksum stands for both.

mod message;

use prost::Message;

use crate::error::Error;
use crate::head::HeadShape;
use crate::model::{Model, Shape};
use message::{
    Attribute, FLOAT, Graph, Kind, Length, Node, Opset, Property, Side, Sides, TensorKind, Value,
    Weights,
};

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
const WHOLE_NUMBER: i32 = 2;

/// The bytes of the file. `told` goes into its metadata.
///
/// # Errors
/// The model is a whole network, which is not written, or the computation fails.
pub fn onnx(model: &Model, told: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let Shape::Head(head) = model.shape() else {
        return Err(Error::Refused(
            "only heads are written as ONNX files".into(),
        ));
    };
    let graph = graph(head, &model.weights()?);
    let properties = told.iter().map(|(key, value)| Property {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    let file = message::Model {
        ir_version: IR_VERSION,
        producer_name: "doppel".to_owned(),
        graph: Some(graph),
        opset_import: vec![Opset {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: properties.collect(),
    };
    Ok(file.encode_to_vec())
}

fn graph(head: &HeadShape, weights: &[f32]) -> Graph {
    let mut rest = weights;
    let mut initializer = Vec::new();
    for (at, sides) in head.sides().into_iter().enumerate() {
        let (own, after) = rest.split_at(sides.iter().product());
        rest = after;
        initializer.push(Weights {
            dims: sides.iter().map(|side| whole(*side)).collect(),
            data_type: FLOAT,
            name: format!("layer{at}"),
            raw_data: own.iter().flat_map(|x| x.to_le_bytes()).collect(),
        });
    }
    let mut node = vec![
        operation("MatMul", &["vectors", "layer0"], "straight"),
        operation("Add", &["straight", "layer1"], "moved"),
    ];
    let last = match head.hidden {
        None => "moved",
        Some(_) => {
            node.extend([
                operation("MatMul", &["vectors", "layer2"], "entered"),
                operation("Add", &["entered", "layer3"], "offset"),
                operation("Relu", &["offset"], "hidden"),
                operation("MatMul", &["hidden", "layer4"], "left"),
                operation("Add", &["moved", "left"], "both"),
            ]);
            "both"
        }
    };
    let mut scaled = operation("LpNormalization", &[last], "made");
    scaled.attribute = [("axis", 1), ("p", 2)]
        .map(|(name, i)| Attribute {
            name: name.to_owned(),
            i,
            kind: WHOLE_NUMBER,
        })
        .into();
    node.push(scaled);
    Graph {
        node,
        name: "head".to_owned(),
        initializer,
        input: vec![rows("vectors", head.input)],
        output: vec![rows("made", head.output)],
    }
}

fn operation(kind: &str, input: &[&str], output: &str) -> Node {
    Node {
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: kind.to_owned(),
        attribute: Vec::new(),
    }
}

/// Any number of rows of so many numbers.
fn rows(name: &str, dim: usize) -> Value {
    let side = |length| Side {
        length: Some(length),
    };
    let dim = vec![
        side(Length::Named("faces".to_owned())),
        side(Length::Fixed(whole(dim))),
    ];
    let tensor = TensorKind {
        element: FLOAT,
        shape: Some(Sides { dim }),
    };
    Value {
        name: name.to_owned(),
        kind: Some(Kind {
            tensor: Some(tensor),
        }),
    }
}

fn whole(side: usize) -> i64 {
    i64::try_from(side).expect("sides are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_every_layer_and_every_name_that_a_node_takes_is_made_before_it() {
        for hidden in [None, Some(3)] {
            let head = HeadShape {
                input: 4,
                hidden,
                output: 2,
            };
            let count: usize = head
                .sides()
                .iter()
                .map(|sides| sides.iter().product::<usize>())
                .sum();
            let weights: Vec<f32> = (0..count).map(|n| n as f32).collect();
            let model = Model::of(Shape::Head(head), &weights).unwrap();
            let bytes = onnx(&model, &[("base", "some model")]).unwrap();
            let read = message::Model::decode(bytes.as_slice()).unwrap();
            assert_eq!(read.metadata_props[0].value, "some model");
            let graph = read.graph.unwrap();
            let mut known: Vec<String> =
                graph.initializer.iter().map(|it| it.name.clone()).collect();
            known.push("vectors".to_owned());
            for node in graph.node {
                assert!(
                    node.input.iter().all(|name| known.contains(name)),
                    "{node:?}"
                );
                known.extend(node.output);
            }
            assert!(known.contains(&graph.output[0].name));
            let kept: usize = graph.initializer.iter().map(|it| it.raw_data.len()).sum();
            assert_eq!(kept, 4 * count);
        }
    }
}
