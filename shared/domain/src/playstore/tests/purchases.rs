//! What the API answers, put into one form.

use serde::de::DeserializeOwned;

use super::*;
use crate::time::DAY;

/// 2027-01-01T00:00:00Z.
const STARTED: i64 = 1_798_761_600;
/// 2027-02-01T00:00:00Z.
const ENDS: i64 = 1_801_440_000;
pub(super) const ORDER: &str = "GPA.3372-4150-8203-17209";

/// A subscription as the API answers it, in full.
pub(super) fn subscription() -> Value {
    json!({
        "kind": "androidpublisher#subscriptionPurchaseV2",
        "regionCode": "DE",
        "startTime": "2027-01-01T00:00:00.123Z",
        "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
        "latestOrderId": format!("{ORDER}..4"),
        "lineItems": [{
            "productId": "app.satchel.sync.monthly",
            "expiryTime": "2027-02-01T00:00:00.456Z",
            "latestSuccessfulOrderId": format!("{ORDER}..3"),
            "autoRenewingPlan": {
                "autoRenewEnabled": true,
                "recurringPrice": { "currencyCode": "EUR", "units": "2", "nanos": 990000000 },
            },
            "offerDetails": { "basePlanId": "monthly", "offerTags": ["x"] },
            "offerPhase": { "basePrice": {} },
        }],
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED",
        "etag": "x",
        "externalAccountIdentifiers": { "obfuscatedExternalAccountId": "01563e3a-b5d3-d676-4c61-efb99302bd5b" },
    })
}

/// A one-time purchase as the API answers it, in full.
pub(super) fn one_time() -> Value {
    json!({
        "kind": "androidpublisher#productPurchaseV2",
        "productLineItem": [{
            "productId": "app.satchel.supporter",
            "productOfferDetails": { "purchaseOptionId": "buy", "quantity": 1, "refundableQuantity": 1, "consumptionState": "CONSUMPTION_STATE_YET_TO_BE_CONSUMED" },
        }],
        "purchaseStateContext": { "purchaseState": "PURCHASED" },
        "purchaseCompletionTime": "2027-01-01T00:00:00Z",
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_PENDING",
        "orderId": ORDER,
        "regionCode": "DE",
        "obfuscatedExternalAccountId": "01563e3a-b5d3-d676-4c61-efb99302bd5b",
    })
}

/// `subscription` with another member of its only line.
pub(super) fn lined(name: &str, member: Value) -> Value {
    let mut answer = subscription();
    answer["lineItems"][0][name] = member;
    answer
}

/// The answer read as one of `T`, where it is one.
pub(super) fn parse<T: DeserializeOwned + Into<Purchase>>(json: impl AsRef<[u8]>) -> Option<Purchase> {
    serde_json::from_slice::<T>(json.as_ref()).ok().map(Into::into)
}

pub(super) fn read(answer: &Value) -> Purchase {
    parse::<SubscriptionPurchaseV2>(answer.to_string()).unwrap()
}

pub(super) fn read_one_time(answer: &Value) -> Purchase {
    parse::<ProductPurchaseV2>(answer.to_string()).unwrap()
}

fn in_state(word: &str) -> Purchase {
    read(&with(subscription(), "subscriptionState", json!(format!("SUBSCRIPTION_STATE_{word}"))))
}

#[test]
fn a_subscription_is_put_into_one_form() {
    let purchase = read(&subscription());
    let line = Line {
        product_id: "app.satchel.sync.monthly".to_owned(),
        order_id: Some(format!("{ORDER}..3")),
        expires: Some(ENDS),
        will_renew: true,
        prepaid: false,
        trial: false,
        deferred_to: None,
    };
    let expected = Purchase {
        kind: Kind::Subscription,
        state: State::Active,
        lines: vec![line],
        started: Some(STARTED),
        acknowledged: true,
        linked_token: None,
        expired_token: None,
        account_token: Some("01563e3a-b5d3-d676-4c61-efb99302bd5b".to_owned()),
        expired_account_token: None,
        test: false,
        auto_resume: None,
        first_order: Some(ORDER.to_owned()),
    };
    assert_eq!(purchase, expected);
}

#[test]
fn a_one_time_purchase_is_put_into_the_same_form() {
    let purchase = read_one_time(&one_time());
    assert_eq!((purchase.kind, &purchase.state), (Kind::OneTime, &State::Active));
    assert_eq!(purchase.lines[0].product_id, "app.satchel.supporter");
    assert_eq!((purchase.lines[0].order_id.as_deref(), purchase.lines[0].expires), (Some(ORDER), None));
    assert_eq!((purchase.started, purchase.acknowledged, purchase.test), (Some(STARTED), false, false));
    let cancelled = with(one_time(), "purchaseStateContext", json!({ "purchaseState": "CANCELLED" }));
    assert_eq!(read_one_time(&cancelled).state, State::Canceled);
    let new = with(one_time(), "purchaseStateContext", json!({ "purchaseState": "RENTED" }));
    assert_eq!(read_one_time(&new).state, State::Unknown("RENTED".to_owned()));
}

