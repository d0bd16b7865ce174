//! Whose app the stores sell, and where they are: what the template's parameters say, and what they are given here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::StoreKeys;

const BUNDLE_ID: &str = "app.satchel";
const APP_ID: i64 = 1_234_567_890;
const PUSH_SUBSCRIPTION: &str = "projects/local/subscriptions/play";
const PUSH_AUDIENCE: &str = "https://satchel.local/payments/webhook/google";
const PUSH_EMAIL: &str = "play-push@local.iam.gserviceaccount.com";

/// ARN of the secret for the App Store.
pub(crate) const APPLE_SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local-app-store";
/// ARN of the secret for Google Play.
pub(crate) const GOOGLE_SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local-google-play";

/// Where the stand-ins are, below the address of the process.
#[derive(Debug, Clone)]
pub(crate) struct Addresses(String);

impl Addresses {
    /// Of the process at `authority`, such as `127.0.0.1:3000`.
    pub(crate) fn at(authority: &str) -> Self {
        Self(format!("http://{authority}/_local"))
    }

    fn apple(&self, path: &str) -> String {
        format!("{}/apple/{path}", self.0)
    }

    /// Where Apple's certificates say that their revocation is asked for.
    pub(super) fn ocsp(&self) -> String {
        self.apple("ocsp")
    }

    /// Where a service account gets tokens.
    pub(crate) fn google_token(&self) -> String {
        format!("{}/google/token", self.0)
    }
}

/// The parameters that make the template's stack use the stand-ins. `root` is trusted in the place of theirs.
pub(crate) fn params(at: &Addresses, keys: &StoreKeys, root: Option<&[u8]>) -> Vec<(&'static str, String)> {
    let google = format!("{}/google", at.0);
    let text = str::to_owned;
    vec![
        ("AppleBundleId", text(BUNDLE_ID)),
        ("AppleAppId", APP_ID.to_string()),
        ("AppleEnvironment", text("Production")),
        ("AllowSandbox", text("true")),
        ("AppleOcsp", text("on")),
        ("AppleApiUrl", at.apple("production")),
        ("AppleApiSandboxUrl", at.apple("sandbox")),
        ("AppleReceiptUrl", at.apple("production/verifyReceipt")),
        ("AppleReceiptSandboxUrl", at.apple("sandbox/verifyReceipt")),
        ("AppleRootCa", root.map_or_else(|| text(keys.apple_root()), |der| STANDARD.encode(der))),
        ("LegacyVerifyReceipt", text("on")),
        ("AppleStoreSecretArn", text(APPLE_SECRET)),
        ("GooglePackageName", text(BUNDLE_ID)),
        ("GoogleTokenUrl", at.google_token()),
        ("GooglePushJwksUrl", format!("{google}/certs")),
        ("GooglePushSubscription", text(PUSH_SUBSCRIPTION)),
        ("GooglePushAudience", text(PUSH_AUDIENCE)),
        ("GooglePushEmail", text(PUSH_EMAIL)),
        ("GooglePlaySecretArn", text(GOOGLE_SECRET)),
        ("GooglePlayUrl", google),
    ]
}

/// Whose app the stores sell.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    pub(super) bundle_id: String,
    pub(super) app_id: i64,
    pub(super) package: String,
    pub(super) push_subscription: String,
    pub(super) push_audience: String,
    pub(super) push_email: String,
    pub(super) addresses: Addresses,
}

impl StoreSettings {
    /// What `parameters` of the template say, so that a stack with another app has stores that sell that one.
    pub(crate) fn of(parameters: &BTreeMap<String, String>, addresses: Addresses) -> Self {
        let or = |name: &str, default: &str| {
            let given = parameters.get(name).filter(|value| !value.is_empty());
            given.cloned().unwrap_or_else(|| default.to_owned())
        };
        Self {
            bundle_id: or("AppleBundleId", BUNDLE_ID),
            app_id: or("AppleAppId", "").parse().unwrap_or(APP_ID),
            package: or("GooglePackageName", BUNDLE_ID),
            push_subscription: or("GooglePushSubscription", PUSH_SUBSCRIPTION),
            push_audience: or("GooglePushAudience", PUSH_AUDIENCE),
            push_email: or("GooglePushEmail", PUSH_EMAIL),
            addresses,
        }
    }
}
