//! The one-time private key at work, for as short as can be: it is read where it is needed, and nothing of it is left on
//! the stack afterwards.
//!
//! Types that clear themselves do so where they are dropped; what was moved before leaves its bytes behind, in frames
//! that were left and in futures that wait. So no future of ours or of russh ever holds more of the key than its text in
//! one place on the heap, and whatever reads that text runs to its end here.

use std::hint::black_box;

use provisioning_core::model::Secret;
use provisioning_core::ports::{BoxError, ShellError};
use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::Signature;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroize as _;

/// How much of the stack is cleared below whoever read the key. Its readers need a fifth of it, unoptimised.
const STACK_BYTES: usize = 128 * 1024;

/// What one frame clears.
const FRAME_BYTES: usize = 8 * 1024;

/// Signs with a one-time key.
pub(super) struct OneTimeKey<'a> {
    text: &'a Secret<String>,
    public: PublicKey,
}

impl<'a> OneTimeKey<'a> {
    /// Reads the OpenSSH text to see whether it is a key that can be used.
    ///
    /// # Errors
    /// `BadKey` when it is none, needs a passphrase, or is of another type than ours.
    pub(super) fn new(text: &'a Secret<String>) -> Result<Self, ShellError> {
        let public = and_clear_stack(|| -> Result<PublicKey, BoxError> { Ok(parsed(text)?.public_key().clone()) });
        Ok(Self { text, public: public.map_err(|source| ShellError::BadKey { source })? })
    }

    /// The half that anybody may see.
    pub(super) fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// The signature as it stands in a message: type and bytes, each behind its length (RFC 4253, 6.6).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        let signature =
            and_clear_stack(|| -> Result<Signature, BoxError> { Ok(parsed(self.text)?.try_sign(message)?) })?;
        let mut blob = Vec::new();
        for field in [Algorithm::Ed25519.as_str().as_bytes(), signature.as_bytes()] {
            push_field(&mut blob, field)?;
        }
        Ok(blob)
    }
}

/// Why the host got no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum SigningError {
    /// The connection is gone.
    #[error(transparent)]
    Connection(#[from] russh::SendError),
    /// The key signs nothing.
    #[error("the one-time key cannot sign")]
    Key(#[source] BoxError),
}

impl Signer for OneTimeKey<'_> {
    type Error = SigningError;

    /// What is to be signed comes back with the signature behind it.
    fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, SigningError>> + Send {
        let signed = self.sign(&to_sign).and_then(|blob| push_field(&mut to_sign, &blob)).map_err(SigningError::Key);
        std::future::ready(signed.map(|()| to_sign))
    }
}

fn parsed(text: &Secret<String>) -> Result<PrivateKey, BoxError> {
    let key = PrivateKey::from_openssh(text.expose())?;
    if key.is_encrypted() {
        return Err("it is protected by a passphrase".into());
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err("it is not of type ed25519".into());
    }
    Ok(key)
}

fn push_field(to: &mut Vec<u8>, field: &[u8]) -> Result<(), BoxError> {
    to.extend_from_slice(&u32::try_from(field.len())?.to_be_bytes());
    to.extend_from_slice(field);
    Ok(())
}

/// Does something with a secret and clears the part of the stack that it has used.
#[inline(never)]
pub(super) fn and_clear_stack<T>(with_secret: impl FnOnce() -> T) -> T {
    let outcome = apart(with_secret);
    clear_stack(STACK_BYTES);
    outcome
}

/// Keeps the frames of `act` below the caller's own.
#[inline(never)]
fn apart<T>(act: impl FnOnce() -> T) -> T {
    black_box(act())
}

#[inline(never)]
fn clear_stack(bytes: usize) {
    let mut frame = [0_u8; FRAME_BYTES];
    frame.zeroize();
    if bytes > FRAME_BYTES {
        clear_stack(bytes - FRAME_BYTES);
    }
    // Not the last thing done, or the frame could be given up before the one below it is made.
    black_box(&frame);
}

#[cfg(test)]
mod tests {
    use russh::keys::signature::Verifier as _;

    use super::*;
    use crate::ssh::keys::key_pair;

    #[test]
    fn the_signature_is_the_keys_own() {
        let pair = key_pair(&Secret::new([7; 32]));
        let key = OneTimeKey::new(&pair.private).unwrap();
        let blob = key.sign(b"hello").unwrap();
        let signature = Signature::try_from(blob.as_slice()).unwrap();
        key.public().key_data().verify(b"hello", &signature).unwrap();
        assert!(key.public().key_data().verify(b"hallo", &signature).is_err());
        assert_eq!(key.public().to_openssh().unwrap(), pair.public.as_str());
    }

    #[test]
    fn whatever_was_on_the_stack_is_gone() {
        // What is left there can only be seen from outside: the loopback tests of the server look into its memory.
        assert_eq!(and_clear_stack(|| black_box([0x5a_u8; 4096])[4095]), 0x5a);
    }
}
