//! The page that asks for an operator's token. The form goes to `POST /login`, which is the HTTP side's.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::headers::add_security_headers;
use super::page::html;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    error: Option<&'a str>,
}

/// The login page with its security headers; `error` says why the last try did not work. The caller sets the status.
pub fn login_page(error: Option<&str>) -> impl IntoResponse + use<> {
    let page: Response = html(&Login { error });
    add_security_headers(page)
}
