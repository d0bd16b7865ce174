//! Whatever comes in: nothing panics, and no token comes out.

use proptest::prelude::*;

use super::purchases::{one_time, parse, read, read_one_time, subscription};
use super::*;
use crate::entitlements::AddOn;
use crate::purchases::Catalogue;

fn catalogue() -> Catalogue {
    let products = json!({
        "app.satchel.sync.monthly": { "add_on": "sync", "kind": "subscription" },
        "app.satchel.supporter": { "add_on": "supporter", "kind": "one_time" },
        "pass": { "add_on": "sync", "kind": "one_time", "days": u32::MAX },
    });
    Catalogue::parse(&products.to_string()).unwrap()
}

/// JSON of a few levels, with words that mean something here and there.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "",
        "..",
        "true",
        "none",
        "RS256",
        PACKAGE,
        TOKEN,
        "PURCHASED",
        "SUBSCRIPTION_STATE_ACTIVE",
        "9999-12-31T23:59:59Z",
        "-009999-01-01T00:00:00Z",
        "1800000000123",
        "app.satchel.sync.monthly",
        "\0",
        "é",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{0,12}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Where the members of an answer stand.
const PLACES: [&str; 24] = [
    "/subscriptionState",
    "/startTime",
    "/latestOrderId",
    "/lineItems",
    "/lineItems/0",
    "/lineItems/0/productId",
    "/lineItems/0/expiryTime",
    "/lineItems/0/latestSuccessfulOrderId",
    "/lineItems/0/autoRenewingPlan",
    "/lineItems/0/autoRenewingPlan/autoRenewEnabled",
    "/lineItems/0/offerPhase",
    "/lineItems/0/offerDetails",
    "/acknowledgementState",
    "/externalAccountIdentifiers",
    "/etag",
    "/kind",
    "/productLineItem",
    "/productLineItem/0",
    "/productLineItem/0/productId",
    "/purchaseStateContext",
    "/purchaseStateContext/purchaseState",
    "/purchaseCompletionTime",
    "/orderId",
    "/obfuscatedExternalAccountId",
];

/// Everything that may be done with what an answer says.
fn follow(answer: &Value, now: i64) {
    let json = answer.to_string();
    for purchase in [parse::<SubscriptionPurchaseV2>(&json), parse::<ProductPurchaseV2>(&json)].into_iter().flatten() {
        let _ = (purchase.acknowledgement_due(), purchase.acknowledgement_deadline(now));
        let mut facts = Facts::new(purchase.clone(), now).fetched(purchase.clone(), now);
        facts.void(purchase.first_order.clone().unwrap_or_default(), now);
        for _ in 0..3 {
            for source in facts.sources("id", &catalogue(), now).values() {
                let _ = crate::entitlements::best(AddOn::Sync, [source], now);
            }
            (facts.replaced_at, facts.gone) = (facts.gone.map(|_| i64::MIN), Some(i64::MAX));
        }
        let kept = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&kept).unwrap(), facts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), now in any::<i64>()) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(push().message(&bytes).is_err());
        prop_assert!(push().bearer(&text, &keys(), from_unix(now)).is_err());
        prop_assert!(bearer_key_id(&text).is_err());
        prop_assert!(push().message(envelope(&bytes).to_string().as_bytes()).is_err());
        let _ = (parse::<SubscriptionPurchaseV2>(&bytes), parse::<ProductPurchaseV2>(&bytes), text.parse::<PurchaseToken>());
    }

    #[test]
    fn no_json_makes_a_reader_panic(value in any_json(), now in any::<i64>()) {
        let body = push().message(value.to_string().as_bytes());
        prop_assert!(body.is_err_and(|reason| !reason.is_authentication()));
        let segment = URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{segment}.{segment}.{segment}");
        prop_assert!(push().bearer(&token, &keys(), from_unix(now)).is_err_and(Reason::is_authentication));
        follow(&value, now);
    }

    #[test]
    fn no_notification_makes_a_reader_panic(kind in 0usize..6, value in any_json(), number in any::<i64>()) {
        let kind = [
            "subscriptionNotification", "oneTimeProductNotification", "voidedPurchaseNotification",
            "pendingRefundReviewNotification", "testNotification", "newNotification",
        ][kind];
        let members = json!({ "notificationType": number, "purchaseToken": value, "orderId": value, "productType": number, "refundType": 1 });
        for members in [members, value] {
            if let Ok(message) = push().message(&body(&notification(kind, members))) {
                let shown = format!("{message:?}") + &message.body.name();
                prop_assert!(!shown.contains(TOKEN));
            }
        }
    }

    #[test]
    fn no_answer_makes_a_fold_panic(place in prop::sample::select(PLACES.to_vec()), value in any_json(), now in any::<i64>()) {
        for mut answer in [subscription(), one_time()] {
            if let Some(member) = answer.pointer_mut(place) {
                *member = value.clone();
            }
            follow(&answer, now);
        }
    }

    #[test]
    fn no_source_and_no_row_ever_shows_a_token(token in "[A-Za-z0-9_-]{24,80}", state in 0usize..9, once in any::<bool>()) {
        let word = [
            "PENDING", "ACTIVE", "CANCELED", "IN_GRACE_PERIOD", "ON_HOLD", "PAUSED", "EXPIRED", "PENDING_PURCHASE_CANCELED", "NEW",
        ][state];
        let out_of_app = json!({ "expiredPurchaseToken": token });
        let mut answer = with(subscription(), "subscriptionState", json!(format!("SUBSCRIPTION_STATE_{word}")));
        answer = with(with(answer, "linkedPurchaseToken", json!(token)), "outOfAppPurchaseContext", out_of_app);
        let purchase = if once { read_one_time(&one_time()) } else { read(&answer) };
        let named: PurchaseToken = token.parse().unwrap();
        let facts = Facts::new(purchase, NOW);
        let sources = facts.sources(&named.hash(), &catalogue(), 0);
        prop_assert_eq!(sources.len(), 1);
        let shown = format!("{sources:?}{facts:?}{named:?}") + &serde_json::to_string(&sources).unwrap() + &serde_json::to_string(&facts).unwrap();
        prop_assert!(!shown.contains(&token));
    }
}
