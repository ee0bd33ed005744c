//! Request bodies: read up to a limit, as JSON objects whose fields are parsed with all their faults together.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use provisioning_core::ports::BoxError;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::problem::{FieldFault, Kind, Problem, shortened};

/// The most that an operator's request may hold, in bytes.
pub const OPERATOR_BYTES_MAX: usize = 64 * 1024;
/// The most that a machine's report may hold, in bytes: installers send their whole hardware.
pub const MACHINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How much of an oversized body is still read, so that its sender gets to see the answer.
const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a sender may be silent in the middle of a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a body of the sizes above may take in all, so that nobody sends it byte by byte.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// The time in which the sender of a large body must have brought [`PACE_BYTES`] more.
const PACE_TIME: Duration = Duration::from_secs(60);
/// See [`PACE_TIME`]: about 34 kbit/s, which the slowest uplink has.
const PACE_BYTES: usize = 256 * 1024;
/// How long throwing away may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Reads a body of at most `limit` bytes.
///
/// A larger one is read on and thrown away for a while: a sender that is cut off would see a broken connection
/// instead of the answer. One that waits for `100 Continue` is told at once.
///
/// # Errors
/// `BodyTooLarge`, `BodyBroke`.
pub async fn read_limited(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(Kind::BodyTooLarge, format!("the body has more than {limit} bytes"))
            .advise(format!("send at most {limit} bytes"))
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) && headers.contains_key(header::EXPECT) {
        return Err(too_large());
    }
    let until = Instant::now() + BODY_TIME_MAX;
    let mut kept = BytesMut::new();
    while let Some(data) = next(&mut body, until).await? {
        if kept.len() + data.len() > limit {
            drop(kept);
            drain(body).await;
            return Err(too_large());
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

/// The next bytes of a body that must be there in full at `until`.
async fn next(body: &mut Body, until: Instant) -> Result<Option<Bytes>, Problem> {
    let until = until.min(Instant::now() + SILENCE_MAX);
    let frame = tokio::time::timeout_at(until, body.frame()).await;
    let frame = frame.map_err(|_| Problem::new(Kind::BodyBroke, "the sender fell silent, or was too slow"))?;
    match frame {
        None => Ok(None),
        // Trailers carry nothing for us.
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(Problem::new(Kind::BodyBroke, error.to_string())),
    }
}

/// Reads the first `limit` bytes of a body and throws the rest away.
///
/// # Errors
/// `BodyBroke`.
pub async fn read_prefix(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let until = Instant::now() + BODY_TIME_MAX;
    let mut kept = BytesMut::new();
    while let Some(data) = next(&mut body, until).await? {
        let room = limit - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            drain(body).await;
            break;
        }
    }
    Ok(kept.freeze())
}

/// The bytes of a large body, whose sender must keep a pace: 256 KiB in each minute.
pub fn paced(body: Body) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + Unpin {
    struct Pace {
        body: Body,
        until: Instant,
        owed: usize,
    }
    let pace = Pace { body, until: Instant::now() + PACE_TIME, owed: PACE_BYTES };
    Box::pin(stream::try_unfold(pace, |mut pace| async move {
        loop {
            let frame = tokio::time::timeout_at(pace.until, pace.body.frame()).await;
            let Some(frame) = frame.map_err(|_| BoxError::from("the sender was too slow"))? else { return Ok(None) };
            let Ok(data) = frame?.into_data() else { continue };
            pace.owed = pace.owed.saturating_sub(data.len());
            if pace.owed == 0 {
                (pace.until, pace.owed) = (Instant::now() + PACE_TIME, PACE_BYTES);
            }
            return Ok(Some((data, pace)));
        }
    }))
}

/// Reads a body to its end and throws it away, within limits.
pub async fn drain(mut body: Body) {
    let read = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, Bytes::len);
            if drained > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    tokio::time::timeout(DRAIN_TIME_MAX, read).await.ok();
}

