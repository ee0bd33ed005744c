//! Pictures of results, as SVG that is readable on light and on dark pages.

use std::fmt::Write as _;

use crate::results::{Budget, Report, Row, figure};

const STYLE: &str = "<style>text{font:12px sans-serif;fill:#222}.axis{stroke:#999}.kept{fill:#2e7d32}\
    .missed{fill:#c62828}.free{fill:#5c7cfa}.limit{stroke:#222;stroke-width:2}.line{fill:none;stroke-width:2}\
    @media (prefers-color-scheme:dark){text{fill:#ddd}.limit{stroke:#ddd}}</style>";
/// What a letter of a label takes at most on average, and the space beside a label.
const LETTER_WIDTH: f64 = 6.4;
const LABEL_SPACE: f64 = 16.0;
const PLOT_WIDTH: f64 = 330.0;
const ROW_HEIGHT: f64 = 20.0;

/// A bar for each row: how ours relates to theirs, on a logarithmic scale; a tick where the budget is.
pub(crate) fn ratios(report: &Report) -> String {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| row.ratio().is_finite() && row.ratio() > 0.0).collect();
    let limits = rows.iter().filter_map(|row| limit(row));
    let logs = rows.iter().map(|row| row.ratio()).chain(limits).map(f64::log10);
    let reach = logs.map(f64::abs).fold(1.0_f64, f64::max).ceil();
    let letters = rows.iter().map(|row| row.label().chars().count()).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "some letters")]
    let label_width = LABEL_SPACE + LETTER_WIDTH * letters as f64;
    let x = |ratio: f64| label_width + PLOT_WIDTH * (ratio.log10() + reach) / (2.0 * reach);
    #[expect(clippy::cast_precision_loss, reason = "some rows")]
    let height = 40.0 + ROW_HEIGHT * rows.len() as f64;
    let mut svg = begin(label_width + PLOT_WIDTH + 80.0, height);
    let middle = x(1.0);
    element(
        &mut svg,
        &format!("<line class=\"axis\" x1=\"{middle:.1}\" y1=\"18\" x2=\"{middle:.1}\" y2=\"{height:.0}\"/>"),
    );
    text(&mut svg, middle, 13.0, "middle", "the same");
    let mut y = 24.0;
    for row in rows {
        let (from, to) = (middle.min(x(row.ratio())), middle.max(x(row.ratio())));
        let class = match row.kept() {
            Some(true) => "kept",
            Some(false) => "missed",
            None => "free",
        };
        text(&mut svg, label_width - 8.0, y + 12.0, "end", &row.label());
        element(
            &mut svg,
            &format!(
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"14\"/>",
                (to - from).max(1.0)
            ),
        );
        if let Some(limit) = limit(row) {
            let at = x(limit);
            element(
                &mut svg,
                &format!(
                    "<line class=\"limit\" x1=\"{at:.1}\" y1=\"{:.0}\" x2=\"{at:.1}\" y2=\"{:.0}\"/>",
                    y - 2.0,
                    y + 16.0
                ),
            );
        }
        text(&mut svg, label_width + PLOT_WIDTH + 8.0, y + 12.0, "start", &figure(row.ratio()));
        y += ROW_HEIGHT;
    }
    svg + "</svg>\n"
}

fn limit(row: &Row) -> Option<f64> {
    match row.budget() {
        Budget::AtLeast(limit) | Budget::AtMost(limit) => Some(limit),
        Budget::None => None,
    }
}

/// What is shown against the number of hosts: the measurement, the beginning of its rows, what people read.
const SCALED: [(&str, &str, &str); 5] = [
    ("lifecycles", "registered to ready", "registered to ready, s"),
    ("lifecycles", "server memory", "memory while they install, MiB"),
    ("start", "listing all", "listing all, ms"),
    ("start", "start to first answer", "start, ms"),
    ("start", "memory when started", "memory when started, MiB"),
];
const COLOURS: [&str; 5] = ["#e8590c", "#9c36b5", "#1971c2", "#2f9e44", "#868e96"];

/// A label, a colour, and values by the number of hosts.
type Line = (&'static str, &'static str, Vec<(f64, f64)>);

/// Time and memory against the number of hosts, both logarithmic; `None` without such figures.
pub(crate) fn scaling(reports: &[Report]) -> Option<String> {
    let lines: Vec<Line> = SCALED
        .iter()
        .zip(COLOURS)
        .filter_map(|((report, begin, label), colour)| {
            let report = reports.iter().find(|one| one.name == *report)?;
            let rows = report.rows.iter().filter(|row| row.what.starts_with(begin));
            let points: Vec<(f64, f64)> = rows
                .filter_map(|row| Some((hosts(&row.what)?, row.ours)))
                .filter(|(n, y)| *n > 0.0 && *y > 0.0)
                .collect();
            (points.len() > 1).then_some((*label, colour, points))
        })
        .collect();
    let values = || lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, y)| y.log10()));
    let (low, high) = (values().fold(f64::MAX, f64::min).floor(), values().fold(f64::MIN, f64::max).ceil());
    if lines.is_empty() {
        return None;
    }
    let x = |hosts: f64| 60.0 + 400.0 * (hosts.log10() - 1.0) / 3.0;
    let y = |value: f64| 20.0 + 300.0 * (high - value.log10()) / (high - low).max(1.0);
    let mut svg = begin(760.0, 360.0);
    for exponent in 1..=4 {
        let hosts = 10_f64.powi(exponent);
        let at = x(hosts);
        element(&mut svg, &format!("<line class=\"axis\" x1=\"{at:.1}\" y1=\"20\" x2=\"{at:.1}\" y2=\"320\"/>"));
        text(&mut svg, at, 340.0, "middle", &format!("{hosts} hosts"));
    }
    let mut exponent = low;
    while exponent <= high {
        let at = y(10_f64.powf(exponent));
        element(&mut svg, &format!("<line class=\"axis\" x1=\"60\" y1=\"{at:.1}\" x2=\"460\" y2=\"{at:.1}\"/>"));
        text(&mut svg, 54.0, at + 4.0, "end", &format!("{}", 10_f64.powf(exponent)));
        exponent += 1.0;
    }
    for (n, (label, colour, points)) in (0_u8..).zip(&lines) {
        let path: Vec<String> =
            points.iter().map(|(hosts, value)| format!("{:.1},{:.1}", x(*hosts), y(*value))).collect();
        element(&mut svg, &format!("<polyline class=\"line\" stroke=\"{colour}\" points=\"{}\"/>", path.join(" ")));
        let at = 40.0 + 22.0 * f64::from(n);
        element(
            &mut svg,
            &format!("<rect x=\"480\" y=\"{:.0}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>", at - 6.0),
        );
        text(&mut svg, 500.0, at, "start", label);
    }
    Some(svg + "</svg>\n")
}

/// The number before the word in `…, 1000 hosts` and `…, 1000 hosts stored`.
fn hosts(what: &str) -> Option<f64> {
    let (_, tail) = what.rsplit_once(", ")?;
    tail.split_once(" hosts")?.0.parse().ok()
}

fn begin(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\">\n{STYLE}\n"
    )
}

fn element(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>")
        .expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_hosts_is_read_from_what_a_row_says() {
        assert_eq!(hosts("listing all, 10000 hosts stored"), Some(10_000.0));
        assert_eq!(hosts("registered to ready, 10 hosts"), Some(10.0));
        assert_eq!(hosts("CPU, 64 at once"), None);
    }
}
