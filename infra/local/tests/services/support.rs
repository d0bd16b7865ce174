//! The services alone, with real SDK clients on them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use satchel_local::services::{Services, ServicesOptions};
use satchel_local::template::Template;

/// Where the clock of a stack stands at first: 2026-01-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
/// The URL of the queue `work`.
pub(crate) const WORK: &str = "http://127.0.0.1:9324/000000000000/work";
/// The URL of its dead-letter queue.
pub(crate) const DEAD: &str = "http://127.0.0.1:9324/000000000000/dead";
/// The topic.
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:events";

/// Services and the clock they go by.
pub(crate) struct Stack {
    pub(crate) services: Services,
    clock: Arc<AtomicI64>,
}

/// A client of `$sdk` on the services of `$stack`, without retries, so that a test sees each answer.
macro_rules! client {
    ($sdk:ident, $stack:expr, $endpoint:expr $(, $($setting:tt)*)?) => {
        client!($sdk as "local", $stack, $endpoint $(, $($setting)*)?)
    };
    ($sdk:ident as $key:expr, $stack:expr, $endpoint:expr $(, $($setting:tt)*)?) => {{
        let config = $sdk::Config::builder()
            .behavior_version_latest()
            .region($sdk::config::Region::from_static("us-east-1"))
            .credentials_provider(aws_credential_types::Credentials::new($key, "local", None, None, "test"))
            .endpoint_url($endpoint)
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .http_client($stack.services.http_client())
            $(.$($setting)*)?;
        $sdk::Client::from_conf(config.build())
    }};
}

pub(crate) use client;

/// No request goes there: the connector takes them all.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

impl Stack {
    pub(crate) fn new() -> Self {
        Self::start(None)
    }

    /// One that keeps its state in `folder`.
    pub(crate) fn on(folder: &Path) -> Self {
        Self::start(Some(folder))
    }

    fn start(folder: Option<&Path>) -> Self {
        let template = Template::parse(include_str!("template.yaml"), &BTreeMap::new()).unwrap();
        let clock = Arc::new(AtomicI64::new(START_MS));
        let read = clock.clone();
        let options = ServicesOptions {
            data: folder.map(Path::to_owned),
            now: Arc::new(move || read.load(Ordering::SeqCst)),
            credentials: satchel_local::services::Credentials::default(),
        };
        Self { services: Services::start(&template, options).unwrap(), clock }
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.services.clock_moved();
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        client!(aws_sdk_dynamodb, self, NOWHERE)
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        client!(aws_sdk_sqs, self, NOWHERE)
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        client!(aws_sdk_sns, self, NOWHERE)
    }

    pub(crate) fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        client!(aws_sdk_secretsmanager, self, NOWHERE)
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        self.s3_at(NOWHERE)
    }

    /// A client whose presigned URLs name `endpoint`.
    pub(crate) fn s3_at(&self, endpoint: &str) -> aws_sdk_s3::Client {
        client!(aws_sdk_s3, self, endpoint, force_path_style(true))
    }

    /// Puts the item `pk`, `sk` with the value `v`.
    pub(crate) async fn put(&self, pk: &str, sk: &str, v: &str) {
        let put = self.dynamodb().put_item().table_name("things");
        put.item("pk", s(pk)).item("sk", s(sk)).item("v", s(v)).send().await.unwrap();
    }

    /// The value of the item `pk`, `sk`.
    pub(crate) async fn get(&self, pk: &str, sk: &str) -> Option<String> {
        let get = self.dynamodb().get_item().table_name("things").key("pk", s(pk)).key("sk", s(sk));
        let item = get.consistent_read(true).send().await.unwrap().item?;
        item["v"].as_s().ok().cloned()
    }
}

/// A text as an attribute.
pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
