//! One request to a service, however it came in, and which service and operation it is for.

use axum::body::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};

/// The services that can be called or made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// DynamoDB and its streams.
    Dynamodb,
    /// Queues.
    Sqs,
    /// Topics, mobile push and SMS.
    Sns,
    /// Mail.
    Ses,
    /// Objects.
    S3,
    /// Secrets Manager.
    Secretsmanager,
    /// `@connections` of the WebSocket API.
    Connections,
    /// Anything else over HTTP: identity providers, stores, webhooks.
    Http,
}

/// A request to one of the services.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) service: Service,
    /// The operation as AWS calls it; `Unknown` where nothing here answers it.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// Path as sent, still percent-encoded.
    pub(crate) path: String,
    /// Query as sent, still percent-encoded.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// Tells what a request is for: by `X-Amz-Target`, the credential scope of its signature, or its shape.
    pub(crate) fn new(parts: http::request::Parts, body: Bytes) -> Self {
        let http::request::Parts { method, uri, headers, .. } = parts;
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let (service, operation) = match text(&headers, "x-amz-target") {
            Some(target) => targeted(target),
            None => match credential(&headers, query, 3) {
                Some("sns") => (Service::Sns, form_action(&body)),
                Some("ses") => (Service::Ses, mail_operation(&method, path)),
                _ if path.starts_with("/v2/email/") => (Service::Ses, mail_operation(&method, path)),
                _ if is_form(&headers) => (Service::Sns, form_action(&body)),
                _ => (Service::S3, object_operation(&method, path, query, &headers)),
            },
        };
        Self { service, operation, method, path: path.to_owned(), query: query.to_owned(), headers, body }
    }

    /// Whose access key it is signed with.
    pub(crate) fn access_key(&self) -> Option<&str> {
        credential(&self.headers, &self.query, 0)
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }
}

/// What a service answers.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Headers whose names are data: the metadata of an object.
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Response {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", "application/x-amz-json-1.0".to_owned())];
        Self { status, headers, metadata: Vec::new(), body: body.into() }
    }

    pub(crate) fn xml(status: u16, body: String) -> Self {
        let headers = vec![("content-type", "application/xml".to_owned())];
        Self { status, headers, metadata: Vec::new(), body: body.into() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), metadata: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A part of `Credential=key/date/region/service/aws4_request`, of a header or of a presigned URL.
fn credential<'r>(headers: &'r HeaderMap, query: &'r str, part: usize) -> Option<&'r str> {
    if let Some(authorization) = text(headers, "authorization") {
        let (_, credential) = authorization.split_once("Credential=")?;
        return credential.split(',').next()?.split('/').nth(part);
    }
    let credential = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
    credential.split("%2F").nth(part)
}

fn is_form(headers: &HeaderMap) -> bool {
    text(headers, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

macro_rules! known {
    ($name:expr, [$($operation:literal),* $(,)?]) => {
        match $name { $($operation => $operation,)* _ => "Unknown" }
    };
}

fn targeted(target: &str) -> (Service, &'static str) {
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    match prefix {
        "AmazonSQS" => (
            Service::Sqs,
            known!(
                operation,
                [
                    "SendMessage",
                    "SendMessageBatch",
                    "ReceiveMessage",
                    "DeleteMessage",
                    "DeleteMessageBatch",
                    "ChangeMessageVisibility",
                    "ChangeMessageVisibilityBatch",
                    "GetQueueAttributes",
                    "GetQueueUrl",
                    "ListQueues",
                    "PurgeQueue",
                ]
            ),
        ),
        "secretsmanager" => {
            (Service::Secretsmanager, known!(operation, ["GetSecretValue", "PutSecretValue", "DescribeSecret"]))
        }
        _ => (
            Service::Dynamodb,
            known!(
                operation,
                [
                    "GetItem",
                    "PutItem",
                    "UpdateItem",
                    "DeleteItem",
                    "Query",
                    "Scan",
                    "BatchGetItem",
                    "BatchWriteItem",
                    "TransactGetItems",
                    "TransactWriteItems",
                    "DescribeTable",
                    "ListTables",
                    "CreateTable",
                    "DeleteTable",
                    "UpdateTable",
                    "DescribeTimeToLive",
                    "UpdateTimeToLive",
                    "ListStreams",
                    "DescribeStream",
                    "GetShardIterator",
                    "GetRecords",
                ]
            ),
        ),
    }
}

fn form_action(body: &[u8]) -> &'static str {
    let body = std::str::from_utf8(body).unwrap_or_default();
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    known!(action, ["Publish", "PublishBatch"])
}

fn mail_operation(method: &Method, path: &str) -> &'static str {
    match (method, path) {
        (&Method::POST, "/v2/email/outbound-emails") => "SendEmail",
        _ => "Unknown",
    }
}

fn object_operation(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> &'static str {
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let has_key = path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    match (method.as_str(), has_key) {
        ("PUT", true) if asks("partNumber") => "UploadPart",
        ("PUT", true) if headers.contains_key("x-amz-copy-source") => "Unknown",
        ("PUT", true) => "PutObject",
        ("POST", true) if asks("uploads") => "CreateMultipartUpload",
        ("POST", true) if asks("uploadId") => "CompleteMultipartUpload",
        ("POST", false) if asks("delete") => "DeleteObjects",
        ("DELETE", true) if asks("uploadId") => "AbortMultipartUpload",
        ("DELETE", true) => "DeleteObject",
        ("GET", true) => "GetObject",
        ("HEAD", true) => "HeadObject",
        ("GET", false) if asks("list-type") => "ListObjectsV2",
        ("HEAD", false) => "HeadBucket",
        _ => "Unknown",
    }
}
