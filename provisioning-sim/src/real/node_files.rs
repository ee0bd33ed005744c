//! A simulated node's key files: what is on its disk, what the cluster file system shows, and which of them sshd
//! believes.
//!
//! Facts: `reference/cluster-join.md`, "SSH keys: the important part".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_core::model::{Hostname, SshPublicKey};
use sha2::{Digest as _, Sha256};

use super::cluster::SimCluster;

/// The key files that a node may have, in the order in which a key is revoked from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// `/etc/pve/priv/authorized_keys`: in the cluster file system, on all members the same.
    ClusterWide,
    /// `/root/.ssh/authorized_keys`: usually a symlink to the cluster-wide one.
    Root,
    /// `/root/.ssh/authorized_keys.org`: what Proxmox VE found in the symlink's place.
    RootOrg,
    /// `/root/.ssh/authorized_keys2.org`.
    Root2Org,
    /// `/root/.ssh/authorized_keys2`: on this node only, survives a join.
    Root2,
}

impl KeyFile {
    pub(super) const ALL: [Self; 5] = [Self::ClusterWide, Self::Root, Self::RootOrg, Self::Root2Org, Self::Root2];

    /// Where it stands.
    pub fn path(self) -> &'static str {
        match self {
            Self::ClusterWide => "/etc/pve/priv/authorized_keys",
            Self::Root => "/root/.ssh/authorized_keys",
            Self::RootOrg => "/root/.ssh/authorized_keys.org",
            Self::Root2Org => "/root/.ssh/authorized_keys2.org",
            Self::Root2 => "/root/.ssh/authorized_keys2",
        }
    }
}

/// What is mounted on `/etc/pve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClusterFs {
    /// Nothing: pve-cluster is stopped.
    Stopped,
    /// The node's own database; the node is standalone.
    Local,
    /// A cluster's, but corosync does not run: empty and read-only.
    Alone,
    /// The cluster's.
    Cluster,
}

/// The cluster file system does not take the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadOnly;

#[derive(Debug)]
pub(super) struct NodeFiles {
    node: Hostname,
    network: Option<SimCluster>,
    pub(super) mounted: ClusterFs,
    /// `authorized_keys` in the node's own database; `None` before the first boot and after a join.
    local_keys: Option<String>,
    /// `/root/.ssh/authorized_keys` when it is a regular file; `None` is the symlink.
    root: Option<String>,
    root_org: Option<String>,
    root2_org: Option<String>,
    root2: Option<String>,
}

impl NodeFiles {
    /// As the installer leaves them: a regular file without a newline at its end.
    pub(super) fn installed(node: Hostname, network: Option<SimCluster>, root_ssh_keys: &[String]) -> Self {
        Self {
            node,
            network,
            mounted: ClusterFs::Stopped,
            local_keys: None,
            root: Some(root_ssh_keys.join("\n")),
            root_org: None,
            root2_org: None,
            root2: None,
        }
    }

    pub(super) fn read(&self, file: KeyFile) -> Option<String> {
        match file {
            KeyFile::ClusterWide => match self.mounted {
                ClusterFs::Stopped | ClusterFs::Alone => None,
                ClusterFs::Local => self.local_keys.clone(),
                ClusterFs::Cluster => Some(self.network.as_ref()?.look(|state| state.authorized_keys().to_owned())),
            },
            KeyFile::Root => self.root.clone().or_else(|| self.read(KeyFile::ClusterWide)),
            KeyFile::RootOrg => self.root_org.clone(),
            KeyFile::Root2Org => self.root2_org.clone(),
            KeyFile::Root2 => self.root2.clone(),
        }
    }

    /// Writes in place, as a shell's `>` does: through the symlink, if it is one.
    pub(super) fn write(&mut self, file: KeyFile, content: String) -> Result<(), ReadOnly> {
        match file {
            KeyFile::ClusterWide => return self.write_cluster_wide(content),
            KeyFile::Root if self.root.is_none() => return self.write_cluster_wide(content),
            KeyFile::Root => self.root = Some(content),
            KeyFile::RootOrg => self.root_org = Some(content),
            KeyFile::Root2Org => self.root2_org = Some(content),
            KeyFile::Root2 => self.root2 = Some(content),
        }
        Ok(())
    }

    pub(super) fn remove_root2(&mut self) {
        self.root2 = None;
    }

    /// A tool that rewrites files puts a regular file, with the same content, in the symlink's place.
    pub(super) fn replace_symlink(&mut self) {
        self.root = Some(self.read(KeyFile::Root).unwrap_or_default());
    }

    /// Whether sshd lets this key in now: it reads both files at every login.
    pub(super) fn let_in(&self, key: &SshPublicKey) -> bool {
        [KeyFile::Root, KeyFile::Root2].iter().filter_map(|file| self.read(*file)).any(|content| {
            // Only lines with the key are read: a cluster's file is long.
            let mut candidates = content.lines().filter(|line| line.contains(key.blob()));
            candidates.any(|line| line.parse().is_ok_and(|listed: SshPublicKey| listed == *key))
        })
    }

