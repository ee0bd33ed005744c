//! The server is killed at places all over the lives of a fleet, and started again. Hosts may fail only where the
//! machine itself was stranded by it, and under a name.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use provisioning_core::model::Release;
use provisioning_sim::real::fleet::{Fleet, FleetEvent, Summary};
use provisioning_sim::real::host::HostEvent;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, interval_at, timeout};

use crate::history;
use crate::journal::Journal;
use crate::schedule::{Blow, KILLS_PER_RUN, STARTING, Schedule, Tally};
use crate::server::{FleetSize, Server};
use crate::traces::{SealedKeys, search};

/// How often the server is killed in all; `cargo xtask soak` asks for more than [`POINTS_OF_A_CHECK`].
const POINTS: &str = "SOAK_POINTS";
/// One fleet can take so many, so that a check is done within a minute.
const POINTS_OF_A_CHECK: usize = 20;
/// Machines of a run.
const HOSTS: &str = "SOAK_HOSTS";
/// Decides places and machines; each run takes the next one.
const SEED: &str = "SOAK_SEED";
/// What is installed.
const RELEASE: &str = "SOAK_RELEASE";
/// How long one run may take on a machine that has much else to do.
const RUN_MAX: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_no_host_and_joins_none_twice() {
    let points: usize = setting(POINTS, POINTS_OF_A_CHECK);
    let mut size =
        FleetSize { hosts: setting(HOSTS, 6), seed: setting(SEED, 47), release: setting(RELEASE, Release::new(9, 2)) };
    let runs_max = 3 * points.div_ceil(KILLS_PER_RUN) + 1;
    let mut tally = Tally::default();
    while tally.killed() < points {
        assert!(usize::try_from(tally.runs).unwrap() < runs_max, "the places are not reached: {tally}");
        let left = (points - tally.killed()).min(KILLS_PER_RUN);
        println!("seed {}: {} hosts", size.seed, size.hosts);
        let run = timeout(RUN_MAX, run(size, left, &mut tally)).await;
        run.unwrap_or_else(|_| panic!("the run with seed {} did not come to its end", size.seed));
        println!("so far: {tally}");
        size.seed += 1;
    }
    println!("soak: {tally}");
}

fn setting<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, default: T) -> T {
    let read = |text: String| text.parse().unwrap_or_else(|error| panic!("{name}: {text:?}: {error:?}"));
    std::env::var(name).map_or(default, read)
}

/// One fleet on a server of its own, from the first registration until nothing is owed any more.
async fn run(size: FleetSize, kills: usize, tally: &mut Tally) {
    let (server, options) = Server::configured(size);
    let (watch, events) = unbounded_channel();
    let mut fleet = Fleet::new(options, watch).unwrap();
    let mut wrecker = Wrecker {
        journal: Journal::of(&server),
        schedule: Schedule::new(size.seed, size.hosts, kills),
        sealed: SealedKeys::default(),
        struck: vec![],
        server,
    };
    let summary = {
        let mut life = pin!(fleet.run());
        let early = tokio::select! {
            biased;
            summary = &mut life => Some(summary),
            () = wrecker.until_quiet(size.hosts) => None,
        };
        let summary = match early {
            Some(summary) => summary,
            None => life.await,
        };
        summary.unwrap_or_else(|error| panic!("seed {}: {error}", size.seed))
    };
    wrecker.until_quiet(size.hosts).await;
    // The machines go first, so that nobody asks while the traces are looked for.
    drop(fleet);
    wrecker.look(size, &summary, events).await;
    tally.runs += 1;
    tally.ready += summary.ready;
    for place in &wrecker.struck {
        *tally.kills.entry(place).or_default() += 1;
    }
    for failure in &summary.failures {
        *tally.failures.entry(format!("{} in {}", failure.reason, failure.during)).or_default() += 1;
    }
}

struct Wrecker {
    server: Server,
    journal: Journal,
    schedule: Schedule,
    sealed: SealedKeys,
    /// The places of the kills so far.
    struck: Vec<&'static str>,
}

impl Wrecker {
    /// Kills and restarts as scheduled until all hosts have come to their end. May be dropped and asked again.
    async fn until_quiet(&mut self, hosts: u16) {
        if self.server.is_down() {
            self.server.start();
        }
        while !self.journal.is_quiet(hosts) {
            let entry = self.journal.next(&mut self.server).await;
            self.schedule.see(&entry);
            if let Some(blow) = self.schedule.strikes() {
                self.strike(blow).await;
            }
        }
    }

    async fn strike(&mut self, blow: Blow) {
        let follow = async {
            loop {
                let entry = self.journal.next(&mut self.server).await;
                self.schedule.see(&entry);
            }
        };
        timeout(blow.delay, follow).await.unwrap_or(());
        self.kill(blow.place);
        passed(blow.outage).await;
        self.server.start();
        if let Some(delay) = blow.again {
            passed(delay).await;
            self.kill(STARTING);
            self.server.start();
        }
    }

    fn kill(&mut self, place: &'static str) {
        self.server.kill();
        self.struck.push(place);
        self.sealed.collect(&self.server);
    }

    /// Kills the server a last time and looks at what is left.
    async fn look(&mut self, size: FleetSize, summary: &Summary, events: UnboundedReceiver<FleetEvent>) {
        self.server.kill();
        let seed = size.seed;
        assert_eq!(summary.cluster_faults, [""; 0], "seed {seed}: {summary}");
        assert_eq!(summary.ready + summary.failures.len(), usize::from(size.hosts), "seed {seed}: {summary}");
        let machines = Machines::of(events);
        for (host, times) in &machines.installations {
            assert_eq!(*times, 1, "seed {seed}: the disks of {host} were written {times} times");
        }
        for failure in &summary.failures {
            let stranded = failure.reason == "deadline_passed" && failure.during == "installing";
            let explained = stranded && machines.stranded.contains(&failure.host);
            assert!(explained, "seed {seed}: nothing that was done to {} explains this: {failure:?}", failure.host);
        }
        let sealed = self.sealed.count();
        assert!(self.struck.len() < 5 || sealed > 0, "seed {seed}: no key was ever seen in the database");
        // First the files as the kill has left them: opening them tidies up.
        search(&self.server, &self.sealed, &[]);
        let found = history::check(&self.server, self.journal.entries()).await;
        search(&self.server, &self.sealed, &found.tokens());
    }
}

/// An outage of this length is what is tried: nothing is waited for.
async fn passed(time: Duration) {
    interval_at(Instant::now() + time, RUN_MAX).tick().await;
}

/// What the machines of a fleet told of themselves.
#[derive(Default)]
struct Machines {
    /// Whose installer was left without an answer or a script: it writes nothing and tells nobody.
    stranded: BTreeSet<String>,
    installations: BTreeMap<String, u32>,
}

impl Machines {
    fn of(mut events: UnboundedReceiver<FleetEvent>) -> Self {
        let mut machines = Self::default();
        while let Ok(event) = events.try_recv() {
            let FleetEvent::Host(report) = event else { continue };
            match report.event {
                HostEvent::DebugShell { .. } | HostEvent::InstallationFailed { .. } => {
                    machines.stranded.insert(report.host);
                }
                HostEvent::DisksWritten { installations } => {
                    machines.installations.insert(report.host, installations);
                }
                _ => {}
            }
        }
        machines
    }
}
