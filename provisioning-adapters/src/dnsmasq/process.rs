//! The child process: started, listened to, told to read its hosts again, brought back when it dies, ended with us.

use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provisioning_core::netboot::Sighting;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout};

use super::log::{LogReader, Said};
use super::neighbours;
use super::status::{DnsmasqState, DnsmasqStatus};

/// How long the start may take until the hosts are read.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a line that may belong to the ones before is waited for.
const QUIET: Duration = Duration::from_millis(150);
/// How long it may take to end before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);
/// The pause before it is started again: at first, and at most. It doubles with each end that follows soon.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// After so long it has run well, and the next pause is a short one.
const RAN_WELL: Duration = Duration::from_secs(60);

/// What the handle and the supervisor share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The number of the hosts file that was written last.
    pub(super) written: watch::Sender<u64>,
    /// Which hosts file dnsmasq has read last.
    pub(super) read: watch::Sender<HostsRead>,
    /// Rung when dnsmasq is to be replaced.
    pub(super) replace: Notify,
    status: Mutex<DnsmasqStatus>,
}

/// How dnsmasq has taken a hosts file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostsRead {
    /// The number of the file.
    pub(super) number: u64,
    /// What it did not like.
    pub(super) problem: Option<String>,
}

impl Shared {
    pub(super) fn new() -> Self {
        let status =
            DnsmasqStatus { state: DnsmasqState::Starting, restarts: 0, last_error: None, sightings_dropped: 0 };
        let (written, read) = (watch::Sender::new(0), watch::Sender::new(HostsRead::default()));
        Self { written, read, replace: Notify::new(), status: Mutex::new(status) }
    }

    pub(super) fn status(&self) -> MutexGuard<'_, DnsmasqStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How to start dnsmasq, and how to read it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    pub(super) hosts_file: String,
    pub(super) tftp_root: String,
    pub(super) interface: String,
}

/// Keeps dnsmasq running. Whoever drops it, or the future of [`Supervisor::run`], ends dnsmasq.
#[derive(Debug)]
pub struct Supervisor {
    plan: Plan,
    shared: Arc<Shared>,
    sightings: mpsc::Sender<Sighting>,
    running: Option<Running>,
}

/// A dnsmasq that runs, or has just ended.
#[derive(Debug)]
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    reader: LogReader,
    since: Instant,
    /// The hosts file that it is about to read; it may not be signalled before it has read the first.
    reading: Option<u64>,
    ready: bool,
    problem: Option<String>,
    last_words: Option<String>,
}

/// Why following a child came to its end.
enum End {
    Stop,
    Died,
}

impl Supervisor {
    /// Starts dnsmasq for the first time and waits until it has read its hosts.
    ///
    /// # Errors
    /// Its last words.
    pub(super) async fn begin(
        plan: Plan,
        shared: Arc<Shared>,
        sightings: mpsc::Sender<Sighting>,
    ) -> Result<Self, String> {
        let mut supervisor = Self { plan, shared, sightings, running: None };
        let mut running = supervisor.spawn().map_err(|error| error.to_string())?;
        let ready = timeout(START_TIME_MAX, async {
            while !running.ready {
                match running.lines.next_line().await {
                    Ok(Some(line)) => supervisor.line(&mut running, &line),
                    Ok(None) | Err(_) => return Err(running.ended().await),
                }
            }
            Ok(())
        });
        ready.await.unwrap_or_else(|_| Err(format!("it was not ready within {START_TIME_MAX:?}")))?;
        supervisor.running = Some(running);
        Ok(supervisor)
    }

    /// Keeps dnsmasq running until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut pause = PAUSE.0;
        loop {
            if let Some(mut running) = self.running.take() {
                match self.follow(&mut running, stop.as_mut()).await {
                    End::Stop => return self.end(running).await,
                    End::Died => {}
                }
                let words = running.ended().await;
                if running.since.elapsed() > RAN_WELL {
                    pause = PAUSE.0;
                }
                tracing::warn!(error = %words, again_in = ?pause, "dnsmasq has ended");
                self.fell(words, pause);
            }
            let waited = tokio::select! {
                biased;
                () = &mut stop => false,
                () = tokio::time::sleep(pause) => true,
            };
            if !waited {
                self.shared.status().state = DnsmasqState::Stopped;
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
            self.shared.status().restarts += 1;
            match self.spawn() {
                Ok(running) => self.running = Some(running),
                Err(error) => self.fell(error.to_string(), pause),
            }
        }
    }

    fn fell(&self, words: String, pause: Duration) {
        let mut status = self.shared.status();
        status.state = DnsmasqState::Restarting { after: pause };
        status.last_error = Some(words);
    }

