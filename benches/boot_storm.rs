//! Boot scripts by the real route (look-up, state, journal where it is due), beside nginx serving a static file of
//! the same size, on kept and on new connections.

use std::fs;

use benches::load::{Connections, Seen, requests, seen};
use benches::nginx::{Nginx, Setting};
use benches::report::{Budget, Report, Row};
use benches::site::{Site, mac};
use benches::{Effort, median};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let hosts = 1000;
    let site = Site::new("")?;
    let server = site.start()?;
    site.import(1).await?;
    site.register(hosts).await?;
    for n in 0..hosts {
        site.arm(n).await?;
    }
    let script = reqwest::get(format!("http://{}/ipxe/{}", site.address, mac(0))).await?.error_for_status()?;
    let root = tempfile::tempdir()?;
    fs::write(root.path().join("script"), script.bytes().await?)?;
    let nginx = Nginx::start(root.path(), Setting::Usual)?;

    let mut report = Report::new("boot_storm", effort);
    for (clients, connections) in [(1, Connections::Kept), (64, Connections::Kept), (64, Connections::New)] {
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..effort.rounds {
            let ask = move |client: usize, n: usize| get(&format!("/ipxe/{}", mac((client * 131 + n) % hosts)));
            let load = || requests(site.address, clients, effort.period, connections, ask);
            ours.push(seen(&server, load).await?);
            let load = || requests(nginx.address, clients, effort.period, connections, |_, _| get("/script"));
            theirs.push(seen(&nginx.process, load).await?);
        }
        let middle = |rounds: &[Seen], of: fn(&Seen) -> f64| median(rounds.iter().map(of).collect());
        let kept = connections == Connections::Kept;
        let how = if kept { "kept connections" } else { "a new connection each" };
        let row = |what: &str, unit, of: fn(&Seen) -> f64, budget| Row {
            what: format!("boot script {what}, {clients} at once, {how}"),
            unit,
            ours: middle(&ours, of),
            beside: "nginx, static file".to_owned(),
            theirs: middle(&theirs, of),
            budget,
        };
        let least = match (clients, kept) {
            (1, _) => Budget::None,
            (_, true) => Budget::AtLeast(0.8),
            (_, false) => Budget::AtLeast(0.85),
        };
        report.add(row("rate", "req/s", |seen| seen.load.rate(), least));
        report.add(row("CPU", "µs/req", |seen| seen.cpu_micros, Budget::None));
        let p99 = if clients > 1 && kept { Budget::AtMost(1.5) } else { Budget::None };
        report.add(row("p99", "ms", |seen| seen.load.p99_ms, p99));
    }
    report.finish()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}
