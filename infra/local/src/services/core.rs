//! Takes a request through the faults to its service.

use std::future::pending;

use super::access::Access;
use super::counters::Counters;
use super::dynamodb::Dynamo;
use super::faults::{Fault, Faults};
use super::outbox::Outbox;
use super::request::{Request, Response, Service};
use super::s3::S3;
use super::secrets::Secrets;
use super::sqs::Sqs;
use super::{ServicesError, ServicesOptions, ses, sns, wire};
use crate::private;
use crate::template::Template;

/// No answer will come.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
pub(super) struct Lost;

/// All services and what stands before them.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) access: Access,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    pub(super) dynamodb: Dynamo,
    pub(super) sqs: Sqs,
    pub(super) s3: S3,
    pub(super) secrets: Secrets,
    pub(super) outbox: Outbox,
    topics: sns::Topics,
}

impl Core {
    pub(super) fn start(template: &Template, options: ServicesOptions) -> Result<Self, ServicesError> {
        let ServicesOptions { data, now, credentials } = options;
        let data = data.as_deref();
        if let Some(folder) = data {
            private::folder(folder)?;
        }
        Ok(Self {
            access: Access::new(template),
            faults: Faults::default(),
            counters: Counters::default(),
            dynamodb: Dynamo::start(template, data, now.clone())?,
            sqs: Sqs::start(template, data, now.clone())?,
            s3: S3::start(template, data, now.clone(), credentials)?,
            secrets: Secrets::start(template, data)?,
            outbox: Outbox::new(now),
            topics: sns::Topics::new(template),
        })
    }

    /// Answers a request, or does not.
    pub(super) async fn call(&self, request: Request) -> Result<Response, Lost> {
        let Request { service, operation, .. } = request;
        let fault = self.faults.decide(service, operation);
        self.counters.count(service, operation, |count| {
            count.calls += 1;
            count.faults += u64::from(fault.is_some());
        });
        let response = match fault {
            None => self.execute(&request, None).await,
            Some(Fault::Throttle { .. }) if service == Service::Dynamodb => self.execute(&request, fault).await,
            Some(Fault::Throttle { .. }) => wire::throttled(service),
            Some(Fault::Error { executed }) => {
                if executed {
                    self.execute(&request, None).await;
                }
                wire::internal_error(service)
            }
            Some(Fault::Timeout { executed }) => {
                if executed {
                    self.execute(&request, None).await;
                }
                return Err(Lost);
            }
            Some(Fault::Gone) => wire::gone(service),
            Some(Fault::Hang) => pending().await,
        };
        if response.status >= 400 {
            self.counters.count(service, operation, |count| count.errors += 1);
        }
        Ok(response)
    }

    async fn execute(&self, request: &Request, fault: Option<Fault>) -> Response {
        let signer = self.access.signer(request);
        if let Some(Err(refusal)) = signer.as_ref().map(|signer| signer.may_call(request, &self.secrets)) {
            return refusal;
        }
        match request.service {
            Service::Dynamodb => {
                self.dynamodb.call(request, signer.as_ref(), &self.faults, fault, &self.counters).await
            }
            Service::Sqs => self.sqs.call(request).await,
            Service::Sns => sns::call(request, &self.topics, &self.outbox),
            Service::Ses => ses::call(request, &self.outbox),
            Service::S3 => self.s3.call(request),
            Service::Secretsmanager => self.secrets.call(request),
            Service::Connections | Service::Http => wire::unknown(),
        }
    }
}
