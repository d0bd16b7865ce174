//! The SDK's connector into this process: no socket, no HTTP framing, the request's own bytes.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use super::core::Core;
use super::request::Request;

/// Answers requests from the services of this process.
#[derive(Debug, Clone)]
pub(super) struct InProcess(pub(super) Arc<Core>);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let core = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
            let answer = core.call(Request::new(parts, body)).await;
            let answer = answer.map_err(|lost| ConnectorError::timeout(lost.into()))?;
            let status = StatusCode::try_from(answer.status).map_err(|error| ConnectorError::user(error.into()))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            for (name, value) in answer.headers {
                response.headers_mut().insert(name, value);
            }
            for (name, value) in answer.metadata {
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        })
    }
}
