//! Start and memory, with nothing and with 10,000 hosts in the database; the list of 10,000 hosts.

use std::time::Instant;

use benches::report::{Budget, Report, Row};
use benches::site::Site;
use benches::{Effort, median};
use reqwest::Method;

/// What a comparable Go server (matchbox 0.9) was measured to need when idle and empty, on two cores of the same
/// kind: it can not be built everywhere, so that its figures stand here as constants.
const PEER: &str = "matchbox 0.9, empty (recorded)";
const PEER_START_MS: f64 = 14.0;
const PEER_RSS_MIB: f64 = 10.6;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let mut report = Report::new("start", effort);
    for hosts in [0, if effort.smoke { 100 } else { 10_000 }] {
        let site = Site::new("")?;
        {
            let _server = site.start()?;
            site.register(hosts).await?;
        }
        let (mut starts, mut memory, mut lists) = (vec![], vec![], vec![]);
        for _ in 0..effort.rounds * 3 {
            let server = site.start()?;
            starts.push(server.started_in.as_secs_f64() * 1000.0);
            memory.push(server.rss_mib());
            let begin = Instant::now();
            site.call(Method::GET, "/api/hosts?limit=10000", None).await?;
            lists.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        let row = |what: &str, unit, ours, beside: &str, theirs, budget| Row {
            what: format!("{what}, {hosts} hosts stored"),
            unit,
            ours,
            beside: beside.to_owned(),
            theirs,
            budget,
        };
        report.add(row("start to first connection", "ms", median(starts), PEER, PEER_START_MS, Budget::AtMost(2.0)));
        report.add(row("memory when started", "MiB", median(memory), PEER, PEER_RSS_MIB, Budget::AtMost(1.5)));
        report.add(row("listing all", "ms", median(lists), "the budget", 50.0, Budget::AtMost(1.0)));
    }
    report.finish()
}
