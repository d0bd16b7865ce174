//! The control API under `/_local/`: what a test or a person does to a stack that no caller of the API could do.
//!
//! It exists in this crate only, so no function has it, it listens on loopback only, and it refuses what is not of this
//! machine.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::carrier::JWKS_CACHE;
use crate::identity::IdentityIn;
use crate::local::Local;
use crate::loopback;
use crate::services::FaultRule;

/// Longest wait of a drain, whatever is asked for.
const LONGEST_DRAIN: Duration = Duration::from_secs(600);

/// A refusal with a sentence.
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1 }))).into_response()
    }
}

pub(crate) type Answer = Result<Response, Refusal>;

/// Whether `path` is the control API's.
pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with("/_local/")
}

/// The answer to a request, without a socket.
pub(crate) async fn call(local: &Local, request: http::Request<Bytes>) -> http::Response<Bytes> {
    let response = router(local.clone()).oneshot(request.map(Body::from)).await.unwrap_or_else(|never| match never {});
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    http::Response::from_parts(head, body)
}

/// The control API of `local`.
pub fn router(local: Local) -> Router {
    Router::new()
        .route("/_local/identity", post(identity))
        .route(crate::identity::JWKS_PATH, get(jwks))
        .route("/_local/clock", get(clock).post(advance))
        .route("/_local/run/{schedule}", post(run))
        .route("/_local/drain", post(drain))
        .route("/_local/outbox/{kind}", get(outbox))
        .route("/_local/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/_local/admin", post(admin))
        .route("/_local/reset", post(reset))
        .merge(crate::stores::control::router())
        // A route and no fallback, so that this can be merged into a router that has one.
        .route(
            "/_local/{*rest}",
            any(async || Refusal(StatusCode::NOT_FOUND, "the control API has no such route".to_owned())),
        )
        .layer(from_fn(from_this_machine))
        .with_state(local)
}

async fn from_this_machine(request: Request, next: Next) -> Response {
    if loopback::is_of_this_machine(request.headers()) {
        return next.run(request).await;
    }
    Refusal(StatusCode::FORBIDDEN, "the control API is for this machine".to_owned()).into_response()
}

/// A JSON body; none is `{}`.
pub(crate) struct In<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for In<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let refused = |error: &dyn std::fmt::Display| Refusal(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        let body = Bytes::from_request(request, state).await.map_err(|error| refused(&error))?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map(Self).map_err(|error| refused(&error))
    }
}

fn ok(value: Value) -> Answer {
    Ok(Json(value).into_response())
}

fn done() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn needs_services(local: &Local) -> Result<(), Refusal> {
    if local.owns_services() {
        return Ok(());
    }
    Err(Refusal(StatusCode::CONFLICT, "ask the process that runs the emulators: they are not in this one".to_owned()))
}

async fn identity(State(local): State<Local>, In(wanted): In<IdentityIn>) -> Answer {
    ok(json!({ "id_token": local.issuer().id_token(wanted).map_err(failed)? }))
}

async fn jwks(State(local): State<Local>) -> Answer {
    let keys = Json(local.issuer().jwks().map_err(failed)?);
    Ok(([(header::CACHE_CONTROL, JWKS_CACHE)], keys).into_response())
}

#[derive(Deserialize)]
struct AdvanceIn {
    advance_seconds: u64,
}

async fn clock(State(local): State<Local>) -> Answer {
    let now = local.clock().now();
    ok(json!({ "now": now.as_second(), "time": now.to_string() }))
}

async fn advance(State(local): State<Local>, In(wanted): In<AdvanceIn>) -> Answer {
    local.advance(Duration::from_secs(wanted.advance_seconds)).map_err(failed)?;
    clock(State(local)).await
}

async fn run(State(local): State<Local>, Path(schedule): Path<String>) -> Answer {
    needs_services(&local)?;
    match local.run(&schedule).await {
        Some(Ok(answer)) => ok(json!({ "answer": answer })),
        Some(Err(failure)) => Err(failed(failure)),
        None => {
            let known = local.schedules().join(", ");
            Err(Refusal(StatusCode::NOT_FOUND, format!("there is no schedule `{schedule}`, but: {known}")))
        }
    }
}

#[derive(Deserialize)]
struct DrainIn {
    #[serde(default = "ten_seconds")]
    timeout_ms: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

async fn drain(State(local): State<Local>, In(wanted): In<DrainIn>) -> Answer {
    needs_services(&local)?;
    let left = local.drain(Duration::from_millis(wanted.timeout_ms).min(LONGEST_DRAIN)).await;
    let pending: u64 = left.iter().map(|pending| pending.count).sum();
    ok(json!({ "pending": pending, "sources": left }))
}

#[derive(Deserialize)]
struct OutboxQuery {
    to: Option<String>,
}

async fn outbox(State(local): State<Local>, Path(kind): Path<String>, Query(query): Query<OutboxQuery>) -> Answer {
    needs_services(&local)?;
    match crate::outbox::list(&local, &kind, query.to.as_deref()) {
        Some(items) => ok(json!({ "items": items })),
        None => Err(Refusal(StatusCode::NOT_FOUND, format!("there is no outbox `{kind}`"))),
    }
}

async fn faults(State(local): State<Local>) -> Answer {
    ok(json!({ "rules": local.services().faults().rules() }))
}

async fn add_fault(State(local): State<Local>, In(rule): In<FaultRule>) -> Answer {
    needs_services(&local)?;
    local.services().faults().add(rule).map_err(|error| Refusal(StatusCode::UNPROCESSABLE_ENTITY, error))?;
    done()
}

async fn clear_faults(State(local): State<Local>) -> Answer {
    local.services().faults().clear();
    done()
}

#[derive(Deserialize)]
struct AdminIn {
    user_id: String,
}

async fn admin(State(local): State<Local>, In(wanted): In<AdminIn>) -> Answer {
    needs_services(&local)?;
    let made = crate::seed::admin(&local, &wanted.user_id).await.map_err(failed)?;
    if made { done() } else { Err(Refusal(StatusCode::NOT_FOUND, "there is no such account".to_owned())) }
}

async fn reset(State(local): State<Local>) -> Answer {
    needs_services(&local)?;
    local.reset().await.map_err(failed)?;
    done()
}