#[test]
fn every_state_has_its_word() {
    for (word, state) in [
        ("PENDING", State::Pending),
        ("ACTIVE", State::Active),
        ("CANCELED", State::Canceled),
        ("IN_GRACE_PERIOD", State::Grace),
        ("ON_HOLD", State::Hold),
        ("PAUSED", State::Paused),
        ("EXPIRED", State::Expired),
        ("PENDING_PURCHASE_CANCELED", State::PendingCanceled),
        ("SNOOZED", State::Unknown("SUBSCRIPTION_STATE_SNOOZED".to_owned())),
    ] {
        assert_eq!(in_state(word).state, state);
    }
}

#[test]
fn no_word_of_the_store_is_taken_for_a_kept_one() {
    for word in ["active", "ACTIVE", "?active", "", "SUBSCRIPTION_STATE_active"] {
        let purchase = read(&with(subscription(), "subscriptionState", json!(word)));
        assert_eq!(purchase.state, State::Unknown(word.to_owned()));
        let kept: Purchase = serde_json::from_str(&serde_json::to_string(&purchase).unwrap()).unwrap();
        assert_eq!(kept, purchase, "{word}");
    }
}

#[test]
fn renewing_that_is_off_is_not_written() {
    assert!(!read(&lined("autoRenewingPlan", json!({}))).lines[0].will_renew);
    assert!(!read(&lined("autoRenewingPlan", json!({ "autoRenewEnabled": false }))).lines[0].will_renew);
    assert!(!read(&lined("deferredItemRemoval", json!({}))).lines[0].will_renew);
    let prepaid = with(without(subscription()["lineItems"][0].clone(), "autoRenewingPlan"), "prepaidPlan", json!({}));
    let line = &read(&with(subscription(), "lineItems", json!([prepaid]))).lines[0];
    assert!(line.prepaid && !line.will_renew);
}

#[test]
fn presence_alone_makes_a_trial_and_a_test() {
    assert!(read(&lined("offerPhase", json!({ "freeTrial": {} }))).lines[0].trial);
    assert!(!read(&lined("offerPhase", json!({ "introductoryPrice": {} }))).lines[0].trial);
    assert!(read(&with(subscription(), "testPurchase", json!({}))).test);
    assert!(read_one_time(&with(one_time(), "testPurchaseContext", json!({ "fopType": "TEST" }))).test);
}

#[test]
fn tokens_of_other_purchases_are_hashed_while_they_are_read() {
    let out_of_app = json!({
        "expiredPurchaseToken": TOKEN,
        "expiredExternalAccountIdentifiers": { "obfuscatedExternalAccountId": "old" },
    });
    let answer = with(with(subscription(), "linkedPurchaseToken", json!(TOKEN)), "outOfAppPurchaseContext", out_of_app);
    let purchase = read(&answer);
    let hash = TOKEN.parse::<PurchaseToken>().unwrap().hash();
    assert_eq!((purchase.linked_token.as_ref(), purchase.expired_token.as_ref()), (Some(&hash), Some(&hash)));
    assert_eq!(purchase.expired_account_token.as_deref(), Some("old"));
    let typed: SubscriptionPurchaseV2 = serde_json::from_value(answer).unwrap();
    assert!(!format!("{typed:?}{purchase:?}").contains(TOKEN));
    assert_eq!(read(&with(subscription(), "linkedPurchaseToken", json!(""))).linked_token, None);
}

#[test]
fn an_answer_of_another_time_has_its_order_beside_the_lines() {
    let mut answer = subscription();
    answer["lineItems"][0] = without(answer["lineItems"][0].clone(), "latestSuccessfulOrderId");
    assert_eq!(read(&answer).lines[0].order_id, Some(format!("{ORDER}..4")));
    let waiting = json!({ "productId": "app.satchel.sync.yearly", "autoRenewingPlan": { "autoRenewEnabled": true } });
    let mut both = subscription();
    both["lineItems"].as_array_mut().unwrap().push(waiting);
    assert_eq!(read(&both).lines[1].order_id, None, "a line that is not the buyer's yet was given an order");
}

