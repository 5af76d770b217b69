//! A plot as SVG, written by hand: lines with markers on two logarithmic axes and a legend.
//!
//! Its colours are told apart by the colour-blind (Okabe & Ito 2008) and stand on light and on dark
//! alike; the text follows the reader's preference. Recall is drawn by the logarithm of what is
//! missing to 1, so that 0.9, 0.99 and 0.999 lie equally far apart.

use std::fmt::Write;

/// What an axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Recall, by the logarithm of what is missing.
    Recall,
    /// Anything positive, by its logarithm.
    Log,
}

/// One line of a plot.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// A plot.
pub struct Plot<'a> {
    /// Above it.
    pub title: &'a str,
    /// Name and kind of the axis from left to right.
    pub x: (&'a str, Axis),
    /// Name of the axis from bottom to top, a logarithmic one.
    pub y: &'a str,
    /// The lines.
    pub series: &'a [Series],
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 424.0;
/// What recall 1 is drawn as: one more nine than is compared.
const BEST: f64 = 0.9999;
const WORST: f64 = 0.5;
const RECALL_TICKS: [f64; 7] = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999];
const COLOURS: [&str; 8] = [
    "#d55e00", "#0082c8", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#8c6bb1", "#7f7f7f",
];
const DASHES: [&str; 3] = ["", "6 3", "2 3"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#7a7a7a}.title{font-size:16px;\
    font-weight:600}.grid{stroke:#8888;stroke-width:.5}.line{fill:none;stroke-width:2;\
    stroke-linejoin:round}@media(prefers-color-scheme:light){text{fill:#333}}@media\
    (prefers-color-scheme:dark){text{fill:#ddd}}";

/// Several plots below each other as one picture.
pub fn draw(plots: &[Plot<'_>]) -> String {
    let height = HEIGHT * plots.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\"><style>{STYLE}</style>\n"
    );
    for (at, plot) in plots.iter().enumerate() {
        put(
            &mut out,
            format_args!("<g transform=\"translate(0 {})\">\n", HEIGHT * at as f64),
        );
        one(&mut out, plot);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = out.write_fmt(text);
}

/// Where an axis begins and ends, in its own scale.
struct Range {
    axis: Axis,
    low: f64,
    high: f64,
}

impl Range {
    fn over(axis: Axis, values: impl Iterator<Item = f64>) -> Self {
        let scaled: Vec<f64> = values.map(|value| axis.scaled(value)).collect();
        let low = scaled.iter().copied().fold(f64::INFINITY, f64::min);
        let high = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match axis {
            _ if low > high => (0.0, 1.0),
            Axis::Recall => {
                let below = RECALL_TICKS.iter().map(|tick| axis.scaled(*tick));
                let below = below.filter(|tick| *tick <= low + 1e-9);
                (below.fold(axis.scaled(WORST), f64::max), axis.scaled(BEST))
            }
            Axis::Log => (low.floor(), (high + 0.05).ceil().max(low.floor() + 1.0)),
        };
        Self { axis, low, high }
    }

    fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let share = (self.axis.scaled(value) - self.low) / (self.high - self.low).max(1e-9);
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    fn ticks(&self) -> Vec<f64> {
        let within = |tick: &f64| {
            let at = self.axis.scaled(*tick);
            at >= self.low - 1e-9 && at <= self.high + 1e-9
        };
        match self.axis {
            Axis::Recall => RECALL_TICKS.iter().copied().filter(within).collect(),
            Axis::Log => (-3..12)
                .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
                .filter(within)
                .collect(),
        }
    }
}

impl Axis {
    fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Recall => -(1.0 - value.clamp(0.0, BEST)).log10(),
            Self::Log => value.max(1e-6).log10(),
        }
    }

    fn label(self, tick: f64) -> String {
        match self {
            Self::Recall => tick.to_string(),
            Self::Log if tick >= 1e6 => format!("{}M", tick / 1e6),
            Self::Log if tick >= 1e3 => format!("{}k", tick / 1e3),
            Self::Log => format!("{}", (tick * 1e3).round() / 1e3),
        }
    }
}

fn one(out: &mut String, plot: &Plot<'_>) {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let x = Range::over(plot.x.1, points().map(|point| point.0));
    let y = Range::over(Axis::Log, points().map(|point| point.1));
    let middle = f64::midpoint(LEFT, RIGHT);
    put(
        out,
        format_args!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"26\">{}</text>\n",
            escaped(plot.title)
        ),
    );
    for tick in x.ticks() {
        let at = x.place(tick, LEFT, RIGHT);
        put(
            out,
            format_args!(
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/><text x=\"{at:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{}</text>\n",
                BOTTOM + 18.0,
                x.axis.label(tick)
            ),
        );
    }
    for tick in y.ticks() {
        let at = y.place(tick, BOTTOM, TOP);
        put(
            out,
            format_args!(
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>\n",
                LEFT - 8.0,
                at + 4.0,
                y.axis.label(tick)
            ),
        );
    }
    put(
        out,
        format_args!(
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text \
             transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            BOTTOM + 40.0,
            escaped(plot.x.0),
            f64::midpoint(TOP, BOTTOM),
            escaped(plot.y)
        ),
    );
    for (at, series) in plot.series.iter().enumerate() {
        line(out, at, series, &x, &y);
    }
}

/// One line with its markers and its entry in the legend.
fn line(out: &mut String, at: usize, series: &Series, x: &Range, y: &Range) {
    let colour = COLOURS[at % COLOURS.len()];
    let dash = DASHES[at / COLOURS.len() % DASHES.len()];
    let paint = format!("class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\"");
    let paint = paint.replace(" stroke-dasharray=\"\"", "");
    let mut path = String::new();
    let mut markers = String::new();
    for (at, point) in series.points.iter().enumerate() {
        let (px, py) = (x.place(point.0, LEFT, RIGHT), y.place(point.1, BOTTOM, TOP));
        let step = if at == 0 { 'M' } else { 'L' };
        put(&mut path, format_args!("{step}{px:.1} {py:.1}"));
        put(
            &mut markers,
            format_args!("<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>"),
        );
    }
    if !path.is_empty() {
        put(out, format_args!("<path {paint} d=\"{path}\"/>{markers}\n"));
    }
    let (left, top) = (RIGHT + 20.0, TOP + 10.0 + 22.0 * at as f64);
    put(
        out,
        format_args!(
            "<path {paint} d=\"M{left} {top}h24\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
            left + 32.0,
            top + 4.0,
            escaped(&series.name)
        ),
    );
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tag that opens is closed in order, and every quote of an attribute too.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("a tag has an end");
            assert!(!text.contains('>'), "{text}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    fn plot<'a>(series: &'a [Series], x: Axis) -> Plot<'a> {
        Plot {
            title: "faces & <others>",
            x: ("x", x),
            y: "queries per second",
            series,
        }
    }

    #[test]
    fn a_plot_is_well_formed_whatever_is_drawn() {
        let series = |points: &[(f64, f64)]| Series {
            name: "a \"<b>\" & c".to_owned(),
            points: points.to_vec(),
        };
        let many: Vec<Series> = (0..20)
            .map(|_| series(&[(0.9, 10.0), (1.0, 5.0)]))
            .collect();
        let single = [series(&[(1.0, 0.0)])];
        for lines in [&many[..], &single, &[series(&[])], &[]] {
            let plots = [plot(lines, Axis::Recall), plot(lines, Axis::Log)];
            assert_well_formed(&draw(&plots));
        }
    }

    #[test]
    fn a_higher_recall_lies_to_the_right_and_a_higher_speed_above() {
        let values = [0.9, 0.99, 0.999, 1.0];
        let x = Range::over(Axis::Recall, values.into_iter());
        let places = values.map(|value| x.place(value, LEFT, RIGHT));
        assert!(places.is_sorted());
        assert!((places[2] - places[1] - (places[1] - places[0])).abs() < 1e-6);
        let y = Range::over(Axis::Log, [10.0, 1_000.0].into_iter());
        assert!(y.place(1_000.0, BOTTOM, TOP) < y.place(10.0, BOTTOM, TOP));
    }
}
