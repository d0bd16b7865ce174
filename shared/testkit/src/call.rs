//! A request in the making.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use satchel_inbound::http::ClientAddress;
use satchel_local::{Bytes, Local};
use serde::Serialize;

use crate::answer::Answer;
use crate::people::Session;

/// A request to the API of a stack; without a token unless one is given.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing before `send`"]
pub struct Call {
    local: Local,
    request: Request<Bytes>,
    query: String,
}

impl Call {
    pub(crate) fn new(local: Local, method: Method, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_else(|error| panic!("`{path}` is not a path: {error}"));
        Self { local, request, query: query.to_owned() }
    }

    /// With the session's access token.
    pub fn auth(self, session: &Session) -> Self {
        self.bearer(&session.access_token)
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), format!("Bearer {token}"))
    }

    /// With a name and a password (HTTP Basic).
    pub fn basic(self, name: &str, password: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// With a JSON body.
    pub fn json(self, body: impl Serialize) -> Self {
        let bytes = serde_json::to_vec(&body).unwrap_or_else(|error| panic!("the body cannot be JSON: {error}"));
        self.header(CONTENT_TYPE.as_str(), "application/json").body(bytes)
    }

    /// With the body of a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded").body(encode(fields))
    }

    /// With a body, whose content type is not set.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// With a header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        let known = name.parse::<HeaderName>().unwrap_or_else(|error| panic!("`{name}` is not a header: {error}"));
        let value = HeaderValue::from_bytes(value.as_bytes());
        let value = value.unwrap_or_else(|error| panic!("`{name}` cannot have this value: {error}"));
        self.request.headers_mut().insert(known, value);
        self
    }

    /// With query parameters, percent-encoded.
    pub fn query(mut self, fields: &[(&str, &str)]) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&encode(fields));
        self
    }

    /// From a network address.
    pub fn from(mut self, address: &str) -> Self {
        self.request.extensions_mut().insert(ClientAddress(address.to_owned()));
        self
    }

    /// Sends it.
    pub async fn send(mut self) -> Answer {
        if !self.query.is_empty() {
            let uri = format!("{}?{}", self.request.uri().path(), self.query);
            *self.request.uri_mut() = uri.parse().unwrap_or_else(|error| panic!("`{uri}` is not a path: {error}"));
        }
        let asked = format!("{} {}", self.request.method(), self.request.uri());
        Answer::new(asked, self.local.call(self.request).await)
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
    };
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}
