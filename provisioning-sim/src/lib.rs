//! Simulated hosts and a simulated cluster that speak real HTTP and real SSH to a provisioning server.

pub mod real;
