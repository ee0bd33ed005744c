//! The operator's own inventory of hosts.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::{BoxError, Retry};
use crate::model::{Fqdn, HardwareId, HostId, Hostname, MacAddr, OperationId, ServerTypeKey};

/// What the inventory learns of a host that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRecord {
    /// Our id of the host.
    pub host: HostId,
    /// The operation that made it ready.
    pub operation: OperationId,
    /// DMI uuid or serial: the key under which registering twice is registering once. Without one, `host` is it.
    pub hardware_id: Option<HardwareId>,
    /// Its name.
    pub hostname: Hostname,
    /// Its full name.
    pub fqdn: Fqdn,
    /// Its address.
    pub ip: IpAddr,
    /// Its NICs.
    pub macs: Vec<MacAddr>,
    /// Its hardware class, by our key.
    pub server_type: ServerTypeKey,
    /// What the class has for a GPU.
    pub gpu: Option<String>,
}

/// Takes hosts in.
///
/// # Contract
/// - `registering_twice_leaves_one_record`: by hardware id.
/// - `a_refusal_is_never_retried`: and says what the service said.
/// - `a_silent_service_is_tried_later`.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Makes the inventory know the host as it is now.
    async fn register(&self, record: &InventoryRecord) -> Result<(), InventoryError>;
}

/// Why the inventory does not know the host.
#[derive(Debug, thiserror::Error)]
#[error("the inventory service did not take the host: {said}")]
pub struct InventoryError {
    /// What it said, or what went wrong, in an operator's words.
    pub said: String,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The cause.
    #[source]
    pub source: Option<BoxError>,
}

/// For sites without an inventory service: every host is taken in, nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInventory;

#[async_trait]
impl Inventory for NoInventory {
    async fn register(&self, _: &InventoryRecord) -> Result<(), InventoryError> {
        Ok(())
    }
}
