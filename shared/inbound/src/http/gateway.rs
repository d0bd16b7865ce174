//! What API Gateway wraps around a request, taken off again.

use axum::body::Body;
use http::Request;
use http::uri::{PathAndQuery, Uri};
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;

use super::caller::ClientAddress;
use super::layer::RequestId;

/// The request as the routers know it: without the stage in its path, with the Lambda request id and the caller's
/// address in its extensions.
pub fn of_lambda(request: lambda_http::Request) -> Request<Body> {
    let mut stage = None;
    let mut address = None;
    if let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() {
        stage = context.stage.clone().filter(|stage| stage != "$default");
        address = context.http.source_ip.clone();
    }
    let id = request.lambda_context_ref().map(|context| context.request_id.clone());
    let (mut parts, body) = request.into_parts();
    if let Some(stage) = stage {
        strip_stage(&mut parts.uri, &stage);
    }
    parts.extensions.insert(ClientAddress(address.unwrap_or_else(|| "unknown".to_owned())));
    if let Some(id) = id {
        parts.extensions.insert(RequestId(id));
    }
    let body = match body {
        lambda_http::Body::Empty => Body::empty(),
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        other => Body::new(other),
    };
    Request::from_parts(parts, body)
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
