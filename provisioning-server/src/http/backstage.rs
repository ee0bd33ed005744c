//! The server as the pages see it from behind.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use provisioning_core::model::Image;

use super::App;
use super::body::Fields;
use super::problem::Problem;
use crate::config::Setting;
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

    fn settings(&self) -> Vec<Setting> {
        self.0.settings.get().cloned().unwrap_or_default()
    }

    fn server_type_faults(&self) -> Vec<String> {
        self.0.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
