//! A host as the operator registered it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::facts::HardwareId;
use super::ids::HostId;
use super::mac::MacAddr;
use super::name::{Hostname, ServerTypeKey};
use super::time::Timestamp;

/// A machine we provision: what an operator says of it. Its state stands beside it in the store's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// Its name, unique among hosts; the cluster knows the node by it.
    pub name: Hostname,
    /// Its NICs' addresses, at least one, the first being the one it is expected to boot from.
    /// No two hosts share an address.
    pub macs: Vec<MacAddr>,
    /// Its hardware class.
    pub server_type: ServerTypeKey,
    /// A fixed address with its prefix (`10.0.0.5/24`); without one the installer keeps what DHCP gave it.
    pub address: Option<IpNet>,
    /// DMI uuid or serial, as the last installation reported it.
    pub hardware_id: Option<HardwareId>,
    /// When it last became ready; a rebuild then asks for the host's name, since it wipes something of worth.
    pub last_ready_at: Option<Timestamp>,
    /// When it was registered.
    pub registered_at: Timestamp,
}