#[test]
fn the_first_order_has_no_number_of_a_renewal() {
    for (order, first) in [
        ("GPA.1-2-3-4..0", "GPA.1-2-3-4"),
        ("GPA.1-2-3-4..12", "GPA.1-2-3-4"),
        ("GPA.1-2-3-4", "GPA.1-2-3-4"),
        ("GPA.1-2-3-4..", "GPA.1-2-3-4.."),
        ("GPA..x", "GPA..x"),
    ] {
        assert_eq!(read(&lined("latestSuccessfulOrderId", json!(order))).first_order.as_deref(), Some(first));
    }
}

#[test]
fn a_pause_says_when_it_ends() {
    let answer = with(subscription(), "pausedStateContext", json!({ "autoResumeTime": "2027-02-01T00:00:00Z" }));
    assert_eq!(read(&answer).auto_resume, Some(ENDS));
}

#[test]
fn an_answer_without_what_makes_a_purchase_is_none() {
    for bad in [
        json!({}),
        json!([]),
        json!("purchase"),
        without(subscription(), "subscriptionState"),
        with(subscription(), "subscriptionState", json!(1)),
        with(subscription(), "startTime", json!("today")),
        lined("expiryTime", json!(1_801_440_000)),
        lined("productId", Value::Null),
        with(subscription(), "lineItems", json!({})),
        one_time(),
    ] {
        assert_eq!(parse::<SubscriptionPurchaseV2>(bad.to_string()), None, "{bad}");
    }
    assert_eq!(parse::<ProductPurchaseV2>(subscription().to_string()), None);
    assert_eq!(parse::<ProductPurchaseV2>("\0"), None);
}

#[test]
fn only_what_is_paid_for_is_acknowledged() {
    let waiting = with(subscription(), "acknowledgementState", json!("ACKNOWLEDGEMENT_STATE_PENDING"));
    for (word, due) in [
        ("PENDING", false),
        ("ACTIVE", true),
        ("CANCELED", true),
        ("IN_GRACE_PERIOD", true),
        ("ON_HOLD", true),
        ("PAUSED", true),
        ("EXPIRED", false),
        ("PENDING_PURCHASE_CANCELED", false),
        ("SNOOZED", true),
    ] {
        let answer = with(waiting.clone(), "subscriptionState", json!(format!("SUBSCRIPTION_STATE_{word}")));
        assert_eq!(read(&answer).acknowledgement_due(), due, "{word}");
    }
    assert!(!read(&subscription()).acknowledgement_due());
    assert!(read_one_time(&one_time()).acknowledgement_due());
    for word in ["CANCELLED", "PENDING", "RENTED"] {
        let answer = with(one_time(), "purchaseStateContext", json!({ "purchaseState": word }));
        assert!(!read_one_time(&answer).acknowledgement_due(), "{word}");
    }
}

#[test]
fn an_acknowledgement_has_three_days_or_less() {
    let waiting = with(subscription(), "acknowledgementState", json!("ACKNOWLEDGEMENT_STATE_PENDING"));
    let after = |answer: &Value| read(answer).acknowledgement_deadline(NOW).map(|at| at - STARTED);
    assert_eq!(after(&waiting), Some(3 * DAY));
    assert_eq!(after(&subscription()), None);
    assert_eq!(after(&with(waiting.clone(), "testPurchase", json!({}))), Some(300));
    assert_eq!(read(&without(waiting.clone(), "startTime")).acknowledgement_deadline(NOW), Some(NOW + 3 * DAY));

    let prepaid = |ends: &str| {
        let line = json!({ "productId": "p", "prepaidPlan": {}, "expiryTime": ends });
        after(&with(waiting.clone(), "lineItems", json!([line])))
    };
    assert_eq!(prepaid("2027-01-03T00:00:00Z"), Some(DAY));
    assert_eq!(prepaid("2027-01-07T23:59:59Z"), Some(3 * DAY), "half of it is longer than the three days");
    assert_eq!(prepaid("2027-01-08T00:00:00Z"), Some(3 * DAY));
    assert_eq!(prepaid("2026-12-01T00:00:00Z"), Some(0));
}

#[test]
fn what_is_kept_of_a_purchase_is_small_and_reads_back() {
    for purchase in [read(&subscription()), read_one_time(&one_time()), in_state("SNOOZED")] {
        let kept = serde_json::to_string(&purchase).unwrap();
        assert!(kept.len() < 400, "{kept}");
        assert_eq!(serde_json::from_str::<Purchase>(&kept).unwrap(), purchase);
    }
    let kept = serde_json::to_value(read(&subscription())).unwrap();
    assert_eq!((kept["kind"].as_str(), kept["state"].as_str()), (Some("subscription"), Some("active")));
}
