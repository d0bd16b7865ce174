//! What API Gateway wraps around a request, taken off again.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::uri::{PathAndQuery, Uri};
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;

use super::caller::ClientAddress;
use super::layer::{RequestId, TimeLeft};
use crate::env::Clock;

/// The request as the routers know it: without the stage in its path, with the Lambda request id and the caller's
/// address in its extensions.
pub fn of_lambda(request: lambda_http::Request, clock: &Clock) -> Request<Body> {
    let mut stage = None;
    let mut address = None;
    if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
        stage = context.stage.clone().filter(|stage| stage != "$default");
        address = context.http.source_ip.clone();
    }
    let id = request.lambda_context_ref().map(|context| context.request_id.clone());
    let deadline = request.lambda_context_ref().map(|context| context.deadline);
    let uri = of_raw_path(request.raw_http_path(), request.uri().query());
    let (mut parts, body) = request.into_parts();
    if let Some(uri) = uri {
        parts.uri = uri;
    }
    if let Some(stage) = stage {
        strip_stage(&mut parts.uri, &stage);
    }
    parts.extensions.insert(ClientAddress(address.unwrap_or_else(|| "unknown".to_owned())));
    if let Some(id) = id {
        parts.extensions.insert(RequestId(id));
    }
    if let Some(deadline) = deadline {
        let now = u64::try_from(clock.now().as_millisecond()).unwrap_or(u64::MAX);
        parts.extensions.insert(TimeLeft(Duration::from_millis(deadline.saturating_sub(now))));
    }
    let body = match body {
        lambda_http::Body::Empty => Body::empty(),
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        other => Body::new(other),
    };
    Request::from_parts(parts, body)
}

/// The URI of a path as API Gateway has decoded it. The runtime client makes a WHATWG URL of it, in which `\` is `/`, `..`
/// climbs, `#` ends the path and `?` begins a query: then an encoded id would name another route than the gateway's. Here
/// what was decoded is encoded again, so that it stays within its segment; a `%` is taken for what is encoded still.
fn of_raw_path(raw: &str, query: Option<&str>) -> Option<Uri> {
    if !raw.starts_with('/') {
        return None;
    }
    let mut text = String::with_capacity(raw.len());
    for byte in raw.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b'%'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    // The client's idea of the query is wrong where it saw its sign in the path.
    if let Some(query) = query.filter(|_| !raw.contains(['?', '#'])) {
        text.push('?');
        text.push_str(query);
    }
    text.parse().ok()
}

/// Takes `/stage` off the beginning of the path: an API without a `$default` stage has it in `rawPath`, and the runtime
/// client puts it there once more (HTTP API payload format 2.0).
fn strip_stage(uri: &mut Uri, stage: &str) {
    let prefix = format!("/{stage}");
    let mut path = uri.path();
    while let Some(rest) = path.strip_prefix(&prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        path = rest;
    }
    let path = if path.is_empty() { "/" } else { path };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(path_and_query) = text.parse::<PathAndQuery>() {
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(stripped) = Uri::from_parts(parts) {
            *uri = stripped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_path_stays_where_the_gateway_routed_it() {
        for (raw, query, seen) in [
            ("/auth/sessions/..\\me", None, "/auth/sessions/..%5Cme"),
            ("/devices/a#b", Some("x=1"), "/devices/a%23b"),
            ("/devices/a?b", Some("b"), "/devices/a%3Fb"),
            ("/devices/a b\u{e9}\0\"<>", Some("x=1"), "/devices/a%20b%C3%A9%00%22%3C%3E?x=1"),
            ("/devices/../me", None, "/devices/../me"),
            ("/sync/entries/a%2Fb", None, "/sync/entries/a%2Fb"),
        ] {
            assert_eq!(of_raw_path(raw, query).unwrap(), seen, "{raw}");
        }
        assert_eq!(of_raw_path("", None), None);
    }

    #[test]
    fn the_stage_leaves_the_path_and_nothing_else_does() {
        for (from, to) in [
            ("/dev/sync/pull?a=1", "/sync/pull?a=1"),
            ("/dev/dev/sync/pull", "/sync/pull"),
            ("/development/x", "/development/x"),
            ("/dev", "/"),
            ("/devices", "/devices"),
        ] {
            let mut uri: Uri = from.parse().unwrap();
            strip_stage(&mut uri, "dev");
            assert_eq!(uri, to);
        }
    }
}
