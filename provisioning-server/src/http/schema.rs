//! Schemas of values that the core defines and that only the API's document describes.
//!
//! The core knows nothing of OpenAPI; these stand in for its types, and take their words from it.

use std::borrow::Cow;

use provisioning_core::machine::Phase;
use provisioning_core::model::ArtefactKind;
use serde::Serialize;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A point in time.
pub(super) struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with milliseconds"))
            .examples(["2026-11-23T15:04:05.678Z"])
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

/// One of the nine phases.
pub(super) struct PhaseName;

impl PartialSchema for PhaseName {
    fn schema() -> RefOr<Schema> {
        words(Phase::ALL.map(Phase::as_str), "Where a host is in its life")
    }
}

impl ToSchema for PhaseName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Phase")
    }
}

/// One of a few words.
pub(super) fn words<const N: usize>(words: [&'static str; N], what: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(what)).into()
}

/// A text that an operation left: what a machine was given, or what it said. Secrets are masked.
#[derive(Serialize, ToSchema)]
#[schema(as = Artefact)]
pub(super) struct ArtefactSchema {
    /// What it is.
    #[schema(value_type = String, example = "answer")]
    kind: ArtefactKind,
    /// The latest text.
    text: String,
    /// When it was made.
    #[schema(value_type = Time)]
    at: String,
}

/// One line of the journal.
#[derive(Serialize, ToSchema)]
#[schema(as = JournalEntry)]
pub(super) struct EntrySchema {
    /// Its place: rises from entry to entry. Also the id of its server-sent event and of its webhook.
    seq: u64,
    /// When it happened.
    #[schema(value_type = Time)]
    at: String,
    /// The host it is about.
    host: Option<String>,
    /// The operation it belongs to.
    operation: Option<String>,
    /// Who brought it about: `operator`, `firmware`, `installer`, `host`, `ssh`, `inventory`, `provisioning`. More
    /// may be added.
    source: String,
    /// What happened.
    #[schema(value_type = HappeningSchema)]
    what: String,
}

/// What happened: `kind` says what, and which fields stand beside it. Kinds are only ever added; a program ignores
/// those that it does not know. `moved` has `from`, `to` and `event`.
#[derive(Serialize, ToSchema)]
#[schema(as = Happening)]
pub(super) struct HappeningSchema {
    /// Such as `moved`, `host_registered`, `warning`.
    kind: String,
}
