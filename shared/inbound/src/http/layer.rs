//! What is around every handler: request id, log line, no caching, problems for what no route takes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use satchel_store::capacity;
use serde_json::{Map, Value, json};

use super::Core;
use super::caller::Who;
use super::error::{ProblemBody, problem};
use crate::record;

/// The request's id: Lambda's own.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// `router` as every family serves it.
pub fn serve<S: Clone + Send + Sync + 'static>(router: Router<S>, state: S, core: Core) -> Router {
    router
        .fallback(async || problem(StatusCode::NOT_FOUND, "not_found", "no such route".into(), None))
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route has other methods".into(), None)
        })
        .layer(from_fn_with_state(core, around))
        .with_state(state)
}

async fn around(State(core): State<Core>, mut request: Request, next: Next) -> Response {
    let begun = core.clock.now();
    let started = tokio::time::Instant::now();
    let id = match request.extensions().get::<RequestId>() {
        Some(RequestId(id)) => id.clone(),
        None => ulid::Ulid::from_parts(
            u64::try_from(begun.as_millisecond()).unwrap_or(0),
            u128::from_be_bytes(core.ids.bytes()),
        )
        .to_string(),
    };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let who = Arc::new(Who::default());
    request.extensions_mut().insert(Arc::clone(&who));

    let (response, units) = capacity::measured(next.run(request)).await;
    let response = finish(response, &id);

    let mut fields = Map::new();
    fields.insert("request_id".to_owned(), id.into());
    fields.insert("route".to_owned(), format!("{method} {}", route.as_deref().unwrap_or("$default")).into());
    fields.insert("status".to_owned(), response.status().as_u16().into());
    fields.insert("cold_start".to_owned(), record::is_cold().into());
    if let Some((name, device)) = who.name.get() {
        fields.insert("user".to_owned(), json!(name));
        fields.insert("device".to_owned(), json!(device));
    }
    let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let level = if response.status().is_server_error() { "error" } else { "info" };
    record::line(
        begun.as_millisecond(),
        level,
        fields,
        &[
            ("took_ms", "Milliseconds", took_ms),
            ("read_units", "Count", units.read),
            ("write_units", "Count", units.write),
        ],
    );
    response
}

fn finish(mut response: Response, id: &str) -> Response {
    if let Some(ProblemBody(body)) = response.extensions_mut().remove::<ProblemBody>() {
        let mut body = Value::clone(&body);
        body["request_id"] = id.into();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body.to_string());
    } else if response.status().is_client_error()
        && !response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"))
    {
        // What axum refuses by itself has a plain text of its own.
        let status = response.status();
        return finish(problem(status, "bad_request", status.to_string().into(), None).into_response(), id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
