//! Keys: ours, made from a seed and kept as text, and the host's, to pin.

use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::ports::KeyPair;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

use super::signing::and_clear_stack;

/// An ed25519 key pair, the same for the same seed, without a comment in either half.
pub(super) fn key_pair(seed: &Secret<[u8; 32]>) -> KeyPair {
    and_clear_stack(|| {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(seed.expose()));
        let private = key.to_openssh(LineEnding::LF).expect("an ed25519 key has an OpenSSH form");
        let public = key.public_key().to_openssh().expect("an ed25519 key has an OpenSSH form");
        KeyPair {
            public: public.parse().expect("an OpenSSH public key line is an SSH public key"),
            private: Secret::new(String::clone(&private)),
        }
    })
}

/// The pins that we can check, first come first.
///
/// RSA is not among them: the one implementation at hand leaks by timing (RUSTSEC-2023-0071), and every Proxmox
/// host has an ed25519 key (`reference/post-hook.md`).
pub(super) fn pins(keys: &[SshPublicKey]) -> Vec<PublicKey> {
    keys.iter()
        .filter_map(|key| PublicKey::from_openssh(key.as_str()).ok())
        .filter(|key| matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Ecdsa { .. }))
        .collect()
}

/// The types of the pins, each once: what we let the host show.
pub(super) fn algorithms(pins: &[PublicKey]) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for pin in pins {
        if !algorithms.contains(&pin.algorithm()) {
            algorithms.push(pin.algorithm());
        }
    }
    algorithms
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = concat!(
        "ssh-rsa ",
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCue1dBVlNjSlmBJygVyEKW3OtTEw2oH9d6EFSqJaXjA6C+I1BeRUzIrvqWuJ",
        "xXcqGrkrZAm2cV3oWk3EYOhH+YUEfeBsPAjoyv93pH8uv2Vgl3wSMChRTkiLo3Z3f/GM3MySRHy1XiS6MtTryjL8GH",
        "G3qHaj/0uFjFEwX61tb7ew==",
    );

    #[test]
    fn the_private_half_reads_back_and_belongs_to_the_public_half() {
        let pair = key_pair(&Secret::new([7; 32]));
        let key = PrivateKey::from_openssh(pair.private.expose()).unwrap();
        assert_eq!(key.public_key().to_openssh().unwrap(), pair.public.as_str());
        assert_eq!(pair.public.as_str().split(' ').count(), 2, "no comment");
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }

    #[test]
    fn rsa_keys_are_no_pins_and_types_come_once() {
        let rsa: SshPublicKey = RSA.parse().unwrap();
        let ed25519 = key_pair(&Secret::new([1; 32])).public;
        let other = key_pair(&Secret::new([2; 32])).public;
        assert!(pins(std::slice::from_ref(&rsa)).is_empty());
        let pins = pins(&[rsa, ed25519, other]);
        assert_eq!(pins.len(), 2);
        assert_eq!(algorithms(&pins), [Algorithm::Ed25519]);
    }
}
