//! The life of a host as a pure state machine: values in, values out, no clock, no I/O.
//!
//! Start with [`step`]: its table is the product's heart. `tests/table.rs` shows all of it.

mod boot;
mod event;
mod policy;
mod reason;
mod state;
mod step;

pub use boot::{AnswerDecision, BootAnswer, answer_decision, boot_answer};
pub use event::{Effect, Event, EventKind, WorkKind};
pub use policy::Policy;
pub use reason::FailureReason;
pub use state::{Contact, HostState, JoinStep, Leg, Phase, Run};
pub use step::{Ignored, Illegal, Outcome, Transition, on_entry, step};
