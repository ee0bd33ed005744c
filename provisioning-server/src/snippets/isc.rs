//! ISC dhcpd.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut text = facts.head("#", "For ISC dhcpd: into dhcpd.conf, outside of any subnet, or into one of them.");
    text += "\noption arch code 93 = unsigned integer 16;\n\n\
             # Asked first, or iPXE would load itself again.\n\
             if exists user-class and option user-class = \"iPXE\" {\n";
    text += &format!("    filename \"{}\";\n}}", facts.boot_url);
    for client in &facts.clients {
        text += &format!(" elsif option arch = {} {{\n    # {}\n", hexadecimal(client.code), client.words);
        if client.by_http {
            text +=
                "    # HTTP Boot takes no offer without this.\n    option vendor-class-identifier \"HTTPClient\";\n";
        } else {
            text += &format!("    next-server {};\n", facts.tftp);
        }
        text += &format!("    filename \"{}\";\n}}", client.file);
    }
    text + "\n"
}

/// dhcpd compares an option of 16 bits with its two bytes.
fn hexadecimal(code: u16) -> String {
    let [high, low] = code.to_be_bytes();
    format!("{high:02x}:{low:02x}")
}
