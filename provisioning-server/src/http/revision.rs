//! `ETag` and `If-Match` of hosts: a change is made only on the revision that its author has seen.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use provisioning_core::orchestrator::OperatorError;
use provisioning_core::ports::{HostRecord, Revision};

use super::problem::{Kind, Problem};
use super::view::HostView;

/// What a request's `If-Match` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing, or any revision: the last change wins.
    Any,
    /// One of these; weak tags match nothing.
    OneOf(Vec<String>),
}

impl Wanted {
    /// Reads `If-Match`.
    ///
    /// # Errors
    /// `MalformedRequest` when it is no list of entity tags.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut tags = vec![];
        let mut is_given = false;
        for value in headers.get_all(header::IF_MATCH) {
            is_given = true;
            let text = value.to_str().unwrap_or_default().trim();
            if text == "*" {
                return Ok(Self::Any);
            }
            for tag in text.split(',').map(str::trim) {
                if !is_tag(tag) {
                    let allowed = "the host's ETag, such as \"3\" with its quotes, or *";
                    return Err(Problem::new(Kind::MalformedRequest, "If-Match is no entity tag")
                        .at("if-match", text, allowed)
                        .advise("send the ETag of your last GET as it was"));
                }
                tags.push(tag.to_owned());
            }
        }
        Ok(if is_given { Self::OneOf(tags) } else { Self::Any })
    }

    /// The revision to decide on.
    ///
    /// # Errors
    /// `PreconditionFailed` when the host is at another than was asked for.
    pub(super) fn check(&self, record: &HostRecord) -> Result<Option<Revision>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::OneOf(tags) if tags.contains(&tag(record.revision)) => Ok(Some(record.revision)),
            Self::OneOf(_) => Err(failed(format!("the host is at revision {}", record.revision.0))),
        }
    }

    /// What a change that lost a race is for this request.
    pub(super) fn explain(&self, error: OperatorError) -> Problem {
        match (self, error) {
            (Self::OneOf(_), error @ OperatorError::Changed { .. }) => failed(error.to_string()),
            (_, error) => error.into(),
        }
    }
}

fn failed(detail: String) -> Problem {
    Problem::new(Kind::PreconditionFailed, detail).advise("read the host again, decide anew, and send its new ETag")
}

/// A host with its revision as `ETag`.
pub(super) fn tagged(record: &HostRecord, view: HostView) -> Response {
    let mut response = Json(view).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag(record.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn tag(revision: Revision) -> String {
    format!("\"{}\"", revision.0)
}

fn is_tag(text: &str) -> bool {
    let strong = text.strip_prefix("W/").unwrap_or(text);
    strong.len() >= 2 && strong.starts_with('"') && strong.ends_with('"') && !strong[1..strong.len() - 1].contains('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(values: &[&str]) -> Result<Wanted, Kind> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        Wanted::of(&headers).map_err(|problem| problem.kind())
    }

    #[test]
    fn if_match_is_a_list_of_tags_or_a_star() {
        assert_eq!(wanted(&[]), Ok(Wanted::Any));
        assert_eq!(wanted(&["*"]), Ok(Wanted::Any));
        assert_eq!(
            wanted(&["\"1\", W/\"2\"", "\"x\""]),
            Ok(Wanted::OneOf(vec!["\"1\"".into(), "W/\"2\"".into(), "\"x\"".into()]))
        );
        for wrong in ["1", "\"1", "", "\"1\" \"2\"", "\""] {
            assert_eq!(wanted(&[wrong]), Err(Kind::MalformedRequest), "{wrong}");
        }
    }
}
