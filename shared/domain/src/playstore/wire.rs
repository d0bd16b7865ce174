//! Purchases as the API answers them (`purchases.subscriptionsv2`, `purchases.productsv2`; facts 2.7), as far as they are
//! read. Members and words that are new to us do no harm. Purchase tokens are hashed while they are read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::token::hashed;
use crate::Timestamp;

/// An answer of `purchases.subscriptionsv2.get`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionPurchaseV2 {
    pub(super) subscription_state: String,
    /// Absent while it was never paid for.
    pub(super) start_time: Option<Timestamp>,
    /// Deprecated: may also be an order that was declined.
    pub(super) latest_order_id: Option<String>,
    #[serde(default, deserialize_with = "hashed")]
    pub(super) linked_purchase_token: Option<String>,
    #[serde(default)]
    pub(super) line_items: Vec<SubscriptionLine>,
    pub(super) acknowledgement_state: Option<String>,
    pub(super) external_account_identifiers: Option<Account>,
    pub(super) paused_state_context: Option<Paused>,
    pub(super) out_of_app_purchase_context: Option<OutOfApp>,
    pub(super) test_purchase: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionLine {
    pub(super) product_id: String,
    pub(super) expiry_time: Option<Timestamp>,
    /// Absent while the line is not the buyer's yet, as the one that another will be replaced by.
    pub(super) latest_successful_order_id: Option<String>,
    pub(super) auto_renewing_plan: Option<AutoRenewingPlan>,
    pub(super) prepaid_plan: Option<IgnoredAny>,
    pub(super) offer_phase: Option<OfferPhase>,
    pub(super) deferred_item_replacement: Option<Replacement>,
    pub(super) deferred_item_removal: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoRenewingPlan {
    /// Absent, not false, where it is off.
    pub(super) auto_renew_enabled: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfferPhase {
    pub(super) free_trial: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Replacement {
    pub(super) product_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) obfuscated_external_account_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paused {
    pub(super) auto_resume_time: Option<Timestamp>,
}

/// Vanishes once the purchase is acknowledged.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutOfApp {
    #[serde(default, deserialize_with = "hashed")]
    pub(super) expired_purchase_token: Option<String>,
    pub(super) expired_external_account_identifiers: Option<Account>,
}

/// An answer of `purchases.productsv2.getproductpurchasev2`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductPurchaseV2 {
    pub(super) purchase_state_context: PurchaseStateContext,
    #[serde(default)]
    pub(super) product_line_item: Vec<ProductLine>,
    /// Absent while it was never paid for.
    pub(super) purchase_completion_time: Option<Timestamp>,
    pub(super) acknowledgement_state: Option<String>,
    pub(super) order_id: Option<String>,
    pub(super) obfuscated_external_account_id: Option<String>,
    pub(super) test_purchase_context: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PurchaseStateContext {
    pub(super) purchase_state: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductLine {
    pub(super) product_id: String,
}
