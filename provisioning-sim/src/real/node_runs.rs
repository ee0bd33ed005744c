//! The run directories of detached joins in `/run`: what a follower reads from them.

use std::collections::BTreeMap;

use provisioning_core::model::OperationId;

/// All run directories of a node. They vanish with a reboot.
#[derive(Debug, Default)]
pub(super) struct RunDirs(BTreeMap<OperationId, RunDir>);

#[derive(Debug, Default)]
struct RunDir {
    process: Process,
    out: Option<String>,
    err: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Process {
    /// No `pid` file yet.
    #[default]
    Starting,
    Running,
    /// Gone without having written its status.
    Lost,
    Ended(u32),
}

impl RunDirs {
    /// `mkdir`: whether it was not there.
    pub(super) fn make(&mut self, operation: OperationId) -> bool {
        let absent = !self.0.contains_key(&operation);
        self.0.entry(operation).or_default();
        absent
    }

    /// Removes the directory of a run that wrote its status or whose process is gone; any other stays.
    pub(super) fn clear(&mut self, operation: OperationId) {
        if let Some(RunDir { process: Process::Ended(_) | Process::Lost, .. }) = self.0.get(&operation) {
            self.0.remove(&operation);
        }
    }

    pub(super) fn remove(&mut self, operation: OperationId) {
        self.0.remove(&operation);
    }

    /// The process is there, and its outputs are open.
    pub(super) fn started(&mut self, operation: OperationId) {
        if let Some(run) = self.0.get_mut(&operation) {
            *run = RunDir { process: Process::Running, out: Some(String::new()), err: Some(String::new()) };
        }
    }

    pub(super) fn out(&mut self, operation: OperationId, text: &str) {
        if let Some(out) = self.0.get_mut(&operation).and_then(|run| run.out.as_mut()) {
            out.push_str(text);
        }
    }

    pub(super) fn err(&mut self, operation: OperationId, text: &str) {
        if let Some(err) = self.0.get_mut(&operation).and_then(|run| run.err.as_mut()) {
            err.push_str(text);
        }
    }

    /// The process is gone, with its status if it could still write one.
    pub(super) fn ended(&mut self, operation: OperationId, status: Option<u32>) {
        if let Some(run) = self.0.get_mut(&operation) {
            run.process = status.map_or(Process::Lost, Process::Ended);
        }
    }

    /// Both outputs of the follow script.
    pub(super) fn follow(&self, operation: OperationId) -> (String, String) {
        let Some(run) = self.0.get(&operation) else { return ("absent\n".to_owned(), String::new()) };
        let state = match run.process {
            Process::Starting => "starting".to_owned(),
            Process::Running => "running".to_owned(),
            Process::Lost => "lost".to_owned(),
            Process::Ended(status) => format!("ended {status}"),
        };
        (format!("{state}\n{}", run.out.as_deref().unwrap_or_default()), run.err.clone().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::model::Timestamp;

    #[test]
    fn a_run_is_followed_from_nothing_to_its_end() {
        let operation = OperationId::new(Timestamp::from_millis(1), [1; 10]);
        let mut runs = RunDirs::default();
        assert_eq!(runs.follow(operation).0, "absent\n");
        assert!(runs.make(operation));
        assert!(!runs.make(operation), "a second start finds the first");
        assert_eq!(runs.follow(operation).0, "starting\n");
        runs.started(operation);
        runs.out(operation, "hello\n");
        runs.err(operation, "oh\n");
        assert_eq!(runs.follow(operation), ("running\nhello\n".to_owned(), "oh\n".to_owned()));
        runs.clear(operation);
        runs.ended(operation, None);
        assert_eq!(runs.follow(operation).0, "lost\nhello\n", "a running one was not cleared");
        runs.ended(operation, Some(0));
        assert_eq!(runs.follow(operation).0, "ended 0\nhello\n");
        runs.clear(operation);
        runs.ended(operation, Some(0));
        assert_eq!(runs.follow(operation).0, "absent\n");
        assert!(runs.make(operation));
        runs.ended(operation, None);
        runs.clear(operation);
        assert_eq!(runs.follow(operation).0, "absent\n", "what was lost makes place");
    }
}
