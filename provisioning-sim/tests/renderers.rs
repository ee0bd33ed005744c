//! What the core renders for firmware and for shells, read back by those who read it: whatever values go in come out,
//! and none of them leaves its line.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::sample::select;
use provisioning_core::model::{BaseUrl, BootToken, Domain, Fqdn, HostId, Hostname, OperationId, Release, Timestamp};
use provisioning_core::render::{BootScript, FirstBootScript, LOCAL_DISK_SCRIPT, boot_script, first_boot_script};
use provisioning_sim::real::host::FirstBootScript as ReadScript;
use provisioning_sim::real::ipxe::{End, ImageRef, Script, Step, Went};

/// URLs of every kind that is accepted; the path has all characters that may stand there.
fn any_url() -> impl Strategy<Value = BaseUrl> {
    let host = prop_oneof![
        "[a-zA-Z0-9]{1,9}(-[a-z0-9]{1,3}){0,2}(\\.[a-z]{1,5}){0,3}",
        any::<[u8; 4]>().prop_map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        any::<[u16; 8]>().prop_map(|words| format!("[{}]", std::net::Ipv6Addr::from(words))),
    ];
    let port = proptest::option::of(1_u16..).prop_map(|port| port.map(|port| format!(":{port}")).unwrap_or_default());
    (select(vec!["http", "https"]), host, port, "(/[A-Za-z0-9._~:/\\[\\]-]{0,20}){0,2}")
        .prop_filter_map("no base URL", |(scheme, host, port, path)| {
            format!("{scheme}://{host}{port}{path}").parse().ok()
        })
}

fn any_token() -> impl Strategy<Value = BootToken> {
    let secret = prop_oneof![any::<[u8; 16]>(), Just([0xff; 16]), Just([0xfb; 16])];
    (any::<[u8; 16]>(), secret).prop_map(|(id, secret)| BootToken::new(OperationId::from_bytes(id), secret))
}

fn any_fqdn() -> impl Strategy<Value = Fqdn> {
    ("[a-zA-Z0-9-]{1,63}", "[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,20}){0,3}").prop_filter_map("no name", |(name, domain)| {
        Fqdn::new(&name.parse::<Hostname>().ok()?, &domain.parse::<Domain>().ok()?).ok()
    })
}

/// Runs a boot script on a machine for which everything works.
fn steps(script: &str) -> Vec<Step> {
    let mut running = Script::parse(script).unwrap().run(BTreeMap::new());
    let mut steps = vec![running.next(Went::Well)];
    while !matches!(steps.last(), Some(Step::Ended(_))) {
        steps.push(running.next(Went::Well));
    }
    steps
}

proptest! {
    #[test]
    fn a_boot_script_does_exactly_what_its_values_say(
        public_url in any_url(), token in any_token(), fqdn in any_fqdn(), (major, minor) in (0_u16..1000, 0_u16..1000),
    ) {
        let release = Release::new(major, minor);
        let script = BootScript { public_url: &public_url, token: &token, fqdn: &fqdn, release };
        let text = boot_script(&script);
        prop_assert_eq!(text.lines().count(), 5);

        let base = public_url.join(&format!("/boot/{}", token.expose()));
        let [Step::Echo(echo), Step::Fetch(kernel), Step::Fetch(initrd), Step::Boot(images), end] = &steps(&text)[..]
        else {
            return Err(TestCaseError::fail(format!("other steps: {text}")));
        };
        prop_assert!(echo.ends_with(&format!(" {release} on {fqdn}")), "{echo}");
        let ImageRef::Kernel { url, arguments } = kernel else {
            return Err(TestCaseError::fail("the first image is no kernel"));
        };
        prop_assert_eq!(url, &format!("{base}/vmlinuz"));
        prop_assert!(arguments.iter().any(|argument| argument == "proxmox-start-auto-installer"));
        let named = ImageRef::Initrd { name: "initrd.img".into(), url: format!("{base}/initrd"), wrap_as: None };
        prop_assert_eq!(initrd, &named);
        prop_assert!(arguments.iter().any(|argument| argument == "initrd=initrd.img"));
        prop_assert_eq!(images, &[kernel.clone(), initrd.clone()]);
        prop_assert_eq!(end, &Step::Ended(End::RanOut));
    }

    #[test]
    fn a_first_boot_script_reads_back_and_differs_in_two_lines_only(
        one in any_url(), other in any_url(), token in any_token(), id: [u8; 10],
    ) {
        let host = HostId::new(Timestamp::from_millis(1), id);
        let render = |public_url| {
            first_boot_script(&FirstBootScript { public_url, host, token: &token, tls_fingerprint: None })
        };
        let (text, another) = (render(&one), render(&other));
        let read = ReadScript::read(text.as_bytes()).unwrap();
        prop_assert_eq!(read.url, one.join(&format!("/api/hosts/{host}/phone-home")));
        prop_assert_eq!(read.token, token.expose());

        prop_assert_eq!(text.lines().count(), another.lines().count());
        let apart: Vec<&str> = text.lines().zip(another.lines()).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
        prop_assert!(apart.iter().all(|line| line.starts_with("URL='") && line.ends_with('\'')), "{apart:?}");
        prop_assert!(apart.len() <= 1);
    }
}

#[test]
fn the_local_disk_is_booted_by_every_firmware() {
    let expected = [
        Step::Echo("Provisioning: booting from the local disk".into()),
        Step::Sanboot { drive: 0x80 },
        Step::Ended(End::RanOut),
    ];
    assert_eq!(steps(LOCAL_DISK_SCRIPT), expected);
}

/// As odd as a value can be and still be accepted.
const ODD_URLS: [&str; 6] = [
    "http://[::ffff:10.0.0.2]:65535/~a_b/..//[x]",
    "https://10.0.0.2/-n",
    "http://a/~",
    "https://xn--bcher-kva.example/:80:/",
    "http://0/[",
    "http://a-b.c/....",
];

#[test]
fn a_real_shell_reads_the_same_url_and_token_and_finds_no_fault_in_the_script() {
    let host = HostId::new(Timestamp::from_millis(1), [7; 10]);
    for (url, secret) in ODD_URLS.into_iter().zip([0x00, 0xff, 0xfb, 0xef, 0xbe, 0x2d]) {
        let public_url: BaseUrl = url.parse().unwrap();
        let token = BootToken::new(OperationId::from_bytes([secret; 16]), [secret; 16]);
        let text =
            first_boot_script(&FirstBootScript { public_url: &public_url, host, token: &token, tls_fingerprint: None });
        assert_eq!(shell(&["-n"], &text), "", "{url}");

        let assignments = text.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        let said = shell(&[], &format!("{assignments}\nprintf '%s\\n%s\\n' \"$URL\" \"$TOKEN\"\n"));
        let expected = format!("{}\n{}\n", public_url.join(&format!("/api/hosts/{host}/phone-home")), token.expose());
        assert_eq!(said, expected, "{url}");
    }
}

/// What `sh` says, on either output, to a script on its standard input; it must succeed.
fn shell(arguments: &[&str], script: &str) -> String {
    let mut child = Command::new("sh")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}
