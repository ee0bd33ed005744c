//! The `[network]` table: DHCP's lease turned static, or an address from the answer.

use std::net::IpAddr;

use ipnet::IpNet;
use provisioning_core::model::Release;

use super::AnswerError;
use super::table::{Spelling, Table};

/// Where the installed system's address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkPlan {
    /// The lease that the installer has, kept for good.
    FromDhcp,
    /// It stands in the answer.
    Static(StaticPlan),
}

/// An address that stands in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticPlan {
    /// Address and prefix.
    pub cidr: IpNet,
    /// The default gateway.
    pub gateway: IpAddr,
    /// The name server.
    pub dns: IpAddr,
    /// udev property and glob; the first NIC that fits any of them is used.
    pub filter: Vec<(String, String)>,
}

pub(super) fn read(table: Table) -> Result<NetworkPlan, AnswerError> {
    let mut table = table.spelled(Spelling::Kebab);
    let source = table.word("source", &["from-dhcp", "from-answer"])?;
    if source.is_none() && table.known_since(Release::new(9, 2)) {
        return Err(table.fault("source", "is missing, which 9.2 no longer takes for from-dhcp"));
    }
    if table.known_since(Release::new(9, 1)) {
        pinning(&mut table)?;
    }
    let plan = if source.as_deref() == Some("from-answer") {
        NetworkPlan::Static(fixed(&mut table)?)
    } else {
        // cidr, dns, gateway and filter are errors here: they are left over.
        NetworkPlan::FromDhcp
    };
    table.finish()?;
    Ok(plan)
}

fn fixed(table: &mut Table) -> Result<StaticPlan, AnswerError> {
    let text = table.required_text("cidr")?;
    let bare = || text.parse::<IpAddr>().ok().filter(|_| table.known_since(Release::new(9, 2))).map(IpNet::from);
    let cidr = text.parse().ok().or_else(bare);
    let cidr = cidr.ok_or_else(|| table.fault("cidr", format!("is {text:?}, not ADDRESS/PREFIX")))?;
    let plan = StaticPlan {
        cidr,
        gateway: address(table, "gateway")?,
        dns: address(table, "dns")?,
        filter: table.map_of_texts("filter")?,
    };
    if plan.filter.is_empty() {
        return Err(table.fault("filter", "names no NIC: no filter defined"));
    }
    Ok(plan)
}

fn address(table: &mut Table, key: &str) -> Result<IpAddr, AnswerError> {
    let text = table.required_text(key)?;
    text.parse().map_err(|_| table.fault(key, format!("is {text:?}, not one IP address")))
}

/// `interface-name-pinning`: looked at for its faults only, as simulated NICs keep their names.
fn pinning(table: &mut Table) -> Result<(), AnswerError> {
    let Some(mut pinning) = table.table("interface-name-pinning")? else { return Ok(()) };
    pinning.flag("enabled")?.ok_or_else(|| pinning.fault("enabled", "is missing"))?;
    let mapping = pinning.map_of_texts("mapping")?;
    let mut names = std::collections::BTreeSet::new();
    for (mac, name) in &mapping {
        if !is_link_name(name) {
            return Err(pinning.fault("mapping", format!("gives {mac} the name {name:?}, which no NIC can have")));
        }
        if !names.insert(name) {
            return Err(pinning.fault("mapping", format!("gives the name {name:?} twice")));
        }
    }
    pinning.finish()
}

fn is_link_name(name: &str) -> bool {
    let (base, suffix) = name.find([':', '.']).map_or((name, None), |at| (&name[..at], Some(&name[at + 1..])));
    (2..=15).contains(&name.len())
        && base.len() >= 2
        && base.starts_with(|c: char| c.is_ascii_alphabetic())
        && base.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && suffix.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
