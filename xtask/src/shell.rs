//! Starting other programs: always from the workspace's root, never with input, and shown before they run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Where programs are started and which cargo is used.
#[derive(Debug)]
pub(crate) struct Shell {
    root: PathBuf,
    cargo: String,
}

impl Shell {
    /// The workspace this tool was built from, and the cargo that runs it.
    pub(crate) fn at_workspace_root() -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.parent().expect("xtask is a folder of the workspace").to_path_buf();
        Self { root, cargo: env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()) }
    }

    /// The workspace's root, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |path| self.root.join(path))
    }

    /// Runs `cargo ARGS`; its output goes to the terminal.
    pub(crate) fn cargo(&self, args: &[&str]) -> anyhow::Result<()> {
        self.cargo_with(args, &[])
    }

    /// Runs `cargo ARGS` with further environment variables.
    pub(crate) fn cargo_with(&self, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
        show("cargo", args, env);
        let mut command = self.command(&self.cargo, args);
        finish(command.envs(env.iter().copied()), "cargo", args)
    }

    /// Runs another program; its output goes to the terminal.
    pub(crate) fn run(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
        show(program, args, env);
        let mut command = self.command(program, args);
        finish(command.envs(env.iter().copied()), program, args)
    }

    /// What `cargo ARGS` prints; its complaints go to the terminal.
    pub(crate) fn cargo_output(&self, args: &[&str]) -> anyhow::Result<String> {
        show("cargo", args, &[]);
        self.cargo_quietly(args)
    }

    /// The same, without saying that it is run: for what prints something itself that others read.
    pub(crate) fn cargo_quietly(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command(&self.cargo, args)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("`{}` could not be started", line("cargo", args)))?;
        if !output.status.success() {
            bail!("`{}` ended with {}", line("cargo", args), output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no text", line("cargo", args)))
    }

    /// Whether cargo has this subcommand, such as `nextest`.
    pub(crate) fn has_cargo_subcommand(&self, name: &str) -> bool {
        self.command(&self.cargo, &[name, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        // What cargo told *this* program about its own package means nothing to the next cargo.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Where a program stands: in `PATH`, or in the folders that `PATH` lacks for ordinary users.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_program_in(name, env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)))
}

fn find_program_in(name: impl AsRef<OsStr>, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let name = Path::new(name.as_ref());
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn show(program: &str, args: &[&str], env: &[(&str, &str)]) {
    print!("$ ");
    for (name, value) in env {
        print!("{name}='{value}' ");
    }
    println!("{}", line(program, args));
}

fn finish(command: &mut Command, program: &str, args: &[&str]) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("`{}` could not be started", line(program, args)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(program, args));
    }
    Ok(())
}

fn line(program: &str, args: &[&str]) -> String {
    let mut line = program.to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(arg);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_first_folder_that_has_it() {
        let folders = || ["/nowhere", "/bin", "/usr/bin"].map(PathBuf::from).into_iter();
        assert_eq!(find_program_in("sh", folders()), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find_program_in("no-such-program", folders()), None);
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let error = Shell::at_workspace_root().run("sh", &["-c", "exit 3"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(Shell::at_workspace_root().root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
