//! What a function is given: settings, secrets, ways out.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use satchel_inbound::{Clock, Env, Ids, Settings};
use satchel_outbound::{Aws, Http};
use serde_json::{Value, json};

use super::pki::Pki;
use super::{APPLE_ARN, BUNDLE, GOOGLE_ARN, now};

/// Secrets Manager with these secrets.
#[derive(Debug, Clone)]
struct Secrets(BTreeMap<String, String>);

impl HttpConnector for Secrets {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let input: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let (status, body) = match self.0.get(input["SecretId"].as_str().unwrap()) {
            Some(secret) => (200, json!({ "SecretString": secret })),
            None => (400, json!({ "__type": "ResourceNotFoundException" })),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))))
    }
}

/// Settings and secrets; a test changes what it is about.
pub(super) struct Given {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, String>,
}

impl Given {
    /// The App Store in production, with the sandbox allowed.
    pub(super) fn apple(pki: &Pki) -> Self {
        let settings = [
            ("STAGE", "local"),
            ("APPLE_BUNDLE_ID", BUNDLE),
            ("APPLE_APP_ID", "1234567890"),
            ("APPLE_ENVIRONMENT", "Production"),
            ("ALLOW_SANDBOX", "true"),
            ("APPLE_STORE_SECRET_ARN", APPLE_ARN),
            ("APPLE_API_URL", "https://apple.example/"),
            ("APPLE_API_SANDBOX_URL", "https://sandbox.example"),
            ("APPLE_RECEIPT_URL", "https://apple.example/verifyReceipt"),
            ("APPLE_RECEIPT_SANDBOX_URL", "https://sandbox.example/verifyReceipt"),
            ("APPLE_ROOT_CA", &pki.root_base64()),
            ("LEGACY_VERIFY_RECEIPT", "on"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = json!({
            "issuer_id": "57246542-96fe-1a63-e053-0824d011072a", "key_id": "2X9R4HXF34", "private_key": api_key(),
            "shared_secret": "shared-secret",
        });
        Self { settings: settings.into(), secrets: [(APPLE_ARN.to_owned(), secret.to_string())].into() }
    }

    /// Google Play, by the account key `pem`.
    pub(super) fn google(pem: &str) -> Self {
        let settings = [
            ("GOOGLE_PACKAGE_NAME", BUNDLE),
            ("GOOGLE_PLAY_SECRET_ARN", GOOGLE_ARN),
            ("GOOGLE_TOKEN_URL", "https://oauth.example/token"),
            ("GOOGLE_PLAY_URL", "https://play.example"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = json!({
            "type": "service_account", "client_email": "satchel@project.iam.gserviceaccount.com",
            "private_key": pem, "private_key_id": "key-1",
        });
        Self { settings: settings.into(), secrets: [(GOOGLE_ARN.to_owned(), secret.to_string())].into() }
    }

    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn secret(mut self, arn: &str, value: &Value) -> Self {
        self.secrets.insert(arn.to_owned(), value.to_string());
        self
    }

    pub(super) fn env(self, http: Http) -> Env {
        let Self { settings, secrets } = self;
        let secrets = SharedHttpConnector::new(Secrets(secrets));
        let client = http_client_fn(move |_, _| secrets.clone());
        let clock = Clock::new(now);
        Env {
            settings: Settings::new(move |name| settings.get(name).cloned()),
            clock: clock.clone(),
            ids: Ids::new(clock, |bytes| bytes.fill(7)),
            aws: Aws::new(
                "eu-central-1".to_owned(),
                Credentials::new("id", "secret", None, None, "test"),
                client,
                None,
            ),
            http,
        }
    }
}

/// The In-App Purchase key.
pub(super) fn api_key() -> String {
    let key = p256::SecretKey::from_slice(&[5; 32]).unwrap();
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}
