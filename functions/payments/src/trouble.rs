//! What a store's trouble means to who asked us.

use satchel_domain::Error;
use satchel_domain::appstore::Reason;

use crate::fold::refused;
use crate::stores::StoreError;

/// What is wrong with a receipt itself, and not with what a store answers about it.
const OF_RECEIPTS: [&str; 13] = [
    "legacy_receipt",
    "sandbox_receipt",
    "production_receipt",
    "bundle",
    "receipt_request",
    "receipt_malformed",
    "receipt_not_authentic",
    "receipt_shared_secret",
    "receipt_account",
    "transaction_id",
    "environment",
    "purchase_token",
    "product_id",
];

/// To a person who brought a receipt: 400 for what is not a purchase, 503 for what may pass.
pub(crate) fn of_receipt(error: StoreError) -> Error {
    match error {
        StoreError::NotFound => refused("purchase_not_found", "No receipt info found"),
        StoreError::Refused(reason) => {
            tracing::warn!(reason, metric = "StoreVerificationFailed", "a receipt is refused");
            if !OF_RECEIPTS.contains(&reason) {
                // The App Store's own answer is not believed: the fault is not the person's, and may pass.
                return Error::Unavailable { retry_after: 60, cause: reason.into() };
            }
            match reason {
                "sandbox_receipt" => refused("sandbox_not_allowed", "Sandbox receipt in production environment"),
                "production_receipt" => refused("environment_mismatch", "Production receipt in sandbox environment"),
                _ => refused("receipt_refused", format!("Verification failed: {reason}")),
            }
        }
        // Its own metric was told where it was asked.
        StoreError::Unusable(reason) => Error::Unavailable { retry_after: 60, cause: reason.into() },
        StoreError::Later(error) => error,
    }
}

/// To the queue: a purchase that is not there is not an error here, but for the caller to say.
pub(crate) fn of_look(error: StoreError) -> Error {
    match error {
        StoreError::NotFound => Error::NotFound("purchase"),
        StoreError::Refused(reason) | StoreError::Unusable(reason) => Error::internal(reason),
        StoreError::Later(error) => error,
    }
}

/// To a person who brought a signed transaction that is not believed.
pub(crate) fn of_signature(reason: Reason) -> Error {
    let text = reason.as_str();
    tracing::warn!(reason = text, metric = "StoreVerificationFailed", "a signed transaction is refused");
    match reason {
        Reason::Environment => refused("sandbox_not_allowed", "Sandbox receipt in production environment"),
        Reason::RootInvalid => Error::internal("the pinned root is not fit to be one"),
        _ => refused("receipt_refused", format!("Verification failed: {text}")),
    }
}

/// 400 for a store that is not set up here.
pub(crate) fn not_set_up(store: &str) -> Error {
    refused("store_not_configured", format!("{store} is not set up here"))
}
