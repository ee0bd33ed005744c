//! Watches a host through the API while its machine runs.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, interval};

use super::machine::Machine;
use super::site::Site;
use super::story::Story;

/// How long a machine may take from one phase to the next: firmware under translation on a busy computer.
const PATIENCE: Duration = Duration::from_secs(420);
/// How long after a machine was seen it may take to be listed.
const LISTED: Duration = Duration::from_secs(20);
/// How often the server is asked.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// The steps of a life in which every message arrives.
pub(crate) const WHOLE_LIFE: &[&str] = &["pxe_ready", "pxe_booted", "installing", "installed", "first_boot", "joining"];
/// And of one whose webhook was lost.
pub(crate) const LIFE_WITHOUT_WEBHOOK: &[&str] = &["pxe_ready", "pxe_booted", "installing", "first_boot", "joining"];

/// Registers a host, asks for its rebuild and switches its machine on.
pub(crate) async fn begin(
    site: &Site,
    story: &Story,
    machine: &mut Machine,
    host: &str,
    nic: usize,
) -> anyhow::Result<()> {
    let mac = machine.mac(nic);
    site.operator(&["host", "add", host, "--mac", &mac, "--server-type", "lab"]).await?;
    site.operator(&["host", "rebuild", host, "--yes"]).await?;
    machine.power_on(site.lan())?;
    story.tell(format!("{host} ({mac}) is registered, armed and switched on"));
    Ok(())
}

/// Waits until a host is in a phase, and tells each that it passes.
///
/// # Errors
/// When it fails, its machine dies, or it stays in one phase for too long.
pub(crate) async fn until(
    site: &Site,
    story: &Story,
    machine: &mut Machine,
    host: &str,
    wanted: &str,
) -> anyhow::Result<Value> {
    let mut asks = interval(ASK_EVERY);
    let (mut phase, mut since) = (String::new(), Instant::now());
    loop {
        asks.tick().await;
        let view = site.api().get(&format!("/api/hosts/{host}")).await?;
        let now = view["phase"].as_str().context("a host has a phase")?;
        if now != phase {
            story.tell(format!("{host} is {now}: {}", view["waiting_for"].as_str().unwrap_or_default()));
            (phase, since) = (now.to_owned(), Instant::now());
        }
        if phase == wanted {
            return Ok(view);
        }
        if phase == "failed" {
            bail!("{host} failed: {}\nits console said last:\n{}", view["failure"], machine.console().last_lines(12)?);
        }
        machine.check_on()?;
        ensure!(
            since.elapsed() < PATIENCE,
            "{host} is {phase} for more than {} s; {}; its console said last:\n{}",
            PATIENCE.as_secs(),
            view["trouble"],
            machine.console().last_lines(12)?
        );
    }
}

/// Holds the latest operation of a ready host against what it must have gone through.
pub(crate) async fn check_life(site: &Site, story: &Story, host: &str, steps: &[&str]) -> anyhow::Result<()> {
    let answer = site.api().get(&format!("/api/hosts/{host}/operations")).await?;
    let operations = answer["operations"].as_array().context("operations are a list")?;
    let latest = operations
        .iter()
        .max_by_key(|operation| operation["started_at"].as_str())
        .context("a host that was rebuilt has an operation")?;
    let taken: Vec<&str> =
        latest["steps"].as_array().into_iter().flatten().filter_map(|step| step["phase"].as_str()).collect();
    ensure!(taken == steps, "{host} went through {taken:?}, not {steps:?}");
    ensure!(latest["outcome"] == "ready", "the operation of {host} ended as {}", latest["outcome"]);
    ensure!(site.cluster_has(host).await?, "{host} is ready, but the cluster has no such node");
    story.tell(format!("{host} went through {} and is a node of the cluster", steps.join(", ")));
    Ok(())
}

/// Holds how often the installer wrote the disk against how often it should have.
pub(crate) fn check_installations(story: &Story, machine: &Machine, times: usize) -> anyhow::Result<()> {
    let written = machine.console().count("lab-installer: writes /dev/")?;
    ensure!(written == times, "the installer wrote the disk {written} times, not {times}");
    story.tell(format!("the disk was written {times} time(s)"));
    Ok(())
}

/// Waits until a machine is listed as discovered, and tells how far it is known to have come.
pub(crate) async fn discovered(site: &Site, mac: &str) -> anyhow::Result<String> {
    let mut asks = interval(ASK_EVERY);
    let since = Instant::now();
    loop {
        asks.tick().await;
        let answer = site.api().get("/api/discovered").await?;
        let machines = answer["machines"].as_array().context("discovered machines are a list")?;
        if let Some(machine) = machines.iter().find(|machine| machine["mac"] == mac) {
            return Ok(machine["last_step_title"].as_str().unwrap_or("without a step").to_owned());
        }
        ensure!(since.elapsed() < LISTED, "{mac} netbooted and is not listed as discovered: {answer}");
    }
}
