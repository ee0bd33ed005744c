//! `cargo xtask deb`: builds the Debian package by cargo-deb, looks at it, and tries it in a test root.

mod root;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use self::root::Root;
use crate::docker::{self, printed, succeed};
use crate::sbom;
use crate::setup::Package;
use crate::shell::{Shell, find_program};

/// What is installed to build and to judge the package, beside what the container's check needs.
pub(crate) const PACKAGES: &[Package] = &[
    Package { name: "dpkg-dev", program: "dpkg-shlibdeps", reason: "finds the libraries that the package depends on" },
    Package { name: "lintian", program: "lintian", reason: "judges the Debian package" },
];

/// The cargo-deb that is installed where there is none. Later ones may refuse programs that are built for tests.
const CARGO_DEB: &str = "3.8.0";

/// What the package must hold; the first word is how `dpkg-deb` shows rights and owner.
const FILES: &[(&str, &str)] = &[
    ("-rwxr-xr-x", "./usr/bin/provisioning"),
    ("-rw-r-----", "./etc/provisioning/provisioning.yaml"),
    ("-rw-r-----", "./etc/provisioning/server-types.yaml"),
    ("-rw-r--r--", "./usr/lib/systemd/system/provisioning.service"),
    ("-rw-r--r--", "./usr/lib/systemd/system/provisioning.socket"),
    ("-rw-r--r--", "./usr/lib/systemd/system/provisioning.service.d/10-static-user.conf"),
    ("-rw-r--r--", "./usr/share/man/man1/provisioning-serve.1.gz"),
    ("-rw-r--r--", "./usr/share/bash-completion/completions/provisioning"),
    ("-rw-r--r--", "./usr/share/doc/provisioning/sbom.cdx.json"),
    ("-rw-r--r--", "./usr/share/doc/provisioning/copyright"),
];

const EXAMPLES: &str = "\
The package is put into target/package. The test root is a bare Debian below target/deb, made by debootstrap; it takes root.

Examples:
  cargo xtask deb --release               the package as it is released
  cargo xtask deb                         with the program as it is built for tests: quicker, and larger
  cargo xtask deb --release --no-trial    build only, where there is no root to try it in";

/// Which program the package holds, and whether it is tried.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DebArgs {
    /// Build the program as it is released; takes minutes
    #[arg(long)]
    release: bool,
    /// Do not install the package into a test root
    #[arg(long)]
    no_trial: bool,
}

/// Builds the package and tries it.
///
/// # Errors
/// When the machine lacks something, or the package is not what it must be.
pub(crate) fn run(shell: &Shell, args: &DebArgs) -> anyhow::Result<()> {
    if !shell.has_cargo_subcommand("deb") {
        println!("cargo-deb builds the package and is not here: installing it (some minutes)");
        shell.cargo(&["install", "cargo-deb", "--locked", "--version", CARGO_DEB])?;
    }
    prepare(shell, args)?;
    let package = build(shell, args, "0.1.0-1")?;
    judge(shell, &package)?;
    println!("{} has {:.1} MB", package.display(), size_mb(&package)?);
    if args.no_trial {
        return Ok(());
    }
    if let Some(missing) = docker::what_is_missing() {
        bail!("{missing}");
    }
    let next = build(shell, args, "0.1.0-2~next")?;
    let tried = Root::unpack(shell)?.try_out(&package, &next);
    // Only the package that was asked for stays.
    fs::remove_file(&next).with_context(|| next.display().to_string())?;
    tried
}

fn profile(args: &DebArgs) -> &'static str {
    if args.release { "release" } else { "dev" }
}

/// Builds the program, and what it tells of itself: manual pages, completions, bill of materials.
fn prepare(shell: &Shell, args: &DebArgs) -> anyhow::Result<()> {
    let build = ["build", "--locked", "-p", "provisioning-server", "--bin", "provisioning", "--profile", profile(args)];
    shell.cargo(&build)?;
    let program = shell.target().join(if args.release { "release" } else { "debug" }).join("provisioning");
    // The manifest names these by this path, wherever cargo puts what it builds.
    let folder = shell.root().join("target/package");
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(folder.join("completions")).with_context(|| folder.display().to_string())?;
    let mut man = Command::new(&program);
    man.arg("man").arg(folder.join("man"));
    succeed(man)?;
    for (name, file) in [("bash", "provisioning"), ("zsh", "_provisioning"), ("fish", "provisioning.fish")] {
        let mut completions = Command::new(&program);
        completions.args(["completions", name]);
        fs::write(folder.join("completions").join(file), printed(completions)? + "\n")?;
    }
    sbom::write(shell, &folder.join("sbom.cdx.json"))
}

fn build(shell: &Shell, args: &DebArgs, version: &str) -> anyhow::Result<PathBuf> {
    // Not where cargo-deb would put it: that folder it empties.
    let path = shell.root().join("target/package").join(format!("provisioning_{version}_amd64.deb"));
    let file = path.to_str().context("the sources' path is not UTF-8")?;
    let profile = profile(args);
    let what = ["deb", "--package", "provisioning-server", "--locked", "--no-build", "--strip", "--profile", profile];
    // A program that is built for tests is large, and nobody downloads it.
    let quicker: &[&str] = if args.release { &[] } else { &["--fast"] };
    shell.cargo(&[&what[..], quicker, &["--deb-version", version, "--output", file]].concat())?;
    Ok(path)
}

fn judge(shell: &Shell, package: &Path) -> anyhow::Result<()> {
    let ask = |option: &str| {
        let mut ask = Command::new("dpkg-deb");
        ask.arg(option).arg(package);
        printed(ask)
    };
    let contents = ask("--contents")?;
    for (rights, file) in FILES {
        let line = contents.lines().find(|line| line.split_whitespace().last() == Some(*file));
        if !line.is_some_and(|line| line.starts_with(rights) && line.contains(" 0/0 ")) {
            bail!("the package has no {file} of {rights} and root: {line:?}");
        }
    }
    let fields = ask("--field")?;
    for word in ["Package: provisioning", "dnsmasq-base", "ipxe", "libc6", "debconf"] {
        if !fields.contains(word) {
            bail!("the package's fields lack {word}:\n{fields}");
        }
    }
    if find_program("lintian").is_none() {
        println!("!!! lintian is not here and did not judge the package");
        return Ok(());
    }
    let file = package.to_str().context("the sources' path is not UTF-8")?;
    shell.run("lintian", &["--tag-display-limit", "0", "--allow-root", "--fail-on", "error", file], &[])
}

fn size_mb(package: &Path) -> anyhow::Result<f64> {
    let bytes = fs::metadata(package).with_context(|| package.display().to_string())?.len();
    Ok(f64::from(u32::try_from(bytes).context("the package is too large")?) / 1e6)
}
