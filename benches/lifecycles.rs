//! Whole lives of a fleet, registered to ready, over real HTTP, SQLite and SSH: wall time beside the budget, and CPU
//! per host. The machines run in this process, on the same cores.

use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::Effort;
use benches::report::{Budget, Report, Row};
use benches::site::{Site, TOKEN};
use provisioning_core::model::Secret;
use provisioning_sim::real::fleet::{Fleet, FleetOptions};
use tokio::sync::mpsc::unbounded_channel;

/// The budget for a thousand lives on two cores, in seconds.
const BUDGET_SECONDS: f64 = 60.0;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let mut report = Report::new("lifecycles", effort);
    for hosts in if effort.smoke { vec![3] } else { vec![10, 100, 1000] } {
        let ssh_port = benches::nginx::free_port()?;
        let site = Site::new(&format!("  ssh_port: {ssh_port}\n"))?;
        let server = site.start()?;
        let options = FleetOptions {
            token: Some(Secret::new(TOKEN.to_owned())),
            hosts,
            ssh_port,
            cluster: None,
            timeout: Some(Duration::from_secs(600)),
            ..FleetOptions::new(format!("http://{}", site.address))
        };
        let (watch, _events) = unbounded_channel();
        let begin = Instant::now();
        let summary = Fleet::new(options, watch)?.run().await?;
        let seconds = begin.elapsed().as_secs_f64();
        ensure!(summary.ready == usize::from(hosts), "{summary}");
        let row = |what: &str, unit, ours, theirs, budget| Row {
            what: format!("{what}, {hosts} hosts"),
            unit,
            ours,
            beside: "the budget for 1,000".to_owned(),
            theirs,
            budget,
        };
        let limit = if hosts == 1000 { Budget::AtMost(1.0) } else { Budget::None };
        report.add(row("registered to ready", "s", seconds, BUDGET_SECONDS, limit));
        let cpu = server.cpu_seconds() / f64::from(hosts) * 1000.0;
        report.add(row("server CPU per host", "ms", cpu, BUDGET_SECONDS, Budget::None));
        report.add(row("server memory", "MiB", server.rss_mib(), BUDGET_SECONDS, Budget::None));
    }
    report.finish()
}
