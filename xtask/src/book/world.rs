//! Runs a page's commands, from the first to the last, in a small world of their own: a network with an interface
//! `eno1` (10.0.0.2), system folders whose changes are forgotten, and no process that outlives the page.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::excerpts;
use super::pages::{Fence, Page, Treatment};
use crate::setup::is_root;
use crate::shell::Shell;

/// How long one block may take, and the set-up.
const BLOCK_TIME_MAX: Duration = Duration::from_secs(120);
/// Between two looks at the output of what goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Makes the world, then runs what it is told to on its standard input.
const SCRIPT: &str = "xtask/book/world.sh";

/// Why this machine cannot make such a world, if it cannot.
pub(super) fn why_impossible() -> Option<String> {
    let mut trial = namespaces();
    trial.args(["sh", "-c", "ip link add eno1 type veth peer name lan && mount -t tmpfs none /mnt"]);
    let output = trial.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(format!("THE BOOK'S COMMANDS WERE NOT RUN: this machine makes no namespaces ({said})"))
        }
        Err(error) => Some(format!("THE BOOK'S COMMANDS WERE NOT RUN: unshare could not be started ({error})")),
    }
}

fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command
}

/// Runs a page's commands and compares what they print with what the page says.
///
/// # Errors
/// The first block that fails or prints something else, with its place and all that it printed.
pub(super) fn run(shell: &Shell, folder: &Path, page: &Page, quick_start: &Page) -> anyhow::Result<()> {
    let folder = folder.join(page.name.replace(['/', '.'], "_"));
    let home = folder.join("home");
    fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
    // What the set-ups install below /etc/provisioning.
    let etc = folder.join("configuration");
    fs::create_dir_all(&etc)?;
    excerpts::write_whole_files(quick_start, &etc)?;
    excerpts::write_secrets(&etc)?;
    if page.set_up() == "nothing" {
        excerpts::write_secrets(&home)?;
    }
    let blocks = page.fences.iter().filter(|fence| fence.treatment().is_ok_and(Treatment::is_run)).count();
    println!("$ {SCRIPT} {}: {blocks} blocks", page.name);
    let mut world = World::new(shell, &folder, page.set_up())?;
    let mut last: Option<Ran> = None;
    for fence in &page.fences {
        let at = format!("{}:{}", page.name, fence.line);
        match fence.treatment() {
            Ok(treatment) if treatment.is_run() => last = Some(world.block(fence, treatment).context(at)?),
            Ok(Treatment::Text) => {
                if let Some(ran) = last.take() {
                    ran.said(&fence.body).context(at)?;
                }
            }
            Ok(Treatment::Config) => {
                if page.set_up() == "nothing" {
                    excerpts::write_whole(fence, &home)?;
                }
            }
            _ => last = None,
        }
    }
    Ok(())
}

/// The namespaces, and the shell in them that keeps its variables from block to block.
struct World {
    child: Child,
    orders: ChildStdin,
    done: Receiver<String>,
    folder: PathBuf,
    log: PathBuf,
}

/// A block that was run, or still is.
struct Ran {
    output: PathBuf,
    goes_on: bool,
}

impl World {
    fn new(shell: &Shell, folder: &Path, set_up: &str) -> anyhow::Result<Self> {
        let log = folder.join("world.log");
        let mut command = namespaces();
        command.arg("bash").arg(shell.root().join(SCRIPT)).arg(folder).arg(set_up);
        let path = env::var_os("PATH").unwrap_or_default();
        let programs = [shell.target().join("debug"), "/usr/sbin".into(), "/sbin".into()];
        let path = env::join_paths(programs.into_iter().chain(env::split_paths(&path)))?;
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder.join("home"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
        let mut child = command.spawn().context("unshare could not be started")?;
        let orders = child.stdin.take().context("the shell has no standard input")?;
        let answers = child.stdout.take().context("the shell has no standard output")?;
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(answers).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut world = Self { child, orders, done, folder: folder.to_path_buf(), log };
        let log = world.log.clone();
        world.until_done(&log).context("the set-up")?;
        Ok(world)
    }

    fn block(&mut self, fence: &Fence, treatment: Treatment<'_>) -> anyhow::Result<Ran> {
        let script = self.folder.join(format!("{}.sh", fence.line));
        let output = self.folder.join(format!("{}.out", fence.line));
        fs::write(&script, &fence.body)?;
        let goes_on = treatment == Treatment::Background;
        let how = if goes_on { "background" } else { "run" };
        writeln!(self.orders, "{how} {} {}", script.display(), output.display())?;
        self.until_done(&output)?;
        Ok(Ran { output, goes_on })
    }

    fn until_done(&mut self, output: &Path) -> anyhow::Result<()> {
        match self.done.recv_timeout(BLOCK_TIME_MAX) {
            Ok(_) => Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                bail!("it takes longer than {} s, and has printed:\n{}", BLOCK_TIME_MAX.as_secs(), read(output))
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!(
                    "it failed, and has printed:\n{}\nThe world's log ends:\n{}",
                    read(output),
                    end_of(&read(&self.log))
                )
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The first process of the namespace ends with this one, and with it all others there.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ran {
    /// That it printed the lines of an excerpt; what goes on may still come to that.
    fn said(&self, excerpt: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut ended = self.output.clone().into_os_string();
        ended.push(".ended");
        loop {
            // Looked at before the output, which may still grow until then.
            let goes_on = self.goes_on && !Path::new(&ended).exists() && begun.elapsed() < BLOCK_TIME_MAX;
            let output = read(&self.output);
            match missing(&output, excerpt) {
                None => return Ok(()),
                Some(_) if goes_on => thread::sleep(LOOK_AGAIN),
                Some(line) => bail!("the command before it does not print {line:?}, but:\n{output}"),
            }
        }
    }
}

fn read(file: &Path) -> String {
    fs::read(file).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a log.
fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The first line of an excerpt that does not stand in the output behind the ones before it. `…` is any text.
fn missing<'a>(output: &str, excerpt: &'a str) -> Option<&'a str> {
    let mut lines = output.lines().map(normal);
    let wanted = excerpt.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…");
    wanted.into_iter().find(|line| !lines.any(|printed| fits(&printed, &normal(line))))
}

/// Columns are as wide as their widest entry, which is another one on each machine.
fn normal(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fits(printed: &str, wanted: &str) -> bool {
    let mut parts = wanted.split('…').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut last = first;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (wanted.contains('…') && last.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpts_lines_stand_in_the_output_in_order() {
        let output = "a\nNAME   PHASE\npve-01 ready 12 s\nend\n";
        assert_eq!(missing(output, "NAME PHASE\npve-01 ready …\n"), None);
        assert_eq!(missing(output, "NAME PHASE\n…\nend\n"), None);
        assert_eq!(missing(output, "end\na\n"), Some("a"));
        assert_eq!(missing(output, "pve-01 ready\n"), Some("pve-01 ready"));
    }

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        assert!(fits("token prov_abc made", "token prov_… made"));
        assert!(fits("2026 serving on x", "… serving …"));
        assert!(!fits("token made", "token prov_… made"));
        assert!(!fits("made of it", "made"));
    }
}
