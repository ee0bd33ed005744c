//! The certificate: whether it fits its key, and how long it lasts.

use std::time::Duration;

use provisioning_adapters::system::SystemClock;
use provisioning_core::model::Timestamp;
use provisioning_core::ports::{Clock as _, chain};

use super::Check;
use crate::config::{Config, TlsConfig};
use crate::tls::{Source, Tls};

const NAME: &str = "certificate";
/// One that ends this soon is worth a warning.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) fn check(config: &Config) -> Check {
    let (cert, key) = match &config.server.tls {
        None => return Check::skipped(NAME, "server.tls is off"),
        Some(TlsConfig::Files { cert, key }) => (cert.clone(), key.clone()),
        Some(TlsConfig::SelfSigned) => {
            let own = config.server.data_dir.join("tls/self-signed.pem");
            if !own.exists() {
                return Check::ok(NAME, "there is none yet: the next start makes one");
            }
            (own.clone(), own)
        }
    };
    let now = SystemClock.now();
    match Tls::load(Source::Files { cert, key }, now) {
        Err(error) => {
            let what_to_do = "mend server.tls.cert and server.tls.key: the certificate first, then those that lead to its \
                              authority, and the private key that belongs to it";
            Check::failed(NAME, chain(&error), what_to_do)
        }
        Ok(tls) => judge(now, tls.ends(), &tls.fingerprint().to_string()),
    }
}

fn judge(now: Timestamp, ends: Option<Timestamp>, fingerprint: &str) -> Check {
    let what_to_do = "put a new certificate in place: a server that runs takes it up by itself";
    match ends {
        None => Check::warning(NAME, "when it ends cannot be read", what_to_do),
        Some(ends) if ends <= now => Check::failed(NAME, format!("it has ended at {ends}"), what_to_do),
        Some(ends) if ends.since(now) < ENDS_SOON => Check::warning(NAME, format!("it ends at {ends}"), what_to_do),
        Some(ends) => Check::ok(NAME, format!("it lasts until {ends}; SHA-256 {fingerprint}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_certificate_is_told_before_it_ends() {
        let at = |days: i64| Timestamp::from_millis(1_790_000_000_000 + days * 86_400_000);
        let state = |ends| judge(at(0), ends, "").state;
        assert_eq!(
            [state(Some(at(30))), state(Some(at(3))), state(Some(at(0)))],
            [State::Ok, State::Warning, State::Failed]
        );
        assert_eq!(state(None), State::Warning);
    }
}
