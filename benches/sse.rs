//! Event streams beside a plain hub in Go: deliveries per CPU second, latency, losses, memory.
//!
//! Both sides get events over HTTP; ours makes each of them durable before it tells of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::peers::{Peer, go_hub};
use benches::process::{Process, allow_many_files};
use benches::report::{Budget, Report, Row};
use benches::site::{Site, TOKEN, mac};
use benches::{Effort, median};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Every so many streams' latencies are looked at.
const SAMPLED: usize = 16;

/// What came of one round of one side.
struct Seen {
    /// Events that reached a stream, per second of the server's CPU.
    per_cpu_second: f64,
    p99_ms: f64,
    p50_ms: f64,
    /// Of all events that should have reached a stream.
    lost: f64,
    kib_per_stream: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    allow_many_files()?;
    let sizes = if effort.smoke { vec![(10, 20)] } else { vec![(100, 100), (1000, 100), (10_000, 10)] };
    let mut report = Report::new("sse", effort);
    for (streams, rate) in sizes {
        let (mut ours, mut theirs) = (vec![], vec![]);
        for _ in 0..effort.rounds {
            ours.push(our_round(streams, rate, effort.period).await?);
            theirs.push(hub_round(streams, rate, effort.period).await?);
        }
        let middle = |rounds: &[Seen], of: fn(&Seen) -> f64| median(rounds.iter().map(of).collect());
        let row = |what: &str, unit, of: fn(&Seen) -> f64, budget| Row {
            what: format!("{what}, {streams} streams, {rate} events/s"),
            unit,
            ours: middle(&ours, of),
            beside: "plain hub in Go".to_owned(),
            theirs: middle(&theirs, of),
            budget,
        };
        let judged = |at: usize, budget| if streams == at { budget } else { Budget::None };
        let per_cpu = judged(1000, Budget::AtLeast(5.0));
        report.add(row("deliveries per CPU second", "1/s", |seen| seen.per_cpu_second, per_cpu));
        report.add(Row {
            beside: "the budget".to_owned(),
            theirs: 100.0,
            ..row("p99 of an event's way", "ms", |seen| seen.p99_ms, judged(1000, Budget::AtMost(1.0)))
        });
        report.add(row("p99 of an event's way, as the hub's", "ms", |seen| seen.p99_ms, Budget::None));
        report.add(row("median of an event's way", "ms", |seen| seen.p50_ms, Budget::None));
        report.add(row("memory per stream", "KiB", |seen| seen.kib_per_stream, Budget::None));
        let lost = row("events lost", "", |seen| seen.lost, Budget::None);
        ensure!(lost.ours == 0.0, "streams of ours missed events: {}", lost.ours);
        report.add(lost);
    }
    report.finish()
}

async fn our_round(streams: usize, rate: u32, period: Duration) -> anyhow::Result<Seen> {
    let site = Site::new("")?;
    let server = site.start()?;
    let request = format!("GET /events HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let before = server.rss_mib();
    let listeners = Listeners::open(site.address, streams, &request).await?;
    let memory = server.rss_mib() - before;
    let first = last_entry(&site).await?;
    let cpu = server.cpu_seconds();
    // Each registration is two entries: the host's, and who asked for it.
    let mut pace = tokio::time::interval(Duration::from_secs(2) / rate);
    let (begin, mut n) = (Instant::now(), 0);
    while begin.elapsed() < period {
        pace.tick().await;
        let body = json!({ "hostname": format!("node-{n:05}"), "mac": mac(n), "server_type": "lab" });
        site.call(Method::POST, "/api/hosts", Some(&body)).await?;
        n += 1;
    }
    let published = last_entry(&site).await? - first;
    seen(listeners, published, &server, cpu, memory).await
}

/// The journal's last place.
async fn last_entry(site: &Site) -> anyhow::Result<u64> {
    let page = site.call(Method::GET, "/api/events?after=9000000000", None).await?;
    page["next"].as_u64().context("a page says where it ends")
}

async fn hub_round(streams: usize, rate: u32, period: Duration) -> anyhow::Result<Seen> {
    let Peer { process, address } = go_hub()?;
    let before = process.rss_mib();
    let listeners = Listeners::open(address, streams, "GET /events HTTP/1.1\r\nhost: bench\r\n\r\n").await?;
    let memory = process.rss_mib() - before;
    let cpu = process.cpu_seconds();
    let client = Client::new();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    let (begin, mut published) = (Instant::now(), 0);
    while begin.elapsed() < period {
        pace.tick().await;
        let at = jiff::Timestamp::now();
        // As long as an entry of the journal.
        let event = format!("{{\"seq\":{published},\"at\":\"{at:.3}\",\"what\":\"{}\"}}", "x".repeat(160));
        client.post(format!("http://{address}/publish")).body(event).send().await?.error_for_status()?;
        published += 1;
    }
    seen(listeners, published, &process, cpu, memory).await
}

async fn seen(
    listeners: Listeners,
    published: u64,
    server: &Process,
    cpu_before: f64,
    memory: f64,
) -> anyhow::Result<Seen> {
    let streams = listeners.tasks.len();
    let expected = published * streams as u64;
    let (delivered, mut latencies) = listeners.close(expected).await?;
    let cpu = server.cpu_seconds() - cpu_before;
    ensure!(!latencies.is_empty(), "no event came through");
    latencies.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "some millions of events")]
    let (delivered, expected, streams) = (delivered as f64, expected as f64, streams as f64);
    Ok(Seen {
        per_cpu_second: delivered / cpu.max(0.01),
        p99_ms: latencies[(latencies.len() - 1) * 99 / 100],
        p50_ms: latencies[latencies.len() / 2],
        lost: 1.0 - delivered / expected,
        kib_per_stream: memory * 1024.0 / streams,
    })
}

