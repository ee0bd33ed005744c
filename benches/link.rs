//! Hosts that download over a link of a given rate, in network namespaces of their own: how long until all are done,
//! beside what the wire alone takes, with `images.max_bandwidth` and without.
//!
//! Clients do as iPXE does: a 503 is asked again after its `Retry-After`. Needs root, `ip` and `tc`.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::Effort;
use benches::report::{Budget, Report, Row};
use benches::site::{Site, mac};
use futures_util::StreamExt as _;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

/// The link's rate.
const LINK_MBIT: u32 = 400;
/// What of it is set as the limit: the rest are the headers of TCP, IP and Ethernet.
const LIMIT_MBIT: u32 = 380;
const SERVER: &str = "10.213.77.1";
const CLIENTS: &str = "10.213.77.2";
/// Set in the process that runs inside of the clients' namespace.
const INSIDE: &str = "BENCH_INSIDE";

fn main() -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return measure();
    }
    let link = Link::new()?;
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &link.clients]).arg(std::env::current_exe()?).env(INSIDE, &link.server);
    let status = inside.status()?;
    ensure!(status.success(), "the measurement failed: {status}");
    Ok(())
}

/// Two namespaces and a wire between them; gone with this value.
struct Link {
    server: String,
    clients: String,
}

impl Link {
    fn new() -> anyhow::Result<Self> {
        let id = std::process::id();
        let link = Self { server: format!("bench-{id}-s"), clients: format!("bench-{id}-c") };
        let (server, clients) = (&link.server, &link.clients);
        ip(&["netns", "add", server])?;
        ip(&["netns", "add", clients])?;
        ip(&["link", "add", "wire", "netns", server, "type", "veth", "peer", "name", "wire", "netns", clients])?;
        for (netns, address) in [(server, SERVER), (clients, CLIENTS)] {
            ip(&["-n", netns, "address", "add", &format!("{address}/24"), "dev", "wire"])?;
            ip(&["-n", netns, "link", "set", "wire", "up"])?;
            ip(&["-n", netns, "link", "set", "lo", "up"])?;
        }
        let rate = format!("{LINK_MBIT}mbit");
        let shape = ["qdisc", "add", "dev", "wire", "root", "tbf", "rate", &rate, "burst", "256kb", "latency", "50ms"];
        run(Command::new("tc").args(["-n", server]).args(shape))?;
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for netns in [&self.server, &self.clients] {
            ip(&["netns", "delete", netns]).ok();
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?} can not be started"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::main]
async fn measure() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let netns = std::env::var(INSIDE)?;
    let (hosts, mib) = if effort.smoke { (3, 4) } else { (8, 128) };
    let mut report = Report::new("link", effort);
    let limited = format!("images:\n  max_bandwidth: {LIMIT_MBIT}Mbit/s\n");
    for (how, more) in [("max_bandwidth set", limited.as_str()), ("no limit", "")] {
        let at = |port| SocketAddr::new(SERVER.parse().expect("it is an address"), port);
        let site = Site::listening(at(8080), at(8081), more)?.in_namespace(&netns);
        let _server = site.start()?;
        site.import(mib).await?;
        site.register(hosts).await?;
        for n in 0..hosts {
            site.rebuild(n).await?;
        }
        let done = boot_all(&site, hosts).await?;
        let (bytes, mut ends): (Vec<f64>, Vec<f64>) = done.into_iter().unzip();
        ends.sort_unstable_by(f64::total_cmp);
        let wire = bytes.iter().sum::<f64>() * 8.0 / (f64::from(LINK_MBIT) * 1e6);
        let row = |what: &str, ours, budget| Row {
            what: format!("{what}, {hosts} hosts of {mib} MiB over {LINK_MBIT} Mbit/s, {how}"),
            unit: "s",
            ours,
            beside: "all bytes at the link's rate".to_owned(),
            theirs: wire,
            budget,
        };
        let budget = if more.is_empty() { Budget::None } else { Budget::AtMost(1.1) };
        report.add(row("all done", ends[ends.len() - 1], budget));
        report.add(row("half done", ends[ends.len() / 2 - 1], Budget::None));
    }
    report.finish()
}

/// All hosts boot at once; bytes and seconds of each.
async fn boot_all(site: &Site, hosts: usize) -> anyhow::Result<Vec<(f64, f64)>> {
    let begin = Instant::now();
    let mut machines = JoinSet::new();
    for n in 0..hosts {
        let script = format!("http://{}/ipxe/{}", site.address, mac(n));
        machines.spawn(async move {
            let bytes = boot(&script).await?;
            anyhow::Ok((bytes, begin.elapsed().as_secs_f64()))
        });
    }
    let mut done = Vec::new();
    while let Some(machine) = machines.join_next().await {
        done.push(machine??);
    }
    Ok(done)
}

/// As iPXE boots: the script, however often it is put off, then kernel and initrd.
async fn boot(script: &str) -> anyhow::Result<f64> {
    let client = Client::new();
    let text = loop {
        let response = client.get(script).send().await?;
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            break response.error_for_status()?.text().await?;
        }
        let pause = response.headers().get("retry-after").context("a 503 says when to ask again")?;
        let pause = Duration::from_secs(pause.to_str()?.parse()?);
        tokio::time::interval_at(tokio::time::Instant::now() + pause, pause).tick().await;
    };
    let urls = text.split_whitespace().filter(|word| word.starts_with("http") && word.contains("/boot/"));
    let mut bytes = 0.0;
    for url in urls {
        let mut body = client.get(url).send().await?.error_for_status()?.bytes_stream();
        while let Some(chunk) = body.next().await {
            #[expect(clippy::cast_precision_loss, reason = "a chunk is small")]
            let len = chunk?.len() as f64;
            bytes += len;
        }
    }
    Ok(bytes)
}
