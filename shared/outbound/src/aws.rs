//! AWS clients from what Lambda puts into the environment: no credential-provider walk, no IMDS, one HTTP client for all.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::links::Links;

/// The roots that AWS service endpoints chain to (Amazon Trust Services repository, and Starfield Services G2 which
/// cross-signs them): parsing five certificates instead of a whole trust store is most of a cold TLS start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// One try of one call, at most.
const ATTEMPT: Duration = Duration::from_secs(3);
/// A call with all its tries, at most; API Gateway gives up after 30 s.
const OPERATION: Duration = Duration::from_secs(9);

/// Everything an AWS client is made of.
#[derive(Clone, Debug)]
pub struct Aws {
    region: Region,
    identity: Credentials,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    endpoint: Option<String>,
    attempts: u32,
}

macro_rules! config {
    ($sdk:ident, $aws:expr) => {{
        let aws = $aws;
        let mut builder = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws.region.clone())
            .credentials_provider(aws.credentials.clone())
            .http_client(aws.http.clone())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            // Watches the throughput of bodies, at a price in every call; the time-outs below end what stalls.
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            )
            .retry_config(
                RetryConfig::standard().with_max_attempts(aws.attempts).with_initial_backoff(Duration::from_millis(50)),
            );
        builder.set_endpoint_url(aws.endpoint.clone());
        builder
    }};
}

impl Aws {
    /// From the variables of the Lambda environment; `lookup` finds one by its name.
    ///
    /// # Errors
    /// The names of what is missing.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<&'static str>> {
        let missing: Vec<_> = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
            .into_iter()
            .filter(|name| lookup(name).is_none())
            .collect();
        let (Some(region), Some(id), Some(secret)) =
            (lookup("AWS_REGION"), lookup("AWS_ACCESS_KEY_ID"), lookup("AWS_SECRET_ACCESS_KEY"))
        else {
            return Err(missing);
        };
        let token = lookup("AWS_SESSION_TOKEN").filter(|token| !token.is_empty());
        let endpoint = lookup("AWS_ENDPOINT_URL").filter(|url| !url.is_empty());
        // The SDKs' own name for one more authority; only before an endpoint that is not AWS's (a benchmark's loopback).
        let authority = lookup("AWS_CA_BUNDLE").filter(|_| endpoint.is_some());
        let authority = authority.and_then(|path| {
            std::fs::read(path).map_err(|error| tracing::error!(%error, "AWS_CA_BUNDLE cannot be read")).ok()
        });
        let http = https_client(authority);
        Ok(Self::new(region, Credentials::new(id, secret, token, None, "lambda-environment"), http, endpoint))
    }

    /// From its parts: the local process puts its in-process connector in the place of `http`.
    pub fn new(region: String, credentials: Credentials, http: SharedHttpClient, endpoint: Option<String>) -> Self {
        Self {
            region: Region::new(region),
            credentials: SharedCredentialsProvider::new(credentials.clone()),
            identity: credentials,
            http,
            endpoint,
            attempts: 3,
        }
    }

    /// The same with another number of tries a call (1: none is repeated).
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(config!(aws_sdk_dynamodb, self).build())
    }

    /// SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(config!(aws_sdk_sqs, self).build())
    }

    /// SNS.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::from_conf(config!(aws_sdk_sns, self).build())
    }

    /// Secrets Manager.
    pub fn secretsmanager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::from_conf(config!(aws_sdk_secretsmanager, self).build())
    }

    /// Links to objects of `bucket`, made without a client.
    pub fn links(&self, bucket: &str) -> Links {
        Links::new(self.identity.clone(), self.region.as_ref(), self.endpoint.as_deref(), bucket)
    }

    /// S3, addressed by path where an endpoint is given, since a local one has no name a bucket. A part of an upload may
    /// take longer than a call of the others.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let slow = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(60))
            .build();
        let path_style = self.endpoint.is_some();
        aws_sdk_s3::Client::from_conf(
            config!(aws_sdk_s3, self).timeout_config(slow).force_path_style(path_style).build(),
        )
    }
}

/// The HTTPS client of every AWS client: rustls on ring, Amazon's roots only, and `authority` where there is one.
fn https_client(authority: Option<Vec<u8>>) -> SharedHttpClient {
    let mut roots = TrustStore::empty().with_native_roots(false).with_pem_certificate(AMAZON_ROOTS);
    if let Some(authority) = authority {
        roots = roots.with_pem_certificate(authority);
    }
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(error) => {
            tracing::error!(%error, "the built-in roots cannot be read, the system's are used");
            builder.build_https()
        }
    }
}
