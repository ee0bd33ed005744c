//! Restarts in a boot storm: hosts ask for boot scripts without a pause, installers ask once for their answers, and the
//! server is stopped and started beneath them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

use crate::site::{Site, one_shot};

/// Hosts that boot at once.
const HOSTS: u16 = 40;
/// How often the server is restarted.
const RESTARTS: usize = 4;
/// How long it serves in between.
const SERVES: Duration = Duration::from_millis(400);

/// What the hosts of a storm have met.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    /// Connections that the server had taken and left without an answer.
    broken: AtomicUsize,
}

/// Hosts that ask for their boot scripts until they are told to stop.
struct Storm {
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    hosts: JoinSet<()>,
}

impl Storm {
    fn begin(site: &Site, macs: &[String]) -> Self {
        let (tally, over) = (Arc::<Tally>::default(), Arc::<AtomicBool>::default());
        let mut hosts = JoinSet::new();
        for mac in macs {
            let (url, client) = (site.url(&format!("/ipxe/{mac}")), one_shot());
            let (tally, over) = (Arc::clone(&tally), Arc::clone(&over));
            hosts.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    boot(&client, &url, &tally).await;
                }
            });
        }
        Self { tally, over, hosts }
    }

    /// Waits until so many more were answered.
    async fn goes_on(&self, more: usize) {
        let wanted = self.tally.answered.load(Ordering::SeqCst) + more;
        let mut looks = interval_at(Instant::now(), Duration::from_millis(20));
        let going = async {
            while self.tally.answered.load(Ordering::SeqCst) < wanted {
                looks.tick().await;
            }
        };
        tokio::time::timeout(crate::site::PATIENCE, going).await.expect("the storm goes on");
    }

    async fn end(mut self) -> Arc<Tally> {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.hosts.join_next().await {
            ended.unwrap();
        }
        self.tally
    }
}

async fn boot(client: &Client, url: &str, tally: &Tally) {
    match client.get(url).send().await {
        Ok(answer) => {
            assert_eq!(answer.status(), StatusCode::OK, "{url}");
            assert!(answer.text().await.unwrap().starts_with("#!ipxe"), "{url}");
            tally.answered.fetch_add(1, Ordering::SeqCst);
        }
        // Nobody is ever refused; a connection can break only after it was taken.
        Err(error) if error.is_connect() => panic!("{url} was refused: {error:?}"),
        Err(_) => {
            tally.broken.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// It serves for a while: that is what is tried, nothing is waited for.
async fn passed(time: Duration) {
    interval_at(Instant::now() + time, Duration::from_secs(3600)).tick().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_in_a_boot_storm_lose_no_request_and_no_installers_only_one() {
    let mut site = Site::on_a_kept_socket();
    site.start();
    let macs = site.with_armed_hosts(&one_shot(), HOSTS).await;
    let storm = Storm::begin(&site, &macs);
    storm.goes_on(usize::from(HOSTS)).await;
    // The installers' turn is spread over all the restarts, a few at a time.
    let turns = Arc::new(Semaphore::new(0));
    let mut installers = JoinSet::new();
    for (number, mac) in macs.into_iter().enumerate() {
        let uuid = format!("4c4c4544-0031-4b10-8052-{number:012x}");
        let (url, turns) = (site.url("/api/boot/answer"), Arc::clone(&turns));
        installers.spawn(async move {
            turns.acquire().await.unwrap().forget();
            let facts = json!({
                "$schema": { "version": "1.0" },
                "product": { "fullname": "Proxmox VE", "product": "pve" },
                "iso": { "release": "9.2", "isorelease": "1" },
                "dmi": { "system": { "uuid": uuid, "serial": "" } },
                "network_interfaces": [{ "link": "eth0", "mac": mac }],
            });
            // Once, and never again: a failure leaves a person at a debug shell.
            let answer = one_shot().post(url).body(facts.to_string()).send().await.expect("an answer comes");
            (answer.status(), answer.text().await.expect("and is whole"))
        });
    }
    for _ in 0..RESTARTS {
        turns.add_permits(usize::from(HOSTS) / (2 * RESTARTS));
        assert!(site.end(Signal::SIGTERM).await.success(), "{}", site.log());
        turns.add_permits(usize::from(HOSTS) / (2 * RESTARTS));
        site.start();
        storm.goes_on(usize::from(HOSTS)).await;
    }
    let mut statuses: BTreeMap<StatusCode, usize> = BTreeMap::new();
    while let Some(answered) = installers.join_next().await {
        let (status, text) = answered.unwrap();
        assert!(text.contains("[global]"), "{status}: {text}");
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(statuses, [(StatusCode::OK, usize::from(HOSTS))].into());
    let tally = storm.end().await;
    println!("{RESTARTS} restarts: {tally:?}");
    assert!(tally.answered.load(Ordering::SeqCst) >= 5 * usize::from(HOSTS), "{tally:?}");
    assert_eq!(tally.broken.load(Ordering::SeqCst), 0, "{tally:?}\n{}", site.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_a_boot_storm_refuse_nobody_and_break_only_what_was_being_answered() {
    let mut site = Site::on_a_kept_socket();
    site.start();
    let macs = site.with_armed_hosts(&one_shot(), HOSTS).await;
    let storm = Storm::begin(&site, &macs);
    for _ in 0..RESTARTS {
        storm.goes_on(usize::from(HOSTS)).await;
        passed(SERVES).await;
        site.end(Signal::SIGKILL).await;
        site.start();
    }
    storm.goes_on(usize::from(HOSTS)).await;
    let tally = storm.end().await;
    println!("{RESTARTS} kills: {tally:?}");
    // Each host has one request under way: no more can be lost to a kill.
    assert!(tally.broken.load(Ordering::SeqCst) <= RESTARTS * usize::from(HOSTS), "{tally:?}");
    assert!(tally.answered.load(Ordering::SeqCst) >= RESTARTS * usize::from(HOSTS), "{tally:?}");
}
