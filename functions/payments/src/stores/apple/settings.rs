//! What is configured of the App Store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_domain::appstore::{App, Environment, Root, Verifier};
use satchel_domain::error::causes;
use satchel_inbound::env::Reader;
use satchel_inbound::{Complaints, Env, Settings};
use satchel_outbound::secret::{self, Secret};
use serde::Deserialize;

use super::key::ApiKey;
use crate::stores::address;
use satchel_inbound::env::both;

/// One of the store's environments.
pub(in crate::stores) struct Side {
    pub(in crate::stores) environment: Environment,
    pub(super) verifier: Verifier,
    /// Where the App Store Server API is.
    pub(super) api: String,
    /// Where `verifyReceipt` is.
    pub(in crate::stores) receipts: String,
}

/// How `verifyReceipt` is asked, where it is at all.
pub(in crate::stores) struct Legacy {
    /// The app's shared secret; subscriptions cannot be asked for without.
    pub(in crate::stores) shared_secret: Option<Secret<String>>,
}

/// All of it.
pub(super) struct Configured {
    pub(super) bundle_id: String,
    pub(super) root: Root,
    pub(super) sides: Vec<Side>,
    pub(super) key: ApiKey,
    pub(super) legacy: Option<Legacy>,
}

#[derive(Deserialize)]
struct AppleSecret {
    issuer_id: String,
    key_id: String,
    private_key: String,
    shared_secret: Option<String>,
}

/// An environment with its addresses.
struct Place {
    environment: Environment,
    api: String,
    receipts: String,
}

/// Where `APPLE_BUNDLE_ID` is set.
pub(super) async fn read(env: &Env) -> Result<Option<Configured>, Complaints> {
    let Some(bundle_id) = env.settings.get("APPLE_BUNDLE_ID") else { return Ok(None) };
    let read = env.settings.read(|settings| (places(settings), switch(settings, "LEGACY_VERIFY_RECEIPT")));
    let secret = read_secret(env, &bundle_id).await;
    let ((root, (places, legacy)), (key, shared_secret)) = both(both(root(&env.settings), read), secret)?;
    let side = |place: Place| Side {
        environment: place.environment,
        verifier: Verifier::new(root.clone(), App::new(bundle_id.clone(), place.environment)),
        api: place.api,
        receipts: place.receipts,
    };
    let sides = places.into_iter().map(side).collect();
    let legacy = legacy.then_some(Legacy { shared_secret });
    Ok(Some(Configured { bundle_id, root, sides, key, legacy }))
}

/// The environments that count, production first. A stage of the sandbox takes nothing from production.
fn places(settings: &mut Reader<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    let configured = settings.optional("APPLE_ENVIRONMENT").unwrap_or_else(|| "Production".to_owned());
    let is_production = configured == "Production";
    if !is_production && configured != "Sandbox" {
        settings.complain("APPLE_ENVIRONMENT is neither Production nor Sandbox");
    }
    if is_production {
        let app_apple_id = settings.value("APPLE_APP_ID", 0);
        if app_apple_id == 0 {
            settings.complain("APPLE_APP_ID is needed where APPLE_ENVIRONMENT is Production");
        }
        places.push(Place {
            environment: Environment::Production { app_apple_id },
            api: address(settings, "APPLE_API_URL", "https://api.storekit.apple.com"),
            receipts: address(settings, "APPLE_RECEIPT_URL", "https://buy.itunes.apple.com/verifyReceipt"),
        });
    }
    if settings.value("ALLOW_SANDBOX", false) || !is_production {
        let receipts = "https://sandbox.itunes.apple.com/verifyReceipt";
        places.push(Place {
            environment: Environment::Sandbox,
            api: address(settings, "APPLE_API_SANDBOX_URL", "https://api.storekit-sandbox.apple.com"),
            receipts: address(settings, "APPLE_RECEIPT_SANDBOX_URL", receipts),
        });
    }
    places
}

/// A setting that is `on` or `off`; off where it is not set.
fn switch(settings: &mut Reader<'_>, name: &str) -> bool {
    match settings.optional(name).as_deref() {
        Some("on") => true,
        None | Some("off") => false,
        Some(_) => {
            settings.complain(format!("{name} is neither on nor off"));
            false
        }
    }
}

/// The root that is pinned: Apple's, or the local stack's. Whoever holds the key of another root could sign purchases, so
/// that no other stage has one.
fn root(settings: &Settings) -> Result<Root, Complaints> {
    let complain = |text: &str| Complaints(vec![format!("APPLE_ROOT_CA {text}")]);
    let Some(text) = settings.get("APPLE_ROOT_CA") else {
        return Root::apple().map_err(|_| complain("is not set, and the embedded root cannot be read"));
    };
    if settings.get("STAGE").as_deref() != Some("local") {
        return Err(complain("is set, but STAGE is not local"));
    }
    let der = STANDARD.decode(text.trim()).map_err(|_| complain("is not base64"))?;
    Root::from_der(der).map_err(|_| complain("is no certificate of a root"))
}

async fn read_secret(env: &Env, bundle_id: &str) -> Result<(ApiKey, Option<Secret<String>>), Complaints> {
    let arn = env.settings.read(|settings| settings.text("APPLE_STORE_SECRET_ARN"))?;
    let complain = |error: String| Complaints(vec![format!("APPLE_STORE_SECRET_ARN: {error}")]);
    let secret: Secret<AppleSecret> =
        secret::read(&env.aws.secretsmanager(), &arn).await.map_err(|error| complain(causes(&error)))?;
    let AppleSecret { issuer_id, key_id, private_key, shared_secret } = secret.expose();
    let key = ApiKey::new(issuer_id, key_id, bundle_id, private_key)
        .ok_or_else(|| complain("private_key is no P-256 key in PKCS#8 PEM".to_owned()))?;
    Ok((key, shared_secret.clone().filter(|secret| !secret.is_empty()).map(Secret::new)))
}
