//! Panels of lines over the rows in memory, as SVG.

use std::fmt::Write as _;

/// Curves over one pair of axes.
pub struct Panel {
    /// Says what is drawn.
    pub title: String,
    /// Whether the y axis is logarithmic; else it goes from 0 to the greatest value.
    pub log: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// One curve.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Rows in memory, figure.
    pub points: Vec<(f64, f64)>,
    /// Whether the line is dashed.
    pub dashed: bool,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 6] = ["#0b5fa5", "#2a9d8f", "#e08e0b", "#c8382e", "#777777", "#000000"];

/// The panels side by side, with one legend below.
pub fn svg(panels: &[Panel]) -> String {
    let width = panels.len() as f64 * (WIDTH + LEFT) + 24.0;
    let height = TOP + HEIGHT + 120.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        panel.draw(&mut out, LEFT + index as f64 * (WIDTH + LEFT));
    }
    if let Some(panel) = panels.first() {
        for (index, series) in panel.series.iter().enumerate() {
            let x = LEFT + (index / 2) as f64 * 270.0;
            let y = TOP + HEIGHT + 66.0 + (index % 2) as f64 * 24.0;
            line(&mut out, &[(x, y - 4.0), (x + 34.0, y - 4.0)], index, series.dashed);
            text(&mut out, x + 42.0, y, "start", &series.name);
        }
    }
    out + "</svg>\n"
}

impl Panel {
    fn draw(&self, out: &mut String, left: f64) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let (x0, x1) = (least(|p| p.0).log2(), most(|p| p.0).log2());
        let (y0, y1) = match self.log {
            true => (least(|p| p.1).log10().floor(), most(|p| p.1).log10().ceil()),
            false => (0.0, most(|p| p.1).max(1.0) * 1.05),
        };
        let x = |value: f64| left + (value.log2() - x0) / (x1 - x0) * WIDTH;
        let y = |value: f64| TOP + HEIGHT - (value - y0) / (y1 - y0) * HEIGHT;
        text(out, left, TOP - 16.0, "start", &self.title);
        let steps = if self.log { (y1 - y0) as usize } else { 5 };
        for step in 0..=steps {
            let value = if self.log { y0 + step as f64 } else { step as f64 / 5.0 };
            let at = y(value);
            grid(out, left, at);
            let shown =
                if self.log { 10f64.powf(value).to_string() } else { format!("{value:.1}") };
            text(out, left - 6.0, at + 4.0, "end", &shown);
        }
        for exponent in x0 as i32..=x1 as i32 {
            let rows = 2f64.powi(exponent);
            text(out, x(rows), TOP + HEIGHT + 18.0, "middle", &rows.to_string());
        }
        text(
            out,
            left + WIDTH / 2.0,
            TOP + HEIGHT + 38.0,
            "middle",
            "rows in memory (64 x window_rows)",
        );
        for (index, series) in self.series.iter().enumerate() {
            let level = |value: f64| if self.log { value.log10() } else { value };
            let points: Vec<_> =
                series.points.iter().map(|&(rows, value)| (x(rows), y(level(value)))).collect();
            line(out, &points, index, series.dashed);
        }
    }
}

// Writing to a string cannot fail.

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn grid(out: &mut String, left: f64, y: f64) {
    let right = left + WIDTH;
    let _ = writeln!(
        out,
        "<line x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>"
    );
}

fn line(out: &mut String, points: &[(f64, f64)], colour: usize, dashed: bool) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dash = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dash}/>",
        points.join(" "),
        COLOURS[colour % COLOURS.len()]
    );
}
