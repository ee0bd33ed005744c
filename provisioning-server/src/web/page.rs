//! What all pages have in common: rendering, the frame around them, and the page that says that it cannot be shown.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use provisioning_core::model::{HostId, Hostname, Timestamp};
use provisioning_core::ports::{HostRecord, StoreError};

use super::Web;
use super::board::{Notice, Summary};
use super::groups::Group;
use super::moment::Moment;

/// The frame around a page: when it was made and up to which journal entry, so that the live feed goes on there.
pub(super) struct Frame {
    pub(super) seq: u64,
    pub(super) now: Timestamp,
    pub(super) summary: Summary,
    /// Whether there is a session to end.
    pub(super) has_session: bool,
}

impl Frame {
    /// To be made *before* the page's data are read: what changes in between is then told twice, and never lost.
    pub(super) async fn of(web: &Web) -> Result<Self, StoreError> {
        let store = web.orchestrator.store();
        let (seq, now) = (store.last_seq().await?, web.orchestrator.now());
        let summary = web.board.summary(store).await?;
        Ok(Self { seq, now, summary, has_session: web.has_sessions })
    }

    /// How many hosts need a person.
    pub(super) fn needs_you(&self) -> u64 {
        self.summary.count(Group::named("needs-you").holds)
    }

    /// How many hosts have failed.
    pub(super) fn failed(&self) -> u64 {
        self.summary.count(Group::named("failed").holds)
    }

    /// What is wrong with the configuration.
    pub(super) fn notices(&self) -> &[Notice] {
        self.summary.notices()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment(self.now)
    }
}

/// Renders a page or fragment. A fault in a template is ours: 500, never 404.
pub(super) fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered; see the server's log\n")
                .into_response()
        }
    }
}

/// Why a page cannot be shown.
#[derive(Debug)]
pub(super) enum PageError {
    /// No such host, by the id or name that was asked for.
    NoSuchHost(String),
    /// No such image, by the id or name that was asked for.
    NoSuchImage(String),
    /// No such notify target, by the name that was asked for.
    NoSuchTarget,
    /// No such token, by the id that was asked for.
    NoSuchToken,
    /// No such text, of this operation and host.
    NoSuchArtefact,
    /// No machine can have this for its address.
    NoSuchMachine(String),
    /// The request asks for more than one answer holds.
    TooMany { max: usize },
    /// The store did not answer.
    Store(StoreError),
    /// A part of the server did not answer.
    Unavailable(crate::http::problem::Problem),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    title: &'static str,
    text: String,
    what_to_do: &'static str,
}

impl Problem {
    fn new(title: &'static str, text: impl Into<String>, what_to_do: &'static str) -> Self {
        Self { title, text: text.into(), what_to_do }
    }
}

/// What is said of an answer that did not come.
const LOAD_AGAIN: &str = "Load it again in a moment; if it stays like this, look into the server's log.";

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchHost(_)
            | Self::NoSuchImage(_)
            | Self::NoSuchTarget
            | Self::NoSuchToken
            | Self::NoSuchArtefact
            | Self::NoSuchMachine(_) => StatusCode::NOT_FOUND,
            Self::TooMany { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable(problem) => problem.status(),
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::NoSuchHost(asked) => Problem::new(
                "No such host",
                format!("No host with the id or name “{asked}” is registered."),
                "It may have been removed or renamed: look for it in the fleet.",
            ),
            Self::NoSuchImage(asked) => Problem::new(
                "No such image",
                format!("No image has the id or name “{asked}”."),
                "It may have been removed: look for it among the images.",
            ),
            Self::NoSuchTarget => Problem::new(
                "No such target",
                "No notify target has this name.",
                "The settings list those of the configuration.",
            ),
            Self::NoSuchToken => {
                Problem::new("No such token", "No token has this id.", "The settings list those that there are.")
            }
            Self::NoSuchArtefact => Problem::new(
                "No such file",
                "This operation of this host has left no such text.",
                "The host's page lists what there is.",
            ),
            Self::NoSuchMachine(asked) => Problem::new(
                "No such machine",
                format!("“{asked}” is no address of a network card."),
                "Go to the fleet and look from there.",
            ),
            Self::TooMany { max } => Problem::new(
                "Too many hosts at once",
                format!("At most {max} hosts can be asked for at once."),
                "Ask for fewer.",
            ),
            Self::Unavailable(problem) => Problem::new("The page cannot be shown now", problem.detail(), LOAD_AGAIN),
            Self::Store(_) => Problem::new("The store does not answer", "The page cannot be shown now.", LOAD_AGAIN),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self {
            tracing::warn!(%error, "a page could not be made: the store did not answer");
        }
        (self.status(), html(&self.problem())).into_response()
    }
}

/// A host by its id or its name.
pub(super) async fn find_host(web: &Web, asked: &str) -> Result<HostRecord, PageError> {
    let store = web.orchestrator.store();
    let by_id = match asked.parse::<HostId>() {
        Ok(id) => store.host(id).await?,
        Err(_) => None,
    };
    let found = match (by_id, asked.parse::<Hostname>()) {
        (Some(record), _) => Some(record),
        (None, Ok(name)) => store.host_by_name(&name).await?,
        (None, Err(_)) => None,
    };
    found.ok_or_else(|| PageError::NoSuchHost(asked.to_owned()))
}
