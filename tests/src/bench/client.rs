//! A small HTTP client for load on loopback.

use axum::body::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::stage::StageError;

/// The client; cheap to clone. It refuses to talk to anything but this machine.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl HttpClient {
    /// Of what listens on `port`.
    pub fn on(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(512).build(connector);
        Self { client, base: format!("http://127.0.0.1:{port}") }
    }

    /// Status and bytes of the answer.
    ///
    /// # Errors
    /// Where no answer comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Bytes>,
    ) -> Result<(u16, Bytes), StageError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, token);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()))?;
        let (head, body) = self.client.request(request).await?.into_parts();
        Ok((head.status.as_u16(), body.collect().await?.to_bytes()))
    }

    /// The JSON of an answer that must be a 2xx.
    ///
    /// # Errors
    /// Where it is none.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Value, StageError> {
        let sent = self.send(method.clone(), path, token, body.map(|body| Bytes::from(body.to_string()))).await?;
        match sent {
            (200..=299, body) => Ok(serde_json::from_slice(&body).unwrap_or_default()),
            (status, body) => {
                Err(format!("{method} {path} answered {status}: {}", String::from_utf8_lossy(&body)).into())
            }
        }
    }

    /// The JSON that a form with the texts of `fields` is answered with.
    ///
    /// # Errors
    /// Where it is no 2xx.
    pub async fn form(
        &self,
        method: Method,
        path: &str,
        authorization: &str,
        fields: &Value,
    ) -> Result<Value, StageError> {
        let pairs = fields.as_object().into_iter().flatten();
        let body: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body.join("&"))))?;
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if !head.status.is_success() {
            return Err(format!("{path} answered {}: {}", head.status, String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
