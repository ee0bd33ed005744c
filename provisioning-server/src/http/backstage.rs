//! The server as the pages see it from behind.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use provisioning_core::model::{Image, Secret};

use super::App;
use super::body::Fields;
use super::health::Report;
use super::problem::Problem;
use crate::access::TokenRow;
use crate::config::Setting;
use crate::notify::TargetReport;
use crate::web::Backstage;

/// What the pages are given of [`App`].
pub(super) struct AppBackstage(pub(super) Arc<App>);

#[async_trait]
impl Backstage for AppBackstage {
    async fn import(&self, fields: Fields) -> Result<Image, Problem> {
        self.0.import_image(fields).await
    }

    async fn remove_image(&self, image: &Image) -> Result<(), Problem> {
        self.0.remove_image(image).await
    }

    fn tokens(&self) -> Vec<TokenRow> {
        self.0.operators.tokens().list()
    }

    fn is_open(&self) -> bool {
        self.0.operators.is_open()
    }

    async fn create_token(&self, fields: Fields) -> Result<(TokenRow, Secret<String>), Problem> {
        self.0.create_token(fields).await
    }

    async fn revoke_token(&self, id: &str) -> Result<TokenRow, Problem> {
        Ok(self.0.operators.revoke_token(id.to_owned()).await?)
    }

    async fn notify_targets(&self) -> Result<Vec<TargetReport>, Problem> {
        Ok(self.0.notify.report(&self.0.orchestrator).await?)
    }

    async fn notify_test(&self, name: &str) -> Option<Result<u16, String>> {
        let outcome = self.0.notify.test(name, &self.0.orchestrator).await?;
        Some(outcome.map_err(|error| error.to_string()))
    }

    async fn health(&self) -> Report {
        self.0.health.report(&self.0).await
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.settings.get().cloned().unwrap_or_default()
    }

    fn server_type_faults(&self) -> Vec<String> {
        self.0.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
