//! The installer's three requests, header by header and release by release.

use std::time::Duration;

use provisioning_core::model::Release;

use super::LiveSystem;
use super::bodies::answer_request_body;
use crate::real::answer::WebhookPlan;
use crate::real::host::Hardware;
use crate::real::http::{Redirects, Request, Trust};

const JSON: &str = "application/json; charset=utf-8";

/// The one request for the answer (`reference/fetch-answer.md`, The request).
pub fn answer_request(live: &LiveSystem, hardware: &Hardware, timeout: Duration) -> Request {
    let release = live.release;
    // 8.2 cut the charset short.
    let content_type = if release < Release::new(8, 3) { "application/json; charset=utf-" } else { JSON };
    let mut headers = vec![("content-type", content_type.to_owned())];
    headers.extend(common(release));
    if release >= Release::new(9, 2) {
        headers.push(("accept", "application/json, application/toml;q=0.5".to_owned()));
        if let Some(token) = &live.mode.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
    }
    Request {
        body: Some(answer_request_body(live, hardware)),
        url: live.mode.url.clone(),
        headers,
        trust: trust(live.mode.cert_fingerprint.as_deref()),
        timeout,
        redirects: Redirects::Followed,
    }
}

/// The download of the first-boot script (`reference/first-boot.md`, Source).
pub fn first_boot_request(url: &str, fingerprint: Option<&str>, release: Release, timeout: Duration) -> Request {
    Request {
        body: None,
        url: url.to_owned(),
        headers: common(release),
        trust: trust(fingerprint),
        timeout,
        redirects: Redirects::Followed,
    }
}

/// The report after the installation (`reference/post-hook.md`, HTTP). It carries no authorization.
pub fn webhook_request(webhook: &WebhookPlan, body: Vec<u8>, timeout: Duration) -> Request {
    let mut headers = vec![("content-type", JSON.to_owned())];
    headers.extend(common(Release::new(9, 2)));
    Request {
        body: Some(body),
        url: webhook.url.clone(),
        headers,
        trust: trust(webhook.fingerprint.as_deref()),
        timeout,
        redirects: Redirects::Followed,
    }
}

/// What the installer's HTTP library adds by itself: ureq 2 up to 8.4, ureq 3 from 9.0 on.
fn common(release: Release) -> Vec<(&'static str, String)> {
    if release < Release::new(9, 0) {
        vec![("user-agent", "ureq/2.9.1".to_owned())]
    } else {
        vec![("accept-encoding", "gzip".to_owned()), ("user-agent", "ureq/3.0.11".to_owned())]
    }
}

fn trust(fingerprint: Option<&str>) -> Trust {
    fingerprint.map_or(Trust::System, |pin| Trust::Pinned(pin.to_owned()))
}
