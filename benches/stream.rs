//! Boot artifacts by `sendfile`, beside nginx on the same bytes: CPU per GiB, fairness, memory.

use std::fs;
use std::os::unix::fs::FileExt as _;

use benches::load::{Load, downloads};
use benches::nginx::{Nginx, Setting};
use benches::process::Process;
use benches::report::{Budget, Report, Row};
use benches::site::Site;
use benches::{Effort, median};

/// How large the image is, in MiB: large enough that a download's end does not matter.
const IMAGE_MIB: usize = 512;

/// What a side was seen to do in one round.
struct Seen {
    load: Load,
    cpu_per_gib: f64,
    rss_mib: f64,
}

fn seen(process: &Process, run: impl FnOnce() -> anyhow::Result<Load>) -> anyhow::Result<Seen> {
    let before = process.cpu_seconds();
    let load = run()?;
    let cpu_per_gib = (process.cpu_seconds() - before) / load.done;
    Ok(Seen { load, cpu_per_gib, rss_mib: process.rss_mib() })
}

fn middle(rounds: &[Seen], of: impl Fn(&Seen) -> f64) -> f64 {
    median(rounds.iter().map(of).collect())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let site = Site::new("")?;
    let server = site.start()?;
    site.import(if effort.smoke { 16 } else { IMAGE_MIB }).await?;
    site.register(1).await?;
    let token = site.arm(0).await?;
    let path = format!("/boot/{token}/initrd");

    // nginx serves the same bytes as a file of its own.
    let bytes = reqwest::get(format!("http://{}{path}", site.artifacts)).await?.error_for_status()?.bytes().await?;
    let root = tempfile::tempdir()?;
    fs::File::create(root.path().join("initrd"))?.write_all_at(&bytes, 0)?;
    drop(bytes);
    let usual = Nginx::start(root.path(), Setting::Usual)?;
    let best = Nginx::start(root.path(), Setting::Best)?;

    let mut report = Report::new("stream", effort);
    let idle = server.rss_mib();
    for clients in [1, 16, 64] {
        let (mut ours, mut theirs, mut their_best) = (vec![], vec![], vec![]);
        for _ in 0..effort.rounds {
            ours.push(seen(&server, || downloads(site.artifacts, &path, clients, effort.period))?);
            theirs.push(seen(&usual.process, || downloads(usual.address, "/initrd", clients, effort.period))?);
            their_best.push(seen(&best.process, || downloads(best.address, "/initrd", clients, effort.period))?);
        }
        let cpu = |rounds: &[Seen]| middle(rounds, |seen| seen.cpu_per_gib);
        let rate = |rounds: &[Seen]| middle(rounds, |seen| seen.load.rate());
        let many = clients > 1;
        let row = |what: &str, unit, ours: f64, beside: &str, theirs: f64, budget| {
            let plural = if many { "clients" } else { "client" };
            let what = format!("{what}, {clients} {plural}");
            Row { what, unit, ours, beside: beside.to_owned(), theirs, budget }
        };
        let (usually, at_best) = ("nginx, as usually set", "nginx at its best");
        let budget = |most| if many { Budget::AtMost(most) } else { Budget::None };
        report.add(row("server CPU", "s/GiB", cpu(&ours), usually, cpu(&theirs), budget(0.4)));
        report.add(row("server CPU", "s/GiB", cpu(&ours), at_best, cpu(&their_best), budget(1.3)));
        let least = if many { Budget::None } else { Budget::AtLeast(0.8) };
        report.add(row("throughput", "GiB/s", rate(&ours), usually, rate(&theirs), least));
        if many {
            let fairness = middle(&ours, |seen| seen.load.fairness);
            report.add(row("fairness min/max", "", fairness, "equal shares", 1.0, Budget::AtLeast(0.65)));
            let grown = middle(&ours, |seen| seen.rss_mib) - idle;
            report.add(row("memory grown by", "MiB", grown, "the budget", 8.0, Budget::AtMost(1.0)));
        }
    }
    report.finish()
}
