//! Servers with a certificate of their own making, known by its fingerprint.

use std::str::FromStr;
use std::sync::Arc;

use provisioning_core::model::Sha256Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a certificate: 64 hexadecimal digits, with colons or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Sha256Digest);

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim().replace(':', "").to_ascii_lowercase();
        let help = "write the certificate's SHA-256: 64 hexadecimal digits, with colons or without";
        digits.parse().map(Self).map_err(|_| help.to_owned())
    }
}

/// TLS that trusts one certificate, whatever names and dates stand in it.
pub(super) fn trusting(fingerprint: Fingerprint) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { fingerprint, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint(Sha256Digest::new(Sha256::digest(certificate).into()));
        if found == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General(format!("the server's certificate has the fingerprint {}, not the expected one", found.0)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::PrivateKeyDer;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server with a certificate of its own making, which answers one request; its address and fingerprint.
    async fn server() -> (String, Fingerprint) {
        let made = rcgen::generate_simple_self_signed(vec!["elsewhere.example".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        (format!("https://{address}/"), Fingerprint(Sha256Digest::new(Sha256::digest(&certificate).into())))
    }

    async fn ask(url: &str, fingerprint: Fingerprint) -> reqwest::Result<String> {
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(trusting(fingerprint).unwrap());
        client.build()?.get(url).send().await?.text().await
    }

    #[tokio::test]
    async fn the_certificate_with_the_fingerprint_is_trusted_and_no_other() {
        let (url, right) = server().await;
        assert_eq!(ask(&url, right).await.unwrap(), "ok");
        let (url, _) = server().await;
        let refused = ask(&url, right).await.unwrap_err();
        let said = provisioning_core::ports::chain(&refused);
        assert!(said.contains("not the expected one"), "{said}");
    }

    #[test]
    fn a_fingerprint_may_be_written_with_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(colons.parse::<Fingerprint>(), plain.parse());
        assert!("abcd".parse::<Fingerprint>().is_err());
    }
}
