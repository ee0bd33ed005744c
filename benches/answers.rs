//! Answer files, each recorded durably before it is sent, beside a Python server that records nothing.

use benches::load::{Seen, each, seen};
use benches::peers::python_answers;
use benches::report::{Budget, Report, Row};
use benches::site::{Site, mac};
use benches::{Effort, median};

/// Installers that ask at once.
const CLIENTS: usize = 64;
/// What autopve (2026-03, the peer that people use) was measured to do on two cores of the same kind: it can not be
/// installed everywhere, so that its figures stand here as constants.
const RECORDED: &str = "autopve (recorded)";
const RECORDED_RATE: f64 = 440.0;
const RECORDED_P99_MS: f64 = 256.0;
const RECORDED_CPU_MICROS: f64 = 2278.0;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let hosts = if effort.smoke { 64 } else { 2000 };
    let site = Site::new("")?;
    let server = site.start()?;
    site.import(1).await?;
    site.register(hosts * effort.rounds).await?;
    let peer = python_answers()?;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for round in 0..effort.rounds {
        let mut requests = Vec::with_capacity(hosts);
        for n in round * hosts..(round + 1) * hosts {
            let token = site.arm(n).await?;
            requests.push(post(&format!("/api/boot/answer?token={token}"), n));
        }
        ours.push(seen(&server, || each(site.address, CLIENTS, requests)).await?);
        let requests = (0..hosts).map(|n| post("/answer", n)).collect();
        theirs.push(seen(&peer.process, || each(peer.address, CLIENTS, requests)).await?);
    }
    let middle = |rounds: &[Seen], of: fn(&Seen) -> f64| median(rounds.iter().map(of).collect());
    let mut report = Report::new("answers", effort);
    let mut rows = |what: &str, unit, of: fn(&Seen) -> f64, recorded, budget| {
        let what = format!("answer {what}, {CLIENTS} at once, each for another host");
        let (ours, theirs) = (middle(&ours, of), middle(&theirs, of));
        let beside = "FastAPI on uvicorn, not durable".to_owned();
        report.add(Row { what: what.clone(), unit, ours, beside, theirs, budget: Budget::None });
        report.add(Row { what, unit, ours, beside: RECORDED.to_owned(), theirs: recorded, budget });
    };
    rows("rate", "1/s", |seen| seen.load.rate(), RECORDED_RATE, Budget::AtLeast(50.0));
    rows("p99", "ms", |seen| seen.load.p99_ms, RECORDED_P99_MS, Budget::AtMost(0.1));
    rows("CPU", "µs", |seen| seen.cpu_micros, RECORDED_CPU_MICROS, Budget::None);
    report.finish()
}

/// What the installer of Proxmox VE sends.
fn post(path: &str, n: usize) -> Vec<u8> {
    let body = format!(
        "{{\"$schema\":{{\"version\":\"1.0\"}},\"product\":{{\"fullname\":\"Proxmox VE\",\"product\":\"pve\",\
         \"enable_btrfs\":true}},\"iso\":{{\"release\":\"9.2\",\"isorelease\":\"1\"}},\"dmi\":{{\"system\":{{\
         \"manufacturer\":\"Bench\",\"name\":\"B1\",\"serial\":\"S{n}\",\"uuid\":\"00000000-0000-4000-8000-{n:012x}\"}},\
         \"baseboard\":{{}},\"chassis\":{{}}}},\"network_interfaces\":[{{\"link\":\"eno1\",\"mac\":\"{}\"}}]}}",
        mac(n)
    );
    let len = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n"
    );
    (head + &body).into_bytes()
}
