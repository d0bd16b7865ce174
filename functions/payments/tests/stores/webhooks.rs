//! What the stores send, and what others send in their name.

use serde_json::{Value, json};

use crate::support::{DAY, SYNC, Shop, active};

async fn events(shop: &Shop) -> Vec<Value> {
    shop.rows("EVENT#").await
}

#[tokio::test]
async fn an_event_is_kept_once_however_often_it_comes() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.buy("google", "app.satchel.ai.monthly", json!({ "account_token": shop.token })).await;
    shop.deliver_with(json!({ "copies": 3 })).await;
    let kept = events(&shop).await;
    assert_eq!(kept.len(), 2, "{kept:#?}");
    assert!(kept.iter().all(|event| event["outcome"] == "applied" && event["due_pk"].is_null()), "{kept:#?}");
    assert_eq!(shop.ledger().await.len(), 2);
    // Days later once more: answered, and nothing else.
    shop.advance(2 * DAY).await;
    shop.deliver_with(json!({ "ids": "all" })).await;
    assert_eq!((events(&shop).await.len(), shop.ledger().await.len()), (2, 2));
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn forged_notifications_are_refused_and_leave_nothing() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    let statuses = async |store: &str, forge: &str| -> Vec<u64> {
        let answer = shop.deliver_with(json!({ "store": store, "forge": forge })).await;
        answer["deliveries"].as_array().unwrap().iter().map(|it| it["status"].as_u64().unwrap()).collect()
    };
    for forge in ["signature", "alg", "chain", "inner", "bundle", "environment", "garbage"] {
        assert_eq!(statuses("apple", forge).await, [400], "{forge}");
    }
    for forge in ["signature", "alg", "missing", "email", "unverified", "audience", "issuer", "expired"] {
        assert_eq!(statuses("google", forge).await, [401], "{forge}");
    }
    assert_eq!(events(&shop).await, Vec::<Value>::new());
    // Rightly signed, for our bundle, with another number than our settings say: kept.
    assert_eq!(statuses("apple", "app_id").await, [200]);
    // Google's own, of another app or subscription than our settings say: answered, kept, and tried again.
    for forge in ["bundle", "subscription", "garbage"] {
        assert_eq!(statuses("google", forge).await, [204], "{forge}");
    }
    let kept = events(&shop).await;
    assert!(kept.iter().all(|it| it["outcome"].is_null() && it["due_pk"].is_string()), "{kept:#?}");
    assert_eq!(shop.state("sync").await.0, "none");
    // Given up after a month.
    for _ in 0..31 {
        shop.advance(DAY).await;
        shop.stack.drain().await;
    }
    let given_up = |it: &Value| it["outcome"].as_str().is_some_and(|outcome| outcome.starts_with("refused: "));
    let unread: Vec<Value> = events(&shop).await.into_iter().filter(|it| it["kind"] == "UNREAD").collect();
    assert_eq!(unread.len(), 4);
    assert!(unread.iter().all(given_up), "{unread:#?}");
}

