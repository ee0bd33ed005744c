//! What is seen of a machine while it netboots, before it speaks to us over HTTP, and what can be concluded from it.

mod discovered;
pub mod doctor;
mod sighting;
mod trail;

pub use discovered::{DISCOVERED_MAX, DISMISSED_FOR, DiscoveredMachine, Glimpse};
pub use sighting::{ClientArch, DhcpClient, Sighted, Sighting};
pub use trail::{Footprint, Trace, shortened};
