//! dnsmasq as the LAN's DHCP server.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut text = vec![facts.head("#", "For the dnsmasq that hands out addresses: a file below /etc/dnsmasq.d.")];
    text.push(
        "\n# iPXE says so itself: by its user class, or by the options that only it sends.\n\
             dhcp-userclass=set:ipxe,iPXE\ndhcp-match=set:ipxe,175\n\n# What a machine can boot (option 93).\n"
            .to_owned(),
    );
    for client in &facts.clients {
        text.push(format!("dhcp-match=set:{},option:client-arch,{}\n", client.tag, client.code));
    }
    text.push("\n# Firmware loads iPXE, but iPXE does not load itself again.\n".to_owned());
    let mut last = "";
    for client in facts.clients.iter().filter(|client| std::mem::replace(&mut last, client.tag) != client.tag) {
        if client.by_http {
            text.push(format!("dhcp-option-force=tag:{},option:vendor-class,HTTPClient\n", client.tag));
            text.push(format!("dhcp-boot=tag:!ipxe,tag:{},{}\n", client.tag, client.file));
        } else {
            text.push(format!("dhcp-boot=tag:!ipxe,tag:{},{},,{}\n", client.tag, client.file, facts.tftp));
        }
    }
    text.push(format!("\n# iPXE asks us what to do.\ndhcp-boot=tag:ipxe,{}\n", facts.boot_url));
    text.concat()
}
