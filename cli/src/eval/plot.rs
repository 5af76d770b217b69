//! The receiver operating characteristic as an SVG picture: how much of one person's pairs is
//! matched at each false match rate, on a logarithmic axis.

use std::fmt::Write;

use super::report::Report;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 52.0;
/// The least false match rate that is shown.
const DECADES: i32 = 6;
/// The least true match rate that is shown.
const FLOOR: f64 = 0.5;

/// The picture.
pub(crate) fn svg(report: &Report) -> String {
    let mut svg = String::new();
    draw(report, &mut svg).expect("writing to a string never fails");
    svg
}

fn draw(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>"
    )?;
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"24\">verification {:.4}, rank-1 {:.4}</text>",
        report.verification.accuracy, report.rank_1
    )?;
    for decade in -DECADES..=0 {
        let at = x(10_f64.powi(decade));
        let foot = HEIGHT - BOTTOM;
        writeln!(out, "<path d=\"M{at:.1} {TOP}V{foot}\" stroke=\"#ddd\"/>")?;
        let y = foot + 18.0;
        writeln!(
            out,
            "<text x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">1e{decade}</text>"
        )?;
    }
    for tenth in 5..=10_u8 {
        let rate = f64::from(tenth) / 10.0;
        let (at, end) = (y(rate), WIDTH - RIGHT);
        writeln!(out, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>")?;
        let (x, y) = (LEFT - 8.0, at + 4.0);
        writeln!(
            out,
            "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{rate}</text>"
        )?;
    }
    let axis = HEIGHT - 12.0;
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{axis}\">false match rate; up: share of one person's pairs matched</text>"
    )?;
    let shown = report
        .curve
        .iter()
        .filter(|(wrong, right)| *wrong > 0.0 && *right >= FLOOR);
    let points: Vec<String> = shown
        .map(|(wrong, right)| format!("{:.1},{:.1}", x(*wrong), y(*right)))
        .collect();
    writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#0a5\" stroke-width=\"2\"/>\n</svg>",
        points.join(" ")
    )
}

fn x(rate: f64) -> f64 {
    let part = 1.0 + rate.log10() / f64::from(DECADES);
    LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y(rate: f64) -> f64 {
    let part = (rate - FLOOR) / (1.0 - FLOOR);
    HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
}
