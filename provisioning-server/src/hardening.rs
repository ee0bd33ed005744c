//! What the server's process gives up when it starts: core dumps, readable files, and what else it does not need.

use anyhow::Context as _;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Descriptors that are kept for files, the database and children, whatever the network does.
const DESCRIPTORS_KEPT: u64 = 512;
/// Connections at once at most.
const CONNECTIONS_MAX: u64 = 16_384;

/// Gives up what the process does not need.
///
/// Its memory holds secrets: it is never dumped into a core file, and other processes of the same user can neither read
/// it nor its environment. What it writes is for its user alone.
///
/// # Errors
/// When the kernel refuses.
pub fn harden() -> anyhow::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core dumps")?;
    prctl::set_dumpable(false).context("cannot close the process to others")?;
    umask(Mode::from_bits_truncate(0o077));
    Ok(())
}

/// Raises the number of open files as far as it goes; the result is how many connections fit.
pub fn connections_that_fit() -> usize {
    let files = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => {
            // Refused, the limit before stays in force.
            if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
        }
        Err(_) => 1024,
    };
    let fit = files.saturating_sub(DESCRIPTORS_KEPT).clamp(64, CONNECTIONS_MAX);
    usize::try_from(fit).unwrap_or(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_connections_follows_the_limit_of_files() {
        let fit = connections_that_fit();
        assert!((64..=16_384).contains(&fit), "{fit}");
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
