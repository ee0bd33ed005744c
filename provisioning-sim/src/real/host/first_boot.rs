//! The effect of the first-boot script: what its text makes a real node do.

use std::time::Duration;

use serde_json::json;

use super::{HostEvent, SimHost};
use crate::real::http::{Redirects, Request, Trust};
use crate::real::installer::Machine as _;

/// curl's limit for one try, as the script sets it.
const TRY_MAX: Duration = Duration::from_secs(30);

/// What the text of a first-boot script says: whom to call, and with which token.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstBootScript {
    /// Its variable `URL`.
    pub url: String,
    /// Its variable `TOKEN`.
    pub token: String,
    /// Its variable `FINGERPRINT`: the certificate that it trusts; without one the system's authorities decide.
    pub fingerprint: Option<String>,
}

impl std::fmt::Debug for FirstBootScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstBootScript").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FirstBootScript {
    /// Reads a script's variables.
    pub fn read(text: &[u8]) -> Result<Self, PhoneHomeScriptError> {
        let text = std::str::from_utf8(text).map_err(|_| PhoneHomeScriptError::NotText)?;
        // systemd runs the file itself, so that it needs to say by what.
        if !text.starts_with("#!/") {
            return Err(PhoneHomeScriptError::NoInterpreter);
        }
        let variable = |name: &'static str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            let value = value.map(|value| value.trim().trim_matches(['\'', '"'])).filter(|value| !value.is_empty());
            value.map(str::to_owned).ok_or(PhoneHomeScriptError::NoVariable { name })
        };
        let fingerprint = variable("FINGERPRINT").ok();
        Ok(Self { url: variable("URL")?, token: variable("TOKEN")?, fingerprint })
    }
}

/// Why a first-boot script can not be run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneHomeScriptError {
    /// Not UTF-8.
    #[error("the first-boot script is not text")]
    NotText,
    /// The first line names no interpreter.
    #[error("the first-boot script does not begin with #!/")]
    NoInterpreter,
    /// A variable is missing.
    #[error("the first-boot script sets no {name}")]
    NoVariable {
        /// Which.
        name: &'static str,
    },
}

/// Runs the script when there is one that has not come to its end yet.
pub(super) async fn run(host: &mut SimHost) {
    let Some(script) = host.on_disk.as_ref().and_then(|on_disk| on_disk.first_boot.clone()) else { return };
    let request = match FirstBootScript::read(&script) {
        Ok(script) => request(host, &script),
        Err(error) => return host.tell(HostEvent::FirstBootFailed { why: error.to_string() }),
    };
    let Some(request) = request else { return };
    for attempt in 1..=host.spec.timing.phone_home_tries {
        let why = match host.http.send(&request).await {
            // `curl --fail` takes everything below 400 for success.
            Ok(reply) if reply.status < 400 => {
                if let Some(on_disk) = &mut host.on_disk {
                    on_disk.first_boot = None;
                }
                return host.tell(HostEvent::PhonedHome);
            }
            Ok(reply) => format!("{} said {}", request.url, reply.status),
            Err(error) => error.with_causes(),
        };
        host.tell(HostEvent::PhoneHomeFailed { attempt, why });
        tokio::time::sleep(host.spec.timing.phone_home_pause).await;
    }
    host.tell(HostEvent::FirstBootFailed { why: format!("the provisioning server was not reached: {}", request.url) });
}

fn request(host: &SimHost, script: &FirstBootScript) -> Option<Request> {
    let on_disk = host.on_disk.as_ref()?;
    let keys = on_disk.system.ssh_host_keys();
    // The script prints type and blob, without comment; a key that is not there is an empty text.
    let bare = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ").replace("unknown", "");
    let body = json!({
        "ip": on_disk.address,
        "hardware_id": host.spec.hardware.uuid,
        "cert_fingerprint": on_disk.system.cert_fingerprint(),
        "ssh_host_keys": { "ed25519": bare(&keys.ed25519), "ecdsa": bare(&keys.ecdsa), "rsa": bare(&keys.rsa) },
    });
    Some(Request {
        body: Some(body.to_string().into_bytes()),
        url: script.url.clone(),
        headers: vec![
            ("authorization", format!("Bearer {}", script.token)),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "curl/8.14.1".to_owned()),
        ],
        trust: script.fingerprint.clone().map_or(Trust::System, Trust::Pinned),
        timeout: TRY_MAX,
        redirects: Redirects::Kept,
    })
}
