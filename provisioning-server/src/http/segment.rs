//! One segment of a request's path; what is not text there is a problem like any other, not axum's plain words.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::{Kind, Problem};

/// The path's parameter, percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment(pub String);

/// Both of the path's parameters, percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(malformed)?;
        Ok(Self(text))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((first, second)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(malformed)?;
        Ok(Self(first, second))
    }
}

fn malformed(error: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::MalformedRequest, error.to_string()).advise("write the path in UTF-8, percent-encoded")
}
