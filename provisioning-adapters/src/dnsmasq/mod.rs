//! The boot server on the LAN: dnsmasq as a child process, which hands iPXE to firmware and our URL to iPXE.
//!
//! - Its configuration is rendered from parsed types, checked by `dnsmasq --test`, and replaced whole or not at all.
//! - Machines are named in a hosts file that is read again on SIGHUP: a change of hosts restarts nothing.
//! - Every line that it logs is read for what it says of netbooting machines ([`LogReader`]).
//! - It runs without root after its start, comes back when it dies, and ends with us. What an earlier process of ours
//!   has left behind is ended first.
//!
//! ```no_run
//! # use provisioning_adapters::dnsmasq::{Dnsmasq, DnsmasqConfig};
//! # async fn start(config: DnsmasqConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let (sender, _sightings) = tokio::sync::mpsc::channel(1024);
//! let (boot_server, supervisor) = Dnsmasq::start(config, sender).await?;
//! tokio::spawn(supervisor.run(std::future::pending()));
//! println!("{:?}", boot_server.status());
//! # Ok(())
//! # }
//! ```

mod adapter;
mod config;
mod examine;
mod fault;
mod files;
mod holders;
mod hosts;
mod log;
mod log_lines;
mod neighbours;
mod offers;
mod preflight;
mod process;
mod programs;
mod remains;
mod render;
mod status;

pub use adapter::Dnsmasq;
pub use config::{
    Addresses, ConfigPath, DnsmasqConfig, InterfaceName, ParseConfigError, Pool, PoolError, RespondTo, UserName,
};
pub use examine::{Finding, examine};
pub use fault::DnsmasqFault;
pub use holders::Holder;
pub use hosts::{hosts_file, read_hosts_file};
pub use log::{LogReader, Said};
pub use offers::{Offer, dhcp_offers};
pub use preflight::{default_run_dir, own_address};
pub use process::Supervisor;
pub use programs::{BOOT_CLIENTS, BootClient, BootPrograms, Fetched, IpxeVersion, Program};
pub use render::{Facts, RenderError, boot_url, program_url, render};
pub use status::{DnsmasqState, DnsmasqStatus};
