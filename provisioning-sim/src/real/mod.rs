//! What the simulated hosts do over real sockets, with real bytes.

pub mod iso;
