//! What is tried in the lab.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, interval};

use super::lan::Place;
use super::life::{self, LIFE_WITHOUT_WEBHOOK, WHOLE_LIFE};
use super::machine::{Firmware, Hardware, Nic, WEBHOOK_LOST};
use super::site::{Settings, Site};
use super::story::Story;

/// How long a machine may take for what it does by itself.
const PATIENCE: Duration = Duration::from_secs(420);

type Played<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// Something to try.
pub(crate) struct Case {
    /// How the command line names it; the host of the case is called the same.
    pub(crate) name: &'static str,
    /// What `--list` says about it.
    pub(crate) about: &'static str,
    /// Where it is played.
    pub(crate) settings: Settings,
    pub(crate) play: for<'a> fn(&'a Site, &'a Story) -> Played<'a>,
}

/// All cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "bios",
        about: "SeaBIOS with an iPXE option ROM, proxy DHCP: from power-on to ready",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(whole_life(site, story, "bios", Hardware::plain(Firmware::Bios), 0)),
    },
    Case {
        name: "uefi",
        about: "OVMF by its own PXE client, proxy DHCP: from power-on to ready",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(whole_life(site, story, "uefi", Hardware::plain(Firmware::UefiPxe), 0)),
    },
    Case {
        name: "http",
        about: "OVMF by UEFI HTTP Boot, proxy DHCP: from power-on to ready",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(whole_life(site, story, "http", Hardware::plain(Firmware::UefiHttp), 0)),
    },
    Case {
        name: "two-nics",
        about: "the first NIC has no DHCP server, the host is registered by its second",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(two_nics(site, story)),
    },
    Case {
        name: "netboot-first",
        about: "power-cycled twice when it is ready: starts from its disk each time",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(netboot_first(site, story)),
    },
    Case {
        name: "power-cut",
        about: "loses its power while the disk is written: fails, is left alone, until it is rebuilt",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(power_cut(site, story)),
    },
    Case {
        name: "webhook-lost",
        about: "the installer's report never arrives: the first boot proves the installation",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(webhook_lost(site, story)),
    },
    Case {
        name: "unregistered",
        about: "nobody knows the machine: it is sent on to its disk at once",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(unregistered(site, story)),
    },
    Case {
        name: "dnsmasq-killed",
        about: "dnsmasq is killed: it is back within seconds, and a machine boots",
        settings: Settings::ProxyDhcp,
        play: |site, story| Box::pin(dnsmasq_killed(site, story)),
    },
    Case {
        name: "bios-dhcp",
        about: "SeaBIOS, our dnsmasq as the only DHCP server: from power-on to ready",
        settings: Settings::FullDhcp,
        play: |site, story| Box::pin(whole_life(site, story, "bios-dhcp", Hardware::plain(Firmware::Bios), 0)),
    },
    Case {
        name: "uefi-dhcp",
        about: "OVMF by PXE, our dnsmasq as the only DHCP server: from power-on to ready",
        settings: Settings::FullDhcp,
        play: |site, story| Box::pin(whole_life(site, story, "uefi-dhcp", Hardware::plain(Firmware::UefiPxe), 0)),
    },
];

/// The machine is registered by its NIC `nic`.
async fn whole_life(site: &Site, story: &Story, host: &str, hardware: Hardware, nic: usize) -> anyhow::Result<()> {
    let mut machine = site.machine(host, hardware)?;
    life::begin(site, story, &mut machine, host, nic).await?;
    life::until(site, story, &mut machine, host, "ready").await?;
    life::check_life(site, story, host, WHOLE_LIFE).await?;
    life::check_installations(story, &machine, 1)?;
    machine.cut_power().await
}

async fn two_nics(site: &Site, story: &Story) -> anyhow::Result<()> {
    let nics = vec![Nic { on_lan: false }, Nic { on_lan: true }];
    whole_life(site, story, "two-nics", Hardware { nics, ..Hardware::plain(Firmware::Bios) }, 1).await
}

async fn netboot_first(site: &Site, story: &Story) -> anyhow::Result<()> {
    let host = "netboot-first";
    let mut machine = site.machine(host, Hardware::plain(Firmware::Bios))?;
    life::begin(site, story, &mut machine, host, 0).await?;
    life::until(site, story, &mut machine, host, "ready").await?;
    for boot in 2..=3 {
        machine.cut_power().await?;
        machine.power_on(site.lan())?;
        story.tell("power-cycled");
        machine.console().says(&format!("lab-system: boot {boot} of {host}"), 1, PATIENCE).await?;
        story.tell(format!("boot {boot} came from the disk"));
    }
    life::check_installations(story, &machine, 1)?;
    let netboots = machine.console().count("Provisioning: booting from the local disk")?;
    // The first of them followed the installation.
    ensure!(netboots == 3, "the boot script sent the machine to its disk {netboots} times, not 3");
    life::until(site, story, &mut machine, host, "ready").await?;
    machine.cut_power().await
}

