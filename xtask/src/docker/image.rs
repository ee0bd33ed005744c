//! The image: how it is built, and what it must be like.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::base;
use super::engine::{Engine, succeed};
use crate::shell::Shell;

/// The base image's name in the `Dockerfile`.
pub(crate) const BASE: &str = "debian:trixie-slim";
/// The most that an image may hold with the released program in it, in bytes.
const IMAGE_BYTES_MAX: u64 = 120_000_000;
/// What of that is the released program's: it has 24 MB today.
const PROGRAM_BYTES_MAX: u64 = 30_000_000;

/// The program to put into the image, relative to the sources, as the builder wants it.
pub(crate) struct Program {
    path: PathBuf,
    bytes: u64,
    /// Whether it is what is released: optimised, and as small as it gets.
    is_release: bool,
}

impl Program {
    /// Strips a copy of the program at `from`.
    pub(crate) fn stripped(shell: &Shell, from: &Path, is_release: bool) -> anyhow::Result<Self> {
        let path = PathBuf::from("target/docker/provisioning");
        let copy = shell.root().join(&path);
        fs::create_dir_all(copy.parent().context("it has a folder")?)?;
        fs::copy(from, &copy).with_context(|| from.display().to_string())?;
        let mut strip = Command::new("strip");
        strip.arg(&copy);
        succeed(strip)?;
        Ok(Self { path, bytes: fs::metadata(copy)?.len(), is_release })
    }
}

/// Imports the base image when the engine has none.
pub(crate) fn import_base(shell: &Shell, engine: &Engine) -> anyhow::Result<()> {
    if engine.output(["image", "inspect", "--format", "{{.Id}}", BASE]).is_ok() {
        return Ok(());
    }
    let archive = base::archive(shell)?;
    engine.run([Path::new("import").as_os_str(), archive.as_os_str(), BASE.as_ref()])
}

/// Builds the image around a program, under a name and with a version on its label.
pub(crate) fn build(shell: &Shell, engine: &Engine, program: &Program, tag: &str, version: &str) -> anyhow::Result<()> {
    let path = format!("PROGRAM={}", program.path.display());
    let version = format!("VERSION={version}");
    let root = shell.root().to_str().context("the sources' path is not UTF-8")?;
    let mut args = vec!["build", "--quiet", "--network", "host", "--target", "prebuilt", "--build-arg", &path];
    args.extend(["--build-arg", &version, "--build-arg", "COMMIT=0123456789ab", "--tag", tag, root]);
    println!("$ docker {}", args.join(" "));
    engine.output(args)?;
    Ok(())
}

/// Whether the image is as small, as poor in rights and as well described as it must be.
pub(crate) fn judge(engine: &Engine, tag: &str, version: &str, program: &Program) -> anyhow::Result<()> {
    let inspect = |format: &str| engine.output(["image", "inspect", "--format", format, tag]);
    let bytes: u64 = inspect("{{.Size}}")?.parse().context("the image has a size")?;
    // A program that is not optimised is several times as large: what counts then is the rest, and room for the one that
    // is released.
    let judged = if program.is_release { bytes } else { bytes - program.bytes + PROGRAM_BYTES_MAX };
    println!("the image has {} MB, of which {} MB are the program", bytes / 1_000_000, program.bytes / 1_000_000);
    if judged >= IMAGE_BYTES_MAX {
        bail!("the image must stay below {} MB and comes to {}", IMAGE_BYTES_MAX / 1_000_000, judged / 1_000_000);
    }
    let expected = [
        ("{{.Config.User}}", "10001:10001"),
        ("{{.Config.StopSignal}}", "SIGTERM"),
        ("{{index .Config.Labels \"org.opencontainers.image.version\"}}", version),
        ("{{index .Config.Labels \"org.opencontainers.image.revision\"}}", "0123456789ab"),
        (
            "{{json .Config.Healthcheck.Test}}",
            r#"["CMD","provisioning","healthcheck","--data-dir","/var/lib/provisioning"]"#,
        ),
    ];
    for (format, expected) in expected {
        let found = inspect(format)?;
        if found != expected {
            bail!("{format} of the image is `{found}`, not `{expected}`");
        }
    }
    let inside = |options: &[&str], script: &str| {
        let run = ["run", "--rm", "--network", "host", "--cap-drop", "ALL", "--workdir", "/", "--entrypoint", "sh"];
        engine.output([&run[..], options, &[tag, "-c", script]].concat())
    };
    let may_look_everywhere = ["--user", "0:0", "--cap-add", "DAC_READ_SEARCH"];
    let lending = inside(&may_look_everywhere, "find / -xdev -type f -perm /6000")?;
    if !lending.is_empty() {
        bail!("files of the image lend rights to whoever runs them: {lending}");
    }
    // Without any capability, too, the program's file can be executed.
    let said = inside(&[], "provisioning --version && dnsmasq --version | head -n 1 && ls /usr/lib/ipxe")?;
    println!("{said}");
    match ["provisioning ", "Dnsmasq", "ipxe.efi", "snponly.efi", "undionly.kpxe"]
        .iter()
        .find(|word| !said.contains(**word))
    {
        Some(missing) => bail!("the image lacks {missing}"),
        None => Ok(()),
    }
}
