//! A convolutional network's operations: what `NetworkShape::forward` does. Convolutions of one place and
//! of one channel, which it writes as products and sums, are convolutions here.

use super::draft::{Draft, Is, whole};
use crate::network::{EPSILON, NetworkShape};

const INPUT: &str = "photos";

/// Rows, their channels and their side.
struct Rows {
    name: String,
    channels: usize,
    side: usize,
}

/// The name and sides of its input, the name of its output.
pub(super) fn drawn(
    draft: &mut Draft,
    network: &NetworkShape,
) -> ((&'static str, Vec<usize>), String) {
    let weights = draft.layer(&[network.first, 3, 3, 3]);
    let mut rows = Rows {
        name: convolved(draft, (INPUT, &weights), (2, 1, 1)),
        channels: network.first,
        side: network.side / 2,
    };
    rows = activated(draft, rows);
    for (input, within, output, halves) in network.blocks() {
        let before = rows.name.clone();
        rows = mixed(draft, &rows, within);
        rows = activated(draft, rows);
        rows = each_channel(draft, &rows, halves);
        rows = activated(draft, rows);
        rows = mixed(draft, &rows, output);
        rows = normalised(draft, rows);
        if input == output && !halves {
            rows.name = draft.node("Add", &[&rows.name, &before], &[]);
        }
    }
    rows = mixed(draft, &rows, network.last);
    rows = activated(draft, rows);
    let Rows { channels, side, .. } = rows;
    let weights = draft.layer(&[channels, 1, side, side]);
    let summed = convolved(draft, (&rows.name, &weights), (1, 0, channels));
    let flat = draft.node("Flatten", &[&summed], &[("axis", Is::Whole(1))]);
    let weights = draft.layer(&[channels, network.output]);
    let made = draft.node("MatMul", &[&flat, &weights], &[]);
    let sides = vec![3, network.side, network.side];
    ((INPUT, sides), draft.unit(&made))
}

fn convolved(
    draft: &mut Draft,
    (rows, weights): (&str, &str),
    (stride, pad, groups): (i64, i64, usize),
) -> String {
    let (strides, pads) = ([stride; 2], [pad; 4]);
    let attributes = [
        ("strides", Is::List(&strides)),
        ("pads", Is::List(&pads)),
        ("group", Is::Whole(whole(groups))),
    ];
    draft.node("Conv", &[rows, weights], &attributes)
}

/// All channels of each place.
fn mixed(draft: &mut Draft, rows: &Rows, channels: usize) -> Rows {
    let weights = draft.layer(&[channels, rows.channels, 1, 1]);
    Rows {
        name: convolved(draft, (&rows.name, &weights), (1, 0, 1)),
        channels,
        side: rows.side,
    }
}

/// Neighbours of each channel.
fn each_channel(draft: &mut Draft, rows: &Rows, halves: bool) -> Rows {
    let weights = draft.layer(&[rows.channels, 1, 3, 3]);
    let (stride, side) = match halves {
        true => (2, rows.side / 2),
        false => (1, rows.side),
    };
    Rows {
        name: convolved(draft, (&rows.name, &weights), (stride, 1, rows.channels)),
        channels: rows.channels,
        side,
    }
}

/// All of a sample as one channel of a normalisation, then gain and offset of each channel.
fn normalised(draft: &mut Draft, rows: Rows) -> Rows {
    let Rows { channels, side, .. } = rows;
    let (one, zero) = (draft.numbers(&[1.0]), draft.numbers(&[0.0]));
    // A 0 stands for as many samples as there are.
    let flat = draft.wholes(&[0, 1, -1]);
    let sides = draft.wholes(&[0, whole(channels), whole(side), whole(side)]);
    let (gain, offset) = (
        draft.layer(&[channels, 1, 1]),
        draft.layer(&[channels, 1, 1]),
    );
    let flat = draft.node("Reshape", &[&rows.name, &flat], &[]);
    let attributes = [("epsilon", Is::Number(EPSILON))];
    let even = draft.node("InstanceNormalization", &[&flat, &one, &zero], &attributes);
    let even = draft.node("Reshape", &[&even, &sides], &[]);
    let scaled = draft.node("Mul", &[&even, &gain], &[]);
    Rows {
        name: draft.node("Add", &[&scaled, &offset], &[]),
        ..rows
    }
}

/// The same, then a slope below zero.
fn activated(draft: &mut Draft, rows: Rows) -> Rows {
    let rows = normalised(draft, rows);
    let slope = draft.layer(&[rows.channels, 1, 1]);
    Rows {
        name: draft.node("PRelu", &[&rows.name, &slope], &[]),
        ..rows
    }
}