async fn power_cut(site: &Site, story: &Story) -> anyhow::Result<()> {
    let host = "power-cut";
    let mut machine = site.machine(host, Hardware::plain(Firmware::Bios))?;
    life::begin(site, story, &mut machine, host, 0).await?;
    life::until(site, story, &mut machine, host, "installing").await?;
    machine.console().says("lab-installer: writes /dev/", 1, PATIENCE).await?;
    machine.cut_power().await?;
    story.tell("its power was cut while the disk was written");
    let written = machine.disk_digest()?;

    machine.power_on(site.lan())?;
    machine.console().says("Provisioning: booting from the local disk", 1, PATIENCE).await?;
    story.tell("it came back, and was sent to its disk and not to the installer");
    let view = life::until(site, story, &mut machine, host, "failed").await?;
    ensure!(view["failure"]["reason"] == "deadline_passed", "it failed for {}", view["failure"]);
    ensure!(view["failure"]["during"] == "installing", "it failed in {}", view["failure"]);
    story.tell(format!("the reason was given: {}", view["failure"]["message"]));
    machine.cut_power().await?;
    ensure!(machine.disk_digest()? == written, "somebody wrote the disk although nobody asked for it");
    life::check_installations(story, &machine, 1)?;

    site.operator(&["host", "rebuild", host, "--yes"]).await?;
    machine.power_on(site.lan())?;
    story.tell("rebuilt");
    life::until(site, story, &mut machine, host, "ready").await?;
    life::check_life(site, story, host, WHOLE_LIFE).await?;
    life::check_installations(story, &machine, 2)?;
    machine.cut_power().await
}

async fn webhook_lost(site: &Site, story: &Story) -> anyhow::Result<()> {
    let host = "webhook-lost";
    let hardware = Hardware { sku: WEBHOOK_LOST, ..Hardware::plain(Firmware::Bios) };
    let mut machine = site.machine(host, hardware)?;
    life::begin(site, story, &mut machine, host, 0).await?;
    life::until(site, story, &mut machine, host, "ready").await?;
    ensure!(machine.console().count("the webhook is lost")? == 1, "the webhook was to be lost");
    life::check_life(site, story, host, LIFE_WITHOUT_WEBHOOK).await?;
    life::check_installations(story, &machine, 1)?;
    machine.cut_power().await
}

async fn unregistered(site: &Site, story: &Story) -> anyhow::Result<()> {
    let hardware = Hardware { disk: Some(site.installed_disk()), ..Hardware::plain(Firmware::Bios) };
    let mut machine = site.machine("unregistered", hardware)?;
    machine.power_on(site.lan())?;
    machine.console().says("of a machine that was never installed", 1, PATIENCE).await?;
    story.tell("started from its disk");
    life::check_installations(story, &machine, 0)?;
    let seen = life::discovered(site, &machine.mac(0)).await?;
    story.tell(format!("listed as discovered: {seen}"));
    machine.cut_power().await
}

async fn dnsmasq_killed(site: &Site, story: &Story) -> anyhow::Result<()> {
    let before = dnsmasq(site)?.context("dnsmasq does not run")?;
    let killed = nix::unistd::Pid::from_raw(before.try_into()?);
    nix::sys::signal::kill(killed, nix::sys::signal::Signal::SIGKILL)?;
    let since = Instant::now();
    let mut looks = interval(Duration::from_millis(100));
    while dnsmasq(site)?.is_none_or(|now| now == before) {
        looks.tick().await;
        ensure!(since.elapsed() < Duration::from_secs(15), "dnsmasq was not back within 15 s");
    }
    story.tell(format!("dnsmasq was killed and is back after {:.1} s", since.elapsed().as_secs_f64()));
    let host = "dnsmasq-killed";
    let mut machine = site.machine(host, Hardware::plain(Firmware::Bios))?;
    life::begin(site, story, &mut machine, host, 0).await?;
    life::until(site, story, &mut machine, host, "installing").await?;
    machine.cut_power().await?;
    site.operator(&["host", "cancel", host]).await
}

/// The process id of our server's dnsmasq.
fn dnsmasq(site: &Site) -> anyhow::Result<Option<u32>> {
    let runs =
        |id: &u32| std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "dnsmasq");
    Ok(site.lan().processes(Place::Server)?.into_iter().find(runs))
}
