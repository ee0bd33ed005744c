//! Backups and the way back, the doctor, and disks that take no writes: with the real program on real files.

#![expect(clippy::unwrap_used, reason = "a test whose program does not run shall fail")]

mod cycle;
mod disk_full;
mod doctor;
mod site;