    fn spawn(&self) -> std::io::Result<Running> {
        let mut command = Command::new(&self.plan.program);
        command
            .arg(format!("--conf-file={}", self.plan.config.display()))
            .args(["--keep-in-foreground", "--log-facility=-"])
            // Without a language, so that the log is in the one that we read; no secret of ours gets into it either.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in our terminal is for us: we end it then.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().expect("its stderr was asked for, above");
        self.shared.status().state = DnsmasqState::Starting;
        Ok(Running {
            child,
            lines: BufReader::new(stderr).lines(),
            reader: LogReader::new(&self.plan.hosts_file, &self.plan.tftp_root),
            since: Instant::now(),
            reading: Some(*self.shared.written.borrow()),
            ready: false,
            problem: None,
            last_words: None,
        })
    }

    /// Reads the log and passes on what is wanted, until the child or we end.
    async fn follow(&self, running: &mut Running, mut stop: Pin<&mut impl Future<Output = ()>>) -> End {
        let mut written = self.shared.written.subscribe();
        // What was written before this subscription is not a change to it.
        self.catch_up(running);
        loop {
            let patience = if running.reader.holds_back() { QUIET } else { Duration::from_secs(3600) };
            tokio::select! {
                biased;
                () = &mut stop => return End::Stop,
                () = self.shared.replace.notified() => {
                    running.last_words = Some("it did not answer, and was replaced".to_owned());
                    running.child.start_kill().ok();
                }
                Ok(()) = written.changed() => self.catch_up(running),
                line = timeout(patience, running.lines.next_line()) => match line {
                    Ok(Ok(Some(line))) => {
                        self.line(running, &line);
                        self.catch_up(running);
                    }
                    Ok(Ok(None) | Err(_)) => return End::Died,
                    Err(_) => {
                        for said in running.reader.settle() {
                            self.said(running, said);
                        }
                    }
                },
            }
        }
    }

    /// Has the hosts file read again if a newer one was written. One signal at a time, and none before the child has
    /// read the first file: until then it would die of it.
    fn catch_up(&self, running: &mut Running) {
        let written = *self.shared.written.borrow();
        if running.ready && running.reading.is_none() && self.shared.read.borrow().number < written {
            running.reading = Some(written);
            running.signal(Signal::SIGHUP);
        }
    }

    fn line(&self, running: &mut Running, line: &str) {
        tracing::debug!(target: "dnsmasq", "{line}");
        for said in running.reader.line(line) {
            self.said(running, said);
        }
    }

    fn said(&self, running: &mut Running, said: Said) {
        match said {
            Said::Seen(sighting) => self.pass_on(sighting),
            Said::HostsRead => self.hosts_read(running),
            Said::Complaint(words) => {
                let about_hosts = words.contains(&self.plan.hosts_file);
                tracing::warn!("dnsmasq: {words}");
                running.last_words = Some(words.clone());
                self.shared.status().last_error = Some(words.clone());
                if about_hosts {
                    running.problem = Some(words.clone());
                    // A file that cannot be read is not said to have been read.
                    if words.starts_with("cannot read") {
                        self.hosts_read(running);
                    }
                }
            }
        }
    }

    fn hosts_read(&self, running: &mut Running) {
        let problem = running.problem.take();
        if !running.ready {
            running.ready = true;
            let (pid, since) = (running.child.id().unwrap_or_default(), SystemTime::now());
            tracing::info!(pid, interface = %self.plan.interface, "dnsmasq answers machines");
            self.shared.status().state = DnsmasqState::Running { pid, since };
        }
        if let Some(number) = running.reading.take() {
            self.shared.read.send_replace(HostsRead { number, problem });
        }
    }

    fn pass_on(&self, mut sighting: Sighting) {
        if let (None, Some(address)) = (sighting.mac, sighting.address) {
            sighting.mac = neighbours::mac_of(address, &self.plan.interface);
        }
        if let Err(TrySendError::Full(_)) = self.sightings.try_send(sighting) {
            self.shared.status().sightings_dropped += 1;
        }
    }

    async fn end(self, mut running: Running) {
        running.signal(Signal::SIGTERM);
        if timeout(STOP_TIME_MAX, running.child.wait()).await.is_err() {
            running.child.kill().await.ok();
        }
        self.shared.status().state = DnsmasqState::Stopped;
        tracing::info!("dnsmasq is stopped");
    }
}

impl Running {
    /// Nothing happens when it has ended: its number is not given anew before we have waited for it.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    /// Waits for its end; why it came.
    async fn ended(&mut self) -> String {
        // Its log may be closed while it lives: then it is of no use any more.
        if timeout(STOP_TIME_MAX, self.child.wait()).await.is_err() {
            self.child.kill().await.ok();
        }
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        match self.last_words.take() {
            Some(words) => format!("{words} ({how})"),
            None => how,
        }
    }
}
