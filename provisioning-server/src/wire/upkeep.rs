//! What keeps a data directory in order: backups, the way back, and looking at everything without changing it; by the
//! same adapters that the server is made of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use provisioning_adapters::dnsmasq::{dhcp_offers, examine as examine_dnsmasq, own_address};
use provisioning_adapters::sqlite::SqliteStore;
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{ClusterMemberError, HostRecord};

pub use provisioning_adapters::dnsmasq::{Finding, Offer};
pub use provisioning_adapters::sqlite::{
    BackupContents, BackupError, BackupNote, Examined, MadeBackup, back_up, examine as examine_database, put_in_place,
    read_backup, unpack_backup,
};

use crate::config::Config;
use crate::data_dir::DataDir;

/// dnsmasq, and others, look for up to three seconds whether an address is free before they offer it.
const OFFERS_WITHIN: Duration = Duration::from_millis(4500);

/// Ends the operations that ran in a database when the backup was made that it is from.
///
/// # Errors
/// When the database cannot be used.
pub async fn end_restored(config: &Config, data: &DataDir, database: &Path) -> anyhow::Result<Vec<HostRecord>> {
    let ports = super::ports(config, SqliteStore::open(database)?, &data.key_file())?;
    let site = Arc::new(config.site.clone());
    Ok(Orchestrator::new(ports, site, config.policy.clone(), BTreeMap::new()).end_restored().await?)
}

/// Looks at all that our own dnsmasq needs; nothing when it is not to run. `server` is the process of the server that
/// runs on the data directory.
///
/// # Errors
/// When its configuration cannot be made.
pub async fn examine_boot_server(config: &Config, server: Option<i32>) -> anyhow::Result<Vec<Finding>> {
    let Some(dnsmasq) = super::dnsmasq_config(config, &config.server.data_dir)? else { return Ok(vec![]) };
    Ok(examine_dnsmasq(&dnsmasq, server).await)
}

/// Asks which DHCP servers there are beside our own on `pxe.interface`. Blocks for some seconds.
///
/// # Errors
/// When it cannot be asked.
pub fn other_dhcp_servers(config: &Config) -> anyhow::Result<Vec<Offer>> {
    let interface = config.pxe.interface.as_ref().context("pxe.interface is not set")?;
    let own = own_address(interface, config.pxe.subnet).ok().map(|own| own.addr());
    let mut offers = dhcp_offers(interface, OFFERS_WITHIN)?;
    offers.retain(|offer| Some(offer.server) != own);
    Ok(offers)
}

/// Asks the member of the cluster that hosts join by, in words; `None` without one.
///
/// # Errors
/// What the member, or the way to it, says.
pub async fn ask_member(config: &Config) -> anyhow::Result<Option<String>> {
    let Some(cluster) = &config.site.cluster else { return Ok(None) };
    let member = super::member(config)?;
    let failed = || format!("{} cannot be asked", cluster.member);
    if let Some(status) = member.status().await.with_context(failed)? {
        let quorate = if status.quorate { "quorate" } else { "WITHOUT QUORUM: nobody can join now" };
        let name = status.name.unwrap_or_else(|| "no cluster: nobody can join".to_owned());
        return Ok(Some(format!("{} is in {name}, {quorate}, {} nodes", cluster.member, status.nodes.len())));
    }
    let ticket: Result<_, ClusterMemberError> = member.ticket(&cluster.password).await;
    ticket.with_context(failed)?;
    Ok(Some(format!("{} shows the pinned certificate and takes the password", cluster.member)))
}
