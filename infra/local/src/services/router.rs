//! The services over TCP: one port, every service told apart by its requests. Signatures are verified for presigned URLs
//! only (of others the access key id is taken as it stands), so that what keeps the secrets of this port from a page in a browser is who it answers.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response as HttpResponse;
use futures_util::stream;
use http::StatusCode;

use super::core::{Core, Lost};
use super::request::Request;
use crate::loopback;

/// As much as the largest part of an upload this stand-in is meant for.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

pub(super) fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(answer).with_state(core)
}

async fn answer(State(core): State<Arc<Core>>, request: axum::extract::Request) -> HttpResponse {
    if !loopback::is_of_this_machine(request.headers()) {
        return forbidden();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else { return cut_off() };
    let head = parts.method == http::Method::HEAD;
    let Ok(answer) = core.call(Request::new(parts, body)).await else { return cut_off() };
    let mut response = HttpResponse::builder().status(answer.status);
    for (name, value) in &answer.headers {
        // An answer to HEAD tells the length of a body it does not have.
        if head || *name != "content-length" {
            response = response.header(*name, value);
        }
    }
    for (name, value) in &answer.metadata {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_else(|_| cut_off())
}

fn forbidden() -> HttpResponse {
    let mut response = HttpResponse::new(Body::from("the services are for this machine"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// A connection that ends before its answer does, which is how a client over TCP sees an answer get lost.
fn cut_off() -> HttpResponse {
    HttpResponse::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(Lost) })))
}
