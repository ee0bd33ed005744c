//! Country, time zone, keyboard and domain as this machine has them: hosts beside it will want the same.

use std::path::Path;

use provisioning_core::model::{CountryCode, Domain, Keyboard, Timezone};

use super::Proposal;

/// What this machine says of itself, below a root folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The time zone.
    pub timezone: Option<Proposal>,
    /// The country: the time zone's, else the language's.
    pub country: Option<Proposal>,
    /// The keyboard.
    pub keyboard: Option<Proposal>,
    /// The DNS domain.
    pub domain: Option<Proposal>,
}

impl Region {
    /// Reads it; `root` is `/` outside of tests. What is not to be found, or nothing that the installer takes, is left
    /// out.
    pub fn of(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let link = std::fs::read_link(root.join("etc/localtime")).ok();
        let timezone = timezone(&read("etc/timezone"), link.as_deref());
        let zones = ["usr/share/zoneinfo/zone.tab", "usr/share/zoneinfo/zone1970.tab"].map(read).join("\n");
        let of_zone = timezone.as_ref().and_then(|zone| country_of_zone(&zone.value, &zones));
        let country = of_zone.or_else(|| country_of_language(&read("etc/default/locale")));
        Self {
            country,
            keyboard: keyboard(&read("etc/default/keyboard")),
            domain: domain(&read("etc/resolv.conf"), &read("etc/hostname")),
            timezone,
        }
    }
}

fn timezone(text: &str, link: Option<&Path>) -> Option<Proposal> {
    let written = text.trim().parse::<Timezone>().ok();
    let written = written.map(|zone| Proposal::new(zone.as_str(), "/etc/timezone"));
    let linked = || {
        let link = link?.to_str()?;
        let zone: Timezone = link.split_once("zoneinfo/")?.1.parse().ok()?;
        Some(Proposal::new(zone.as_str(), "/etc/localtime"))
    };
    // Etc/UTC is Debian's word for what the installer calls UTC.
    let universal = ["Etc/UTC", "Etc/Universal", "Universal"].contains(&text.trim());
    written.or_else(linked).or_else(|| universal.then(|| Proposal::new("UTC", "/etc/timezone")))
}

fn country_of_zone(zone: &str, table: &str) -> Option<Proposal> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let codes = rows.filter_map(|line| {
        let mut cells = line.split('\t');
        let codes = cells.next()?;
        (cells.nth(1)? == zone).then_some(codes)
    });
    let code = codes.flat_map(|codes| codes.split(',')).next()?.to_ascii_lowercase();
    let code: CountryCode = code.parse().ok()?;
    Some(Proposal::new(code.as_str(), format!("the time zone {zone}")))
}

/// `LANG=de_AT.UTF-8` is Austria's.
fn country_of_language(text: &str) -> Option<Proposal> {
    let language = setting(text, "LANG")?;
    let code = language.split_once('_')?.1.get(..2)?.to_ascii_lowercase();
    let code: CountryCode = code.parse().ok()?;
    Some(Proposal::new(code.as_str(), "/etc/default/locale"))
}

/// X names layouts by countries, the installer by languages; where they differ it is said here.
fn keyboard(text: &str) -> Option<Proposal> {
    let layout = setting(text, "XKBLAYOUT")?.split(',').next()?.to_owned();
    let variant = setting(text, "XKBVARIANT").unwrap_or_default();
    let name = match (layout.as_str(), variant.as_str()) {
        ("us", _) => "en-us",
        ("gb" | "uk", _) => "en-gb",
        ("ch", variant) if variant.starts_with("fr") => "fr-ch",
        ("ch", _) => "de-ch",
        ("be", _) => "fr-be",
        ("ca", _) => "fr-ca",
        ("br", _) => "pt-br",
        ("at", _) => "de",
        (layout, _) => layout,
    };
    let keyboard: Keyboard = name.parse().ok()?;
    Some(Proposal::new(keyboard.as_str(), "/etc/default/keyboard"))
}

fn domain(resolver: &str, hostname: &str) -> Option<Proposal> {
    let searched = resolver.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        ["search", "domain"].contains(&words.next()?).then(|| words.next())?
    });
    let of_name = || hostname.trim().split_once('.').map(|(_, domain)| domain);
    let (text, because) = match searched {
        Some(text) => (text, "/etc/resolv.conf"),
        None => (of_name()?, "/etc/hostname"),
    };
    let domain: Domain = text.trim_end_matches('.').parse().ok()?;
    Some(Proposal::new(domain.as_str(), because))
}

/// A line `NAME=value` of a file that shells read.
fn setting(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Region {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Region::of(root.path())
    }

    fn values(region: &Region) -> [Option<&str>; 4] {
        [&region.timezone, &region.country, &region.keyboard, &region.domain]
            .map(|proposal| proposal.as_ref().map(|proposal| proposal.value.as_str()))
    }

    #[test]
    fn a_machine_in_vienna_proposes_what_its_files_say() {
        let region = machine(&[
            ("etc/timezone", "Europe/Vienna\n"),
            (
                "usr/share/zoneinfo/zone.tab",
                "# codes\nAT\t+4813+01620\tEurope/Vienna\nDE\t+5230+01322\tEurope/Berlin\n",
            ),
            ("etc/default/keyboard", "# KEYBOARD\nXKBMODEL=\"pc105\"\nXKBLAYOUT=\"ch\"\nXKBVARIANT=\"fr\"\n"),
            ("etc/resolv.conf", "nameserver 10.0.0.1\nsearch lab.example other.example\n"),
        ]);
        assert_eq!(values(&region), [Some("Europe/Vienna"), Some("at"), Some("fr-ch"), Some("lab.example")]);
    }

    #[test]
    fn what_the_installer_would_not_take_is_not_proposed() {
        let region = machine(&[
            ("etc/timezone", "Etc/UTC\n"),
            ("etc/default/keyboard", "XKBLAYOUT=\"ru\"\n"),
            ("etc/default/locale", "LANG=de_DE.UTF-8\n"),
            ("etc/hostname", "prov\n"),
        ]);
        assert_eq!(values(&region), [Some("UTC"), Some("de"), None, None]);
        assert_eq!(values(&machine(&[])), [None; 4]);
    }
}
