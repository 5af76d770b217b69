//! A network as an ONNX file that any runtime takes: one input and one output, any number of vectors or
//! photos. What goes into its metadata (a head's base) is under its checksum too.

mod draft;
mod head;
mod message;
mod network;

use prost::Message;

use crate::error::Error;
use crate::model::{Model, Shape};
use draft::Draft;
use message::{Opset, Property};

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// The bytes of the file. `told` goes into its metadata.
///
/// # Errors
/// The computation fails.
pub fn onnx(model: &Model, told: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let weights = model.weights()?;
    let mut draft = Draft::new(&weights);
    let (input, output) = match model.shape() {
        Shape::Head(shape) => head::drawn(&mut draft, shape),
        Shape::Network(shape) => network::drawn(&mut draft, shape),
    };
    let properties = told.iter().map(|(key, value)| Property {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    let file = message::Model {
        ir_version: IR_VERSION,
        producer_name: "doppel".to_owned(),
        graph: Some(draft.finish(input, (&output, model.shape().dim()))),
        opset_import: vec![Opset {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: properties.collect(),
    };
    Ok(file.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::HeadShape;
    use crate::network::{NetworkShape, Stage};

    fn shapes() -> Vec<Shape> {
        let head = |hidden| {
            Shape::Head(HeadShape {
                input: 4,
                hidden,
                output: 2,
            })
        };
        let stage = |width, halves| Stage {
            width,
            wider: 2,
            blocks: 2,
            halves,
        };
        let network = NetworkShape {
            side: 16,
            first: 3,
            stages: vec![stage(3, false), stage(4, true)],
            last: 5,
            output: 3,
        };
        vec![head(None), head(Some(3)), Shape::Network(network)]
    }

    #[test]
    fn a_file_has_every_layer_and_every_name_that_a_node_takes_is_made_before_it() {
        for shape in shapes() {
            let sides = shape.sides();
            let count: usize = sides.iter().map(|it| it.iter().product::<usize>()).sum();
            let weights: Vec<f32> = (0..count).map(|n| n as f32).collect();
            let model = Model::of(shape, &weights).unwrap();
            let bytes = onnx(&model, &[("base", "some model")]).unwrap();
            let read = message::Model::decode(bytes.as_slice()).unwrap();
            assert_eq!(read.metadata_props[0].value, "some model");
            let graph = read.graph.unwrap();
            let mut known: Vec<String> =
                graph.initializer.iter().map(|it| it.name.clone()).collect();
            known.push(graph.input[0].name.clone());
            for node in graph.node {
                assert!(
                    node.input.iter().all(|name| known.contains(name)),
                    "{node:?}"
                );
                assert!(!known.contains(&node.output[0]), "{node:?}");
                known.extend(node.output);
            }
            assert!(known.contains(&graph.output[0].name));
            let kept = graph.initializer.iter();
            let kept = kept.filter(|it| it.name.starts_with("layer"));
            let bytes: Vec<u8> = kept.flat_map(|it| it.raw_data.clone()).collect();
            let due: Vec<u8> = weights.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert!(bytes == due, "{:?}", model.shape());
        }
    }
}
