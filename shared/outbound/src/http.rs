//! HTTP calls to servers that are not AWS: an issuer's keys, a store's API.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use satchel_domain::{Error, Result};

/// One try, at most.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Tries of what may be repeated.
const ATTEMPTS: u32 = 3;
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Whether `uri` leads to this machine, by the names that a setting may give it.
pub fn is_loopback(uri: &::http::Uri) -> bool {
    matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// A future in a box.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What carries one request; the local process puts its own stand-ins behind it.
pub trait Carrier: Send + Sync {
    /// One try, without repetition; the error is for the log.
    fn carry(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, std::result::Result<Response<Bytes>, satchel_domain::error::Cause>>;
}

/// The HTTP client; cheap to clone. Redirects are not followed.
#[derive(Clone)]
pub struct Http(Arc<dyn Carrier>);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client by `carrier`.
    pub fn new(carrier: Arc<dyn Carrier>) -> Self {
        Self(carrier)
    }

    /// A client over the network: HTTPS with the web's roots; plain HTTP only where a setting or a verified
    /// certificate (OCSP, whose answers are signed) names such an address.
    /// The TLS configuration is made at the first call.
    pub fn network() -> Self {
        Self(Arc::new(Network(std::sync::OnceLock::new())))
    }

    /// The answer to `request`, asked once: for what a repetition would change.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no answer came in time or it is a 5xx; a 4xx is an answer.
    pub async fn once(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        self.attempt(&host, request).await.map_err(Error::unavailable)
    }

    /// The answer to `request`, asked once and waited for at most `limit`; a 5xx is an answer too.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no answer came in time.
    pub async fn answer(&self, request: Request<Bytes>, limit: Duration) -> Result<Response<Bytes>> {
        match tokio::time::timeout(limit, self.0.carry(request)).await {
            Ok(answer) => answer.map_err(Error::unavailable),
            Err(_) => Err(Error::unavailable(format!("no answer in {limit:?}"))),
        }
    }

    async fn attempt(
        &self,
        host: &str,
        request: Request<Bytes>,
    ) -> std::result::Result<Response<Bytes>, satchel_domain::error::Cause> {
        match tokio::time::timeout(ATTEMPT, self.0.carry(request)).await {
            Ok(Ok(answer)) if !answer.status().is_server_error() => Ok(answer),
            Ok(Ok(answer)) => Err(format!("{host} answered {}", answer.status()).into()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("{host} did not answer in {ATTEMPT:?}").into()),
        }
    }

    /// The answer to `request`, which may safely be repeated: a lost answer and a 5xx are tried again, with jitter drawn
    /// from the time the failed try took.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after the last try; a 4xx is an answer.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let mut failure: satchel_domain::error::Cause = "never tried".into();
        for attempt in 0..ATTEMPTS {
            let begun = tokio::time::Instant::now();
            if attempt > 0 {
                tracing::warn!(http.host = %host, attempt, error = %failure, metric = "OutboundHttpRetry", "an HTTP call is repeated");
            }
            match self.attempt(&host, request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failure = error,
            }
            if attempt + 1 == ATTEMPTS {
                break;
            }
            let jitter = u64::from(begun.elapsed().subsec_nanos() % 50);
            tokio::time::sleep(Duration::from_millis((50 << attempt) + jitter)).await;
        }
        Err(Error::unavailable(failure))
    }
}

type Hyper = Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, Full<Bytes>>;

struct Network(std::sync::OnceLock<Hyper>);

impl Carrier for Network {
    fn carry(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, std::result::Result<Response<Bytes>, satchel_domain::error::Cause>> {
        Box::pin(async move {
            let client = self.0.get_or_init(|| {
                let connector = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_webpki_roots()
                    .https_or_http()
                    .enable_http1()
                    .build();
                Client::builder(TokioExecutor::new()).build(connector)
            });
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        })
    }
}
