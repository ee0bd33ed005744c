//! What is seen of a machine while it netboots, before it speaks to us over HTTP.

mod sighting;

pub use sighting::{ClientArch, DhcpClient, Sighted, Sighting};
