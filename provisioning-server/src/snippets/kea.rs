//! Kea: client classes, which every subnet takes part in.

use super::SnippetFacts;

pub(super) fn snippet(facts: &SnippetFacts) -> String {
    let mut classes = vec![class(
        "provisioning-ipxe",
        "option[77].hex == 'iPXE' or option[77].hex == 0x0469505845",
        &[format!("\"boot-file-name\": \"{}\"", facts.boot_url)],
        "iPXE asks us what to do. Some clients put the length before the word.",
    )];
    for client in &facts.clients {
        let test = format!("option[93].hex == 0x{:04x} and not member('provisioning-ipxe')", client.code);
        let mut settings = vec![format!("\"boot-file-name\": \"{}\"", client.file)];
        if client.by_http {
            let option = "\"option-data\": [ { \"name\": \"vendor-class-identifier\", \"data\": \"HTTPClient\", \
                          \"always-send\": true } ]";
            settings.push(option.to_owned());
        } else {
            settings.push(format!("\"next-server\": \"{}\"", facts.tftp));
        }
        classes.push(class(&format!("provisioning-arch-{}", client.code), &test, &settings, client.words));
    }
    let head = facts.head("//", "For Kea: put the classes into \"Dhcp4\" of kea-dhcp4.conf.");
    format!("{head}{{\n  \"client-classes\": [\n{}\n  ]\n}}\n", classes.join(",\n"))
}

fn class(name: &str, test: &str, settings: &[String], why: &str) -> String {
    let settings: String = settings.iter().map(|setting| format!(",\n      {setting}")).collect();
    format!("    // {why}\n    {{\n      \"name\": \"{name}\",\n      \"test\": \"{test}\"{settings}\n    }}")
}
