//! Cancel, remove, resume: what is asked before something that cannot be taken back.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use provisioning_core::orchestrator::OperatorError;
use provisioning_core::ports::HostRecord;

use super::super::Web;
use super::super::page::{Frame, PageError, find_host};
use super::super::words::phase_title;
use super::{Trouble, on_to, shown};
use crate::http::problem::Problem;

/// A question with one button.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct Question {
    pub(super) frame: Frame,
    pub(super) title: String,
    pub(super) text: &'static str,
    /// What the button says, and where it sends the form.
    pub(super) go: &'static str,
    pub(super) action: String,
    /// Where one goes who does not want it.
    pub(super) back: String,
    pub(super) trouble: Trouble,
}

/// `GET /hosts/{host}/cancel`.
pub(super) async fn ask_cancel(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    cancel_question(&web, &record, Trouble::default()).await
}

/// `POST /hosts/{host}/cancel`.
pub(super) async fn cancel(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    match web.orchestrator.cancel(record.host.id).await {
        Ok(record) => Ok(on_to(&format!("/hosts/{}?done=cancelled", record.host.name))),
        Err(error) => cancel_question(&web, &record, trouble(error)).await,
    }
}

async fn cancel_question(web: &Web, record: &HostRecord, trouble: Trouble) -> Result<Response, PageError> {
    let name = &record.host.name;
    let question = Question {
        frame: Frame::of(web).await?,
        title: format!("Cancel the operation on {name} while {}?", phase_title(record.state.phase()).to_lowercase()),
        text: "The host stops where it is and counts as failed. What was written to its disks stays.",
        go: "Cancel the operation",
        action: format!("/hosts/{name}/cancel"),
        back: format!("/hosts/{name}"),
        trouble,
    };
    Ok(shown(&question, &question.trouble))
}

/// `GET /hosts/{host}/remove`.
pub(super) async fn ask_remove(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    remove_question(&web, &record, Trouble::default()).await
}

/// `POST /hosts/{host}/remove`.
pub(super) async fn remove(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    match web.orchestrator.remove(record.host.id, None).await {
        Ok(()) => Ok(on_to("/")),
        Err(error) => remove_question(&web, &record, trouble(error)).await,
    }
}

async fn remove_question(web: &Web, record: &HostRecord, trouble: Trouble) -> Result<Response, PageError> {
    let name = &record.host.name;
    let question = Question {
        frame: Frame::of(web).await?,
        title: format!("Remove {name}?"),
        text: "The host, its operations and their files are forgotten; its journal is kept. The machine, its disks \
               and its place in the cluster stay as they are.",
        go: "Remove",
        action: format!("/hosts/{name}/remove"),
        back: format!("/hosts/{name}"),
        trouble,
    };
    Ok(shown(&question, &question.trouble))
}

/// `GET /hosts/{host}/resume`.
pub(super) async fn ask_resume(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    resume_question(&web, &record, Trouble::default()).await
}

/// `POST /hosts/{host}/resume`: a host's page sends it without asking, since nothing can be lost by it.
pub(super) async fn resume(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    match web.orchestrator.resume(record.host.id).await {
        Ok(record) => Ok(on_to(&format!("/hosts/{}?done=resumed", record.host.name))),
        Err(error) => resume_question(&web, &record, trouble(error)).await,
    }
}

async fn resume_question(web: &Web, record: &HostRecord, trouble: Trouble) -> Result<Response, PageError> {
    let name = &record.host.name;
    let question = Question {
        frame: Frame::of(web).await?,
        title: format!("Resume the join of {name}?"),
        text: "The join is tried again with the same one-time key; nothing is installed anew.",
        go: "Resume the join",
        action: format!("/hosts/{name}/resume"),
        back: format!("/hosts/{name}"),
        trouble,
    };
    Ok(shown(&question, &question.trouble))
}

fn trouble(error: OperatorError) -> Trouble {
    Problem::from(error).into()
}
