//! One request to one target: no redirects, no waiting for ever, nothing of the address in what is said of it.

use std::time::Duration;

use provisioning_core::model::Timestamp;
use provisioning_core::ports::chain;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url, header};

use super::message::{Message, signature};
use super::{Target, unix_seconds};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a target may think.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// A target that cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// Its address is none.
    #[error("notify target {name}: its url is no http or https URL")]
    Url {
        /// The target.
        name: String,
    },
    /// Its certificates cannot be read, or TLS cannot be set up.
    #[error("notify target {name}: its certificates cannot be used")]
    Tls {
        /// The target.
        name: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The target answered with another status than 2xx; redirects are not followed.
    #[error("it answered with status {0}")]
    Refused(u16),
    /// It did not answer.
    #[error("{0}")]
    NoAnswer(String),
}

/// A target and the client that reaches it.
pub(super) struct Courier {
    pub(super) target: Target,
    url: Url,
    origin: String,
    client: Client,
}

impl Courier {
    pub(super) fn new(target: Target) -> Result<Self, BadTarget> {
        let bad = || BadTarget::Url { name: target.name.clone() };
        let url = Url::parse(target.url.expose()).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad());
        }
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .user_agent(concat!("provisioning/", env!("CARGO_PKG_VERSION")));
        let tls = |source| BadTarget::Tls { name: target.name.clone(), source };
        if let Some(pem) = &target.ca_pem {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes()).map_err(tls)?);
        }
        let client = builder.build().map_err(tls)?;
        let origin = url.origin().ascii_serialization();
        Ok(Self { target, url, origin, client })
    }

    /// Scheme, host and port: all of the address that is shown.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a message once; the status code when it was taken.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Result<u16, DeliveryError> {
        let seconds = unix_seconds(now);
        let signature = signature(&self.target.secret, &message.id, seconds, &message.body);
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        // The answer's body is not read: it may be endless, and says nothing that is of use here.
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(answer.status().as_u16()),
            Ok(answer) => Err(DeliveryError::Refused(answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err(DeliveryError::NoAnswer("it did not answer in time".to_owned())),
            // Without its address, which may hold a token.
            Err(error) => Err(DeliveryError::NoAnswer(chain(&error.without_url()))),
        }
    }
}
