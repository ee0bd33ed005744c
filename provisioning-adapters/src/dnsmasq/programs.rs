//! iPXE's programs: which machine is given which, where they come from, and how old they are.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::fault::DnsmasqFault;

/// How a machine fetches its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// From our TFTP server.
    ByTftp,
    /// From our HTTP server (UEFI HTTP Boot).
    ByHttp,
}

/// Machines that netboot alike: a row of the table that every configuration and snippet is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootClient {
    /// The tag that dnsmasq gives it.
    pub tag: &'static str,
    /// What it is, in words.
    pub words: &'static str,
    /// Its client system architectures (option 93; `reference/netboot.md` §2.3). Type 9 is what some x86-64 firmware
    /// sends instead of 7.
    pub codes: &'static [u16],
    /// How it fetches its program.
    pub fetched: Fetched,
    /// The programs that fit, the best first. With `snponly.efi` iPXE uses the NIC that the firmware has booted from,
    /// and `exit 1` reaches the firmware's next device even in iPXE of 2019; HTTP Boot was only seen with `ipxe.efi`
    /// (`reference/netboot.md` §1 and §3.9).
    pub programs: &'static [&'static str],
}

/// The machines that we know how to boot. arm64 has the same lines as the others, but was never seen beyond iPXE.
pub const BOOT_CLIENTS: [BootClient; 5] = [
    BootClient { tag: "bios", words: "BIOS", codes: &[0], fetched: Fetched::ByTftp, programs: &["undionly.kpxe"] },
    BootClient {
        tag: "efi64",
        words: "UEFI x86-64",
        codes: &[7, 9],
        fetched: Fetched::ByTftp,
        programs: &["snponly.efi", "ipxe.efi"],
    },
    BootClient {
        tag: "arm64",
        words: "UEFI arm64",
        codes: &[11],
        fetched: Fetched::ByTftp,
        programs: &["snponly-arm64.efi", "ipxe-arm64.efi"],
    },
    BootClient {
        tag: "http64",
        words: "UEFI HTTP Boot x86-64",
        codes: &[16],
        fetched: Fetched::ByHttp,
        programs: &["ipxe.efi", "snponly.efi"],
    },
    BootClient {
        tag: "httparm",
        words: "UEFI HTTP Boot arm64",
        codes: &[19],
        fetched: Fetched::ByHttp,
        programs: &["ipxe-arm64.efi", "snponly-arm64.efi"],
    },
];

/// A program for machines of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The machines.
    pub client: &'static BootClient,
    /// The file's name.
    pub name: &'static str,
}

/// What a folder holds of iPXE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootPrograms {
    /// The folder.
    pub folder: PathBuf,
    /// What is there, in the order of [`BOOT_CLIENTS`].
    pub present: Vec<Program>,
    /// Which version it is, where a file tells.
    pub version: Option<IpxeVersion>,
}

impl BootPrograms {
    /// Every program by its usual name, wherever it may be: for a DHCP server that is not ours.
    pub fn usual() -> Vec<Program> {
        BOOT_CLIENTS.iter().filter_map(|client| Some(Program { client, name: client.programs.first()? })).collect()
    }

    /// Looks into a folder. Reads the EFI programs; BIOS ones are packed and do not tell their version.
    pub fn find(folder: &Path) -> Self {
        let present = BOOT_CLIENTS.iter().filter_map(|client| {
            let name = client.programs.iter().find(|name| folder.join(name).is_file())?;
            Some(Program { client, name })
        });
        let present: Vec<Program> = present.collect();
        let efi = present
            .iter()
            .filter(|program| Path::new(program.name).extension().is_some_and(|extension| extension == "efi"));
        let versions = efi.filter_map(|program| IpxeVersion::of(&std::fs::read(folder.join(program.name)).ok()?));
        Self { folder: folder.to_owned(), version: versions.max(), present }
    }

    /// The kinds of machines for which nothing is there.
    pub fn missing(&self) -> impl Iterator<Item = &'static BootClient> {
        BOOT_CLIENTS.iter().filter(|client| self.present.iter().all(|program| program.client != *client))
    }

    /// What an operator should know before machines boot: missing programs for x86-64, and an iPXE that is too old.
    pub fn warnings(&self) -> Vec<String> {
        let folder = self.folder.display();
        let x86 = self.missing().filter(|client| !client.tag.contains("arm"));
        let mut warnings: Vec<String> = x86
            .map(|client| {
                format!(
                    "{folder} has no {}: {} machines are not booted",
                    client.programs.join(" and no "),
                    client.words
                )
            })
            .collect();
        if let Some(version) = self.version.as_ref().filter(|version| version.is_old()) {
            warnings.push(format!(
                "iPXE {version} in {folder} is older than 2021: it speaks no HTTPS, and installed UEFI machines may hang \
                 when they are to boot from their disk; take a newer one (Debian 13's package ipxe)"
            ));
        }
        warnings
    }

    /// Whether some machine can be booted.
    pub(super) fn check(&self) -> Result<(), DnsmasqFault> {
        let by_tftp = self.present.iter().any(|program| program.client.fetched == Fetched::ByTftp);
        if by_tftp { Ok(()) } else { Err(DnsmasqFault::NoPrograms(self.folder.clone())) }
    }

    /// Copies what is fetched by TFTP into the server's root, and removes what else is there. The files belong to us
    /// and not to dnsmasq's user, who could change them then (`tftp-secure` would ask for that).
    pub(super) fn install(&self, root: &Path) -> io::Result<()> {
        std::fs::create_dir_all(root)?;
        std::fs::set_permissions(root, Permissions::from_mode(0o755))?;
        let mut names: BTreeMap<&str, PathBuf> = BTreeMap::new();
        for program in self.present.iter().filter(|program| program.client.fetched == Fetched::ByTftp) {
            names.insert(program.name, self.folder.join(program.name));
        }
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| names.contains_key(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        for (name, from) in names {
            let (bytes, to) = (std::fs::read(from)?, root.join(name));
            if std::fs::read(&to).ok().as_ref() != Some(&bytes) {
                super::files::replace(&to, &bytes)?;
            }
        }
        Ok(())
    }
}

