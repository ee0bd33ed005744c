//! What a boot server saw, as the rest of a sentence that begins with the NIC.

use provisioning_core::netboot::{DhcpClient, Sighted};

/// Whether somebody may have to do something about it.
pub(super) fn is_trouble(what: &Sighted) -> bool {
    match what {
        Sighted::Denied { .. } | Sighted::NoAddress { .. } => true,
        // New iPXE for EFI always asks for it.
        Sighted::FileMissing { file } => !file.ends_with("autoexec.ipxe"),
        Sighted::Discovered(_)
        | Sighted::LeftAlone(_)
        | Sighted::Offered { .. }
        | Sighted::BootServerAsked { .. }
        | Sighted::Requested { .. }
        | Sighted::Acknowledged { .. }
        | Sighted::FileSent { .. }
        | Sighted::FileBroken { .. } => false,
    }
}

/// What was seen, without full stop.
pub(super) fn sighting_words(what: &Sighted) -> String {
    match what {
        Sighted::Discovered(client) => format!("asked what to boot ({})", client_words(*client)),
        Sighted::LeftAlone(client) => {
            format!("asked what to boot ({}) and was left alone: it was not registered", client_words(*client))
        }
        Sighted::Offered { client, file, .. } => {
            let file = file.as_deref().unwrap_or("a boot program");
            format!("was offered {file} ({})", client_words(*client))
        }
        Sighted::BootServerAsked { file: Some(file), .. } => format!("asked for its boot program and was told {file}"),
        Sighted::BootServerAsked { file: None, .. } => "asked for its boot program".to_owned(),
        Sighted::Requested { address } => format!("asked for the address {address}"),
        Sighted::Acknowledged { address } => format!("was given the address {address}"),
        Sighted::Denied { why } => format!("was denied the address it asked for: {why}"),
        Sighted::NoAddress { why } => format!("asked what to boot, and there is nothing for it: {why}"),
        Sighted::FileSent { file } => format!("loaded {file} by TFTP"),
        Sighted::FileMissing { file } => format!("asked by TFTP for {file}, which is not there"),
        Sighted::FileBroken { file: Some(file), why } => format!("broke off loading {file} by TFTP: {why}"),
        Sighted::FileBroken { file: None, why } => format!("broke off a transfer by TFTP: {why}"),
    }
}

fn client_words(client: DhcpClient) -> String {
    let arch = client.arch.map(|arch| arch.to_string());
    match (client.ipxe, arch) {
        (true, Some(arch)) => format!("iPXE, {arch}"),
        (true, None) => "iPXE".to_owned(),
        (false, Some(arch)) => arch,
        (false, None) => "firmware".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::netboot::ClientArch;

    use super::*;

    #[test]
    fn a_request_says_which_program_made_it() {
        let client = |ipxe| DhcpClient { arch: Some(ClientArch::UefiX64), ipxe };
        assert_eq!(sighting_words(&Sighted::Discovered(client(false))), "asked what to boot (UEFI x86-64)");
        assert_eq!(sighting_words(&Sighted::Discovered(client(true))), "asked what to boot (iPXE, UEFI x86-64)");
    }

    #[test]
    fn a_missing_autoexec_is_no_trouble_and_another_missing_file_is() {
        let missing = |file: &str| Sighted::FileMissing { file: file.to_owned() };
        assert!(!is_trouble(&missing("/srv/tftp/autoexec.ipxe")));
        assert!(is_trouble(&missing("ipxe.efi")));
    }
}
