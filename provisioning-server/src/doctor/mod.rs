//! `provisioning doctor`: looks at everything that a server needs, says what is wrong and what to do, and changes nothing.
//!
//! It works beside a running server and without one, and needs no token: it reads the same files. What each check looks
//! at is in the file of its name.

mod certificate;
mod data;
mod holders;
mod images;
mod netboot;
mod network;

use std::path::Path;

use indicatif::ProgressBar;
use serde::Serialize;
use tokio::net::UnixStream;

use crate::config::Config;
use crate::data_dir::control_socket;
use crate::wire;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was not looked at, or does not concern this server.
    Skipped,
    /// As it should be.
    Ok,
    /// Somebody should look at it; the server does its work.
    Warning,
    /// The server cannot do its work, or some of it.
    Failed,
}

impl State {
    /// As people and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub name: String,
    /// How it came out.
    pub state: State,
    /// What was found. No secret stands in it.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}

impl Check {
    fn new(name: &str, state: State, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state, found: found.into(), what_to_do: None }
    }

    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, State::Ok, found)
    }

    fn skipped(name: &str, why: impl Into<String>) -> Self {
        Self::new(name, State::Skipped, why)
    }

    fn warning(name: &str, found: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { what_to_do: Some(what_to_do.into()), ..Self::new(name, State::Warning, found) }
    }

    fn failed(name: &str, found: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { what_to_do: Some(what_to_do.into()), ..Self::new(name, State::Failed, found) }
    }
}

/// What is looked at beyond the usual, or left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Without reading images through.
    pub quick: bool,
    /// With a question to the LAN's DHCP servers, though our own is not to run.
    pub lan: bool,
    /// With the cluster's member and the inventory service.
    pub online: bool,
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst state of all.
    pub state: State,
    /// What was looked at, always in this order.
    pub checks: Vec<Check>,
}

impl Report {
    fn of(checks: Vec<Check>) -> Self {
        Self { state: checks.iter().map(|check| check.state).max().unwrap_or(State::Ok), checks }
    }

    /// How many checks came out like this.
    pub fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }
}

/// Looks at everything. A configuration with faults ends it: where the rest is, is not known then.
pub async fn examine(config: anyhow::Result<Config>, scope: Scope, progress: &ProgressBar) -> Report {
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let what_to_do = "mend the configuration; provisioning check-config tells whether it is in order";
            return Report::of(vec![Check::failed("configuration", format!("{error:#}"), what_to_do)]);
        }
    };
    let mut checks = vec![configuration(&config)];
    let server = server_process(&config.server.data_dir).await;
    let (looked, database) = data::checks(&config, server).await;
    checks.extend(looked);
    checks.push(images::check(&config, database.as_ref(), scope.quick, progress).await);
    checks.extend(network::listeners(&config, server));
    checks.push(network::public_url(&config).await);
    checks.push(certificate::check(&config));
    checks.extend(netboot::checks(&config, server, scope.lan).await);
    checks.extend(network::online(&config, scope.online).await);
    Report::of(checks)
}

fn configuration(config: &Config) -> Check {
    if let Err(error) = wire::inventory(config.infrastructure.as_ref()) {
        return Check::failed("configuration", format!("{error:#}"), "mend the templates below infrastructure");
    }
    let path = config.path.display();
    if config.server_types.is_empty() {
        let found = format!("{} names no server type", config.server_types_file.display());
        return Check::warning(
            "configuration",
            found,
            "describe your hardware there: no host can be registered without",
        );
    }
    if config.warnings.is_empty() {
        return Check::ok("configuration", format!("{path}, {} server types", config.server_types.len()));
    }
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    Check::warning("configuration", warnings.join("; "), "look at each of these keys")
}

/// The process that serves from this data directory, if one does.
async fn server_process(data_dir: &Path) -> Option<i32> {
    let socket = UnixStream::connect(control_socket(data_dir)).await.ok()?;
    socket.peer_cred().ok()?.pid()
}
