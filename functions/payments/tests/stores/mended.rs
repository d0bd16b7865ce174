//! What a fresh reading found: each was wrong once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satchel_testkit::Options;
use serde_json::{Value, json};

use crate::support::{AI, DAY, SYNC, Shop, THANKS, active};

#[tokio::test]
async fn an_old_periods_refund_leaves_the_line_with_who_bought_last() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let eves = shop.account_token(&eve).await;
    let first = shop.buy("apple", SYNC, json!({ "account_token": eves })).await;
    shop.deliver().await;
    shop.apple("cancel", &first, json!({})).await;
    shop.advance(31 * DAY).await;
    shop.apple("expire", &first, json!({})).await;
    shop.deliver().await;
    let again = json!({ "original_transaction_id": first["original_transaction_id"], "account_token": shop.token });
    shop.buy("apple", SYNC, again).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    // Signed today, about a period of eve's.
    shop.apple("refund", &first, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    assert_ne!(shop.add_on(&eve, "sync").await["is_active"], true);
}

#[tokio::test]
async fn a_restore_brings_what_was_bought_once_and_all_of_a_legacy_receipt() {
    let shop = Shop::open().await;
    let google = shop.buy("google", THANKS, json!({})).await;
    let restored = shop.restore(&shop.ada, "android", json!([google["receipt_data"]])).await.ok();
    assert_eq!(restored["results"][0]["status"], "success", "{restored}");
    assert_eq!(shop.state("supporter").await, ("owned".to_owned(), true));

    let eve = shop.stack.sign_in("eve").await;
    shop.buy("apple", SYNC, json!({ "customer": "one" })).await;
    let last = shop.buy("apple", THANKS, json!({ "customer": "one" })).await;
    let restored = shop.restore(&eve, "ios", json!([last["receipt"]])).await.ok();
    let mut brought: Vec<&str> =
        restored["entitlements"].as_array().unwrap().iter().map(|it| it["add_on_type"].as_str().unwrap()).collect();
    brought.sort_unstable();
    assert_eq!(brought, ["supporter", "sync"], "{restored}");
    // Somebody else's legacy receipt gives nothing to who only has a copy of it.
    shop.verify(&shop.ada, "ios", &last["receipt"], SYNC).await.refused(409, "purchase_belongs_to_another_account");
}

#[tokio::test]
async fn an_answer_that_google_knows_nothing_cuts_nobody_off() {
    let shop = Shop::open().await;
    let sync = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    let thanks = shop.buy("google", THANKS, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &sync["receipt_data"], SYNC).await.ok();
    shop.verify(&shop.ada, "android", &thanks["receipt_data"], THANKS).await.ok();
    shop.control("google/mode", json!({ "mode": "404" })).await;
    for _ in 0..5 {
        shop.advance(DAY).await;
        shop.stack.settle().await;
    }
    assert_eq!(shop.state("sync").await, active());
    assert_eq!(shop.state("supporter").await, ("owned".to_owned(), true));
    shop.control("google/mode", json!({ "mode": "up" })).await;
    shop.google("refund", &thanks, json!({})).await;
    shop.advance(DAY).await;
    shop.reconcile().await;
    assert_eq!(shop.state("supporter").await, ("revoked".to_owned(), false));
}

