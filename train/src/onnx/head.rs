//! A head's operations: what `HeadShape::forward` does.

use super::draft::Draft;
use crate::head::HeadShape;

const INPUT: &str = "vectors";

/// The name and sides of its input, the name of its output.
pub(super) fn drawn(draft: &mut Draft, head: &HeadShape) -> ((&'static str, Vec<usize>), String) {
    let HeadShape {
        input,
        hidden,
        output,
    } = *head;
    let mut made = affine(draft, INPUT, (input, output));
    if let Some(hidden) = hidden {
        let within = affine(draft, INPUT, (input, hidden));
        let within = draft.node("Relu", &[&within], &[]);
        let weights = draft.layer(&[hidden, output]);
        let left = draft.node("MatMul", &[&within, &weights], &[]);
        made = draft.node("Add", &[&made, &left], &[]);
    }
    ((INPUT, vec![input]), draft.unit(&made))
}

fn affine(draft: &mut Draft, rows: &str, (input, output): (usize, usize)) -> String {
    let (weights, offset) = (draft.layer(&[input, output]), draft.layer(&[output]));
    let made = draft.node("MatMul", &[rows, &weights], &[]);
    draft.node("Add", &[&made, &offset], &[])
}
