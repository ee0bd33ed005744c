//! Who may operate: named tokens, a password, sessions of browsers, and how often somebody may guess.
//!
//! Nothing here speaks HTTP. `http::auth` puts the parts together and asks them for each request.

mod actor;
mod digest;
mod lifetime;
mod password;
mod sessions;
mod throttle;
mod token_book;
mod token_row;

use std::time::Duration;

pub use actor::{Actor, Scope};
pub use digest::{TokenDigest, new_token};
pub use lifetime::{Lifetime, ParseLifetimeError};
pub use password::{HashPasswordError, LoginPassword, PasswordPhc, PasswordPhcError, hash_password};
pub(crate) use sessions::{Found, Origin, Sessions};
pub(crate) use throttle::Throttle;
pub use token_book::{NewToken, TokenBook, TokenBookError, TokenRefusal};
pub use token_row::{ParseTokenNameError, TokenName, TokenRow};

/// How long a session lives without a request when the configuration does not say.
pub const SESSION_IDLE: Duration = Duration::from_secs(2 * 3600);

/// Who is let in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Nobody but the control socket's peers.
    Closed,
    /// Whoever has one of the kept tokens.
    Stored,
    /// Whoever has the token with this digest, or one of the kept ones.
    Token(TokenDigest),
}

/// Everything that is known of who may operate.
#[derive(Debug)]
pub struct AccessSetup {
    /// Who is let in at all.
    pub access: Access,
    /// The tokens that are kept.
    pub tokens: TokenBook,
    /// The password that opens a session, when there is one.
    pub password: Option<LoginPassword>,
    /// How long a session lives without a request.
    pub session_idle: Duration,
}

impl From<Access> for AccessSetup {
    /// With tokens in memory only, and without a password.
    fn from(access: Access) -> Self {
        Self { access, tokens: TokenBook::in_memory(), password: None, session_idle: SESSION_IDLE }
    }
}
