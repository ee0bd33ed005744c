//! RouterOS 7: options, their sets, and matchers.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut text = facts.head("#", "For RouterOS 7.4 or newer: paste into a terminal.");
    text += "# Where the DHCP server has another name than defconf, change it in every matcher.\n";
    let network = facts.subnet.map_or_else(|| "address~\".\"".to_owned(), |subnet| format!("address={subnet}"));
    text += &format!("\n/ip dhcp-server network set [find {network}] next-server={}\n", facts.tftp);
    text += "\n/ip dhcp-server option\n";
    text += &option("provisioning-url", 67, &escaped(&facts.boot_url));
    text += &option("provisioning-tftp", 66, &facts.tftp);
    text += &option("provisioning-http", 60, "HTTPClient");
    for client in &facts.clients {
        text += &option(&format!("provisioning-file-{}", client.code), 67, &escaped(&client.file));
    }
    text += "\n/ip dhcp-server option sets\nadd name=provisioning-ipxe options=provisioning-url\n";
    for client in &facts.clients {
        let with = if client.by_http { "provisioning-http" } else { "provisioning-tftp" };
        text += &format!("add name=provisioning-{0} options=provisioning-file-{0},{with}\n", client.code);
    }
    text += "\n# The first that fits counts: iPXE before firmware, or it would load itself again.\n\
             /ip dhcp-server matcher\n\
             add name=provisioning-ipxe server=defconf code=77 matching-type=exact \
             value=\"iPXE\" option-set=provisioning-ipxe\n";
    for client in &facts.clients {
        text += &format!(
            "add name=provisioning-{0} server=defconf code=93 matching-type=exact \
             value=0x{0:04x} option-set=provisioning-{0} comment=\"{1}\"\n",
            client.code, client.words
        );
    }
    text
}

fn option(name: &str, code: u8, value: &str) -> String {
    format!("add name={name} code={code} value=\"s'{value}'\"\n")
}

/// RouterOS reads `$` in quotes as a variable.
fn escaped(value: &str) -> String {
    value.replace('$', "\\$")
}
