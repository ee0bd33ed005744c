//! Load: small requests as fast as they are answered, and downloads whose bytes are dropped in the kernel.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::process::Process;

/// What came of a period of load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Units of work done: requests, or GiB.
    pub done: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Latency that 99 of 100 requests kept, in milliseconds.
    pub p99_ms: f64,
    /// What the slowest client got, divided by what the fastest got.
    pub fairness: f64,
}

impl Load {
    /// Units of work per second.
    pub fn rate(&self) -> f64 {
        self.done / self.seconds
    }
}

/// What a server was seen to do under a load.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What came of it.
    pub load: Load,
    /// CPU of the server per unit of work, in microseconds.
    pub cpu_micros: f64,
}

/// Puts a load on a server, and looks at its CPU time meanwhile.
///
/// # Errors
/// Those of the load.
pub async fn seen<F: Future<Output = anyhow::Result<Load>>>(
    process: &Process,
    run: impl FnOnce() -> F,
) -> anyhow::Result<Seen> {
    let before = process.cpu_seconds();
    let load = run().await?;
    let cpu_micros = (process.cpu_seconds() - before) / load.done * 1e6;
    Ok(Seen { load, cpu_micros })
}

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Each for all requests of a client.
    Kept,
    /// A new one for each request, as firmware does.
    New,
}

/// `clients` at once send requests for `period`, each waiting for its answer before the next.
/// `request` makes the n-th request of a client, as bytes.
///
/// # Errors
/// When a connection fails, or an answer is not a 200 with a `Content-Length`.
pub async fn requests(
    address: SocketAddr,
    clients: usize,
    period: Duration,
    connections: Connections,
    request: impl Fn(usize, usize) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> anyhow::Result<Load> {
    let begin = Instant::now();
    let until = begin + period;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut stream = None;
                while Instant::now() < until {
                    let asked = Instant::now();
                    let mut connected = match stream.take() {
                        Some(stream) => stream,
                        None => tokio::net::TcpStream::connect(address).await?,
                    };
                    connected.set_nodelay(true)?;
                    connected.write_all(&request(client, latencies.len())).await?;
                    read_answer(&mut connected).await?;
                    latencies.push(asked.elapsed());
                    if connections == Connections::Kept {
                        stream = Some(connected);
                    }
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    summed(all, begin.elapsed())
}

fn summed(mut latencies: Vec<Duration>, took: Duration) -> anyhow::Result<Load> {
    latencies.sort_unstable();
    ensure!(!latencies.is_empty(), "no request was answered");
    let p99 = latencies[(latencies.len() - 1) * 99 / 100];
    #[expect(clippy::cast_precision_loss, reason = "some millions of requests")]
    let done = latencies.len() as f64;
    Ok(Load { done, seconds: took.as_secs_f64(), p99_ms: p99.as_secs_f64() * 1000.0, fairness: 1.0 })
}

/// `clients` at once send the requests, each of them once, as fast as they are answered.
///
/// # Errors
/// As [`requests`](fn@requests).
pub async fn each(address: SocketAddr, clients: usize, requests: Vec<Vec<u8>>) -> anyhow::Result<Load> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let asked = Instant::now();
                stream.write_all(request).await?;
                read_answer(&mut stream).await?;
                latencies.push(asked.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(task) = tasks.join_next().await {
        all.extend(task??);
    }
    summed(all, begin.elapsed())
}

/// Reads one answer to its end.
async fn read_answer(stream: &mut tokio::net::TcpStream) -> anyhow::Result<()> {
    let mut answer = vec![0; 4096];
    let mut len = 0;
    loop {
        let read = stream.read(&mut answer[len..]).await?;
        ensure!(read > 0, "the connection ended within an answer");
        len += read;
        if let Some(head) = find(&answer[..len], b"\r\n\r\n") {
            ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..head]));
            let wanted = head + 4 + content_length(&answer[..head])?;
            if len >= wanted {
                return Ok(());
            }
            answer.resize(wanted.max(len + 1), 0);
        }
        if len == answer.len() {
            answer.resize(len * 2, 0);
        }
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let line = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(line.context("an answer without a length")?.1.trim().parse()?)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// `clients` at once download `path` again and again for `period`. The bytes are dropped in the kernel, so that
/// the clients cost as little as they can; `done` is in GiB.
///
/// # Errors
/// When a connection fails or an answer is not a 200.
pub fn downloads(address: SocketAddr, path: &str, clients: usize, period: Duration) -> anyhow::Result<Load> {
    let begin = Instant::now();
    let stop = AtomicBool::new(false);
    let got: Vec<anyhow::Result<u64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(|| drain(address, path, &stop))).collect();
        while begin.elapsed() < period {
            std::thread::park_timeout(period.saturating_sub(begin.elapsed()));
        }
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let got: Vec<u64> = got.into_iter().collect::<anyhow::Result<_>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (least, most) = (got.iter().min().copied().unwrap_or(0), got.iter().max().copied().unwrap_or(0));
    Ok(Load { done: got.iter().copied().map(gib).sum(), seconds, p99_ms: 0.0, fairness: gib(least) / gib(most) })
}

/// One client: how many bytes it got until it was told to stop.
fn drain(address: SocketAddr, path: &str, stop: &AtomicBool) -> anyhow::Result<u64> {
    let mut total = 0;
    let mut buffer = vec![0; 1 << 20];
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        ensure!(&head == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&head));
        while !stop.load(Ordering::Relaxed) {
            // MSG_TRUNC: the kernel throws the bytes away and only counts them.
            match recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)? {
                0 => break,
                read => total += read as u64,
            }
        }
    }
    Ok(total)
}
