//! The life of a host under the production orchestrator, on a paused clock, with ports that misbehave on demand.

mod lab;
mod lives;
mod sightings;
mod troubles;
mod witnessed;
