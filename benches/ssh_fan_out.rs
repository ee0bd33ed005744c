//! Logging in to many hosts and running a command there: CPU of our client beside `ssh`, and Ansible where it is
//! installed, against the same OpenSSH server. The server's own cost is the same for all and is not counted.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use benches::Effort;
use benches::nginx::free_port;
use benches::process::Process;
use benches::report::{Budget, Report, Row};
use nix::sys::resource::{UsageWho, getrusage};
use provisioning_adapters::ssh::SshShell;
use provisioning_core::model::Secret;
use provisioning_core::ports::{Command as Remote, RemoteShell as _, Target};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Logins at once.
const AT_ONCE: usize = 25;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let hosts = if effort.smoke { 3 } else { 100 };
    let dir = tempfile::tempdir()?;
    let shell = SshShell::new();
    let pair = shell.key_pair(&Secret::new([7; 32]));
    let port = free_port()?;
    let _server = sshd(dir.path(), port, &pair.public.to_string())?;
    let host_key = fs::read_to_string(dir.path().join("host_key.pub"))?;
    let target = Target { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host_keys: vec![host_key.trim().parse()?] };
    fs::write(dir.path().join("known_hosts"), format!("[127.0.0.1]:{port} {host_key}"))?;
    key_file(&dir.path().join("key"), pair.private.expose())?;

    let shell = Arc::new(shell.with_port(port));
    let before = cpu_millis(UsageWho::RUSAGE_SELF)?;
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut logins = JoinSet::new();
    for _ in 0..hosts {
        let (shell, target, key, slots) =
            (Arc::clone(&shell), target.clone(), pair.private.clone(), Arc::clone(&slots));
        logins.spawn(async move {
            let _slot = slots.acquire().await?;
            let shell = shell.open(&target, &key).await?;
            let output = shell.run(&Remote::new("true")).await?;
            shell.close().await;
            anyhow::Ok(output.status)
        });
    }
    while let Some(status) = logins.join_next().await {
        ensure!(status?? == 0, "a command failed");
    }
    let ours = (cpu_millis(UsageWho::RUSAGE_SELF)? - before) / f64::from(hosts);

    let mut report = Report::new("ssh_fan_out", effort);
    let mut add = |beside: &str, theirs: f64, budget| {
        let what = format!("client CPU per login and command, {hosts} hosts, {AT_ONCE} at once");
        report.add(Row { what, unit: "ms", ours, beside: beside.to_owned(), theirs, budget: Budget::AtMost(budget) });
    };
    add("ssh", with_ssh(dir.path(), port, hosts)? / f64::from(hosts), 1.0 / 25.0);
    if let Some(ansible) = with_ansible(dir.path(), port, hosts)? {
        add("ansible -m raw", ansible / f64::from(hosts), 1.0 / 50.0);
    }
    report.finish()
}

/// CPU time in milliseconds.
fn cpu_millis(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let millis = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let millis = micros as f64 / 1000.0;
        millis
    };
    Ok(millis(usage.user_time()) + millis(usage.system_time()))
}

fn sshd(dir: &Path, port: u16, key: &str) -> anyhow::Result<Process> {
    fs::create_dir_all("/run/sshd").context("sshd needs root")?;
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join("host_key"));
    let made = keygen.status().context("the peer is OpenSSH: apt-get install openssh-server openssh-client")?;
    ensure!(made.success(), "ssh-keygen failed");
    fs::write(dir.join("authorized_keys"), format!("{key}\n"))?;
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host_key\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\n\
         UsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nMaxStartups 200\nPerSourcePenalties no\n",
        dir.display()
    );
    // The last line is known to newer servers only.
    let config = if newer_sshd() { config } else { config.replace("PerSourcePenalties no\n", "") };
    fs::write(dir.join("sshd_config"), config)?;
    let mut command = Command::new("/usr/sbin/sshd");
    command.arg("-D").arg("-e").arg("-f").arg(dir.join("sshd_config"));
    Process::start(&mut command, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &dir.join("log"))
}

fn newer_sshd() -> bool {
    let said = Command::new("/usr/sbin/sshd").args(["-T", "-o", "PerSourcePenalties=no"]).output();
    said.is_ok_and(|output| output.status.success())
}

fn key_file(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// CPU of `ssh`, in milliseconds for all.
fn with_ssh(dir: &Path, port: u16, hosts: u16) -> anyhow::Result<f64> {
    let before = cpu_millis(UsageWho::RUSAGE_CHILDREN)?;
    let mut running = std::collections::VecDeque::new();
    for _ in 0..hosts {
        if running.len() >= AT_ONCE {
            wait(running.pop_front())?;
        }
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", &port.to_string()]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", dir.join("known_hosts").display()));
        ssh.arg("-i").arg(dir.join("key")).args(["root@127.0.0.1", "true"]);
        running.push_back(ssh.stdin(Stdio::null()).spawn()?);
    }
    while let Some(child) = running.pop_front() {
        wait(Some(child))?;
    }
    Ok(cpu_millis(UsageWho::RUSAGE_CHILDREN)? - before)
}

fn wait(child: Option<std::process::Child>) -> anyhow::Result<()> {
    let Some(mut child) = child else { return Ok(()) };
    let status = child.wait()?;
    ensure!(status.success(), "ssh failed: {status}");
    Ok(())
}

/// CPU of Ansible, in milliseconds for all; `None` when it is not installed.
fn with_ansible(dir: &Path, port: u16, hosts: u16) -> anyhow::Result<Option<f64>> {
    let mut inventory = String::new();
    for n in 1..=hosts {
        writeln!(inventory, "h{n} ansible_host=127.0.0.1 ansible_port={port} ansible_user=root")?;
    }
    fs::write(dir.join("inventory"), inventory)?;
    let common = format!("-F none -o UserKnownHostsFile={} -o ControlMaster=no", dir.join("known_hosts").display());
    let before = cpu_millis(UsageWho::RUSAGE_CHILDREN)?;
    let begin = Instant::now();
    let mut ansible = Command::new("ansible");
    ansible.arg("all").arg("-i").arg(dir.join("inventory")).args(["-m", "raw", "-a", "true", "-f", "25"]);
    ansible.arg("--private-key").arg(dir.join("key")).arg("--ssh-common-args").arg(common).stdout(Stdio::null());
    match ansible.env("ANSIBLE_PIPELINING", "1").status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(status) => {
            ensure!(status.success(), "ansible failed after {:?}: {status}", begin.elapsed());
            Ok(Some(cpu_millis(UsageWho::RUSAGE_CHILDREN)? - before))
        }
    }
}
