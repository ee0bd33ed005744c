//! Simulated hosts and a simulated cluster, in two settings: [`real`] speaks real HTTP and real SSH to a running
//! server, [`world`] runs the production orchestrator on simulated ports and a paused clock, all from one seed.

pub mod invariants;
pub mod real;
pub mod world;
