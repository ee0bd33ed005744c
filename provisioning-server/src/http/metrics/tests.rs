//! What is counted, in which words, and that papers, dashboard and alerts speak of the same.

use std::collections::{BTreeMap, BTreeSet};

use provisioning_core::machine::{EventKind, FailureReason, JoinStep, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry, Source};

use super::*;

fn moved(seconds: i64, event: EventKind, from: Phase, to: Phase) -> JournalEntry {
    let at = Timestamp::from_millis(1_000_000 + seconds * 1000);
    let host = Some(HostId::new(Timestamp::from_millis(1), [1; 10]));
    let what = Happening::Moved { event, from, to };
    JournalEntry { seq: 1, at, host, operation: None, source: Source::Provisioning, what }
}

fn told(entries: &[JournalEntry]) -> String {
    let metrics = Metrics::default();
    let mut entered = BTreeMap::new();
    for entry in entries {
        metrics.0.journal.note(entry, &mut entered);
    }
    metrics.text()
}

#[test]
fn the_time_in_a_leg_runs_from_one_move_to_the_next() {
    let text = told(&[
        moved(0, EventKind::Started, Phase::Registered, Phase::PxeReady),
        moved(20, EventKind::BootScriptFetched, Phase::PxeReady, Phase::PxeBooted),
        moved(100, EventKind::AnswerFetched, Phase::PxeBooted, Phase::Installing),
    ]);
    assert!(text.contains("provisioning_time_in_leg_seconds_sum{phase=\"pxe_ready\"} 20.0"), "{text}");
    assert!(text.contains("provisioning_time_in_leg_seconds_sum{phase=\"pxe_booted\"} 80.0"), "{text}");
    assert!(text.contains("provisioning_time_in_leg_seconds_bucket{le=\"180.0\",phase=\"pxe_booted\"} 1"), "{text}");
}

#[test]
fn an_operations_end_is_counted_by_its_reason() {
    let why = FailureReason::KeyStillOpens;
    let text = told(&[
        moved(0, EventKind::Expired { last_error: None }, Phase::Installing, Phase::Failed),
        moved(1, EventKind::StepFailed { step: JoinStep::RevokeKey, why }, Phase::Joining, Phase::Failed),
        moved(2, EventKind::StepDone { step: JoinStep::Register }, Phase::Joining, Phase::Ready),
    ]);
    for line in [
        "provisioning_operations_total{outcome=\"failed\",reason=\"deadline_passed\"} 1",
        "provisioning_operations_total{outcome=\"failed\",reason=\"key_still_opens\"} 1",
        "provisioning_operations_total{outcome=\"ready\",reason=\"\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn only_what_opens_nothing_counts_as_a_failed_login() {
    let metrics = Metrics::default();
    metrics.refused(Door::Login, Kind::WrongToken);
    metrics.refused(Door::Token, Kind::NoToken);
    let text = metrics.text();
    assert!(text.contains("provisioning_login_failures_total{door=\"login\"} 1"), "{text}");
    assert!(text.contains("provisioning_login_failures_total{door=\"token\"} 0"), "{text}");
}

/// Every figure that there is, each with a value, so that none is left out of the text.
fn everything() -> String {
    let metrics = Metrics::default();
    let mut entered = BTreeMap::new();
    metrics.0.journal.note(&moved(0, EventKind::Started, Phase::Registered, Phase::PxeReady), &mut entered);
    metrics
        .0
        .journal
        .note(&moved(9, EventKind::Expired { last_error: None }, Phase::PxeReady, Phase::Failed), &mut entered);
    metrics.on_commit()(Duration::from_millis(2));
    metrics.on_delivery(["chat"].into_iter())("chat", Delivery::Taken);
    let asked = Asked { method: "GET", route: "/api/hosts".to_owned(), status: 200 };
    metrics.0.requests.get_or_create(&asked).observe(0.01);
    metrics.0.rows.fill();
    metrics.0.process.measure();
    metrics.text()
}

/// What the text says of a figure.
#[derive(Debug, Default, PartialEq)]
struct Figure {
    kind: String,
    labels: BTreeSet<String>,
}

/// Reads the text strictly as OpenMetrics 1.0 has it: each family once, its lines together, each sample of the family's
/// own name with the suffix of its kind, no sample twice, an end.
fn read(text: &str) -> BTreeMap<String, Figure> {
    let mut figures = BTreeMap::<String, Figure>::new();
    let mut seen = BTreeSet::new();
    let mut family = String::new();
    let body = text.strip_suffix("# EOF\n").expect("the text ends with its mark");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').expect("a word and more");
            let (name, rest) = rest.split_once(' ').expect("a name and more");
            match word {
                "HELP" => {
                    assert!(!figures.contains_key(name), "{name} comes twice");
                    assert!(rest.ends_with('.'), "{name}: {rest}");
                    family = name.to_owned();
                    figures.insert(family.clone(), Figure::default());
                }
                "TYPE" => figures.get_mut(name).expect("help comes first").kind = rest.to_owned(),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{name} ends with its unit {rest}"),
                other => panic!("{other} is no word of OpenMetrics"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "{series} comes twice");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(&family).expect("a sample of the family it stands in");
        let figure = figures.get_mut(&family).expect("a family");
        let fits = match figure.kind.as_str() {
            "gauge" => suffix.is_empty(),
            "counter" => suffix == "_total",
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            other => panic!("{family} is of the unknown kind {other}"),
        };
        assert!(fits, "{line} is no sample of a {}", figure.kind);
        let labels = labels.strip_suffix('}').expect("labels end");
        let named = labels.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(label, _)| label.to_owned());
        figure.labels.extend(named.filter(|label| label != "le"));
    }
    figures
}

