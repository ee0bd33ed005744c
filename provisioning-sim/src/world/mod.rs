//! The virtual world: the production orchestrator on simulated ports and a paused clock, all from one seed.
//!
//! ```text
//! person ─┐                                   ┌─ store, vault, boot server, inventory: in memory, with trouble
//!         ├─▶ process (dies, restarts) ─ ports ┤
//! machine ┘    ▲ wire: loss, doubles, delay   └─ shell ─▶ simulated nodes ─▶ simulated cluster
//!              └─ every write and every deed is shown to the rules of `invariants`
//! ```
//!
//! First things go wrong for hours; then nothing does any more, and every host must become ready within a bound.
//! [`run`] does all of that, [`Lab`] is the same world in the hands of a test.
//!
//! House rules here, so that a seed can be repeated: all chance from [`Dice`], no maps without order, every
//! `select!` biased, tasks only in the run's own set, time only from tokio's paused clock.

pub mod cli;
mod clock;
mod dice;
mod fault;
mod installer;
mod lab;
mod machine;
mod options;
mod person;
mod plant;
mod ports;
mod process;
mod record;
mod report;
mod run;
mod seat;
mod site;
mod state;
mod switch;
mod weather;
mod wire;

pub use dice::Dice;
pub use fault::{Fault, Level, Message};
pub use lab::Lab;
pub use options::Options;
pub use plant::{Plant, Server, WrapPorts, WrapServer};
pub use report::{Broken, Outcome, Statistics};
pub use run::{HEALING_TIME, run};
