//! What strangers send to the server and to the simulator: the seeds of the fuzz targets as plain tests, and images
//! with damage of every kind.

mod corpus;
mod images;
#[path = "../../../fuzz/src/lib.rs"]
pub mod targets;
