//! Adapters for the core's ports, one module and one feature each. They never see each other.

#[cfg(feature = "sqlite")]
pub mod sqlite;
