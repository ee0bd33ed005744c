//! What a rebuild would do, found out before any machine boots.

use super::Orchestrator;
use super::error::OperatorError;
use crate::model::{
    BootToken, Fqdn, Host, HostId, Image, ImageId, MemberAddr, OperationId, Secret, ServerType, SshPublicKey,
};
use crate::ports::{ClusterMemberError, chain};
use crate::render::answer::{self, AnswerInput, Format};
use crate::render::{BootScript, boot_script};

/// A rebuild looked at beforehand.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The name that will be installed; absent when name and domain do not fit together.
    pub fqdn: Option<Fqdn>,
    /// What will be installed.
    pub image: Image,
    /// The hardware class as it will be kept with the operation.
    pub server_type: ServerType,
    /// The disks that will be wiped, in words.
    pub wipes: String,
    /// The member it will join by; `None` leaves it standalone.
    pub joins: Option<MemberAddr>,
    /// The answer file with secrets masked; absent when it cannot be written.
    pub answer: Option<String>,
    /// The boot script with its token masked; absent when it cannot be written.
    pub boot_script: Option<String>,
    /// Why it cannot be started as it is.
    pub faults: Vec<String>,
    /// What an operator should think about.
    pub warnings: Vec<String>,
    /// Whether the host was ready before, so that its name is needed to start.
    pub needs_confirmation: bool,
}

impl Orchestrator {
    /// Looks at a rebuild of `id` from `image`, or from the default image. Changes nothing.
    ///
    /// # Errors
    /// `NoSuchHost`, `NoSuchImage`, `NoImage`, `NoSuchServerType`, `Store`. Everything else is a fault of the result.
    pub async fn preflight(&self, id: HostId, image: Option<ImageId>) -> Result<Preflight, OperatorError> {
        let record = self.known_host(id).await?;
        let join_until = self.join_may_run_until(&record);
        let is_running = record.state.running().is_some();
        let host = record.host;
        let image = self.image_or_default(image).await?;
        let server_type = self.server_type(&host.server_type)?;
        let (mut faults, mut warnings) = (vec![], vec![]);
        if let Err(error) = answer::supports_provisioning(image.release) {
            faults.push(format!("image {}: {error}", image.name));
        }

        if is_running {
            faults.push("an operation is running: cancel it first".to_owned());
        }
        if let Some(until) = join_until {
            faults
                .push(format!("a join that was given up may still run on {} until {until}: start it then", host.name));
        }

        self.look_at_cluster(&host, &mut faults, &mut warnings).await;

        // Stand-ins of the right form: the real ones are made when the operation starts.
        let token = BootToken::new(OperationId::from_bytes([0; 16]), [0; 16]);
        let key = self.stand_in_key();
        let password = Secret::new("a stand-in".to_owned());
        let site = self.site_now();
        let input = AnswerInput {
            site: &site,
            host: &host,
            server_type: &server_type,
            one_time_key: &key,
            token: &token,
            fallback_password: Some(&password),
        };
        let answer = answer::answer(&input, image.release, Format::Toml);
        let fqdn = Fqdn::new(&host.name, &self.site.domain);
        faults.extend(answer.as_ref().err().map(ToString::to_string));
        if let Some(prefix) =
            server_type.hostname_prefix.as_ref().filter(|p| !host.name.as_str().starts_with(p.as_str()))
        {
            warnings.push(format!(
                "the name {} does not begin with {prefix}, as server type {} has it",
                host.name, server_type.key
            ));
        }
        if host.address.is_none() {
            warnings.push("the address that DHCP gives the installer becomes the host's fixed one: reserve it".into());
        }
        let boot_script = fqdn.as_ref().ok().map(|fqdn| {
            let script =
                BootScript { public_url: self.site.artifact_url(), token: &token, fqdn, release: image.release };
            boot_script(&script).replace(&token.expose(), "***")
        });
        Ok(Preflight {
            fqdn: fqdn.ok(),
            wipes: server_type.disk.wipes(),
            joins: self.site.cluster.as_ref().map(|cluster| cluster.member.clone()),
            answer: answer.ok().map(|answer| answer.masked),
            boot_script,
            image,
            server_type,
            faults,
            warnings,
            needs_confirmation: host.last_ready_at.is_some(),
        })
    }

    /// What a member of the cluster says against the host's joining it: found out before anything is touched.
    async fn look_at_cluster(&self, host: &Host, faults: &mut Vec<String>, warnings: &mut Vec<String>) {
        let Some(cluster) = &self.site.cluster else { return };
        let member = &cluster.member;
        let status = match self.ports.member.status().await {
            Ok(None) => return,
            Ok(Some(status)) => status,
            Err(error) => {
                let is_certain = matches!(error, ClusterMemberError::Untrusted { .. });
                let said = format!("{member} cannot be asked about the cluster: {}", chain(&error));
                if is_certain {
                    faults.push(said);
                } else {
                    warnings.push(said);
                }
                return;
            }
        };
        let name = &host.name;
        if status.name.is_none() {
            faults.push(format!("{member} is in no cluster that {name} could join: run `pvecm create NAME` there"));
        } else if !status.quorate {
            warnings.push(format!("{member} says that the cluster has no quorum: {name} can join only once it has"));
        }
        match status.node(name.as_str()) {
            Some(_) if host.last_ready_at.is_some() => warnings.push(format!(
                "the cluster still has {name} from before: when it is off or in its installer, and before it joins, run \
                 `pvecm delnode {name}` on another member"
            )),
            Some(node) => faults.push(format!(
                "the cluster has a node named {name} already, which is {}: name this host otherwise, or run \
                 `pvecm delnode {name}` on a member if that node is gone for good",
                if node.online { "online" } else { "offline" }
            )),
            None => {}
        }
    }

    async fn image_or_default(&self, image: Option<ImageId>) -> Result<Image, OperatorError> {
        match image {
            Some(id) => self.ports.store.image(id).await?.ok_or(OperatorError::NoSuchImage(id)),
            None => self.default_image().await?.ok_or(OperatorError::NoImage),
        }
    }

    fn stand_in_key(&self) -> SshPublicKey {
        self.new_key_pair().public
    }
}