/// Open streams that count what comes.
struct Listeners {
    tasks: JoinSet<anyhow::Result<Vec<f64>>>,
    delivered: Arc<AtomicU64>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Listeners {
    async fn open(address: SocketAddr, count: usize, request: &str) -> anyhow::Result<Self> {
        let (stop, _) = tokio::sync::watch::channel(false);
        let (delivered, ready) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for n in 0..count {
            let (delivered, ready, stopped) = (Arc::clone(&delivered), Arc::clone(&ready), stop.subscribe());
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(request.as_bytes()).await?;
            tasks.spawn(listen(stream, n % SAMPLED == 0, delivered, ready, stopped));
        }
        let (begin, mut looks) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
        while ready.load(Ordering::Relaxed) < count as u64 {
            ensure!(begin.elapsed() < Duration::from_secs(60), "not all streams were opened");
            looks.tick().await;
        }
        Ok(Self { tasks, delivered, stop })
    }

    /// Waits until all has come, or nothing more does; how many events came, and the sampled latencies in ms.
    async fn close(mut self, expected: u64) -> anyhow::Result<(u64, Vec<f64>)> {
        let mut before = u64::MAX;
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        loop {
            looks.tick().await;
            let now = self.delivered.load(Ordering::Relaxed);
            if now >= expected || now == before {
                break;
            }
            before = now;
        }
        self.stop.send_replace(true);
        let mut latencies = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            latencies.extend(ended??);
        }
        Ok((self.delivered.load(Ordering::Relaxed), latencies))
    }
}

async fn listen(
    mut stream: TcpStream,
    sampled: bool,
    delivered: Arc<AtomicU64>,
    ready: Arc<AtomicU64>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> anyhow::Result<Vec<f64>> {
    let (mut latencies, mut kept, is_open) = (vec![], Vec::new(), AtomicBool::new(false));
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            biased;
            read = stream.read(&mut buffer) => read?,
            _ = stop.changed() => return Ok(latencies),
        };
        ensure!(read > 0, "a stream ended");
        if !is_open.swap(true, Ordering::Relaxed) {
            ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
            ready.fetch_add(1, Ordering::Relaxed);
        }
        kept.extend_from_slice(&buffer[..read]);
        let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut events = 0;
        for line in kept[..whole].split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"data: {")) {
            events += 1;
            if sampled && let Some(at) = said_at(line) {
                latencies.push(at.duration_until(jiff::Timestamp::now()).as_secs_f64() * 1000.0);
            }
        }
        kept.drain(..whole);
        delivered.fetch_add(events, Ordering::Relaxed);
    }
}

/// When an event happened, as it says itself.
fn said_at(line: &[u8]) -> Option<jiff::Timestamp> {
    let begin = line.windows(6).position(|window| window == b"\"at\":\"")? + 6;
    let text = line[begin..].split(|byte| *byte == b'"').next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}
