//! Lists page by page: an opaque cursor to the next page, in the body and as a `Link` header.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// Entries on one page when the request does not say.
pub const PAGE: usize = 100;
/// Entries on one page at most.
pub const PAGE_MAX: usize = 1000;

/// The last entry of the page before. Callers take it as it is: what is in it may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<T>(pub T);

/// A cursor that no answer of ours has held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no cursor of this list: take it from the field next of the page before, as it is")]
pub struct NoCursor;

impl<T: FromStr> FromStr for Cursor<T> {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoCursor)?;
        let inner = String::from_utf8(bytes).map_err(|_| NoCursor)?;
        inner.parse().map(Self).map_err(|_| NoCursor)
    }
}

impl<T: fmt::Display> fmt::Display for Cursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_string()))
    }
}

/// Cuts a list that was read one entry too far, and gives the cursor to what was cut off.
pub fn cut<T, K: fmt::Display>(list: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Option<String> {
    let is_more = list.len() > limit;
    list.truncate(limit);
    list.last().filter(|_| is_more).map(|last| Cursor(key(last)).to_string())
}

/// A page as the answer to `uri`; the next one is named in its `Link` header too.
pub fn page(uri: &Uri, next: Option<&str>, page: &impl Serialize) -> Response {
    let mut response = Json(page).into_response();
    if let Some(link) = next.and_then(|next| HeaderValue::from_str(&link(uri, next)).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

fn link(uri: &Uri, next: &str) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut kept: Vec<&str> = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect();
    let cursor = format!("cursor={next}");
    kept.push(&cursor);
    format!("<{}?{}>; rel=\"next\"", uri.path(), kept.join("&"))
}

#[cfg(test)]
mod tests {
    use provisioning_core::model::Hostname;

    use super::*;

    #[test]
    fn a_cursor_reads_back_and_another_lists_cursor_is_refused() {
        let name: Hostname = "pve-07".parse().unwrap();
        let text = Cursor(name.clone()).to_string();
        assert_eq!(text.parse(), Ok(Cursor(name)));
        for wrong in ["pve-07", "", "%%", &Cursor("not a name").to_string()] {
            assert_eq!(wrong.parse::<Cursor<Hostname>>(), Err(NoCursor), "{wrong}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_filters_of_this_one() {
        let uri: Uri = "/api/hosts?phase=ready&cursor=abc&limit=2".parse().unwrap();
        assert_eq!(link(&uri, "def"), "</api/hosts?phase=ready&limit=2&cursor=def>; rel=\"next\"");
        assert_eq!(link(&"/api/images".parse().unwrap(), "x"), "</api/images?cursor=x>; rel=\"next\"");
    }

    #[test]
    fn a_list_is_cut_only_where_there_is_more() {
        let mut three = vec![1, 2, 3];
        assert_eq!(cut(&mut three, 3, |n| *n), None);
        assert_eq!(cut(&mut three, 2, |n| *n), Some(Cursor(2).to_string()));
        assert_eq!(three, [1, 2]);
    }
}
