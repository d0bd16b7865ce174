//! API Gateway's HTTP API on this machine: routes of the template, CORS, sizes, times, and the plain `{"message"}` bodies
//! of what the gateway answers by itself.
//!
//! # Limits
//! Throttling, access logs, custom domains and authorizers of the gateway are not played. No event is built: of what one
//! changes, `lambda` plays the path and the size of an answer; body and headers reach the router as they were sent.

mod cors;
mod lambda;
mod listen;
mod route;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use satchel_inbound::Ids;
use satchel_inbound::http::ClientAddress;
use satchel_inbound::http::layer::RequestId;
use serde_json::json;
use tower::ServiceExt as _;

use crate::functions::{Built, Functions};
use crate::template::{Event, Template};

use cors::Cors;
use route::Routes;

pub use listen::{Listener, Served};

/// Largest body that API Gateway takes, in bytes.
pub const MAX_REQUEST: usize = 10 * 1024 * 1024;
/// How long API Gateway waits for a function.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway.
pub struct Gateway {
    routes: Routes<Arc<Built>>,
    cors: Cors,
    ids: Ids,
    timeout: Duration,
}

impl Gateway {
    /// The gateway of the template's routes.
    ///
    /// # Errors
    /// Routes that contradict each other, and routes of functions that take no requests.
    pub(crate) fn new(template: &Template, functions: &Functions, ids: Ids) -> Result<Self, Vec<String>> {
        let mut complaints = Vec::new();
        let mut list = Vec::new();
        for block in template.functions() {
            let Some(function) = functions.get(&block.logical_id) else { continue };
            for event in &block.events {
                let Event::Http { method, path, .. } = event else { continue };
                if function.router().is_none() {
                    complaints
                        .push(format!("{} has the route {method} {path} but takes no requests", block.logical_id));
                }
                list.push((method.clone(), path.clone(), Arc::clone(function)));
            }
        }
        let routes = Routes::new(list).map_err(|more| complaints.extend(more)).ok();
        match routes {
            Some(routes) if complaints.is_empty() => {
                Ok(Self { routes, cors: Cors::read(template.http_api()), ids, timeout: TIMEOUT })
            }
            _ => Err(complaints),
        }
    }

    /// The answer to `request`; the caller's address is taken from its extensions, `127.0.0.1` without one.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let is_preflight = self.cors.is_preflight(&request);
        let mut response = if is_preflight {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = self.cors.preflight();
            response
        } else {
            self.route(request).await
        };
        self.cors.dress(origin.as_ref(), is_preflight, response.headers_mut());
        response
    }

    async fn route(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        if request.body().len() > MAX_REQUEST {
            return too_large();
        }
        let path = lambda::raw_path(request.uri().path()).into_owned();
        let found = self.routes.find(request.method(), &path);
        let Some((route, function)) = found else { return message(StatusCode::NOT_FOUND, "Not Found") };
        let Some(router) = function.router() else {
            return failed();
        };
        if path != request.uri().path() || !lambda::is_plain(&path) {
            let Some(seen) = lambda::at_the_router(&path, request.uri().query()) else { return failed() };
            *request.uri_mut() = seen.into();
        }
        let extensions = request.extensions_mut();
        if extensions.get::<ClientAddress>().is_none() {
            extensions.insert(ClientAddress("127.0.0.1".to_owned()));
        }
        extensions.insert(RequestId(request_id(&self.ids)));
        let answer = router.clone().oneshot(request.map(Body::from));
        // A panicking function loses its instance and the gateway answers 500.
        let answer = AssertUnwindSafe(async move {
            let (head, body) = answer.await.unwrap_or_else(|never| match never {}).into_parts();
            let body = axum::body::to_bytes(body, lambda::MAX_ANSWER).await.ok()?;
            (!lambda::is_too_large(&head.headers, &body).await).then(|| Response::from_parts(head, body))
        });
        let timeout = self.timeout.min(function.timeout);
        let begun = tokio::time::Instant::now();
        let response = match tokio::time::timeout(timeout, answer.catch_unwind()).await {
            Ok(Ok(Some(response))) => response,
            Ok(Ok(None) | Err(_)) => {
                tracing::error!(function = %function.name, "a function panicked or answered more than Lambda takes");
                failed()
            }
            // The gateway's own patience ends otherwise than Lambda's.
            Err(_) if function.timeout < self.timeout => failed(),
            Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        };
        let took_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        tracing::info!(route, status = response.status().as_u16(), took_ms, "request");
        response
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

/// An answer of the gateway's own.
pub(crate) fn message(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "message": text }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An id shaped like Lambda's.
pub(crate) fn request_id(ids: &Ids) -> String {
    let hex = ids.bytes::<16>().iter().fold(String::with_capacity(32), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").ok();
        text
    });
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// What the gateway answers to a body past [`MAX_REQUEST`].
#[must_use]
pub fn too_large() -> Response<Bytes> {
    message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
}

/// What the gateway answers where a function failed.
#[must_use]
pub fn failed() -> Response<Bytes> {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use satchel_inbound::{Clock, Entry};

    use super::*;

    #[tokio::test]
    async fn a_slow_function_is_500_by_its_own_time_out_and_503_by_the_gateways() {
        let (short, long) = (Duration::from_millis(5), Duration::from_secs(60));
        for (function, gateway, status) in [(short, long, 500), (long, short, 503)] {
            let router = Router::new().route("/x", get(async || std::future::pending::<()>().await));
            let built = Arc::new(Built::of("slow", function, Entry::Http(router)));
            let routes = Routes::new([("GET".to_owned(), "/x".to_owned(), built)]).unwrap();
            let ids = Ids::system(Clock::system());
            let gateway = Gateway { routes, cors: Cors::default(), ids, timeout: gateway };
            assert_eq!(gateway.call(Request::get("/x").body(Bytes::new()).unwrap()).await.status(), status);
        }
    }
}
