//! dnsmasq as the LAN's DHCP server.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut text = facts.head("#", "For the dnsmasq that hands out addresses: a file below /etc/dnsmasq.d.");
    text += "\n# iPXE says so itself: by its user class, or by the options that only it sends.\n\
             dhcp-userclass=set:ipxe,iPXE\ndhcp-match=set:ipxe,175\n\n# What a machine can boot (option 93).\n";
    for client in &facts.clients {
        text += &format!("dhcp-match=set:{},option:client-arch,{}\n", client.tag, client.code);
    }
    text += "\n# Firmware loads iPXE, but iPXE does not load itself again.\n";
    let mut last = "";
    for client in facts.clients.iter().filter(|client| std::mem::replace(&mut last, client.tag) != client.tag) {
        if client.by_http {
            text += &format!("dhcp-option-force=tag:{},option:vendor-class,HTTPClient\n", client.tag);
            text += &format!("dhcp-boot=tag:!ipxe,tag:{},{}\n", client.tag, client.file);
        } else {
            text += &format!("dhcp-boot=tag:!ipxe,tag:{},{},,{}\n", client.tag, client.file, facts.tftp);
        }
    }
    text + &format!("\n# iPXE asks us what to do.\ndhcp-boot=tag:ipxe,{}\n", facts.boot_url)
}