#[tokio::test]
async fn a_purchase_that_the_catalogue_does_not_have_is_looked_at_every_day() {
    let shop = Shop::open().await;
    shop.buy("apple", "app.satchel.sync.weekly", json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    let state = shop.rows("STORE#ios#").await.into_iter().find(|row| row["sk"] == "STATE").unwrap();
    assert!(state["due_at"].as_i64().unwrap() <= (shop.stack.now() + DAY) * 1_000, "{state}");
    assert_eq!(state["owner"], shop.ada.user_id.as_str());
    // Its owner is erased: nothing of theirs comes back by it, though it never gave them anything.
    shop.stack.delete("/auth/me").auth(&shop.ada).send().await.ok();
    shop.stack.drain().await;
    shop.advance(3_600).await;
    shop.stack.drain().await;
    let rows = shop.rows("STORE#ios#").await;
    let state = rows.iter().find(|row| row["sk"] == "STATE").unwrap();
    assert!(state["owner"].is_null() && state["named"].is_null(), "{state}");
    assert!(rows.iter().all(|row| row["account_token"].is_null()), "{rows:#?}");
    assert_eq!(shop.rows("U#").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_end_of_a_subscription_is_told() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    shop.apple("cancel", &bought, json!({})).await;
    shop.deliver().await;
    shop.advance(30 * DAY).await;
    shop.apple("expire", &bought, json!({})).await;
    shop.deliver().await;
    let told: Vec<Value> = shop.stack.published().into_iter().filter(|it| it["name"] == "payment.updated.v1").collect();
    let last = &told.last().unwrap()["event"]["entitlement"];
    assert_eq!((&last["status"], &last["is_active"]), (&json!("expired"), &json!(false)), "{told:#?}");
}

#[tokio::test]
async fn receipts_are_limited_by_person() {
    let shop = Shop::with(Options::default().param("ReceiptLimitHour", 4)).await;
    let eve = shop.stack.sign_in("eve").await;
    for _ in 0..2 {
        shop.verify(&shop.ada, "ios", &"2000000000999999".into(), SYNC).await.refused(403, "proof_required");
    }
    shop.restore(&shop.ada, "ios", json!(["1", "2"])).await.ok();
    let refused = shop.verify(&shop.ada, "ios", &"2000000000999999".into(), SYNC).await;
    refused.refused(429, "too_many_requests");
    assert!(refused.header("retry-after").is_some());
    shop.verify(&eve, "ios", &"2000000000999999".into(), SYNC).await.refused(403, "proof_required");
}

#[tokio::test]
async fn a_bare_id_tells_nothing_of_a_strangers_purchase() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let unsold = shop.buy("apple", "app.satchel.sync.weekly", json!({})).await;
    let unknown = json!("2000000000999999");
    let mut told = Vec::new();
    for (id, product) in [
        (&bought["transaction_id"], SYNC),
        (&bought["transaction_id"], AI),
        (&unsold["transaction_id"], SYNC),
        (&unknown, SYNC),
    ] {
        let mut problem = shop.verify(&eve, "ios", id, product).await.refused(403, "proof_required");
        problem["request_id"].take();
        told.push(problem);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:#?}");
    // The store's own answer needs no responder.
    shop.control("apple/ocsp", json!({ "mode": "down" })).await;
    shop.verify(&shop.ada, "ios", &bought["transaction_id"], SYNC).await.ok();
}

#[tokio::test]
async fn a_signature_in_its_other_spelling_is_the_same_event() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let text = shop.notifications().await[0]["body"]["signedPayload"].as_str().unwrap().to_owned();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other.to_bytes()));
    assert_ne!(other, text);
    for body in [&text, &other, &text] {
        shop.stack.post("/payments/webhook/apple").json(json!({ "signedPayload": body })).send().await.ok();
    }
    shop.stack.drain().await;
    assert_eq!((shop.rows("EVENT#").await.len(), shop.ledger().await.len()), (1, 1));
}

#[tokio::test]
async fn what_a_push_says_is_never_believed() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.ok();
    for number in ["12", "13"] {
        shop.google("notify", &bought, json!({ "type": number })).await;
        shop.deliver().await;
        assert_eq!(shop.state("sync").await, active(), "{number}");
    }
}

#[tokio::test]
async fn a_wrong_subscription_loses_no_push() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options::default().data(folder.path());
    let shop = Shop::with(options()).await;
    shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    // A push of ours that names another subscription than our settings do: to the function they differ alike.
    let answer = shop.deliver_with(json!({ "forge": "subscription" })).await;
    assert_eq!(answer["deliveries"][0]["status"], 204);
    assert_eq!(shop.state("sync").await.0, "none");
    let kept = shop.rows("EVENT#").await.remove(0);
    let named: Value = serde_json::from_str(kept["body"].as_str().unwrap()).unwrap();
    let named = named["subscription"].as_str().unwrap().to_owned();
    drop(shop);
    // The setting is mended: the next run reads what was kept.
    let shop = Shop::with(options().param("GooglePushSubscription", &named)).await;
    shop.advance(3_600).await;
    shop.reconcile().await;
    assert_eq!(shop.state("sync").await, active(), "{:#?}", shop.rows("EVENT#").await);
}

#[tokio::test]
async fn testers_purchases_end_where_the_sandbox_no_longer_counts() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options::default().data(folder.path());
    let shop = Shop::with(options()).await;
    let bought = shop.buy("apple", THANKS, json!({ "environment": "sandbox", "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], THANKS).await.ok();
    assert_eq!(shop.state("supporter").await, ("owned".to_owned(), true));
    drop(shop);
    let shop = Shop::with(options().param("AllowSandbox", "false")).await;
    shop.advance(DAY).await;
    shop.reconcile().await;
    assert_eq!(shop.state("supporter").await, ("revoked".to_owned(), false));
}
