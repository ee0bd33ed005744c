//! Proxmox ISOs: imported once as they are, then served to machines as byte ranges with a few bytes of our own.
//!
//! Nothing is ever unpacked. `inspect` finds kernel, initrd and root directory by position, `patch` works out the
//! few bytes that add an operation's mode file, `cpio` wraps the result for the kernel, and an `artifact` is the
//! list of memory and file segments that a response streams. All but `import` and `body` is pure apart from
//! positioned reads of one file.

pub mod artifact;
pub mod body;
pub mod cpio;
pub mod import;
pub mod inspect;
pub mod iso9660;
pub mod mode;
pub mod patch;
pub mod range;