/// iPXE's version, as its programs have it in them: `1.0.0+git-20190125.36a4c85-5.1`, `1.21.1+git20250501.…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpxeVersion {
    /// Release: major, minor, patch.
    release: (u32, u32, u32),
    /// The day of the snapshot, as a number `YYYYMMDD`; `None` for a build that does not tell.
    day: Option<u32>,
    text: String,
}

impl IpxeVersion {
    /// Finds the version among the texts of a program.
    pub fn of(program: &[u8]) -> Option<Self> {
        let texts = program.split(|byte| !byte.is_ascii_graphic()).filter(|text| (7..=80).contains(&text.len()));
        texts.filter_map(|text| std::str::from_utf8(text).ok()).find_map(Self::parse)
    }

    /// Whether it is of before 2021.
    pub fn is_old(&self) -> bool {
        match self.day {
            Some(day) => day < 20_210_101,
            // 1.21.1 was released on the last day of 2020.
            None => self.release < (1, 21, 0),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (release, build) = text.split_once('+')?;
        let numbers: Vec<u32> = release.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let &[major, minor, patch] = numbers.as_slice() else { return None };
        let day = build.strip_prefix("git").map(|rest| rest.trim_start_matches('-')).and_then(|rest| {
            let digits = rest.get(..8).filter(|day| day.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok()
        });
        Some(Self { release: (major, minor, patch), day, text: text.to_owned() })
    }
}

impl fmt::Display for IpxeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn a_program_tells_its_version_and_whether_it_is_old() {
        let cases = [
            ("1.0.0+git-20190125.36a4c85-5.1", true),
            ("1.21.1+git20250501.8c2d9b1+dfsg-1", false),
            ("1.20.1+", true),
            ("1.21.1+", false),
        ];
        for (text, old) in cases {
            let program = [b"\0MZ\x90 2.4 iPXE\0", text.as_bytes(), b"\0http://ipxe.org\0"].concat();
            let version = IpxeVersion::of(&program).expect("it is there");
            assert_eq!((version.to_string().as_str(), version.is_old()), (text, old));
        }
        assert_eq!(IpxeVersion::of(b"no+version 1.2.3 a.b.c+d\0\xff\xfe"), None);
    }

    #[test]
    fn what_is_missing_or_old_is_named() {
        let dir = folder(&[("snponly.efi", b"\x001.0.0+git-20190125.36a4c85-5.1\0")]);
        let programs = BootPrograms::find(dir.path());
        let names: Vec<(&str, &str)> = programs.present.iter().map(|p| (p.client.tag, p.name)).collect();
        assert_eq!(names, [("efi64", "snponly.efi"), ("http64", "snponly.efi")]);
        assert!(programs.check().is_ok());
        let warnings = programs.warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("has no undionly.kpxe: BIOS machines are not booted"), "{warnings:?}");
        assert!(warnings[1].contains("is older than 2021"), "{warnings:?}");

        let empty = folder(&[("README", b"")]);
        let fault = BootPrograms::find(empty.path()).check().unwrap_err().to_string();
        assert!(fault.contains("apt-get install ipxe"), "{fault}");
    }

    #[test]
    fn the_tftp_root_holds_the_boot_programs_and_nothing_else() {
        let from = folder(&[("undionly.kpxe", b"bios"), ("ipxe.efi", b"uefi"), ("ipxe-arm64.efi", b"arm")]);
        let root = folder(&[("old.efi", b"x")]);
        let programs = BootPrograms::find(from.path());
        for _ in 0..2 {
            programs.install(root.path()).unwrap();
            let mut names: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["ipxe-arm64.efi", "ipxe.efi", "undionly.kpxe"]);
        }
        assert_eq!(std::fs::read(root.path().join("undionly.kpxe")).unwrap(), b"bios");
        assert_eq!(std::fs::metadata(root.path().join("ipxe.efi")).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
