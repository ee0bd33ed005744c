//! What pages ask of the server that is not the orchestrator's: files, settings, faults of the configuration.

use async_trait::async_trait;
use provisioning_core::model::{Image, Secret};

use crate::access::TokenRow;
use crate::config::Setting;
use crate::http::body::Fields;
use crate::http::health::Report;
use crate::http::problem::Problem;
use crate::notify::TargetReport;

/// The server behind the pages.
#[async_trait]
pub trait Backstage: Send + Sync {
    /// Imports a file of the server's; the field is `path`.
    ///
    /// # Errors
    /// As `POST /api/images`.
    async fn import(&self, fields: Fields) -> Result<Image, Problem>;

    /// Removes an image and its file.
    ///
    /// # Errors
    /// As `DELETE /api/images/{id}`.
    async fn remove_image(&self, image: &Image) -> Result<(), Problem>;

    /// Operators' tokens, with those that are no longer in force.
    fn tokens(&self) -> Vec<TokenRow>;

    /// Whether nobody is asked for a token.
    fn is_open(&self) -> bool;

    /// Makes a token of the fields `name`, `scope` and `expires_in`. Its text is shown once.
    ///
    /// # Errors
    /// As `POST /api/tokens`.
    async fn create_token(&self, fields: Fields) -> Result<(TokenRow, Secret<String>), Problem>;

    /// Revokes a token by its id or name.
    ///
    /// # Errors
    /// As `DELETE /api/tokens/{id}`.
    async fn revoke_token(&self, id: &str) -> Result<TokenRow, Problem>;

    /// The services that are told of events, and how they are doing.
    ///
    /// # Errors
    /// As `GET /api/notify`.
    async fn notify_targets(&self) -> Result<Vec<TargetReport>, Problem>;

    /// Sends a test message to a target: the status it was taken with, or why it was not; `None` for a target that
    /// there is not.
    async fn notify_test(&self, name: &str) -> Option<Result<u16, String>>;

    /// The configuration in force; empty when it came from no file.
    fn settings(&self) -> Vec<Setting>;

    /// What keeps the server from its work, with details.
    async fn health(&self) -> Report;

    /// What is wrong with the last edit of the server types; those before it are in force.
    fn server_type_faults(&self) -> Vec<String>;
}
