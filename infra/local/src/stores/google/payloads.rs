//! Google's answers as JSON: `SubscriptionPurchaseV2`, `ProductPurchaseV2`, `VoidedPurchase` (facts 2.7).

use satchel_domain::Timestamp;
use serde_json::{Map, Value, json};

use super::state::{Cancel, Order, Phase, Plan, Purchase, State, Voided};

/// Country and currency of every purchase.
const REGION: (&str, &str) = ("DE", "EUR");

/// `value` without the members that are null.
fn present(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().filter(|(_, member)| !member.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// RFC 3339 with milliseconds, as Google writes times.
pub(super) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

fn money(thousandths: i64) -> Value {
    json!({
        "currencyCode": REGION.1, "units": thousandths.div_euclid(1_000).to_string(),
        "nanos": thousandths.rem_euclid(1_000) * 1_000_000,
    })
}

fn acknowledgement(purchase: &Purchase) -> &'static str {
    if purchase.acknowledged { "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED" } else { "ACKNOWLEDGEMENT_STATE_PENDING" }
}

/// What `purchases.subscriptionsv2.get` answers; `expired` is the purchase it continues.
pub(super) fn subscription(purchase: &Purchase, expired: Option<&Purchase>, now_ms: i64) -> Option<Value> {
    let (plan, state) = (purchase.plan.as_ref()?, purchase.state(now_ms)?);
    let account = |token: &Option<String>| token.as_ref().map(|token| json!({ "obfuscatedExternalAccountId": token }));
    let out_of_app = expired.map(|expired| {
        present(json!({
            "expiredPurchaseToken": expired.token,
            "expiredExternalAccountIdentifiers": account(&expired.account_token),
        }))
    });
    let declined = || json!({ "renewalDeclined": { "pendingOrderId": next_order(purchase) } });
    Some(present(json!({
        "kind": "androidpublisher#subscriptionPurchaseV2",
        "regionCode": REGION.0,
        "startTime": purchase.started_ms.map(time),
        "subscriptionState": state.as_str(),
        "latestOrderId": purchase.order().map(|order| order.id.clone()),
        "linkedPurchaseToken": purchase.linked,
        "lineItems": [line(purchase, plan)],
        "acknowledgementState": acknowledgement(purchase),
        "etag": format!("{:08X}", purchase.revision),
        "externalAccountIdentifiers": account(&purchase.account_token),
        "pausedStateContext": (state == State::Paused).then(|| json!({ "autoResumeTime": plan.resume_ms.map(time) })),
        "canceledStateContext": matches!(state, State::Canceled | State::Expired).then(|| canceled(plan)),
        "inGracePeriodStateContext": (state == State::Grace).then(declined),
        "onHoldStateContext": (state == State::Hold).then(declined),
        "outOfAppPurchaseContext": out_of_app,
        "testPurchase": purchase.test.then(|| json!({})),
    })))
}

fn line(purchase: &Purchase, plan: &Plan) -> Value {
    let is_paid = purchase.started_ms.is_some();
    let changed = plan.new_price.map(|(price, accepted)| {
        json!({
            "newPrice": money(price), "priceChangeMode": "PRICE_INCREASE",
            "priceChangeState": if accepted { "CONFIRMED" } else { "OUTSTANDING" },
        })
    });
    let phase = if plan.trial { json!({ "freeTrial": {} }) } else { json!({ "basePrice": {} }) };
    let base_plan = purchase.product_id.rsplit('.').next().unwrap_or_default();
    present(json!({
        "productId": purchase.product_id,
        "expiryTime": is_paid.then(|| time(plan.expires_ms)),
        "latestSuccessfulOrderId": purchase.order().filter(|_| is_paid).map(|order| order.id.clone()),
        // `autoRenewEnabled` is absent, not false, where it is off.
        "autoRenewingPlan": present(json!({
            "autoRenewEnabled": plan.auto_renew.then_some(true),
            "recurringPrice": money(purchase.price),
            "priceChangeDetails": changed,
        })),
        "offerDetails": present(json!({ "basePlanId": base_plan, "offerId": plan.offer })),
        "offerPhase": phase,
        "deferredItemReplacement": plan.deferred.as_ref().map(|product| json!({ "productId": product })),
    }))
}

fn canceled(plan: &Plan) -> Value {
    match plan.cancel {
        Some(Cancel::User(at_ms)) => json!({ "userInitiatedCancellation": { "cancelTime": time(at_ms) } }),
        Some(Cancel::Developer) => json!({ "developerInitiatedCancellation": {} }),
        Some(Cancel::Replaced) => json!({ "replacementCancellation": {} }),
        Some(Cancel::System) | None => json!({ "systemInitiatedCancellation": {} }),
    }
}

/// What `purchases.productsv2.getproductpurchasev2` answers.
pub(super) fn product(purchase: &Purchase) -> Value {
    let state = match purchase.phase {
        Phase::Pending => "PENDING",
        Phase::PendingCanceled | Phase::Voided => "CANCELLED",
        _ => "PURCHASED",
    };
    let refundable = i64::from(state == "PURCHASED");
    present(json!({
        "kind": "androidpublisher#productPurchaseV2",
        "productLineItem": [{
            "productId": purchase.product_id,
            "productOfferDetails": {
                "quantity": 1, "refundableQuantity": refundable,
                "consumptionState": "CONSUMPTION_STATE_YET_TO_BE_CONSUMED",
            },
        }],
        "purchaseStateContext": { "purchaseState": state },
        "purchaseCompletionTime": purchase.started_ms.map(time),
        "acknowledgementState": acknowledgement(purchase),
        "orderId": purchase.order().map(|order| order.id.clone()),
        "regionCode": REGION.0,
        "obfuscatedExternalAccountId": purchase.account_token,
        "testPurchaseContext": purchase.test.then(|| json!({ "fopType": "TEST" })),
    }))
}

/// One entry of `purchases.voidedpurchases.list`.
pub(super) fn voided(purchase: &Purchase, order: &Order, voided: &Voided) -> Value {
    json!({
        "kind": "androidpublisher#voidedPurchase",
        "purchaseToken": purchase.token,
        "purchaseTimeMillis": order.at_ms.to_string(),
        "voidedTimeMillis": voided.at_ms.to_string(),
        "orderId": order.id,
        "voidedSource": voided.source,
        "voidedReason": voided.reason,
    })
}

/// The number of the next renewal: the first order's with a count behind it.
pub(super) fn next_order(purchase: &Purchase) -> String {
    let first = purchase.orders.first().map(|order| order.id.as_str()).unwrap_or_default();
    format!("{first}..{}", purchase.orders.len().saturating_sub(1))
}
