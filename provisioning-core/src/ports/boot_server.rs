//! What answers netbooting firmware on the LAN.

use std::net::IpAddr;

use async_trait::async_trait;

use super::error::{BoxError, Retry};
use crate::machine::BootAnswer;
use crate::model::{Hostname, MacAddr};

/// What the boot server shall say, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootPlan {
    /// One entry per NIC of every registered host, by address.
    pub entries: Vec<BootEntry>,
}

/// What one NIC is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The NIC.
    pub mac: MacAddr,
    /// Its host.
    pub host: Hostname,
    /// What a boot script request would be told now.
    pub answer: BootAnswer,
    /// The host's fixed address, at the NIC it is expected to boot from: a boot server that hands out addresses keeps
    /// it for this NIC.
    pub address: Option<IpAddr>,
}

/// Says to firmware where to get its boot script.
///
/// # Contract
/// - `applying_twice_is_the_same_as_once`.
/// - `a_plan_takes_the_whole_place_of_the_one_before`.
/// - `on_an_error_the_old_plan_stays`.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BootServer: Send + Sync {
    /// Makes `plan` the one in force.
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError>;
}

/// Why a plan is not in force.
#[derive(Debug, thiserror::Error)]
#[error("the boot server did not take the plan: {problem}")]
pub struct BootServerError {
    /// What is wrong, in an operator's words.
    pub problem: String,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The cause.
    #[source]
    pub source: Option<BoxError>,
}