/// The names under which a figure is asked for.
fn samples(name: &str, figure: &Figure) -> Vec<String> {
    match figure.kind.as_str() {
        "counter" => vec![format!("{name}_total")],
        "histogram" => ["bucket", "sum", "count"].map(|suffix| format!("{name}_{suffix}")).to_vec(),
        _ => vec![name.to_owned()],
    }
}

fn paper(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).expect("it is part of the sources")
}

/// The rows of the paper's tables: each figure, its kind and its labels.
fn documented(text: &str) -> BTreeMap<String, Figure> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter(|row| row.starts_with("provisioning_") || row.starts_with("process_"))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").expect("a name in a cell of its own");
            let mut cells = rest.split(" | ");
            let kind = cells.next().expect("its kind").to_owned();
            let labels = cells.next().expect("its labels").split(", ").map(|label| label.trim_matches('`').to_owned());
            let labels = labels.filter(|label| label != "–").collect();
            (name.to_owned(), Figure { kind, labels })
        })
        .collect()
}

#[test]
fn the_paper_names_every_figure_with_its_kind_and_labels_and_no_other() {
    let found = read(&everything());
    let found: BTreeMap<String, Figure> = found
        .into_iter()
        .map(|(name, figure)| (if figure.kind == "counter" { format!("{name}_total") } else { name }, figure))
        .collect();
    assert_eq!(documented(&paper("docs/metrics.md")), found);
}

/// Figures of ours in a text of PromQL, and the labels that are asked of them.
fn asked_for(query: &str) -> Vec<(String, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = vec![];
    let mut rest = query;
    while let Some(at) = rest.find(|c: char| is_name(c)) {
        let end = rest[at..].find(|c: char| !is_name(c)).map_or(rest.len(), |end| at + end);
        let name = &rest[at..end];
        rest = &rest[end..];
        if !(name.starts_with("provisioning_") || name.starts_with("process_")) {
            continue;
        }
        let selector = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map_or("", |(inner, _)| inner);
        let labels = selector.split(',').filter_map(|pair| pair.split(['=', '!']).next()).map(str::trim);
        found.push((name.to_owned(), labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()));
    }
    found
}

fn all_exist(figures: &BTreeMap<String, Figure>, query: &str) {
    let known: BTreeMap<String, &Figure> =
        figures.iter().flat_map(|(name, figure)| samples(name, figure).into_iter().map(move |s| (s, figure))).collect();
    for (name, labels) in asked_for(query) {
        let figure = known.get(&name).unwrap_or_else(|| panic!("{name} in {query} is not among the figures"));
        for label in labels.iter().filter(|label| !["job", "instance", "le"].contains(&label.as_str())) {
            assert!(figure.labels.contains(label), "{name} has no label {label}, which {query} asks for");
        }
    }
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_figures_that_there_are() {
    let figures = read(&everything());
    let dashboard: serde_json::Value = serde_json::from_str(&paper("deploy/grafana-dashboard.json")).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            assert!(!asked_for(query).is_empty(), "{query} asks for nothing of ours");
            all_exist(&figures, query);
            queries += 1;
        }
    }
    assert!(queries > 15, "{queries}");
    let rules: serde_json::Value = serde_saphyr::from_str(&paper("deploy/prometheus-alerts.yaml")).unwrap();
    let rules: Vec<&serde_json::Value> =
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let text = paper("docs/metrics.md");
    for rule in &rules {
        all_exist(&figures, rule["expr"].as_str().unwrap());
        let name = rule["alert"].as_str().unwrap();
        assert!(text.contains(&format!("| `{name}` |")), "docs/metrics.md does not tell of the alert {name}");
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{name}");
    }
    let told = text.lines().filter(|line| line.starts_with("| `Provisioning")).count();
    assert_eq!(told, rules.len(), "docs/metrics.md tells of alerts that there are not");
}