/// The fields of a JSON object. Reading one records its fault; [`Fields::finish`] reports them all.
#[derive(Debug, Default)]
pub struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<FieldFault>,
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    /// An empty body is an object without fields.
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_limited(&parts.headers, body, OPERATOR_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        if !is_json(&parts.headers) {
            let found = parts.headers.get(header::CONTENT_TYPE).map_or("none", |v| v.to_str().unwrap_or("unreadable"));
            let detail = format!("the body's content type is {}", shortened(found));
            return Err(Problem::new(Kind::WrongContentType, detail).advise("send content-type: application/json"));
        }
        Self::parse(&bytes)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

impl Fields {
    /// The fields of an object that was read already, such as those of an HTML form.
    pub fn of(left: Map<String, Value>) -> Self {
        Self { left, ..Self::default() }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Problem::new(Kind::MalformedJson, error.to_string()).advise("send one JSON object"))?;
        match value {
            Value::Object(left) => Ok(Self { left, ..Self::default() }),
            _ => {
                Err(Problem::new(Kind::MalformedJson, "the body is JSON, but no object").advise("send one JSON object"))
            }
        }
    }

    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.left.remove(field).filter(|value| !value.is_null())
    }

    /// Records that a field is wrong.
    pub fn fault(&mut self, field: &str, value: Option<String>, allowed: impl Into<String>) {
        let value = value.map(|value| shortened(&value));
        self.faults.push(FieldFault { field: field.to_owned(), value, allowed: allowed.into() });
    }

    /// Whether the request has this field, null or not.
    pub fn has(&self, field: &str) -> bool {
        self.left.contains_key(field)
    }

    /// A text.
    pub fn text(&mut self, field: &'static str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            other => {
                self.fault(field, Some(other.to_string()), "must be a text");
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn truth(&mut self, field: &'static str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(truth) => Some(truth),
            other => {
                self.fault(field, Some(other.to_string()), "must be true or false");
                None
            }
        }
    }

    /// A text parsed into its type.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, field: &'static str) -> Option<T> {
        let text = self.text(field)?;
        self.parse_text(field, &text)
    }

    /// A text parsed into a type whose own error does not say what is allowed.
    pub fn parsed_as<T: FromStr>(&mut self, field: &'static str, allowed: &str) -> Option<T> {
        let text = self.text(field)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(field, Some(text), format!("must be {allowed}"));
        }
        value
    }

    /// A text that must be there, parsed into its type.
    pub fn required<T: FromStr<Err: Display>>(&mut self, field: &'static str, allowed: &str) -> Option<T> {
        if self.left.get(field).is_none_or(Value::is_null) {
            self.take(field);
            self.fault(field, None, format!("is missing: {allowed}"));
            return None;
        }
        self.parsed(field)
    }

    /// A list of texts parsed into their type; `None` when there is no such field or one of them is wrong.
    pub fn list<T: FromStr<Err: Display>>(&mut self, field: &'static str) -> Option<Vec<T>> {
        let items = match self.take(field)? {
            Value::Array(items) => items,
            other => {
                self.fault(field, Some(other.to_string()), "must be a list of texts");
                return None;
            }
        };
        let parsed: Vec<Option<T>> = items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => self.parse_text(field, &text),
                other => {
                    self.fault(field, Some(other.to_string()), "must be a list of texts");
                    None
                }
            })
            .collect();
        parsed.into_iter().collect()
    }

    fn parse_text<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(field, Some(text.to_owned()), error.to_string());
                None
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults that were recorded, and every field that nobody asked for.
    pub fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join(", ");
        let unknown: Vec<String> = self.left.keys().cloned().collect();
        for field in unknown {
            self.fault(&field, None, format!("is not a known field; known here: {known}"));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::fields(self.faults)) }
    }
}

/// The parameters of a query. Reading one records its fault; [`Params::finish`] reports them all.
#[derive(Debug)]
pub struct Params(Fields);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::new(Kind::MalformedRequest, error.to_string()))?;
        let left = pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        Ok(Self(Fields { left, ..Fields::default() }))
    }
}

impl Params {
    /// A text.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.0.text(name)
    }

    /// A text parsed into its type.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.0.parsed(name)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.0.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.0.fault(name, Some(text), format!("must be one of {}", names.join(", ")));
        }
        found
    }

    /// `true` or `false`.
    pub fn truth(&mut self, name: &'static str) -> Option<bool> {
        self.word(name, &[("true", true), ("false", false)])
    }

    /// A number of a range.
    pub fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let text = self.0.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.0.fault(name, Some(text), format!("must be a number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults that were recorded, and every parameter that nobody asked for.
    pub fn finish(self) -> Result<(), Problem> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::model::{Hostname, MacAddr};

    use super::*;

    #[test]
    fn all_wrong_fields_of_a_request_are_reported_together() {
        let mut fields = Fields::parse(br#"{"hostname": "pve_1", "macs": ["x", 7], "colour": "red"}"#).unwrap();
        assert_eq!(fields.required::<Hostname>("hostname", "a DNS label"), None);
        assert_eq!(fields.list::<MacAddr>("macs"), None);
        assert_eq!(fields.required::<String>("server_type", "a key of server-types.yaml"), None);
        let problem = fields.finish().unwrap_err();
        let expected = ["hostname", "macs", "macs", "server_type", "colour"];
        let found: Vec<_> = problem.faults().iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for text in ["[]", "7", "{", "{\"a\":1} x", ""] {
            assert_eq!(Fields::parse(text.as_bytes()).unwrap_err().kind(), Kind::MalformedJson, "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let headers = HeaderMap::new();
        assert_eq!(read_limited(&headers, Body::from("abc"), 3).await.unwrap(), "abc");
        assert_eq!(read_limited(&headers, Body::from("abcd"), 3).await.unwrap_err().kind(), Kind::BodyTooLarge);
    }

    /// A body that brings a byte every ten seconds, for ever.
    fn dribble() -> Body {
        let ticks = stream::unfold(tokio::time::interval(Duration::from_secs(10)), |mut ticks| async move {
            ticks.tick().await;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b" ")), ticks))
        });
        Body::from_stream(ticks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_byte_by_byte_is_given_up() {
        let began = Instant::now();
        let error = read_limited(&HeaderMap::new(), dribble(), OPERATOR_BYTES_MAX).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BodyBroke);
        assert_eq!(read_prefix(dribble(), MACHINE_BYTES_MAX).await.unwrap_err().kind(), Kind::BodyBroke);
        drain(dribble()).await;
        let mut upload = paced(dribble());
        while let Some(Ok(_)) = futures_util::StreamExt::next(&mut upload).await {}
        assert!(began.elapsed() < Duration::from_secs(4 * 60), "{:?}", began.elapsed());
    }
}
