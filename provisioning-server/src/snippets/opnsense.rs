//! OPNsense: what to write into which field, since it is set up by pages.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut text = facts.head("#", "For OPNsense with its ISC DHCPv4 service: Services > ISC DHCPv4 > (your LAN).");
    let file = |tag: &str| facts.clients.iter().find(|client| client.tag == tag).map_or("", |client| &client.file);
    text += &format!(
        "\nNetwork booting: tick \"Enable network booting\", then set\n\
         \x20 next-server IP                   {}\n\
         \x20 default bios filename            {}\n\
         \x20 x64 UEFI/EBC (64-bit) filename   {}\n\
         \x20 iPXE boot filename               {}\n",
        facts.tftp,
        file("bios"),
        file("efi64"),
        facts.boot_url
    );
    text += &format!(
        "\nThe last field keeps iPXE from loading itself for ever: do not leave it out. arm64 and UEFI HTTP Boot have no\n\
         fields there; OPNsense's dnsmasq (Services > Dnsmasq DNS & DHCP) boots those as well, with these lines in a\n\
         file below /usr/local/etc/dnsmasq.conf.d:\n\n{}",
        super::dnsmasq::snippet(facts)
    );
    text
}
