//! The strip of machines that were seen on the network and belong to no host: adopt or dismiss them.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use provisioning_core::model::{Hostname, MacAddr};
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::netboot::doctor::{Step, reached};
use provisioning_core::ports::HostFilter;

use super::Web;
use super::moment::Ago;
use super::page::{PageError, html};
use crate::http::problem::Problem;

/// So many machines are shown; the rest is counted.
const SHOWN_MAX: usize = 24;

/// The strip.
#[derive(Template)]
#[template(path = "discovered.html")]
pub(super) struct Strip {
    machines: Vec<MachineView>,
    /// How many there are that are not dismissed.
    count: usize,
    /// How many were dismissed.
    hidden: usize,
    /// What the next host could be called.
    suggestion: String,
}

/// A machine in words.
struct MachineView {
    mac: String,
    /// What it is, as far as it is known: product, architecture, serial number.
    what: String,
    address: String,
    step: &'static str,
    seen: Ago,
    times: u64,
}

impl Strip {
    /// The machines that nobody has dismissed, the latest seen first.
    pub(super) async fn of(web: &Web) -> Result<Self, PageError> {
        let mut machines = web.orchestrator.discovered().await?;
        let (now, all) = (web.orchestrator.now(), machines.len());
        machines.retain(|machine| !machine.is_dismissed(now));
        machines.sort_by_key(|machine| std::cmp::Reverse(machine.last_seen_at));
        let (count, hidden) = (machines.len(), all - machines.len());
        machines.truncate(SHOWN_MAX);
        let suggestion = if machines.is_empty() { String::new() } else { suggestion(web).await? };
        let view = |machine: &DiscoveredMachine| MachineView {
            mac: machine.mac.to_string(),
            what: what(machine),
            address: machine.address.map(|address| address.to_string()).unwrap_or_default(),
            step: reached(&machine.trail).map_or("seen on the network", Step::title),
            seen: Ago { at: machine.last_seen_at, now },
            times: machine.times_seen,
        };
        Ok(Self { machines: machines.iter().map(view).collect(), count, hidden, suggestion })
    }
}

fn what(machine: &DiscoveredMachine) -> String {
    let arch = machine.arch.map(|arch| arch.to_string());
    let serial = machine.serial.as_ref().map(|serial| format!("serial {serial}"));
    let known = [machine.product.clone(), arch, serial, machine.agent.clone()];
    known.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

async fn suggestion(web: &Web) -> Result<String, PageError> {
    let hosts = web.orchestrator.store().hosts(&HostFilter::default()).await?;
    Ok(next_name(hosts.iter().map(|record| &record.host.name)))
}

/// The name behind the highest of the numbered names that there are most of: `pve-08` after `pve-07`.
fn next_name<'a>(names: impl Iterator<Item = &'a Hostname>) -> String {
    let mut stems = std::collections::BTreeMap::<&str, (usize, u64, usize)>::new();
    for name in names {
        let text = name.as_str();
        let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &text[stem.len()..];
        let Ok(number) = digits.parse::<u64>() else { continue };
        let (count, highest, width) = stems.entry(stem).or_default();
        (*count, *highest, *width) = (*count + 1, number.max(*highest), digits.len().max(*width));
    }
    let most = stems.into_iter().max_by_key(|(_, (count, ..))| *count);
    most.map(|(stem, (_, highest, width))| format!("{stem}{:0width$}", highest + 1)).unwrap_or_default()
}

/// `GET /fragments/discovered`.
pub(super) async fn fragment(State(web): State<Web>) -> Result<Response, PageError> {
    Ok(html(&Strip::of(&web).await?))
}

/// `POST /discovered/{mac}/dismiss`: for browsers without scripts.
pub(super) async fn dismiss(State(web): State<Web>, Path(mac): Path<String>) -> Result<Response, PageError> {
    let mac = mac.parse::<MacAddr>().map_err(|_| PageError::NoSuchMachine(mac.clone()))?;
    match web.orchestrator.dismiss(mac).await {
        Ok(_) => Ok(Redirect::to("/").into_response()),
        Err(error) => Ok(Problem::from(error).into_response()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(names: &[&str]) -> String {
        let names: Vec<Hostname> = names.iter().map(|name| name.parse().expect("it is a name")).collect();
        next_name(names.iter())
    }

    #[test]
    fn the_next_name_continues_the_numbers_that_most_hosts_have() {
        assert_eq!(next(&["pve-01", "pve-07", "db-99"]), "pve-08");
        assert_eq!(next(&["node9"]), "node10");
        assert_eq!(next(&["pve-099"]), "pve-100");
        assert_eq!(next(&["alpha", "beta"]), "");
        assert_eq!(next(&[]), "");
    }
}
