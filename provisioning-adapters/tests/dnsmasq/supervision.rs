//! Hosts that come and go, a dnsmasq that dies, hangs or was left behind, and what stands in its way.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provisioning_adapters::dnsmasq::{Addresses, DnsmasqState, RespondTo};
use provisioning_core::ports::{BootServer as _, Retry};

use super::client::Firmware;
use super::fleet::{plan, wait};
use super::lan::{Lan, Server};

fn proxy(lan: &Lan) -> Server {
    lan.start(lan.config(Addresses::Proxy, RespondTo::Registered)).unwrap()
}

fn is_answered(lan: &Lan, nic: u8) -> bool {
    lan.as_machine(move || !Firmware::ipxe(nic, 7).is_left_alone())
}

#[test]
fn hosts_come_and_go_without_a_restart() {
    for addresses in [Addresses::Proxy, Lan::pool()] {
        let Some(lan) = Lan::new() else { return };
        let server = lan.start(lan.config(addresses, RespondTo::Registered)).unwrap();
        let pid = server.pid();
        let plans: [(&[u8], [bool; 2]); 4] =
            [(&[1], [true, false]), (&[1, 2], [true, true]), (&[2], [false, true]), (&[], [false, false])];
        for (hosts, answered) in plans {
            // Addresses are kept for them, since an address of the pool is pinged for 3 s first.
            wait(server.dnsmasq.apply(&plan(hosts, &[(1, "10.77.0.51"), (2, "10.77.0.52")]))).unwrap();
            assert_eq!([is_answered(&lan, 1), is_answered(&lan, 2)], answered, "{hosts:?}");
        }
        assert_eq!((server.pid(), server.dnsmasq.status().restarts), (pid, 0));
    }
}

#[test]
fn a_plan_that_is_in_force_is_not_applied_again() {
    let Some(lan) = Lan::new() else { return };
    let server = proxy(&lan);
    wait(server.dnsmasq.apply(&plan(&[1], &[]))).unwrap();
    let stamp = || std::fs::metadata(lan.folder().join("run/hosts")).unwrap().modified().unwrap();
    let before = stamp();
    wait(server.dnsmasq.apply(&plan(&[1], &[]))).unwrap();
    assert_eq!(stamp(), before);
}

#[test]
fn a_killed_dnsmasq_is_back_within_seconds_with_its_plan_and_without_root() {
    let Some(lan) = Lan::new() else { return };
    let server = proxy(&lan);
    wait(server.dnsmasq.apply(&plan(&[1], &[]))).unwrap();
    let pid = server.pid();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    server.until(|server| server.dnsmasq.status().restarts == 1);
    let again = server.pid();
    assert_ne!(again, pid);
    assert!(server.dnsmasq.status().last_error.unwrap().contains("signal: 9"));
    assert!(is_answered(&lan, 1) && !is_answered(&lan, 2));
    wait(server.dnsmasq.apply(&plan(&[2], &[]))).unwrap();
    assert!(!is_answered(&lan, 1) && is_answered(&lan, 2));
    let status = std::fs::read_to_string(format!("/proc/{again}/status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(!user.split_whitespace().any(|id| id == "0"), "{user}");
}

#[test]
fn a_dnsmasq_that_hangs_is_replaced_and_the_old_plan_stays() {
    let Some(lan) = Lan::new() else { return };
    let server = proxy(&lan);
    wait(server.dnsmasq.apply(&plan(&[1], &[]))).unwrap();
    kill(Pid::from_raw(server.pid()), Signal::SIGSTOP).unwrap();
    let error = wait(server.dnsmasq.apply(&plan(&[2], &[]))).unwrap_err();
    assert_eq!(error.retry, Retry::Later);
    assert!(error.problem.contains("did not read its hosts"), "{error}");
    assert_eq!(server.dnsmasq.in_force().unwrap(), plan(&[1], &[]));
    server.until(|server| server.dnsmasq.status().restarts == 1);
    server.pid();
    assert!(is_answered(&lan, 1) && !is_answered(&lan, 2));
    wait(server.dnsmasq.apply(&plan(&[2], &[]))).unwrap();
    assert!(is_answered(&lan, 2));
}

#[test]
fn whoever_holds_a_port_is_named_and_nothing_is_started() {
    let Some(lan) = Lan::new() else { return };
    let foreign = lan.as_server(|| {
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--pid-file=", "--interface=s0"]);
        command.args(["--bind-interfaces", "--dhcp-range=10.77.0.10,proxy", "--leasefile-ro", "--log-facility=-"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // It holds the port once it says so.
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        assert!(lines.any(|line| line.unwrap().contains("DHCP, sockets bound")));
        child
    });
    let mut foreign = foreign;
    let fault = lan.start(lan.config(Addresses::Proxy, RespondTo::All)).err().expect("the port is taken").to_string();
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    assert!(fault.contains(&format!("port 67/udp is taken by process {} (dnsmasq)", foreign.id())), "{fault}");
}

#[test]
fn what_a_killed_server_has_left_behind_is_ended_first() {
    let Some(lan) = Lan::new() else { return };
    drop(proxy(&lan));
    let conf = lan.folder().join("run/dnsmasq.conf");
    let orphan = lan.as_server(move || {
        let mut command = Command::new("/usr/sbin/dnsmasq");
        command.arg(format!("--conf-file={}", conf.display())).args(["--keep-in-foreground", "--log-facility=-"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        assert!(lines.any(|line| line.unwrap().contains("read ")));
        child
    });
    let mut orphan = orphan;
    let server = proxy(&lan);
    assert!(orphan.wait().unwrap().code().is_some(), "it has ended of its own accord");
    assert_ne!(u32::try_from(server.pid()).unwrap(), orphan.id());
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let Some(lan) = Lan::new() else { return };
    let config = || lan.config(Addresses::Proxy, RespondTo::All);
    let said = |config| lan.start(config).err().expect("it cannot start").to_string();
    let mut other = config();
    other.interface = "eth9".parse().unwrap();
    assert!(said(other).contains("no network interface eth9; this machine has lo, s0"));
    let mut other = config();
    other.subnet = Some("10.78.0.0/24".parse().unwrap());
    assert!(said(other).contains("no address of s0 is in 10.78.0.0/24; it has 10.77.0.10/24"));
    let mut other = config();
    other.user = "nosuchuser".parse().unwrap();
    assert!(said(other).contains("there is no user nosuchuser"));
    let mut other = config();
    other.programs = lan.folder().join("none");
    assert!(said(other).contains("apt-get install ipxe"));
    let mut other = config();
    other.program = "dnsmasq-that-is-not-there".into();
    assert!(said(other).contains("apt-get install dnsmasq-base"));
}

#[test]
fn a_server_that_stops_takes_its_dnsmasq_along() {
    let Some(lan) = Lan::new() else { return };
    let server = proxy(&lan);
    let (pid, dnsmasq) = (server.pid(), std::sync::Arc::clone(&server.dnsmasq));
    drop(server);
    assert_eq!(dnsmasq.status().state, DnsmasqState::Stopped);
    assert!(kill(Pid::from_raw(pid), None).is_err(), "process {pid} is gone");
}