#[tokio::test]
async fn bodies_that_are_no_notification() {
    let shop = Shop::open().await;
    let apple = |body: Value| shop.stack.post("/payments/webhook/apple").json(body).send();
    for payload in ["", "a.b.c", "x", &"x".repeat(1_048_576)] {
        apple(json!({ "signedPayload": payload })).await.refused(400, "notification_refused");
    }
    for body in [json!({}), json!({ "signedPayload": 1 }), json!({ "signedPayload": null }), json!([])] {
        apple(body).await.refused(422, "invalid_input");
    }
    let broken = shop.stack.post("/payments/webhook/apple").header("content-type", "application/json").body("{");
    broken.send().await.refused(400, "malformed_json");
    for token in [None, Some("x"), Some("a.b.c")] {
        let call = shop.stack.post("/payments/webhook/google").json(json!({}));
        let call = if let Some(token) = token { call.bearer(token) } else { call };
        call.send().await.refused(401, "invalid_push_identity");
    }
    // An access token of our own is none of Google's.
    let own = shop.stack.post("/payments/webhook/google").auth(&shop.ada).json(json!({})).send().await;
    own.refused(401, "invalid_push_identity");
    assert_eq!(events(&shop).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_webhook_that_was_stored_and_never_queued_is_sent_by_the_reconciling() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.stack.fault(json!({ "service": "sqs", "operation": "SendMessage", "kind": "throttle" }));
    let answer = shop.control("deliver", json!({})).await;
    assert!(answer.to_string().contains("200"), "{answer}");
    shop.stack.faults().clear();
    shop.stack.drain().await;
    assert_eq!(shop.state("sync").await.0, "none");
    assert_eq!(events(&shop).await[0]["outcome"], Value::Null);
    shop.advance(3_600).await;
    shop.reconcile().await;
    assert_eq!(shop.state("sync").await, active());
    assert_eq!(events(&shop).await[0]["outcome"], "applied");
}

#[tokio::test]
async fn an_event_waits_for_a_silent_responder_and_is_never_refused_for_it() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.control("apple/ocsp", json!({ "mode": "down" })).await;
    shop.control("deliver", json!({})).await;
    shop.stack.settle().await;
    assert_eq!(events(&shop).await[0]["outcome"], Value::Null);
    assert_eq!(shop.state("sync").await.0, "none");
    shop.control("apple/ocsp", json!({ "mode": "good" })).await;
    shop.advance(3_600).await;
    shop.reconcile().await;
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn an_event_of_a_revoked_certificate_is_refused() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.control("apple/ocsp", json!({ "mode": "revoked" })).await;
    shop.deliver().await;
    assert_eq!(events(&shop).await[0]["outcome"], "refused: certificate_revoked");
    assert_eq!(shop.state("sync").await.0, "none");
}

#[tokio::test]
async fn tests_and_types_that_are_new_are_stored_and_answered() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    shop.apple("notify", &bought, json!({ "type": "BRAND_NEW_TYPE" })).await;
    shop.control("apple/notify", json!({ "type": "test", "deliver": "hold" })).await;
    shop.control("google/notify", json!({ "type": "test", "deliver": "hold" })).await;
    shop.deliver().await;
    let kept = events(&shop).await;
    assert_eq!(kept.len(), 4, "{kept:#?}");
    assert!(kept.iter().all(|event| event["outcome"].is_string()), "{kept:#?}");
    // The new type's purchase is looked at again.
    let state = shop.rows("STORE#ios#").await.into_iter().find(|row| row["sk"] == "STATE").unwrap();
    assert!(state["due_at"].as_i64().unwrap() <= shop.stack.now() * 1_000, "{state}");
}

#[tokio::test]
async fn every_type_of_both_stores_is_settled_and_cuts_nobody_off() {
    let shop = Shop::open().await;
    let apple = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let google = shop.buy("google", "app.satchel.ai.monthly", json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &google["receipt_data"], "app.satchel.ai.monthly").await.ok();
    shop.deliver().await;
    let types = "SUBSCRIBED DID_RENEW DID_CHANGE_RENEWAL_PREF DID_CHANGE_RENEWAL_STATUS OFFER_REDEEMED DID_FAIL_TO_RENEW \
        GRACE_PERIOD_EXPIRED EXPIRED PRICE_INCREASE REFUND REFUND_REVERSED REFUND_DECLINED CONSUMPTION_REQUEST \
        RENEWAL_EXTENDED RENEWAL_EXTENSION REVOKE ONE_TIME_CHARGE EXTERNAL_PURCHASE_TOKEN RESCIND_CONSENT \
        METADATA_UPDATE MIGRATION PRICE_CHANGE TEST";
    for kind in types.split_whitespace() {
        // What a type says is not what counts: the transaction and the renewal info inside do, and they are well.
        shop.apple("notify", &apple, json!({ "type": kind })).await;
    }
    for number in (1..=22).chain([99]) {
        shop.google("notify", &google, json!({ "type": number.to_string() })).await;
    }
    shop.deliver().await;
    let kept = events(&shop).await;
    assert_eq!(kept.len(), 2 + 23 + 23, "{kept:#?}");
    let left: Vec<&Value> = kept.iter().filter(|event| event["outcome"].is_null()).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!((shop.state("sync").await, shop.state("ai").await), (active(), active()));
}
