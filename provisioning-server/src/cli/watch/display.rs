//! What is seen of the watched hosts: a bar for each that is being provisioned, and lines above for what is over.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::super::table::{say, text};
use super::fleet::{Fleet, Host};

/// From registered to ready.
const PHASES: u64 = 7;

/// Bars in a terminal, lines elsewhere, JSON for programs.
pub(super) enum Display {
    Bars { all: MultiProgress, bars: BTreeMap<String, ProgressBar> },
    Lines,
    Json,
}

impl Display {
    pub(super) fn new(json: bool) -> Self {
        match (json, io::stdout().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Bars { all: MultiProgress::new(), bars: BTreeMap::new() },
            (false, false) => Self::Lines,
        }
    }

    /// Shows where all hosts are.
    pub(super) fn begin(&mut self, fleet: &Fleet) -> anyhow::Result<()> {
        for host in fleet.hosts() {
            match self {
                Self::Bars { .. } => self.show(host)?,
                Self::Lines => say(format!("{}: {}", host.name, host.phase))?,
                Self::Json => {}
            }
        }
        Ok(())
    }

    /// Shows a journal entry; its host is already as it is since.
    pub(super) fn entry(&mut self, host: Option<&Host>, entry: &Value, words: &str) -> anyhow::Result<()> {
        match self {
            Self::Json => writeln!(io::stdout().lock(), "{entry}").map_err(Into::into),
            Self::Lines => {
                let name = host.map_or("-", |host| host.name.as_str());
                say(format!("{}  {name}: {words}", text(entry, "at")))
            }
            Self::Bars { .. } => host.map_or(Ok(()), |host| self.show(host)),
        }
    }

    /// Shows how far a download has come.
    pub(super) fn progress(&mut self, host: &Host, news: &Value) -> anyhow::Result<()> {
        match self {
            Self::Json => writeln!(io::stdout().lock(), "{news}").map_err(Into::into),
            Self::Lines => Ok(()),
            Self::Bars { .. } => self.show(host),
        }
    }

    /// Says something about the watching itself.
    pub(super) fn note(&mut self, note: &str) -> anyhow::Result<()> {
        match self {
            Self::Bars { all, .. } => all.println(note)?,
            Self::Lines | Self::Json => writeln!(io::stderr().lock(), "{note}")?,
        }
        Ok(())
    }

    /// Leaves the bars as they are.
    pub(super) fn end(&mut self) {
        if let Self::Bars { bars, .. } = self {
            for bar in bars.values() {
                bar.abandon();
            }
        }
    }

    /// Brings a host's bar up to date; what is over becomes a line.
    fn show(&mut self, host: &Host) -> anyhow::Result<()> {
        let Self::Bars { all, bars } = self else { return Ok(()) };
        if !host.is_running() {
            if let Some(bar) = bars.remove(&host.id) {
                bar.finish_and_clear();
                all.remove(&bar);
                let why = host.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                all.println(format!("{} is {}{why}", host.name, host.phase))?;
            }
            return Ok(());
        }
        if !bars.contains_key(&host.id) {
            let bar = all.add(ProgressBar::new(PHASES));
            bar.set_style(ProgressStyle::with_template("{prefix:20!} {bar:21} {msg}")?);
            bars.insert(host.id.clone(), bar);
        }
        let Some(bar) = bars.get(&host.id) else { return Ok(()) };
        bar.set_prefix(host.name.clone());
        bar.set_position(host.place());
        let percent = host.percent.filter(|_| matches!(host.phase.as_str(), "pxe_ready" | "pxe_booted"));
        bar.set_message(match percent {
            Some(percent) => format!("{} {percent} %", host.phase),
            None => host.phase.clone(),
        });
        Ok(())
    }
}
