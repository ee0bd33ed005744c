//! Simulated hosts and a simulated cluster, in two settings: [`real`] speaks real HTTP and real SSH to a running
//! server, [`world`] runs the production orchestrator on simulated ports and a paused clock, all from one seed.
//!
//! In a world, a host's whole life takes milliseconds, and each of the [`invariants`] is looked at after every step:
//!
//! ```
//! use provisioning_core::machine::Phase;
//! use provisioning_sim::world::{Lab, Options};
//!
//! let mut lab = Lab::new(Options::calm(7));
//! lab.operators_begin(); // registers the host, rebuilds it, presses its power button
//! assert!(lab.until("pve-01", Phase::Ready));
//! assert!(lab.key_is_gone("pve-01") && lab.boots_from_disk("pve-01"));
//! assert!(lab.end().broken.is_none(), "no rule was broken");
//! ```
//!
//! The same from the shell, and fleets against a real server: `provisioning-sim --help`.

pub mod invariants;
pub mod real;
pub mod world;