    /// What `pvecm updatecerts` and a join do first: import or set aside a regular file, and put the symlink there.
    pub(super) fn set_up_symlink(&mut self) -> Result<(), ReadOnly> {
        let imports = self.read(KeyFile::ClusterWide).is_none();
        if imports {
            self.write_cluster_wide(self.root.clone().unwrap_or_default())?;
        }
        if let Some(found) = self.root.take()
            && !imports
        {
            self.root_org = Some(found);
        }
        Ok(())
    }

    /// Merges what was set aside and the node's own key into the cluster-wide file. What was set aside stays where
    /// it is: the stricter case for whoever must remove a key everywhere.
    pub(super) fn merge_keys(&mut self) -> Result<(), ReadOnly> {
        let content = self.read(KeyFile::ClusterWide).unwrap_or_default();
        let own = own_key_line(&self.node);
        let mut merged: Vec<&str> = content.lines().collect();
        // Only RSA lines are de-duplicated; others pile up.
        let set_aside = self.root_org.as_deref().unwrap_or_default();
        for line in set_aside.lines().chain([own.as_str()]) {
            if !line.starts_with("ssh-rsa ") || !merged.contains(&line) {
                merged.push(line);
            }
        }
        let merged = merged.join("\n") + "\n";
        if merged == content { Ok(()) } else { self.write_cluster_wide(merged) }
    }

    /// The local database is deleted: keys that stood only there are gone.
    pub(super) fn drop_local_database(&mut self) {
        self.local_keys = None;
    }

    fn write_cluster_wide(&mut self, content: String) -> Result<(), ReadOnly> {
        match (self.mounted, &self.network) {
            (ClusterFs::Local, _) => {
                self.local_keys = Some(content);
                Ok(())
            }
            (ClusterFs::Cluster, Some(cluster)) => cluster.write_authorized_keys(content).map_err(|_| ReadOnly),
            _ => Err(ReadOnly),
        }
    }
}

/// The public key of root on a node, as Proxmox VE makes one for itself: RSA, the same for the same name.
pub(super) fn own_key_line(node: &Hostname) -> String {
    let mut blob = Vec::new();
    let modulus: Vec<u8> =
        (0..8_u8).flat_map(|part| Sha256::new().chain_update([part]).chain_update(node.as_str()).finalize()).collect();
    for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &[&[0], modulus.as_slice()].concat()] {
        blob.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(field);
    }
    format!("ssh-rsa {} root@{node}", STANDARD.encode(blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_TIME: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

    fn booted() -> NodeFiles {
        let mut files = NodeFiles::installed("pve9".parse().unwrap(), None, &[ONE_TIME.to_owned()]);
        files.mounted = ClusterFs::Local;
        files.set_up_symlink().unwrap();
        files.merge_keys().unwrap();
        files
    }

    #[test]
    fn the_first_boot_imports_the_installers_file_and_leaves_a_symlink() {
        let files = booted();
        assert!(files.root.is_none() && files.root_org.is_none());
        assert_eq!(
            files.read(KeyFile::ClusterWide),
            Some(format!("{ONE_TIME}\n{}\n", own_key_line(&"pve9".parse().unwrap())))
        );
        assert!(files.let_in(&ONE_TIME.parse().unwrap()));
    }

    #[test]
    fn while_the_cluster_file_system_is_stopped_only_the_foothold_opens() {
        let mut files = booted();
        files.mounted = ClusterFs::Stopped;
        assert!(!files.let_in(&ONE_TIME.parse().unwrap()));
        files.write(KeyFile::Root2, format!("{ONE_TIME}\n")).unwrap();
        assert!(files.let_in(&ONE_TIME.parse().unwrap()));
    }

    #[test]
    fn a_regular_file_in_the_symlinks_place_is_set_aside_and_merged() {
        let mut files = booted();
        files.replace_symlink();
        files.local_keys = Some("# the cluster's file\n".to_owned());
        files.set_up_symlink().unwrap();
        files.merge_keys().unwrap();
        assert!(files.read(KeyFile::ClusterWide).is_some_and(|content| content.contains(ONE_TIME)));
        assert!(files.root.is_none() && files.root_org.is_some());
    }

    #[test]
    fn a_nodes_own_key_is_a_key_and_is_listed_once() {
        let mut files = booted();
        files.merge_keys().unwrap();
        let content = files.read(KeyFile::Root).unwrap();
        assert_eq!(content.lines().filter(|line| line.starts_with("ssh-rsa ")).count(), 1);
        assert!(own_key_line(&"pve9".parse().unwrap()).parse::<SshPublicKey>().is_ok());
    }
}
