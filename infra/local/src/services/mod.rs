//! The AWS services of the local stack, in this process: the real SDK clients talk to them through a connector without a
//! socket, other processes through one port.
//!
//! | service | what stands in | kept where `data` is a folder |
//! | --- | --- | --- |
//! | DynamoDB | the engine of `dynoxide-rs` | SQLite file |
//! | SQS | `sqs`: queues on the injected clock | journal |
//! | SNS, SES | `sns`, `ses`: what was sent stays in the `outbox` | no |
//! | S3 | `s3` | one file an object |
//! | Secrets Manager | `secrets` | journal |
//!
//! Every call goes through `faults` and is counted by `counters`; a function's must be allowed by its role (`access`).

mod access;
mod checksum;
mod connector;
mod core;
mod counters;
mod dynamodb;
mod faults;
mod journal;
mod outbox;
mod request;
mod router;
mod s3;
mod secrets;
mod ses;
mod sns;
mod sqs;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};

pub use access::Denial;
pub use counters::{Count, Counters};
pub use dynamodb::{Batch, Dynamo, Position, Record};
pub use faults::{Fault, FaultKind, FaultRule, Faults};
pub use outbox::{Mail, Outbox, Published, Target};
pub use request::Service;
pub use s3::S3;
pub use secrets::Secrets;
pub use sqs::{Counts, Peeked, Received, Sqs, SqsError};
pub(crate) use wire::{decode, pairs};

use self::core::Core;
use crate::template::Template;

/// The injected clock: milliseconds since 1970.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What presigned URLs are signed with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { access_key_id: "local".to_owned(), secret_access_key: "local".to_owned() }
    }
}

/// How the services run.
#[derive(Clone)]
pub struct ServicesOptions {
    /// A folder to keep state in; in memory without.
    pub data: Option<PathBuf>,
    /// The injected clock.
    pub now: Now,
    /// What the SDK clients sign with.
    pub credentials: Credentials,
}

/// Why the services did not start or a call to them failed.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The DynamoDB engine refused.
    #[error("DynamoDB: {0}")]
    Dynamo(#[from] dynoxide::DynoxideError),
    /// State could not be read or written.
    #[error("state: {0}")]
    State(#[from] std::io::Error),
}

/// The running services. Cloning gives another handle to the same ones.
#[derive(Debug, Clone)]
pub struct Services(Arc<Core>);

impl Services {
    /// Starts the services with the resources of `template`.
    ///
    /// # Errors
    /// A table the engine refuses, or a data folder that cannot be read.
    pub fn start(template: &Template, options: ServicesOptions) -> Result<Self, ServicesError> {
        Ok(Self(Arc::new(Core::start(template, options)?)))
    }

    /// An HTTP client for SDK configurations whose requests never leave the process.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(connector::InProcess(self.0.clone()));
        http_client_fn(move |_, _| connector.clone())
    }

    /// The same services over TCP, for other processes and presigned URLs.
    pub fn router(&self) -> axum::Router {
        router::router(self.0.clone())
    }

    /// Faults between the functions and their services.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Calls counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Calls that were refused because the function's role does not allow them, oldest first.
    #[must_use]
    pub fn denials(&self) -> Vec<Denial> {
        self.0.access.denials()
    }

    /// Tables and their streams.
    #[must_use]
    pub fn dynamodb(&self) -> &Dynamo {
        &self.0.dynamodb
    }

    /// Queues.
    #[must_use]
    pub fn sqs(&self) -> &Sqs {
        &self.0.sqs
    }

    /// Objects.
    #[must_use]
    pub fn s3(&self) -> &S3 {
        &self.0.s3
    }

    /// Secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// What left the system.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Tells the services that the injected clock was moved, so that nobody goes on waiting for what is now due.
    pub fn clock_moved(&self) {
        self.0.sqs.changed();
    }

    /// Deletes rows whose time to live has ended; the number of them.
    ///
    /// # Errors
    /// The engine failed.
    pub fn sweep_ttl(&self) -> Result<usize, ServicesError> {
        self.0.dynamodb.sweep_ttl()
    }

    /// Empties tables, queues, buckets and the outbox, and ends all faults. Secrets stay.
    ///
    /// # Errors
    /// State could not be removed.
    pub fn reset(&self) -> Result<(), ServicesError> {
        self.0.faults.clear();
        self.0.counters.reset();
        self.0.access.reset();
        self.0.dynamodb.reset()?;
        self.0.sqs.reset();
        self.0.s3.reset()?;
        self.0.outbox.clear();
        Ok(())
    }
}
