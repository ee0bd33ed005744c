//! Errors as operators and their programs see them: `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong with a request, and what to do about it.
///
/// `type` is stable: programs may match on it. Everything else is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    faults: Vec<FieldFault>,
    what_to_do: Option<String>,
    retry_after_seconds: Option<u32>,
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// The field, as the request names it.
    pub field: String,
    /// What stood there, shortened; absent when nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it, or what is allowed.
    pub allowed: String,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal, $status:ident, $title:literal;)+) => {
        /// The problems there are. Their names are part of the API: only ever add to them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $title] $name,)+
        }

        impl Kind {
            /// The last part of the problem's `type`.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            /// Its status code.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// What it is, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The problem with this slug.
            pub fn by_slug(slug: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
            }
        }
    };
}

kinds! {
    InvalidFields = "invalid-fields", UNPROCESSABLE_ENTITY, "Some fields of the request are wrong";
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not JSON";
    MalformedRequest = "malformed-request", BAD_REQUEST, "The request makes no sense";
    WrongContentType = "wrong-content-type", UNSUPPORTED_MEDIA_TYPE, "The body is of a type that is not taken here";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    BodyBroke = "body-broke-off", BAD_REQUEST, "The body broke off";
    NoSuchPath = "no-such-path", NOT_FOUND, "There is nothing at this path";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "This path does not take that method";
    NoToken = "not-authenticated", UNAUTHORIZED, "This needs an operator's token";
    WrongToken = "wrong-token", UNAUTHORIZED, "The token is not an operator's";
    ExpiredToken = "expired-token", UNAUTHORIZED, "The token has expired";
    RevokedToken = "revoked-token", UNAUTHORIZED, "The token was revoked";
    ReadOnly = "read-only-token", FORBIDDEN, "The token may change nothing";
    TooManyTries = "too-many-tries", TOO_MANY_REQUESTS, "There were too many failed tries";
    NoSuchToken = "no-such-token", NOT_FOUND, "There is no such token";
    TokenNameTaken = "token-name-taken", CONFLICT, "A token in force has this name";
    ForeignOrigin = "foreign-origin", FORBIDDEN, "The request comes from another site's page";
    NoSuchHost = "no-such-host", NOT_FOUND, "No such host is registered";
    NoSuchOperation = "no-such-operation", NOT_FOUND, "There is no such operation";
    NotDiscovered = "not-discovered", NOT_FOUND, "No such machine was discovered";
    NoSuchImage = "no-such-image", NOT_FOUND, "There is no such image";
    NoSuchServerType = "no-such-server-type", UNPROCESSABLE_ENTITY, "There is no such server type";
    NameTaken = "name-taken", CONFLICT, "Another host has this name";
    MacTaken = "mac-taken", CONFLICT, "Another host has this MAC address";
    HostBusy = "host-busy", CONFLICT, "The host is being provisioned";
    NotPossibleNow = "not-possible-now", CONFLICT, "The host's phase does not allow it";
    ConfirmationNeeded = "confirmation-needed", CONFLICT, "The host was ready before: its data would be lost";
    HardwareChanged = "hardware-changed", CONFLICT, "The host is another machine than at its last installation";
    PreflightFailed = "preflight-failed", UNPROCESSABLE_ENTITY, "The host cannot be installed like this";
    Stale = "stale", CONFLICT, "The host changed meanwhile";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The host is at another revision than If-Match asks for";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "Another request has used this Idempotency-Key";
    NoSuchTarget = "no-such-target", NOT_FOUND, "No notify target has this name";
    ImageExists = "image-exists", CONFLICT, "This image was imported before";
    ImageInUse = "image-in-use", CONFLICT, "The image is being installed";
    ImageRefused = "image-refused", UNPROCESSABLE_ENTITY, "The file is not an image that can be provisioned";
    ImageUnreadable = "image-unreadable", UNPROCESSABLE_ENTITY, "The file cannot be read";
    ImageGone = "image-gone", CONFLICT, "The image's file is gone or was changed";
    UnknownToken = "unknown-token", NOT_FOUND, "No running operation has this token";
    OperationEnded = "operation-ended", GONE, "The operation of this token has ended";
    RangeNotSatisfiable = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "The range lies beyond the end";
    TryLater = "try-later", SERVICE_UNAVAILABLE, "The server is busy";
    NotWritable = "not-writable", SERVICE_UNAVAILABLE, "The server's disk takes no writes";
    StoreCorrupt = "store-corrupt", INTERNAL_SERVER_ERROR, "The store holds something that makes no sense";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The server has a fault";
    DiskTrouble = "disk-trouble", INSUFFICIENT_STORAGE, "The server's disk did not take it";
}

