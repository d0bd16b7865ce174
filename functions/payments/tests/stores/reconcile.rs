//! Webhooks that never come.

use serde_json::{Value, json};

use crate::support::{DAY, SYNC, Shop, THANKS, active};

#[tokio::test]
async fn a_renewal_whose_webhook_never_came_costs_no_access() {
    let shop = Shop::open().await;
    for (store, platform, proof) in [("apple", "ios", "signed_transaction"), ("google", "android", "receipt_data")] {
        let bought = shop.buy(store, SYNC, json!({ "account_token": shop.token })).await;
        let ada = shop.stack.sign_in_again(&shop.ada).await;
        shop.verify(&ada, platform, &bought[proof], SYNC).await.ok();
        shop.advance(30 * DAY).await;
        match store {
            "apple" => shop.apple("renew", &bought, json!({})).await,
            _ => shop.google("renew", &bought, json!({})).await,
        };
        // Within the slack it is active all the same; after the run it is so by the store's word.
        assert_eq!(shop.state("sync").await, active());
        shop.reconcile().await;
        let sync = shop.add_on(&shop.ada, "sync").await;
        assert!(sync["expires_at"].as_i64().unwrap() > shop.stack.now() + 29 * DAY, "{store}: {sync}");
    }
}

#[tokio::test]
async fn a_refund_whose_webhook_never_came_is_found_within_a_day() {
    let shop = Shop::open().await;
    let apple = shop.buy("apple", THANKS, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &apple["signed_transaction"], THANKS).await.ok();
    let google = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &google["receipt_data"], SYNC).await.ok();
    shop.apple("refund", &apple, json!({})).await;
    shop.google("void", &google, json!({})).await;
    shop.advance(DAY).await;
    shop.reconcile().await;
    assert_eq!(shop.state("supporter").await, ("revoked".to_owned(), false));
    assert!(!shop.state("sync").await.1);
}

#[tokio::test]
async fn notifications_that_failed_are_taken_from_the_stores_history() {
    let shop = Shop::open().await;
    // Nobody ever called: the event alone tells of the purchase.
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.stack.fault(json!({ "service": "dynamodb", "operation": "PutItem", "kind": "throttle" }));
    let answer = shop.control("deliver", json!({})).await;
    shop.stack.faults().clear();
    assert!(answer.to_string().contains("503"), "{answer}");
    assert_eq!(shop.rows("EVENT#").await, Vec::<Value>::new());
    let found = shop.reconcile().await;
    assert_eq!(found["missed"], 1, "{found} {bought}");
    assert_eq!(shop.state("sync").await, active());
    // Read once; a second run finds it known.
    assert_eq!(shop.reconcile().await["missed"], 0);
    assert_eq!(shop.rows("EVENT#").await.len(), 1);
}

#[tokio::test]
async fn a_voided_order_is_found_in_googles_list() {
    let shop = Shop::open().await;
    let google = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &google["receipt_data"], SYNC).await.ok();
    shop.google("void", &google, json!({})).await;
    shop.advance(60).await;
    let found = shop.reconcile().await;
    assert_eq!(found["voided"], 1, "{found}");
    assert!(!shop.state("sync").await.1);
    // What is known is not looked at again, though the spans overlap.
    assert_eq!(shop.reconcile().await["voided"], 0);
}

#[tokio::test]
async fn a_store_that_is_down_keeps_its_place_and_not_the_others() {
    let shop = Shop::open().await;
    let google = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &google["receipt_data"], SYNC).await.ok();
    shop.google("void", &google, json!({})).await;
    shop.control("apple/mode", json!({ "mode": "500" })).await;
    shop.advance(60).await;
    // The run does not fail for it: to run again at once would queue everything anew.
    let found = shop.stack.run("payments-every-hour-reconcile").await;
    assert_eq!((&found["missed"], &found["voided"]), (&json!(0), &json!(1)), "{found}");
    shop.stack.drain().await;
    assert!(!shop.state("sync").await.1, "{:#?}", shop.rows("STORE#").await);
    shop.control("apple/mode", json!({ "mode": "up" })).await;
    shop.reconcile().await;
}

#[tokio::test]
async fn an_acknowledgement_that_failed_is_made_up_for() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.stack.fault(json!({ "service": "http", "operation": ":acknowledge", "kind": "error" }));
    shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.ok();
    shop.stack.faults().clear();
    shop.reconcile().await;
    shop.advance(4 * DAY).await;
    shop.reconcile().await;
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn a_look_at_a_line_that_was_renewed_early_is_no_trouble() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    // Two transactions stand: the state and the history tell of the same ones, signed at different moments.
    shop.apple("renew", &bought, json!({})).await;
    shop.advance(25 * 3_600).await;
    shop.reconcile().await;
    assert_eq!(shop.stack.dead("StoreEventsDeadQueue"), [""; 0]);
    let sync = shop.add_on(&shop.ada, "sync").await;
    assert!(sync["expires_at"].as_i64().unwrap() > shop.stack.now() + 30 * DAY, "{sync}");
}
