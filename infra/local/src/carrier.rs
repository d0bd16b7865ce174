//! What functions call that is not AWS: the local issuer and the stand-in stores are asked without a socket, other hosts
//! over the network, all through the faults of `http`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use satchel_domain::error::Cause;
use satchel_outbound::Http;
use satchel_outbound::http::{BoxFuture, Carrier};

use crate::identity::{Issuer, JWKS_PATH};
use crate::services::{Fault, Service, Services};
use crate::stores::{Shops, is_store};

/// Answers for the issuer and the stores at `authority`, sends the rest on.
struct LocalCarrier {
    services: Services,
    issuer: Issuer,
    shops: Shops,
    authority: String,
    network: Http,
}

/// The HTTP client of functions, in which `authority` (such as `127.0.0.1:3000`) is this process.
#[must_use]
pub(crate) fn http(services: Services, issuer: Issuer, shops: Shops, authority: String) -> Http {
    Http::new(Arc::new(LocalCarrier { services, issuer, shops, authority, network: Http::network() }))
}

impl LocalCarrier {
    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Cause> {
        let uri = request.uri();
        if uri.authority().is_none_or(|authority| authority.as_str() != self.authority) {
            return Ok(self.network.answer(request, ANSWER).await?);
        }
        if request.method() == Method::GET && uri.path() == JWKS_PATH {
            let mut response = Response::new(Bytes::from(self.issuer.jwks()?.to_string()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(JWKS_CACHE));
            return Ok(response);
        }
        if is_store(uri.path()) {
            return self.shops.answer(request).await.ok_or_else(|| "a store that is down".into());
        }
        Ok(empty(StatusCode::NOT_FOUND))
    }
}

/// How long another host may take; who asks has less patience.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the issuer's keys may be kept, as Google's.
pub(crate) const JWKS_CACHE: &str = "public, max-age=3600";

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

impl Carrier for LocalCarrier {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Cause>> {
        Box::pin(async move {
            let call = format!("{} {}", request.method(), request.uri());
            match self.services.faults().decide(Service::Http, &call) {
                None => self.answer(request).await,
                Some(Fault::Throttle { .. }) => Ok(empty(StatusCode::TOO_MANY_REQUESTS)),
                Some(Fault::Gone) => Ok(empty(StatusCode::GONE)),
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::Timeout { executed }) => {
                    if executed {
                        self.answer(request).await?;
                    }
                    Err("a fault: no answer in time".into())
                }
                Some(Fault::Error { executed }) => {
                    if executed {
                        self.answer(request).await?;
                    }
                    Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
                }
            }
        })
    }
}
