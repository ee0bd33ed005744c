//! The heads of requests and answers of the artifact listener, as text to value and back, without any I/O.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// The longest head that is read, in bytes: firmware and installers send a few hundred.
pub(super) const HEAD_MAX: usize = 8 << 10;
/// The most header lines.
const LINES_MAX: usize = 64;

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// Whether the client will send another request on this connection.
    pub(super) keep_alive: bool,
    /// Its length in bytes: what stands behind it belongs to the next request.
    pub(super) len: usize,
}

/// Why a head can not be answered as it asks; the connection ends with the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    #[error("this is not an HTTP/1 request")]
    NotHttp,
    #[error("the request's head is longer than {HEAD_MAX} bytes or has more than {LINES_MAX} lines")]
    TooLong,
    #[error("a download's request has no body")]
    HasBody,
}

impl BadHead {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotHttp | Self::HasBody => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// Reads the head at the beginning of `bytes`; `None` while its end has not come.
///
/// The path is taken without its query and is not percent-decoded: no path of ours has a character that needs it.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<RequestHead>, BadHead> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let mut request = httparse::Request::new(&mut lines);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_MAX => return Err(BadHead::TooLong),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLong),
        Err(_) => return Err(BadHead::NotHttp),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(BadHead::NotHttp);
    };
    let headers = headers(request.headers)?;
    if has_body(&headers) {
        return Err(BadHead::HasBody);
    }
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadHead::NotHttp)?;
    Ok(Some(RequestHead { method, path, keep_alive: keeps_alive(version, &headers), headers, len }))
}

fn headers(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, BadHead> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BadHead::NotHttp)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| BadHead::NotHttp)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// A body that we did not read would be taken for the next request.
fn has_body(headers: &HeaderMap) -> bool {
    let announced = headers.get_all(header::CONTENT_LENGTH).iter().any(|len| len.as_bytes() != b"0");
    announced || headers.contains_key(header::TRANSFER_ENCODING)
}

fn keeps_alive(version: u8, headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut says = |word: &str| said.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)));
    if version == 0 { says("keep-alive") } else { !says("close") }
}

/// The bytes of an answer's head. `Content-Length` must be among the headers unless the status has no body.
pub(super) fn render(status: StatusCode, headers: &HeaderMap, keep_alive: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let reason = status.canonical_reason().unwrap_or("Unknown");
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let connection: &[u8] = if keep_alive { b"connection: keep-alive\r\n\r\n" } else { b"connection: close\r\n\r\n" };
    out.extend_from_slice(connection);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(text: &str) -> RequestHead {
        parse(text.as_bytes()).expect("a good head").expect("a whole head")
    }

    #[test]
    fn a_head_is_read_to_its_end_and_not_beyond() {
        let head = complete("GET /boot/t/vmlinuz?x=1 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\nGET /next");
        assert_eq!((head.method, head.path.as_str(), head.len), (Method::GET, "/boot/t/vmlinuz", 63));
        assert_eq!(head.headers[header::RANGE], "bytes=0-1");
        assert!(head.keep_alive);
        assert!(parse(b"GET /boot/t/vmlinuz HTTP/1.1\r\nHost:").expect("a good start").is_none());
    }

    #[test]
    fn each_version_keeps_its_connections_as_the_rfc_says() {
        assert!(!complete("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n").keep_alive);
        assert!(!complete("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(complete("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    }

    #[test]
    fn bodies_and_what_is_no_http_are_refused() {
        let refused = |text: &str| parse(text.as_bytes()).expect_err("a bad head");
        assert_eq!(refused("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), BadHead::HasBody);
        assert_eq!(refused("GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"), BadHead::HasBody);
        assert_eq!(refused("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), BadHead::HasBody);
        assert_eq!(refused("\u{16}\u{3}\u{1} TLS"), BadHead::NotHttp);
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65))), BadHead::TooLong);
        assert_eq!(refused(&format!("GET /{} ", "x".repeat(HEAD_MAX))), BadHead::TooLong);
    }

    #[test]
    fn an_answers_head_ends_with_an_empty_line() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(7));
        let text = String::from_utf8(render(StatusCode::PARTIAL_CONTENT, &headers, false)).expect("ASCII");
        assert_eq!(text, "HTTP/1.1 206 Partial Content\r\ncontent-length: 7\r\nconnection: close\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(Some(head)) = parse(&bytes) {
                prop_assert!(head.len <= bytes.len());
            }
        }
    }
}
