//! What the App Store signs, as JSON with all members that facts 2.2 to 2.4 name and that mean something here.

use serde_json::{Map, Value, json};

use super::Moment;
use super::state::{Line, Status, Transaction};
use crate::stores::product::{ProductKind, group_number};
use crate::stores::settings::StoreSettings;

/// Country and currency of every purchase.
const STOREFRONT: (&str, &str, &str) = ("DEU", "143443", "EUR");
/// The app's version that every notification names.
const BUNDLE_VERSION: &str = "1.0.0";

/// `value` without the members that are null.
fn present(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, member)| !member.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// `JWSTransactionDecodedPayload` of `transaction`, signed at `signed_ms`.
pub(super) fn transaction(line: &Line, transaction: &Transaction, settings: &StoreSettings, signed_ms: i64) -> Value {
    let is_subscription = transaction.kind == ProductKind::Subscription;
    let offer = transaction.offer.as_ref();
    let revocation = transaction.revocation.as_ref();
    let (storefront, storefront_id, currency) = STOREFRONT;
    present(json!({
        "transactionId": transaction.id.to_string(),
        "originalTransactionId": line.original.to_string(),
        "webOrderLineItemId": is_subscription.then(|| web_order(transaction.id)),
        "appTransactionId": app_transaction(&line.customer),
        "bundleId": settings.bundle_id,
        "productId": transaction.product_id,
        "subscriptionGroupIdentifier": is_subscription.then(|| group_number(&line.group)),
        "type": transaction.kind.apple(),
        "quantity": 1,
        "purchaseDate": transaction.purchase_ms,
        "originalPurchaseDate": line.original_purchase_ms,
        "expiresDate": transaction.expires_ms,
        "signedDate": signed_ms,
        "inAppOwnershipType": if line.family_shared { "FAMILY_SHARED" } else { "PURCHASED" },
        "appAccountToken": transaction.account_token,
        "isUpgraded": transaction.is_upgraded.then_some(true),
        "transactionReason": if transaction.is_renewal { "RENEWAL" } else { "PURCHASE" },
        "environment": line.environment.as_str(),
        "storefront": storefront,
        "storefrontId": storefront_id,
        "price": if line.family_shared { 0 } else { transaction.price },
        "currency": currency,
        "offerType": offer.map(|offer| offer.kind),
        "offerIdentifier": offer.and_then(|offer| offer.id.clone()),
        "offerDiscountType": offer.map(|offer| offer.discount.clone()),
        "offerPeriod": offer.map(|offer| offer.period.clone()),
        "revocationDate": revocation.map(|revocation| revocation.at_ms),
        "revocationReason": revocation.map(|revocation| revocation.reason),
        "revocationType": revocation.map(|revocation| revocation.kind.clone()),
        "revocationPercentage": revocation.and_then(|revocation| revocation.percentage),
    }))
}

/// `JWSRenewalInfoDecodedPayload` of `line`; none for what does not renew.
pub(super) fn renewal(line: &Line, at: Moment) -> Option<Value> {
    let (renewal, current, status) = (line.renewal.as_ref()?, line.current()?, line.status(at.now_ms)?);
    let is_over = status == Status::Expired;
    let unsaid = if renewal.auto_renew { 2 } else { 1 };
    let intent = match status {
        Status::Expired => Some(renewal.intent.unwrap_or(unsaid)),
        Status::Retry | Status::Grace => Some(2),
        Status::Active | Status::Revoked => None,
    };
    let auto_renew = renewal.auto_renew && !is_over;
    Some(present(json!({
        "originalTransactionId": line.original.to_string(),
        "autoRenewProductId": renewal.next_product,
        "productId": current.product_id,
        "autoRenewStatus": i64::from(auto_renew),
        "expirationIntent": intent,
        "isInBillingRetryPeriod": matches!(status, Status::Retry | Status::Grace),
        "gracePeriodExpiresDate": renewal.grace_until_ms,
        "priceIncreaseStatus": renewal.price_increase,
        "renewalDate": auto_renew.then_some(current.expires_ms),
        "renewalPrice": auto_renew.then_some(renewal.price),
        "currency": STOREFRONT.2,
        "recentSubscriptionStartDate": renewal.recent_start_ms,
        "appAccountToken": line.account_token,
        "appTransactionId": app_transaction(&line.customer),
        "signedDate": at.signed_ms,
        "environment": line.environment.as_str(),
    })))
}

/// What a notification is made of.
pub(super) struct Envelope<'a> {
    pub(super) kind: &'a str,
    pub(super) subtype: Option<&'a str>,
    pub(super) uuid: &'a str,
    pub(super) environment: &'a str,
    pub(super) signed_ms: i64,
    /// Signed, with the status beside it.
    pub(super) transaction: Option<String>,
    pub(super) renewal: Option<String>,
    pub(super) status: Option<Status>,
}

/// `responseBodyV2DecodedPayload`.
pub(super) fn notification(envelope: Envelope<'_>, settings: &StoreSettings) -> Value {
    let is_asked_for = envelope.kind == "CONSUMPTION_REQUEST";
    let data = present(json!({
        "environment": envelope.environment,
        "appAppleId": settings.app_id,
        "bundleId": settings.bundle_id,
        "bundleVersion": BUNDLE_VERSION,
        "signedTransactionInfo": envelope.transaction,
        "signedRenewalInfo": envelope.renewal,
        "status": envelope.status.map(Status::number),
        "consumptionRequestReason": is_asked_for.then_some("UNINTENDED_PURCHASE"),
    }));
    present(json!({
        "notificationType": envelope.kind,
        "subtype": envelope.subtype,
        "notificationUUID": envelope.uuid,
        "version": "2.0",
        "signedDate": envelope.signed_ms,
        "data": data,
    }))
}

/// The number of a period's order line.
pub(super) fn web_order(transaction_id: u64) -> String {
    (transaction_id + 100_000_000).to_string()
}

/// The number of the download of the app by `customer`.
fn app_transaction(customer: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(customer);
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("704{number:015}")
}
