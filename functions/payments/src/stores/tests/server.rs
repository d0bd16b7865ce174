//! Servers by script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use http::{Request, Response, StatusCode, header};
use satchel_domain::error::Cause;
use satchel_outbound::Http;
use satchel_outbound::http::{BoxFuture, Carrier};
use serde_json::Value;

type Script = dyn Fn(&Request<Bytes>) -> Answer + Send + Sync;

/// What a script says: an answer, after a while.
pub(super) struct Answer {
    after: Duration,
    response: Response<Bytes>,
}

impl Answer {
    pub(super) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(super) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.response.headers_mut().insert(name, value.parse().unwrap());
        self
    }
}

/// JSON.
pub(super) fn json(status: u16, body: Value) -> Answer {
    text(status, "application/json", body.to_string())
}

pub(super) fn text(status: u16, kind: &str, body: impl Into<Bytes>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap();
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(body.into()).unwrap();
    Answer { after: Duration::ZERO, response }
}

/// A page for people.
pub(super) fn html(status: u16) -> Answer {
    text(status, "text/html", "<html><body>Something is not right.</body></html>")
}

/// All the servers there are.
pub(super) struct Server {
    script: Box<Script>,
    asked: Mutex<Vec<Request<Bytes>>>,
}

impl Server {
    pub(super) fn new(script: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), asked: Mutex::default() })
    }

    pub(super) fn http(self: &Arc<Self>) -> Http {
        Http::new(Arc::clone(self) as Arc<dyn Carrier>)
    }

    /// What was asked.
    pub(super) fn asked(&self) -> Vec<Request<Bytes>> {
        self.asked.lock().unwrap().clone()
    }

    /// The same, as method and address.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|request| format!("{} {}", request.method(), request.uri())).collect()
    }
}

impl Carrier for Server {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Cause>> {
        let Answer { after, response } = (self.script)(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async move {
            tokio::time::sleep(after).await;
            Ok(response)
        })
    }
}

/// The bearer token of a request.
pub(super) fn bearer(request: &Request<Bytes>) -> String {
    let value = request.headers()[header::AUTHORIZATION].to_str().unwrap();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}
