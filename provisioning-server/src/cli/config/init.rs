//! `provisioning config init`: from answers to files that pass the check at once.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use provisioning_core::model::Secret;

use super::answers::{self, Answers};
use super::questions::Questions;
use crate::cli::failure::{Failure, Trouble};
use crate::cli::{ask, variables};
use crate::config::{Config, Document, Filled, file, scalar};
use crate::setup::files::{NewFile, Written};

/// Examples, for the help.
pub(super) const EXAMPLES: &str = "Examples:
  provisioning config init
  provisioning config init --config /etc/provisioning/provisioning.yaml
  openssl passwd -6 > root-password-hash
  provisioning config init --yes --interface eno1 --root-password-hash-file root-password-hash --boot-disk nvme0n1

Exit codes:
  0  both files are written, and check-config finds them in order
  3  a file is there already, and --force was not given
  7  it was not confirmed, or there was nobody to ask for what no flag said
  9  the files would have faults: nothing was written";

#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// The file to write; server-types.yaml is written beside it.
    #[arg(long, value_name = "FILE", default_value = "provisioning.yaml")]
    config: PathBuf,
    /// Takes what this machine proposes without asking, and says what that was.
    #[arg(long)]
    yes: bool,
    /// Replaces files that are there, after asking; with --yes without. The old ones are kept with .old behind their names.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) hosts: HostArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) class: ClassArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// The interface on the machines' LAN.
    #[arg(long, value_name = "NAME")]
    pub(super) interface: Option<String>,
    /// The machines' subnet, such as 10.0.0.0/24.
    #[arg(long, value_name = "CIDR")]
    pub(super) subnet: Option<String>,
    /// The URL under which machines reach this server. With https the server makes itself a certificate.
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Whether the server runs a dnsmasq of its own, beside the DHCP server that is there: yes or no.
    #[arg(long, value_name = "YES|NO")]
    pub(super) pxe: Option<String>,
    /// The folder for the server's data.
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub(super) struct HostArgs {
    /// The hosts' DNS domain.
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// The country: two lower-case letters.
    #[arg(long)]
    pub(super) country: Option<String>,
    /// The time zone, such as Europe/Vienna.
    #[arg(long)]
    pub(super) timezone: Option<String>,
    /// The consoles' keyboard, such as de or en-us.
    #[arg(long)]
    pub(super) keyboard: Option<String>,
    /// Where the hosts send their mail.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mailto: Option<String>,
    /// A file with the crypt(3) hash of root's password on new hosts, as `openssl passwd -6` makes it. Its text is taken
    /// over into the configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "root_password_stdin")]
    pub(super) root_password_hash_file: Option<PathBuf>,
    /// Reads root's password itself from standard input, one line, and hashes it.
    #[arg(long)]
    pub(super) root_password_stdin: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// A member of the cluster to join; nothing ("") leaves hosts standalone.
    #[arg(long, value_name = "NODE")]
    pub(super) existing_node: Option<String>,
    /// The SHA-256 fingerprint of that member's certificate.
    #[arg(long, value_name = "SHA256")]
    pub(super) join_fingerprint: Option<String>,
    /// The file that holds root's password on that member, for the server to read.
    #[arg(long, value_name = "FILE")]
    pub(super) join_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Server type")]
pub(super) struct ClassArgs {
    /// The key of the first hardware class.
    #[arg(long, value_name = "KEY")]
    pub(super) server_type: Option<String>,
    /// The disk that its machines are installed on, and that is wiped, such as nvme0n1. It is never guessed.
    #[arg(long, value_name = "DISK")]
    pub(super) boot_disk: Option<String>,
    /// What the names of its hosts begin with.
    #[arg(long, value_name = "PREFIX")]
    pub(super) hostname_prefix: Option<String>,
}

pub(in crate::cli) fn run(args: &InitArgs) -> anyhow::Result<()> {
    let path = std::path::absolute(&args.config)?;
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    if !folder.is_dir() {
        anyhow::bail!("there is no folder {}: make it first", folder.display());
    }
    let types_path = folder.join("server-types.yaml");
    may_write(&[&path, &types_path], args)?;
    let mut questions = Questions::new(args.yes)?;
    let Some(answers) = answers::find(args, &folder, &mut questions)? else {
        questions.finish()?;
        anyhow::bail!("an answer is missing");
    };
    let taken = questions.finish()?;
    let files = files(&answers, path.clone(), types_path);
    check(&path, &files)?;
    let mut err = io::stderr().lock();
    for taken in taken {
        writeln!(err, "took {taken}")?;
    }
    for file in &files {
        let written = file.write(args.force).with_context(|| format!("cannot write {}", file.path.display()))?;
        match written {
            Written::New => writeln!(err, "wrote {}", file.path.display())?,
            Written::Replaced(old) => {
                writeln!(err, "wrote {}; the one before is {}", file.path.display(), old.display())?;
            }
        }
    }
    next_steps(&path)?;
    Ok(())
}

/// Before anything is asked: whether the places are free, or may be taken.
fn may_write(paths: &[&Path], args: &InitArgs) -> anyhow::Result<()> {
    let taken: Vec<String> =
        paths.iter().filter(|path| path.symlink_metadata().is_ok()).map(|path| path.display().to_string()).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let verb = if taken.len() == 1 { "is" } else { "are" };
    let taken = taken.join(" and ");
    if !args.force {
        let text = format!("{taken} {verb} there already and stays as it is: edit it, or write it anew with --force");
        return Err(Failure::new(Trouble::Refused, text).into());
    }
    ask::confirm(
        &format!("{taken} will be written anew; the old text is kept beside it with .old behind its name."),
        args.yes,
    )
}

fn files(answers: &Answers, path: PathBuf, types_path: PathBuf) -> Vec<NewFile> {
    let (main, types) = filled(answers);
    let secret = |text: String| Secret::new(text);
    let mut files = vec![];
    if let Some((path, password)) = &answers.new_join_password {
        files.push(NewFile { path: path.clone(), text: secret(format!("{}\n", password.expose())), is_secret: true });
    }
    let types = secret(file(Document::ServerTypes, &types));
    files.push(NewFile { path: types_path, text: types, is_secret: false });
    // Last, so that nothing is half there when this one is.
    files.push(NewFile { path, text: secret(file(Document::Main, &main)), is_secret: true });
    files
}

/// The answers by their keys, for both files.
fn filled(answers: &Answers) -> (Filled, Filled) {
    let mut main = Filled::new();
    let mut set = |key: &str, value: String| main.insert(key.to_owned(), value);
    set("server.public_url", scalar(answers.public_url.as_str()));
    set("server.listen", scalar(&answers.listen.to_string()));
    set("server.data_dir", scalar(&answers.data_dir));
    if answers.public_url.is_https() {
        set("server.tls.self_signed", "true".to_owned());
        set("server.boot_listen", scalar(&answers.boot_listen().to_string()));
    }
    set("pxe.enabled", answers.pxe.to_string());
    if let Some(network) = &answers.network {
        set("pxe.interface", scalar(&network.interface));
        set("pxe.subnet", scalar(&network.subnet().to_string()));
    }
    set("credentials.root_password_hash", format!("'{}'", answers.root_password_hash.expose()));
    set("proxmox.domain", scalar(answers.domain.as_str()));
    set("proxmox.country", scalar(answers.country.as_str()));
    set("proxmox.timezone", scalar(answers.timezone.as_str()));
    set("proxmox.keyboard", scalar(answers.keyboard.as_str()));
    set("proxmox.mailto", scalar(answers.mailto.as_str()));
    set("proxmox.existing_node", "\"\"".to_owned());
    if let Some(cluster) = &answers.cluster {
        set("proxmox.existing_node", scalar(&cluster.member.to_string()));
        set("proxmox.join_fingerprint", scalar(&cluster.fingerprint.to_string()));
        set("proxmox.join_password_file", scalar(&cluster.password_file));
    }
    let class = format!("server_types.{}", answers.server_type);
    let mut types = Filled::new();
    types.insert(format!("{class}.boot_disk"), scalar(answers.boot_disk.as_str()));
    types.insert(format!("{class}.hostname_prefix"), scalar(answers.hostname_prefix.as_str()));
    (main, types)
}

/// That the files will be in order, before any of them is written.
fn check(path: &Path, files: &[NewFile]) -> anyhow::Result<()> {
    let draft = |file: &NewFile| (file.path.clone(), Secret::new(file.text.expose().clone()));
    let drafts: BTreeMap<PathBuf, Secret<String>> = files.iter().map(draft).collect();
    let config = Config::with_drafts(path, drafts, variables())?;
    let mut err = io::stderr().lock();
    for warning in &config.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    Ok(())
}

fn next_steps(path: &Path) -> io::Result<()> {
    let path = path.display();
    writeln!(
        io::stdout().lock(),
        "Next:\n  provisioning check-config --config {path} --explain\n  provisioning serve --config {path}"
    )
}
