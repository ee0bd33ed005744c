//! Instructions that the hot paths take, counted by callgrind, beside the counts that are kept in `instructions.json`:
//! they are the same on a busy machine as on an idle one, so that a slower path shows at once.
//!
//! Each path runs in a process of its own, `FEW` times and `MANY` times: the difference is what the repeats took.
//! `BENCH_BLESS=1` writes the counts anew.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::Effort;
use benches::report::{Budget, Report, Row};
use provisioning_core::conformance::sample;
use provisioning_core::machine::{EventKind, Leg, Policy, step};
use provisioning_core::model::{BaseUrl, Fqdn, MacAddr, Release};
use provisioning_core::ports::{Happening, JournalEntry, Source};
use provisioning_core::render::{BootScript, boot_script};
use provisioning_server::http::hub::write_frames;
use provisioning_server::images::iso9660::Volume;
use provisioning_sim::real::iso::{IsoOptions, build};

const FEW: u32 = 100;
const MANY: u32 = 1100;
/// How many more instructions than kept are taken for the same: another compiler shifts some.
const TOLERANCE: f64 = 1.1;
/// Says which path a process is to run, and how often.
const VARIABLE: &str = "BENCH_PATH";

/// A path: what it is called, and how to run it once.
type Path = (&'static str, Box<dyn FnMut()>);

fn paths() -> anyhow::Result<Vec<Path>> {
    let state = sample::provisioning(3, Leg::PxeBooted, None).map_err(anyhow::Error::from_boxed)?;
    let event = EventKind::AnswerFetched.of(sample::operation_id(3));
    let policy = Policy::default();
    let operation = sample::operation(3, 2, 1).map_err(anyhow::Error::from_boxed)?;
    let (url, fqdn): (BaseUrl, Fqdn) = ("http://10.0.0.2:8080".parse()?, "pve-07.lab.example".parse()?);
    let moved = sample::moved(2, 3);
    let entry = JournalEntry {
        seq: 7,
        at: moved.at,
        host: moved.host,
        operation: moved.operation,
        source: Source::Firmware,
        what: Happening::Warning { text: "as long as entries are".to_owned() },
    };
    let image = build(&IsoOptions::default());
    Ok(vec![
        ("step of the state machine", Box::new(move || drop(black_box(step(&state, &event, sample::at(9), &policy))))),
        (
            "boot script",
            Box::new(move || {
                let script =
                    BootScript { public_url: &url, token: &operation.token, fqdn: &fqdn, release: Release::new(9, 2) };
                black_box(boot_script(&script));
            }),
        ),
        (
            "MAC address, parsed",
            Box::new(|| {
                black_box(black_box("52-54-00-AB-CD-EF").parse::<MacAddr>()).ok();
            }),
        ),
        (
            "event frame, encoded",
            Box::new(move || {
                let mut text = String::new();
                write_frames(&mut text, std::slice::from_ref(&entry));
                black_box(text);
            }),
        ),
        (
            "file found in an ISO",
            Box::new(move || {
                let found = Volume::open(image.as_slice()).and_then(|iso| iso.find("boot/linux26"));
                black_box(found.is_ok_and(|found| found.is_some()));
            }),
        ),
    ])
}

fn main() -> anyhow::Result<()> {
    if let Ok(wanted) = std::env::var(VARIABLE) {
        return run_one(&wanted);
    }
    let effort = Effort::from_environment();
    let kept = kept_file();
    let before: BTreeMap<String, f64> = match std::fs::read(&kept) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is not readable", kept.display()))?,
        Err(_) => BTreeMap::new(),
    };
    let mut report = Report::new("hot_paths", effort);
    let mut now = BTreeMap::new();
    for (name, mut path) in paths()? {
        let count = instructions(name)?;
        now.insert(name.to_owned(), count);
        let theirs = before.get(name).copied().unwrap_or(count);
        let (beside, budget) = ("kept count".to_owned(), Budget::AtMost(TOLERANCE));
        report.add(Row { what: name.to_owned(), unit: "instructions", ours: count, beside, theirs, budget });
        let begin = Instant::now();
        (0..MANY).for_each(|_| path());
        let nanos = begin.elapsed().as_secs_f64() * 1e9 / f64::from(MANY);
        let beside = "a microsecond".to_owned();
        report.add(Row {
            what: name.to_owned(),
            unit: "ns",
            ours: nanos,
            beside,
            theirs: 1000.0,
            budget: Budget::None,
        });
    }
    if std::env::var_os("BENCH_BLESS").is_some() {
        std::fs::write(&kept, serde_json::to_string_pretty(&now)? + "\n")?;
    }
    report.finish()
}

/// Optimised and other builds take different numbers: only the former's are kept.
fn kept_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

fn run_one(wanted: &str) -> anyhow::Result<()> {
    let (times, name) = wanted.split_once(' ').context("TIMES NAME")?;
    let times: u32 = times.parse()?;
    let mut path = paths()?.into_iter().find(|(path, _)| *path == name).context("no such path")?.1;
    (0..times).for_each(|_| path());
    Ok(())
}

/// Instructions that one run of a path takes.
fn instructions(name: &str) -> anyhow::Result<f64> {
    Ok((collected(name, MANY)? - collected(name, FEW)?) / f64::from(MANY - FEW))
}

fn collected(name: &str, times: u32) -> anyhow::Result<f64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    let output = command.env(VARIABLE, format!("{times} {name}")).output();
    let output = output.context("instructions are counted by valgrind: apt-get install valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    let line = said.lines().find_map(|line| line.split_once("Collected :")).context("callgrind says no count")?;
    Ok(line.1.trim().parse()?)
}