impl Kind {
    /// The problem's `type`: relative, and so the same on every server, and a page of the one that sent it.
    pub fn uri(self) -> String {
        format!("/api/problems/{}", self.slug())
    }
}

impl Problem {
    /// A problem; `detail` says what it is about in this case.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), faults: vec![], what_to_do: None, retry_after_seconds: None }
    }

    /// The problem of one or more wrong fields.
    pub fn fields(faults: Vec<FieldFault>) -> Self {
        let shown: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.allowed)).collect();
        Self { faults, ..Self::new(Kind::InvalidFields, shown.join("; ")) }
    }

    /// Names the field at fault, and what stood there.
    #[must_use]
    pub fn at(mut self, field: &str, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        let value = Some(shortened(&value.into()));
        self.faults.push(FieldFault { field: field.to_owned(), value, allowed: allowed.into() });
        self
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn advise(self, what_to_do: impl Into<String>) -> Self {
        Self { what_to_do: Some(what_to_do.into()), ..self }
    }

    /// Says when it is worth trying again.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// Which problem it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its status code.
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// What it is about in this case.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields at fault.
    pub fn faults(&self) -> &[FieldFault] {
        &self.faults
    }

    /// What a person can do about it.
    pub fn what_to_do(&self) -> Option<&str> {
        self.what_to_do.as_deref()
    }
}

/// At most 120 characters of a value.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= 120 { text.to_owned() } else { text.chars().take(117).chain("...".chars()).collect() }
}

/// What went wrong, as RFC 9457 has it. Match on `type`; the rest is for people.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// Which problem it is: the path of a page of this server that explains it. Stable.
    #[schema(example = "/api/problems/mac-taken")]
    r#type: String,
    /// What it is, in a few words.
    title: &'static str,
    /// The status code once more.
    status: u16,
    /// What it is about in this case.
    detail: &'a str,
    /// The first field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What stood there, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// What is allowed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<&'a str>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    what_to_do: Option<&'a str>,
    /// All fields at fault, when there are several.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldFault],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let first = self.faults.first();
        let body = Body {
            r#type: self.kind.uri(),
            title: self.kind.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            field: first.map(|fault| fault.field.as_str()),
            value: first.and_then(|fault| fault.value.as_deref()),
            allowed: first.map(|fault| fault.allowed.as_str()),
            what_to_do: self.what_to_do.as_deref(),
            errors: if self.faults.len() > 1 { &self.faults } else { &[] },
        };
        let text = serde_json::to_vec(&body).expect("texts and numbers are JSON");
        let mut response = (self.status(), text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"provisioning\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_json_with_a_stable_type_and_the_field_at_fault() {
        let problem = Problem::new(Kind::MacTaken, "52:54:00:00:00:01 belongs to pve-01")
            .at("mac", "52:54:00:00:00:01", "an address that no other host has")
            .advise("remove pve-01 first");
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.to_vec()).unwrap(), @r#"{"type":"/api/problems/mac-taken","title":"Another host has this MAC address","status":409,"detail":"52:54:00:00:00:01 belongs to pve-01","field":"mac","value":"52:54:00:00:00:01","allowed":"an address that no other host has","what_to_do":"remove pve-01 first"}"#);
    }
}
