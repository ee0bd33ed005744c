//! What all worlds have in common: site, hardware class, image, cluster.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_core::model::{
    CertFingerprint, Cluster, DiskSelection, DiskSetup, Filesystem, Image, ImageId, JoinSecret, LvmOptions, Release,
    Secret, ServerType, ServerTypeKey, Sha256Digest, Site, SshPublicKey, Timestamp,
};
use provisioning_core::orchestrator::ServerTypes;

use crate::real::cluster::{Founder, SimCluster};

const PASSWORD: &str = "the cluster's root password";

/// What every private key of this world begins with.
pub(super) const PRIVATE_KEY: &str = "one-time private key ";

const FINGERPRINT: [u8; 32] = [7; 32];

/// What may stand in no journal.
pub(super) fn secrets() -> Vec<String> {
    vec![PASSWORD.to_owned(), PRIVATE_KEY.to_owned()]
}

/// Founders that hold the quorum whatever the hosts do, and take it with them when all but one go dark.
pub(super) fn cluster(hosts: u16) -> SimCluster {
    let founders = (1..=hosts + 3).map(|n| {
        let [high, low] = n.to_be_bytes();
        Founder {
            name: format!("founder{n}").parse().expect("a host name"),
            address: [10, 0, high, low].into(),
            fingerprint: CertFingerprint::new(FINGERPRINT),
            password: Secret::new(PASSWORD.to_owned()),
        }
    });
    SimCluster::found("world", founders.collect())
}

/// The site, joined to the cluster of [`cluster`].
pub(super) fn site() -> Arc<Site> {
    let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
    Arc::new(Site {
        public_url: "http://10.0.0.2:8080".parse().expect("a URL"),
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse().expect("a domain"),
        country: "at".parse().expect("a country"),
        timezone: "UTC".parse().expect("a time zone"),
        keyboard: "de".parse().expect("a keyboard"),
        mailto: "root@lab.example".parse().expect("an address"),
        root_password_hash: hash.parse().expect("a hash"),
        root_ssh_keys: vec![],
        static_network: None,
        cluster: Some(Cluster {
            member: "founder1.lab.example".parse().expect("a member"),
            fingerprint: CertFingerprint::new(FINGERPRINT),
            password: Secret::new(PASSWORD.to_owned()),
            join_secret: JoinSecret::Password,
        }),
    })
}

/// The one hardware class.
pub(super) fn server_type() -> ServerTypeKey {
    "mini".parse().expect("a key")
}

/// The hardware classes in force.
pub(super) fn server_types() -> ServerTypes {
    let selection = DiskSelection::Named(vec!["sda".parse().expect("a disk")]);
    let disk = DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default())).expect("a disk setup");
    let server_type = ServerType {
        key: server_type(),
        display_name: "Mini PC".into(),
        disk,
        management_nic: None,
        gpu: None,
        hostname_prefix: None,
    };
    ServerTypes::from([(server_type.key.clone(), server_type)])
}

/// The one image.
pub(super) fn image() -> Image {
    Image {
        id: ImageId::from_bytes([9; 16]),
        name: "proxmox-ve_9.2-1".into(),
        release: Release::new(9, 2),
        iso_release: "1".into(),
        sha256: Sha256Digest::new([9; 32]),
        size_bytes: 1,
        imported_at: Timestamp::from_millis(0),
    }
}

/// An ed25519 public key of these bytes.
pub(super) fn public_key(bytes: [u8; 32]) -> SshPublicKey {
    let mut blob = Vec::with_capacity(51);
    for field in [b"ssh-ed25519".as_slice(), bytes.as_slice()] {
        blob.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(field);
    }
    format!("ssh-ed25519 {}", STANDARD.encode(blob)).parse().expect("a public key")
}
