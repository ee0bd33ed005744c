//! The pages as a browser gets them, over a site in memory.

mod activity;
mod fleet;
mod forms;
mod frame;
mod host;
mod lab;
mod records;

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use provisioning_core::model::{Image, OperationId, Secret};
use provisioning_core::orchestrator::Orchestrator;
use tower::ServiceExt as _;

use self::lab::Lab;
use super::{Backstage, Download, Downloads, Web, router};
use crate::access::{NewToken, Scope, TokenBook, TokenName, TokenRow};
use crate::config::{Setting, Shown};
use crate::http::body::Fields;
use crate::http::health::{Check, CheckState, Report};
use crate::http::problem::{Kind, Problem};
use crate::notify::{EventName, Status, TargetReport};

/// Two fifths of every download are done.
struct TwoFifths;

impl Downloads for TwoFifths {
    fn of(&self, _: OperationId) -> Option<Download> {
        Some(Download { bytes: 600_000_000, total: 1_500_000_000 })
    }
}

/// A server whose disk holds one ISO, and whose last edit of the server types was wrong.
struct Behind(Arc<Orchestrator>, TokenBook);

#[async_trait]
impl Backstage for Behind {
    async fn import(&self, mut fields: Fields) -> Result<Image, Problem> {
        let path = fields.required::<String>("path", "the absolute path of an ISO on the server");
        fields.finish()?;
        match path.as_deref() {
            Some("/srv/good.iso") => {
                let image = lab::image(2, "proxmox-ve_9.3-1");
                self.0.add_image(&image).await?;
                Ok(image)
            }
            other => Err(Problem::new(Kind::ImageUnreadable, "it is no ISO").at("path", other.unwrap_or(""), "an ISO")),
        }
    }

    async fn remove_image(&self, image: &Image) -> Result<(), Problem> {
        self.0.remove_image(image.id).await?;
        Ok(())
    }

    fn tokens(&self) -> Vec<TokenRow> {
        self.1.list()
    }

    fn is_open(&self) -> bool {
        false
    }

    async fn create_token(&self, mut fields: Fields) -> Result<(TokenRow, Secret<String>), Problem> {
        let name = fields.required::<TokenName>("name", "what the token is for");
        let scope = if fields.text("scope").as_deref() == Some("read") { Scope::Read } else { Scope::Full };
        fields.finish()?;
        let new = NewToken { name: name.expect("a fault was reported"), scope, expires: None };
        Ok(self.1.create(new, self.0.now(), &lab::NoPorts)?)
    }

    async fn revoke_token(&self, id: &str) -> Result<TokenRow, Problem> {
        Ok(self.1.revoke(id, self.0.now())?)
    }

    async fn notify_targets(&self) -> Result<Vec<TargetReport>, Problem> {
        let last_error = Some((self.0.now(), "it answered <b>500</b>".to_owned()));
        let status = Status { last_error, attempts: 3, ..Status::default() };
        let (name, origin) = ("chat".to_owned(), "https://chat.lab.example".to_owned());
        Ok(vec![TargetReport { name, origin, events: EventName::ALL[..2].to_vec(), status, backlog: 7 }])
    }

    async fn notify_test(&self, name: &str) -> Option<Result<u16, String>> {
        (name == "chat").then(|| Err("it answered 500".to_owned()))
    }

    async fn health(&self) -> Report {
        let check = Check {
            name: "disk",
            state: CheckState::Failed,
            detail: Some("<b>1</b> MiB is left".to_owned()),
            what_to_do: Some("make room".to_owned()),
        };
        Report { ready: false, checks: vec![check] }
    }

    fn settings(&self) -> Vec<Setting> {
        let from = Some("provisioning.yaml, line 3".to_owned());
        let hidden = Setting { key: "auth.admin_token".to_owned(), value: Shown::Hidden, from: None };
        let listen = Shown::Value("127.0.0.1:8080".to_owned());
        vec![Setting { key: "server.listen".to_owned(), value: listen, from }, hidden]
    }

    fn server_type_faults(&self) -> Vec<String> {
        vec!["server-types.yaml:3:1: <b>disk</b> is not a known key".to_owned()]
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn get(lab: &Lab, path: &str) -> Answer {
    get_with(lab, path, &[]).await
}

async fn get_with(lab: &Lab, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    send(lab, request.body(Body::empty()).unwrap()).await
}

/// Sends a form as a browser does without scripts.
async fn post(lab: &Lab, path: &str, form: &str) -> Answer {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    send(lab, request.body(Body::from(form.to_owned())).unwrap()).await
}

async fn send(lab: &Lab, request: Request<Body>) -> Answer {
    let behind = Arc::new(Behind(Arc::clone(&lab.orchestrator), lab.tokens.clone()));
    let web = Web::new(Arc::clone(&lab.orchestrator), Arc::new(TwoFifths), behind);
    let response = router(web).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

impl Answer {
    /// Where the browser is sent on to.
    fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.headers["location"].to_str().unwrap()
    }
}

/// The element that begins with `start`, up to the first `end` behind it.
fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start} is not in {text}"));
    let length = text[from..].find(end).unwrap_or_else(|| panic!("{end} does not follow {start}"));
    &text[from..from + length]
}

#[test]
fn a_download_never_shows_more_than_all_of_it() {
    assert_eq!(Download { bytes: 0, total: 10 }.percent(), 0);
    assert_eq!(Download { bytes: 999, total: 1000 }.percent(), 99);
    assert_eq!(Download { bytes: 12, total: 10 }.percent(), 100);
    assert_eq!(Download { bytes: 0, total: 0 }.percent(), 100);
}
