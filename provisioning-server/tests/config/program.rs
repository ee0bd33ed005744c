//! The program as a process of its own, in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// No answer of a program on this machine takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The program with these arguments, in `dir`, without what the environment says to it.
pub(crate) fn provisioning(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PROVISIONING")) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str], dir: &Path) -> Output {
    provisioning(args, dir).output().unwrap()
}

/// All that it said.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A folder with a small configuration.
pub(crate) fn configured() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config/good/smallest");
    for file in ["provisioning.yaml", "server-types.yaml"] {
        std::fs::copy(golden.join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// A server, and its log line by line. Dropping it kills the process.
pub(crate) struct Serving {
    child: Child,
    log: Receiver<String>,
}

impl Serving {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, log }
    }

    /// The process.
    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for a line of the log that holds this.
    #[track_caller]
    pub(crate) fn logs(&self, text: &str) -> String {
        let mut before = vec![];
        loop {
            match self.log.recv_timeout(LIMIT) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("the log never says {text:?} ({error}), but:\n{}", before.join("\n")),
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
