//! What the process takes of the machine, under the names that Prometheus' own clients give it.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::rows::number;

/// The figures; those that the kernel does not tell keep their last value.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    cpu: Counter<f64, AtomicU64>,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    files_max: Gauge,
    threads: Gauge,
    started: Gauge<f64, AtomicU64>,
}

impl Process {
    pub(super) fn register(&self, registry: &mut Registry) {
        // The figures are made once, when the process starts.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.started.set(now.as_secs_f64());
        let help = "Time that the process has spent on processors, for itself and in the kernel";
        registry.register_with_unit("process_cpu", help, Unit::Seconds, self.cpu.clone());
        let help = "Memory of the process that is in the machine's own";
        registry.register_with_unit("process_resident_memory", help, Unit::Bytes, self.resident.clone());
        let help = "Addresses that the process has reserved";
        registry.register_with_unit("process_virtual_memory", help, Unit::Bytes, self.virtual_memory.clone());
        registry.register("process_open_fds", "Files, sockets and the like that are open", self.open_files.clone());
        registry.register("process_max_fds", "How many of them may be open", self.files_max.clone());
        registry.register("process_threads", "Threads of the process", self.threads.clone());
        let help = "When the server was started, since 1970";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, self.started.clone());
    }

    /// Asks the kernel.
    pub(super) fn measure(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let spent = seconds(usage.user_time()) + seconds(usage.system_time());
            self.cpu.inner().store(spent.to_bits(), Ordering::Relaxed);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            for (figure, name) in [(&self.resident, "VmRSS:"), (&self.virtual_memory, "VmSize:")] {
                if let Some(kibibytes) = of_status(&status, name) {
                    figure.set(kibibytes.saturating_mul(1024));
                }
            }
            if let Some(threads) = of_status(&status, "Threads:") {
                self.threads.set(threads);
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is for reading the folder.
            self.open_files.set(number(open.count().saturating_sub(1)));
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.files_max.set(i64::try_from(soft).unwrap_or(i64::MAX));
        }
    }
}

/// The number behind a name in `/proc/self/status`.
fn of_status(status: &str, name: &str) -> Option<i64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a process are far below what a double holds exactly")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_memory_files_threads_and_a_past() {
        let process = Process::default();
        process.register(&mut Registry::default());
        process.measure();
        assert!(process.resident.get() > 100_000, "{process:?}");
        assert!(process.virtual_memory.get() >= process.resident.get(), "{process:?}");
        assert!(process.open_files.get() > 2 && process.files_max.get() > process.open_files.get(), "{process:?}");
        assert!(process.threads.get() > 0, "{process:?}");
        assert!(process.cpu.get() > 0.0 && process.started.get() > 1.7e9, "{process:?}");
    }
}
