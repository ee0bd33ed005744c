//! Start, memory and lists, with nothing and with 10,000 hosts in the database; memory per host and per connection.

use std::time::Instant;

use benches::process::{Process, allow_many_files};
use benches::report::{Budget, Report, Row};
use benches::site::Site;
use benches::{Effort, median};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a comparable Go server (matchbox 0.9) was measured to need when idle and empty, on two cores of the same
/// kind: it can not be built everywhere, so that its figures stand here as constants.
const PEER: &str = "matchbox 0.9, empty (recorded)";
const PEER_START_MS: f64 = 14.0;
const PEER_RSS_MIB: f64 = 10.6;
/// Kept connections whose memory is looked at.
const CONNECTIONS: u32 = 1000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    allow_many_files()?;
    let sizes: &[u32] = if effort.smoke { &[0, 100] } else { &[0, 10, 100, 1000, 10_000] };
    let mut report = Report::new("start", effort);
    let site = Site::new("")?;
    let (mut stored, mut empty_mib) = (0, 0.0);
    for hosts in sizes.iter().copied() {
        {
            let _server = site.start()?;
            site.register_range(stored as usize..hosts as usize).await?;
        }
        stored = hosts;
        let (mut starts, mut memory, mut lists) = (vec![], vec![], vec![]);
        for _ in 0..effort.rounds * 3 {
            let server = site.start()?;
            // It listens before it has read anything: only an answer says that it is there.
            let listens = Instant::now();
            site.text(Method::GET, "/healthz").await?;
            starts.push((server.started_in + listens.elapsed()).as_secs_f64() * 1000.0);
            memory.push(server.rss_mib());
            lists.push(list_all(&site).await?);
        }
        let row = |what: &str, unit, ours, beside: &str, theirs, budget| Row {
            what: format!("{what}, {hosts} hosts stored"),
            unit,
            ours,
            beside: beside.to_owned(),
            theirs,
            budget,
        };
        let memory = median(memory);
        report.add(row("start to first answer", "ms", median(starts), PEER, PEER_START_MS, Budget::AtMost(2.0)));
        report.add(row("memory when started", "MiB", memory, PEER, PEER_RSS_MIB, Budget::AtMost(1.5)));
        report.add(row("listing all", "ms", median(lists), "the budget", 50.0, Budget::AtMost(1.0)));
        if hosts == 0 {
            empty_mib = memory;
        } else if hosts >= 1000 {
            let kib = (memory - empty_mib) * 1024.0 / f64::from(hosts);
            report.add(row("memory per host", "KiB", kib, "a page", 4.0, Budget::None));
        }
    }
    let server = site.start()?;
    let per_connection = per_connection(&site, &server).await?;
    report.add(Row {
        what: format!("memory per kept connection, {CONNECTIONS} of them"),
        unit: "KiB",
        ours: per_connection,
        beside: "the budget".to_owned(),
        theirs: 64.0,
        budget: Budget::AtMost(1.0),
    });
    report.finish()
}

/// How long it takes to read the list of all hosts, page by page, in milliseconds: the best of three, since the
/// first reads the file.
async fn list_all(site: &Site) -> anyhow::Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        let mut path = "/api/hosts?limit=1000".to_owned();
        loop {
            let page = site.text(Method::GET, &path).await?;
            // Only the end is looked at: the client's reading of JSON is not what is measured.
            let next = page.rfind("\"next\":").map(|at| page[at..].trim_start_matches("\"next\":"));
            match next.and_then(|rest| serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()) {
                Some(Ok(Value::String(cursor))) => path = format!("/api/hosts?limit=1000&cursor={cursor}"),
                _ => break,
            }
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(best)
}

async fn per_connection(site: &Site, server: &Process) -> anyhow::Result<f64> {
    let mut open = Vec::new();
    let mut before = 0.0;
    // Half of them warm up what is shared.
    for n in 0..2 * CONNECTIONS {
        if n == CONNECTIONS {
            before = server.rss_mib();
        }
        let mut stream = TcpStream::connect(site.address).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n").await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        open.push(stream);
    }
    Ok((server.rss_mib() - before) * 1024.0 / f64::from(CONNECTIONS))
}
