//! Whether the role of the function that signed a request allows what it asks for.
//!
//! A function is known by its access key id, which is its binary's name; its secret is everybody's. Whoever else calls,
//! such as a test, the control API or a person with `local`, may do everything.
//!
//! # Limits
//! Only what the function's own role allows counts: no policy of a bucket, queue, topic, key or organisation. DynamoDB's
//! part is in `dynamodb::access`. `DeleteObjects` is judged as one call on the whole bucket. A function that may read an
//! object but not list its bucket hears `NoSuchKey` of one that is not there, where S3 would say `AccessDenied`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use super::request::{Request, Response, Service};
use super::secrets::Secrets;
use super::wire;
use crate::template::{ACCOUNT, REGION, Role, Template};

/// A call that was refused because no policy of the function's role allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Binary of the function.
    pub function: String,
    /// The action, such as `sqs:SendMessage`.
    pub action: String,
    /// ARN of what it was asked of.
    pub resource: String,
}

/// The roles of all functions.
#[derive(Debug)]
pub(super) struct Access {
    /// By access key id.
    roles: HashMap<String, Role>,
    denials: Mutex<Vec<Denial>>,
}

impl Access {
    pub(super) fn new(template: &Template) -> Self {
        let roles = template.functions().iter().map(|function| (function.binary.clone(), function.role.clone()));
        Self { roles: roles.collect(), denials: Mutex::default() }
    }

    /// The function that signed `request`; `None` for whoever may do everything.
    pub(super) fn signer<'a>(&'a self, request: &Request) -> Option<Signer<'a>> {
        let (function, role) = self.roles.get_key_value(request.access_key()?)?;
        Some(Signer { access: self, service: request.service, function, role })
    }

    /// What was refused so far, oldest first.
    pub(super) fn denials(&self) -> Vec<Denial> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn reset(&self) {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A function that calls a service.
pub(super) struct Signer<'a> {
    access: &'a Access,
    service: Service,
    function: &'a str,
    role: &'a Role,
}

impl Signer<'_> {
    /// Whether `action` on `resource` is allowed; `keys` are the partition keys the request names.
    ///
    /// # Errors
    /// The refusal as the service words it.
    pub(super) fn may(
        &self,
        action: &str,
        resource: &str,
        keys: &dyn Fn() -> Option<Vec<String>>,
    ) -> Result<(), Response> {
        if self.role.allows(action, resource, keys) {
            return Ok(());
        }
        let (function, role) = (self.function, &self.role.name);
        tracing::error!(function, action, resource, "the role {role} does not allow this call");
        let denial = Denial { function: function.to_owned(), action: action.to_owned(), resource: resource.to_owned() };
        self.access.denials.lock().unwrap_or_else(PoisonError::into_inner).push(denial);
        let message = format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{function} is not authorized to perform: {action} on \
             resource: {resource} because no identity-based policy allows the {action} action"
        );
        Err(match self.service {
            Service::S3 => wire::error(self.service, 403, "AccessDenied", &message),
            Service::Sns => wire::error(self.service, 403, "AuthorizationError", &message),
            _ => wire::error(self.service, 400, "AccessDeniedException", &message),
        })
    }

    /// The same for a request to another service than DynamoDB, read for what it asks of which resource.
    pub(super) fn may_call(&self, request: &Request, secrets: &Secrets) -> Result<(), Response> {
        // What nothing here answers is said by the service itself.
        if request.operation == "Unknown" {
            return Ok(());
        }
        let (action, resource) = match request.service {
            Service::Sqs => (format!("sqs:{}", of_one(request.operation)), queue(&request.body)),
            Service::Sns => ("sns:Publish".to_owned(), topic(&request.body)),
            Service::S3 => (format!("s3:{}", of_objects(request.operation)), object(request)),
            Service::Secretsmanager => {
                (format!("secretsmanager:{}", request.operation), secret(&request.body, secrets))
            }
            Service::Ses => (format!("ses:{}", request.operation), "*".to_owned()),
            Service::Dynamodb | Service::Connections | Service::Http => return Ok(()),
        };
        let refused = self.may(&action, &resource, &|| None);
        // An answer to HEAD has no body.
        let head = request.method == http::Method::HEAD;
        refused.map_err(|refusal| if head { Response::empty(refusal.status) } else { refusal })
    }
}

/// A batch needs what each of its messages needs.
fn of_one(operation: &str) -> &str {
    operation.strip_suffix("Batch").unwrap_or(operation)
}

fn of_objects(operation: &str) -> &str {
    match operation {
        "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "PutObject",
        "HeadObject" => "GetObject",
        "DeleteObjects" => "DeleteObject",
        "ListObjectsV2" | "HeadBucket" => "ListBucket",
        other => other,
    }
}

/// ARN of the queue in the body of a call to SQS.
fn queue(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct OfQueue {
        queue_url: String,
        queue_name: String,
    }
    let asked: OfQueue = serde_json::from_slice(body).unwrap_or_default();
    let name = asked.queue_url.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&asked.queue_name);
    if name.is_empty() { "*".to_owned() } else { format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}") }
}

/// ARN of the topic in the form of a call to SNS; a phone number has none.
fn topic(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let arn = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let arn = arn("TopicArn").or_else(|| arn("TargetArn"));
    arn.map_or_else(|| "*".to_owned(), |arn| wire::decode(arn, true))
}

fn object(request: &Request) -> String {
    let path = wire::decode(request.path.trim_start_matches('/'), false);
    format!("arn:aws:s3:::{}", path.trim_end_matches('/'))
}

/// ARN of the secret in the body of a call to Secrets Manager, which may give its name.
fn secret(body: &[u8], secrets: &Secrets) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = body["SecretId"].as_str().unwrap_or_default();
    secrets.arn(id).unwrap_or(id).to_owned()
}
