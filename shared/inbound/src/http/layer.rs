//! What is around every handler: request id, log line, no caching, problems for what no route takes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use satchel_domain::Error;
use satchel_store::capacity;
use serde_json::{Map, Value, json};

use super::Core;
use super::caller::Who;
use super::error::{ApiError, Cause, ProblemBody, problem};
use crate::record;

/// The request's id: Lambda's own.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// For how long Lambda lets this request's instance go on.
#[derive(Debug, Clone, Copy)]
pub struct TimeLeft(pub Duration);

/// What is kept of it for the answer and the log line.
const RESERVE: Duration = Duration::from_millis(700);

/// The answer, or a 503 while there is still time to give one: an instance that is killed at its time-out answers nothing
/// that a client could go by, and the next request pays for a cold start. What was under way is as a lost answer is:
/// every route may be repeated.
async fn in_time(left: Option<TimeLeft>, answer: impl Future<Output = Response>) -> Response {
    let Some(TimeLeft(left)) = left else { return answer.await };
    match tokio::time::timeout(left.saturating_sub(RESERVE), answer).await {
        Ok(response) => response,
        Err(_) => ApiError(Error::unavailable("the function's time was used up")).into_response(),
    }
}

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

    let left = request.extensions().get::<TimeLeft>().copied();
    let (mut response, units) = capacity::measured(in_time(left, next.run(request))).await;
    let cause = response.extensions_mut().remove::<Cause>();
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
    if let Some(Cause(cause)) = cause {
        fields.insert("error".to_owned(), cause.into());
    }
    let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let level = if response.status().is_server_error() { "ERROR" } else { "INFO" };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_answered_for_in_time() {
        let begun = tokio::time::Instant::now();
        let response = in_time(Some(TimeLeft(Duration::from_secs(15))), std::future::pending()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(15) && took > Duration::from_secs(13), "{took:?}");
        let quick = in_time(Some(TimeLeft(Duration::from_secs(1))), async { Response::new(Body::empty()) }).await;
        assert_eq!(quick.status(), StatusCode::OK);
    }
}
